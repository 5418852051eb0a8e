"""Writes a network as ONNX, node by node: raw frames and camera maps in, maps out.

The graph holds the pre-processing too, so that all engines do the same. It needs the weights and
the package onnx, but no torch. Everything before the first convolution must stay in float32: ADU
have 16 bits. Convolutions may run in bf16 or float16: an engine chooses, or `trunk_type` says it.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from rtsmlm.localizations import F32
from rtsmlm.models.flagship.layers import modulated_layers, n_blocks
from rtsmlm.models.inputs import BLOCK_PX

OPSET = 17
IR_VERSION = 8
FrameType = Literal["uint16", "int32", "float32"]
"""Type of the frames: uint16, or what a runtime without it takes."""
FRAME_TYPES: dict[FrameType, int] = {
    "uint16": TensorProto.UINT16,
    "int32": TensorProto.INT32,
    "float32": TensorProto.FLOAT,
}
TrunkType = Literal["float32", "float16"]
"""Type of the convolutions. Runtimes that keep to the types of a graph need it stated."""
TRUNK_TYPES: dict[TrunkType, int] = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
}


class _Graph:
    """Collects nodes; a value is its name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: NDArray[Any], name: str = "") -> str:
        """Return a constant."""
        name = name or f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def number(self, value: float) -> str:
        """Return a float32 number."""
        return self.constant(np.array(value, dtype=np.float32))

    def add(self, op: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Append a node and return its output."""
        name = name or f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name

    def part(self, value: str, start: int, stop: int, axis: int) -> str:
        """Return value[start:stop] along an axis."""
        limits = (np.array([i], dtype=np.int64) for i in (start, stop, axis))
        return self.add("Slice", value, *(self.constant(limit) for limit in limits))

    def reshape(self, value: str, *shape: int) -> str:
        """Return the value in another shape."""
        return self.add("Reshape", value, self.constant(np.array(shape, dtype=np.int64)))

    def cast(self, value: str, trunk_type: TrunkType) -> str:
        """Return a float32 value in the type of the convolutions."""
        if trunk_type == "float32":
            return value
        return self.add("Cast", value, to=TRUNK_TYPES[trunk_type])


def build_onnx(
    weights: dict[str, F32],
    *,
    frame_type: FrameType = "uint16",
    trunk_type: TrunkType = "float32",
    shape: tuple[int, int, int] | None = None,
) -> onnx.ModelProto:
    """Return the network as an ONNX model.

    Inputs: `frames` (n + 2, height, width), the frames to localize with one more before and
    after; `offset_adu`, `photons_per_adu`, `read_variance` (height, width); `context` (n, 2), 1
    where the previous or next frame is there; `condition` (1, condition size). Output: `maps`
    (n, channels, height / 2, width / 2).

    Parameters
    ----------
    weights
        Weights of a `FlagshipNetwork` by name.
    frame_type
        Type of the frames.
    trunk_type
        Type of everything from the first convolution on. What comes before, the maps and the
        condition are float32 all the same.
    shape
        n, height and width, both multiples of eight; not given leaves them open for the engine
        to fix.
    """
    graph = _Graph()
    maps = _trunk(graph, _planes(graph), weights, trunk_type)
    if trunk_type == "float32":
        graph.add("Identity", maps, name="maps")
    else:
        graph.add("Cast", maps, name="maps", to=TensorProto.FLOAT)
    n, height, width = shape or ("n", "height", "width")
    frames = shape[0] + 2 if shape else "frames"
    cells = (shape[1] // 2, shape[2] // 2) if shape else ("rows", "columns")
    condition_size = weights["condition_first.weight"].shape[1]
    single = TensorProto.FLOAT
    inputs = [
        helper.make_tensor_value_info("frames", FRAME_TYPES[frame_type], [frames, height, width]),
        helper.make_tensor_value_info("offset_adu", single, [height, width]),
        helper.make_tensor_value_info("photons_per_adu", single, [height, width]),
        helper.make_tensor_value_info("read_variance", single, [height, width]),
        helper.make_tensor_value_info("context", single, [n, 2]),
        helper.make_tensor_value_info("condition", single, [1, condition_size]),
    ]
    channels = len(weights["out.bias"])
    output = helper.make_tensor_value_info("maps", single, [n, channels, *cells])
    model = helper.make_model(
        helper.make_graph(graph.nodes, "flagship", inputs, [output], graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="rtsmlm",
    )
    onnx.checker.check_model(model)
    return model


def _planes(g: _Graph) -> str:
    """Return what `network.stabilize` makes of the frames, at half resolution."""
    adu = g.add(
        "Unsqueeze", g.add("Cast", "frames", to=TensorProto.FLOAT), g.constant(np.array([1]))
    )
    photons = g.add("Mul", g.add("Sub", adu, "offset_adu"), "photons_per_adu")
    means = g.add("AveragePool", photons, kernel_shape=[BLOCK_PX] * 2, strides=[BLOCK_PX] * 2)
    lowest = g.add("MaxPool", g.add("Neg", means), kernel_shape=[3, 3], pads=[1] * 4)
    smooth = g.add(
        "AveragePool", g.add("Neg", lowest), kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=0
    )
    level = g.add(
        "Resize",
        smooth,
        "",
        g.constant(np.array([1, 1, BLOCK_PX // 2, BLOCK_PX // 2], dtype=np.float32)),
        mode="linear",
        coordinate_transformation_mode="half_pixel",
    )
    level = g.add("Relu", level)
    variance = g.add("Unsqueeze", "read_variance", g.constant(np.array([0, 1])))
    variance = g.add("SpaceToDepth", variance, blocksize=2)
    shifted = g.add("Add", variance, g.number(0.375))
    quarters = g.add("SpaceToDepth", photons, blocksize=2)
    light = g.add("Sqrt", g.add("Relu", g.add("Add", quarters, shifted)))
    dark = g.add("Sqrt", g.add("Add", level, shifted))
    quarters = g.add("Mul", g.add("Sub", light, dark), g.number(0.5))
    context = g.add("Unsqueeze", "context", g.constant(np.array([2, 3])))
    target_level = g.part(level, 1, -1, 0)
    noise = g.add("Add", g.add("Add", target_level, variance), g.number(1.0))
    noise = g.add("Mul", g.add("Log", noise), g.number(1.0 / 3.0))
    parts = [
        g.add("Mul", g.part(quarters, 0, -2, 0), g.part(context, 0, 1, 1)),
        g.part(quarters, 1, -1, 0),
        g.add("Mul", g.part(quarters, 2, 2**31 - 1, 0), g.part(context, 1, 2, 1)),
        noise,
    ]
    return g.add("Concat", *parts, axis=1)


def _constants(g: _Graph, weights: dict[str, F32], trunk_type: TrunkType) -> dict[str, str]:
    """Return the names of the weights; what makes scales of the condition stays in float32."""
    return {
        name: g.constant(value if name.startswith("condition") else value.astype(trunk_type), name)
        for name, value in weights.items()
    }


def _trunk(g: _Graph, planes: str, weights: dict[str, F32], trunk_type: TrunkType) -> str:
    named = _constants(g, weights, trunk_type)
    films = (
        (g.cast(scale, trunk_type), g.cast(shift, trunk_type))
        for scale, shift in _films(g, weights, named)
    )

    def conv(value: str, layer: str, stride: int = 1) -> str:
        size = weights[f"{layer}.weight"].shape[2]
        return g.add(
            "Conv",
            value,
            named[f"{layer}.weight"],
            named[f"{layer}.bias"],
            kernel_shape=[size, size],
            strides=[stride, stride],
            pads=[size // 2] * 4,
        )

    def modulated(value: str) -> str:
        scale, shift = next(films)
        return g.add("Relu", g.add("Add", g.add("Mul", value, scale), shift))

    def blocks(value: str, group: str) -> str:
        for i in range(n_blocks(weights, group)):
            inner = modulated(conv(value, f"{group}.{i}.first"))
            value = g.add("Relu", g.add("Add", value, conv(inner, f"{group}.{i}.second")))
        return value

    fine = blocks(modulated(conv(g.cast(planes, trunk_type), "stem")), "half_blocks")
    coarse = blocks(modulated(conv(fine, "down", stride=2)), "quarter_blocks")
    doubled = g.add(
        "Resize",
        conv(coarse, "up"),
        "",
        g.constant(np.array([1, 1, 2, 2], dtype=np.float32)),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    merged = blocks(g.add("Relu", g.add("Add", fine, doubled)), "last_blocks")
    return conv(modulated(conv(merged, "head")), "out")


def _films(g: _Graph, weights: dict[str, F32], named: dict[str, str]) -> list[tuple[str, str]]:
    """Return scale and shift of all layers that the PSF modulates, in their order."""

    def linear(value: str, layer: str) -> str:
        return g.add("Gemm", value, named[f"{layer}.weight"], named[f"{layer}.bias"], transB=1)

    film = linear(g.add("Relu", linear("condition", "condition_first")), "condition_second")
    pairs, start = [], 0
    for layer in modulated_layers(weights):
        size = len(weights[f"{layer}.bias"])
        scale = g.add("Add", g.part(film, start, start + size, 1), g.number(1.0))
        shift = g.part(film, start + size, start + 2 * size, 1)
        pairs.append((g.reshape(scale, 1, size, 1, 1), g.reshape(shift, 1, size, 1, 1)))
        start += 2 * size
    return pairs
