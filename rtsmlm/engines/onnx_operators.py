"""Operators of ONNX on torch: each a function of its inputs and its attributes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import onnx
import torch
from torch import Tensor
from torch.nn import functional

from rtsmlm.errors import LocalizerError

Attributes: TypeAlias = dict[str, Any]
Operator: TypeAlias = Callable[[Sequence[Any], Attributes], Any]

_PAD_MODES = {"constant": "constant", "edge": "replicate", "reflect": "reflect"}
_TYPES = {
    onnx.TensorProto.FLOAT: torch.float32,
    onnx.TensorProto.FLOAT16: torch.float16,
    onnx.TensorProto.INT64: torch.int64,
    onnx.TensorProto.INT32: torch.int32,
    onnx.TensorProto.BOOL: torch.bool,
}


def _numbers(value: Any) -> list[int]:
    return [int(v) for v in (value.flatten().tolist() if isinstance(value, Tensor) else value)]


def _pads(attributes: Attributes) -> list[int]:
    """Return the padding in the order of torch: last axis first, before and after."""
    if attributes.get("auto_pad", "NOTSET") not in {"NOTSET", "VALID"}:
        raise LocalizerError("the ONNX model pads by auto_pad; export it with explicit pads")
    pads = attributes.get("pads", [0, 0, 0, 0])
    half = len(pads) // 2
    return [pads[axis + side * half] for axis in reversed(range(half)) for side in (0, 1)]


def _conv(x: Sequence[Any], a: Attributes) -> Tensor:
    value = functional.pad(x[0], _pads(a))
    bias = x[2] if len(x) > 2 else None
    stride, dilation = a.get("strides", [1, 1]), a.get("dilations", [1, 1])
    return functional.conv2d(
        value, x[1], bias, stride=stride, dilation=dilation, groups=a.get("group", 1)
    )


def _conv_transpose(x: Sequence[Any], a: Attributes) -> Tensor:
    pads = a.get("pads", [0, 0, 0, 0])
    return functional.conv_transpose2d(
        x[0], x[1], x[2] if len(x) > 2 else None, stride=a.get("strides", [1, 1]),
        padding=(pads[0], pads[1]), output_padding=a.get("output_padding", [0, 0]),
        groups=a.get("group", 1), dilation=a.get("dilations", [1, 1]),
    )  # fmt: skip


def _max_pool(x: Sequence[Any], a: Attributes) -> Tensor:
    value = functional.pad(x[0], _pads(a), value=float("-inf"))
    return functional.max_pool2d(value, a["kernel_shape"], a.get("strides", [1, 1]))


def _average_pool(x: Sequence[Any], a: Attributes) -> Tensor:
    pads = a.get("pads", [0, 0, 0, 0])
    return functional.avg_pool2d(
        x[0], a["kernel_shape"], a.get("strides", [1, 1]), padding=(pads[0], pads[1]),
        count_include_pad=bool(a.get("count_include_pad", 0)),
    )  # fmt: skip


def _batch_norm(x: Sequence[Any], a: Attributes) -> Tensor:
    return functional.batch_norm(x[0], x[3], x[4], x[1], x[2], eps=a.get("epsilon", 1e-5))


def _gemm(x: Sequence[Any], a: Attributes) -> Tensor:
    left = x[0].T if a.get("transA", 0) else x[0]
    right = x[1].T if a.get("transB", 0) else x[1]
    product = a.get("alpha", 1.0) * (left @ right)
    if len(x) < 3:
        return torch.as_tensor(product)
    return torch.as_tensor(product + a.get("beta", 1.0) * x[2])


def _resize(x: Sequence[Any], a: Attributes) -> Tensor:
    sizes = x[3] if len(x) > 3 else None
    if sizes is not None and sizes.numel():
        size = _numbers(sizes)[2:]
    else:
        scales = [float(v) for v in x[2].flatten().tolist()][2:]
        size = [int(s * f) for s, f in zip(x[0].shape[2:], scales, strict=True)]
    if a.get("mode", "nearest") == "nearest":
        return functional.interpolate(x[0], size=size, mode="nearest")
    aligned = a.get("coordinate_transformation_mode") == "align_corners"
    return functional.interpolate(x[0], size=size, mode="bilinear", align_corners=aligned)


def _slice(x: Sequence[Any], a: Attributes) -> Tensor:
    del a
    value: Tensor = x[0]
    starts, stops = _numbers(x[1]), _numbers(x[2])
    axes = _numbers(x[3]) if len(x) > 3 and x[3] is not None else list(range(len(starts)))
    steps = _numbers(x[4]) if len(x) > 4 and x[4] is not None else [1] * len(starts)
    index = [slice(None)] * value.ndim
    for start, stop, axis, step in zip(starts, stops, axes, steps, strict=True):
        index[axis] = slice(start, stop, step)
    return value[tuple(index)]


def _reshape(x: Sequence[Any], a: Attributes) -> Tensor:
    del a
    shape = _numbers(x[1])
    return torch.reshape(x[0], [x[0].shape[i] if s == 0 else s for i, s in enumerate(shape)])


def _unsqueeze(x: Sequence[Any], a: Attributes) -> Tensor:
    value: Tensor = x[0]
    for axis in sorted(_numbers(x[1] if len(x) > 1 else a["axes"])):
        value = value.unsqueeze(axis)
    return value


def _squeeze(x: Sequence[Any], a: Attributes) -> Tensor:
    value: Tensor = x[0]
    given = x[1] if len(x) > 1 else a.get("axes")
    if given is None:
        return value.squeeze()
    for axis in sorted(_numbers(given), reverse=True):
        value = value.squeeze(axis)
    return value


def _split(x: Sequence[Any], a: Attributes) -> tuple[Tensor, ...]:
    axis = a.get("axis", 0)
    if len(x) > 1 and x[1] is not None:
        return torch.split(x[0], _numbers(x[1]), dim=axis)
    return torch.chunk(x[0], a["num_outputs"], dim=axis)


def _gather(x: Sequence[Any], a: Attributes) -> Tensor:
    value: Tensor = x[0]
    axis = a.get("axis", 0) % value.ndim
    found = torch.index_select(value, axis, x[1].reshape(-1))
    # A number without axes takes its axis away.
    return found.reshape([*value.shape[:axis], *x[1].shape, *value.shape[axis + 1 :]])


def _clip(x: Sequence[Any], a: Attributes) -> Tensor:
    low = x[1] if len(x) > 1 else a.get("min")
    high = x[2] if len(x) > 2 else a.get("max")
    return torch.clamp(x[0], min=low, max=high)


def _space_to_depth(x: Sequence[Any], a: Attributes) -> Tensor:
    n, c, h, w = x[0].shape
    b = a["blocksize"]
    cells = x[0].reshape(n, c, h // b, b, w // b, b).permute(0, 3, 5, 1, 2, 4)
    return torch.as_tensor(cells.reshape(n, c * b * b, h // b, w // b))


def _depth_to_space(x: Sequence[Any], a: Attributes) -> Tensor:
    b = a["blocksize"]
    if a.get("mode", "DCR") == "CRD":
        return functional.pixel_shuffle(x[0], b)
    n, c, h, w = x[0].shape
    cells = x[0].reshape(n, b, b, c // (b * b), h, w).permute(0, 3, 4, 1, 5, 2)
    return torch.as_tensor(cells.reshape(n, c // (b * b), h * b, w * b))


def _reduce(function: Callable[..., Tensor]) -> Operator:
    def run(x: Sequence[Any], a: Attributes) -> Tensor:
        axes = _numbers(x[1]) if len(x) > 1 else _numbers(a.get("axes", range(x[0].ndim)))
        return function(x[0], dim=axes, keepdim=bool(a.get("keepdims", 1)))

    return run


def _plain(function: Callable[..., Any]) -> Operator:
    return lambda x, a: function(*x)


OPERATORS: dict[str, Operator] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": lambda x, a: x[0].mean(dim=(2, 3), keepdim=True),
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": lambda x, a: functional.instance_norm(
        x[0], weight=x[1], bias=x[2], eps=a.get("epsilon", 1e-5)
    ),
    "Gemm": _gemm,
    "MatMul": _plain(torch.matmul),
    "Add": _plain(torch.add),
    "Sub": _plain(torch.sub),
    "Mul": _plain(torch.mul),
    "Div": lambda x, a: (
        torch.div(*x) if x[0].is_floating_point() else torch.div(*x, rounding_mode="floor")
    ),
    "Pow": _plain(torch.pow),
    "Sqrt": _plain(torch.sqrt),
    "Exp": _plain(torch.exp),
    "Log": _plain(torch.log),
    "Neg": _plain(torch.neg),
    "Abs": _plain(torch.abs),
    "Erf": _plain(torch.erf),
    "Tanh": _plain(torch.tanh),
    "Sigmoid": _plain(torch.sigmoid),
    "Softplus": _plain(functional.softplus),
    "Relu": _plain(functional.relu),
    "LeakyRelu": lambda x, a: functional.leaky_relu(x[0], a.get("alpha", 0.01)),
    "Elu": lambda x, a: functional.elu(x[0], a.get("alpha", 1.0)),
    "PRelu": lambda x, a: torch.where(x[0] > 0, x[0], x[0] * x[1]),
    "Softmax": lambda x, a: torch.softmax(x[0], dim=a.get("axis", -1)),
    "Clip": _clip,
    "Max": _plain(torch.maximum),
    "Min": _plain(torch.minimum),
    "Concat": lambda x, a: torch.cat(list(x), dim=a["axis"]),
    "Slice": _slice,
    "Split": _split,
    "Reshape": _reshape,
    "Flatten": lambda x, a: x[0].flatten(a.get("axis", 1)),
    "Transpose": lambda x, a: x[0].permute(a["perm"]),
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Resize": _resize,
    "SpaceToDepth": _space_to_depth,
    "DepthToSpace": _depth_to_space,
    "Gather": _gather,
    "Shape": lambda x, a: torch.tensor(x[0].shape, dtype=torch.int64, device=x[0].device),
    "Cast": lambda x, a: x[0].to(_TYPES[a["to"]]),
    "Constant": lambda x, a: a["value"],
    "ConstantOfShape": lambda x, a: torch.full(
        _numbers(x[0]), a["value"].item() if "value" in a else 0.0, device=x[0].device
    ),
    "Expand": lambda x, a: x[0] * torch.ones(_numbers(x[1]), dtype=x[0].dtype, device=x[0].device),
    "Identity": lambda x, a: x[0],
    "Dropout": lambda x, a: x[0],
    "Pad": lambda x, a: functional.pad(
        x[0],
        _pads({"pads": _numbers(x[1])}),
        mode=_PAD_MODES[a.get("mode", "constant")],
    ),
    "ReduceSum": _reduce(torch.sum),
    "ReduceMean": _reduce(torch.mean),
    "ReduceMax": _reduce(torch.amax),
    "ReduceMin": _reduce(torch.amin),
    "Equal": _plain(torch.eq),
    "Greater": _plain(torch.gt),
    "Less": _plain(torch.lt),
    "Where": _plain(torch.where),
}
