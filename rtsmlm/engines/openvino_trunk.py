"""The convolutions of a model for OpenVINO: fed with planes, told the PSF, in eight bits if asked.

The ONNX model holds everything from raw frames on. On a CPU, `rtsmlm.models.flagship.planes`
does the first part faster, so the graph is cut where the planes are; the PSF is a constant here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops

from rtsmlm.engines.example_frames import OFFSET_ADU, example_frames
from rtsmlm.engines.runtime import NetworkModel
from rtsmlm.models.flagship.planes import PLANES, PlaneMaker
from rtsmlm.models.inputs import BLOCK_PX
from rtsmlm.models.manifest import ONNX_NAME

_LEVELS, _WEIGHT_LEVELS = 256, 255
_EXAMPLE_FRAMES, _EXAMPLE_SIDE_PX = 24, 128
_HEADROOM = 1.1
"""Activations of other frames may be a little larger than any of the examples."""


def trunk(core: Any, model: NetworkModel, size: tuple[int, int, int]) -> Any:
    """Return the convolutions, planes (n, rows, columns, 16) to maps (n, channels, rows, columns).

    Parameters
    ----------
    core
        `openvino.Core`.
    model
        The network, told the PSF.
    size
        n, rows and columns, in cells of 2 x 2 pixels, multiples of four.
    """
    n, rows, columns = size
    whole = core.read_model(model.folder / ONNX_NAME)
    field = [rows * 2, columns * 2]
    condition = model.psf.condition
    whole.reshape(
        {
            "frames": [n + 2, *field],
            "offset_adu": field,
            "photons_per_adu": field,
            "read_variance": field,
            "context": [n, 2],
            "condition": list(condition.shape),
        }
    )
    for parameter in whole.get_parameters():
        if "condition" in parameter.output(0).get_names():
            _replace(parameter.output(0), ops.constant(condition).output(0))
    planes = ops.parameter([n, rows, columns, PLANES], openvino.Type.f32, name="planes")
    _replace(_convolutions(whole)[0].input_value(0), ops.transpose(planes, [0, 3, 1, 2]).output(0))
    return openvino.Model([whole.output(0)], [planes], model.manifest.name)


def quantized(network: Any, ranges: list[float]) -> Any:
    """Return a trunk with eight-bit convolutions, the first two and the last two excepted.

    The first two tell light from noise, the last two state where emitters are and how bright: none
    bears steps of 1/256 of its range. Weights are rounded for each of their channels.

    Parameters
    ----------
    network
        What `trunk` returns; it is changed.
    ranges
        Largest input of each convolution, as `activation_ranges` returns them.
    """
    for convolution, most in zip(_convolutions(network)[2:-2], ranges[2:-2], strict=True):
        value = convolution.input_value(0)
        if value.get_node().get_type_name() != "FakeQuantize":
            users = list(value.get_target_inputs())
            zero, top = (np.array(v, dtype=np.float32) for v in (0.0, _HEADROOM * most))
            steps = ops.fake_quantize(value, zero, top, zero, top, _LEVELS).output(0)
            # Whoever adds the same value adds it in steps, too: it is stored in eight bits.
            for user in users:
                user.replace_source_output(steps)
        weights = convolution.input_value(1)
        largest = np.abs(weights.get_node().get_data()).max(axis=(1, 2, 3), keepdims=True)
        largest = np.maximum(largest, 1e-6).astype(np.float32)
        limits = (-largest, largest, -largest, largest)
        steps = ops.fake_quantize(weights, *limits, _WEIGHT_LEVELS).output(0)
        convolution.input(1).replace_source_output(steps)
    return network


def activation_ranges(core: Any, model: NetworkModel) -> list[float]:
    """Return the largest input of each convolution, in their order, on simulated frames.

    Parameters
    ----------
    core
        `openvino.Core`.
    model
        The network, told the PSF.
    """
    side = _EXAMPLE_SIDE_PX // BLOCK_PX * BLOCK_PX
    frames = example_frames(model, _EXAMPLE_FRAMES + 2, side)
    plain = np.ones((side, side), dtype=np.float32)
    maker = PlaneMaker(_EXAMPLE_FRAMES, (OFFSET_ADU * plain, plain, plain))
    planes = maker(frames.pixels, np.ones((_EXAMPLE_FRAMES, 2), dtype=np.float32))
    network = trunk(core, model, (_EXAMPLE_FRAMES, side // 2, side // 2))
    inputs = [convolution.input_value(0) for convolution in _convolutions(network)]
    tops = [ops.reduce_max(ops.abs(value), [0, 1, 2, 3]) for value in inputs]
    watched = openvino.Model(tops, network.get_parameters(), "ranges")
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    answers = core.compile_model(watched, "CPU", options)({0: planes})
    return [float(answers[i]) for i in range(len(tops))]


def _convolutions(network: Any) -> list[Any]:
    return [op for op in network.get_ordered_ops() if op.get_type_name() == "Convolution"]


def _replace(old: Any, new: Any) -> None:
    for user in list(old.get_target_inputs()):
        user.replace_source_output(new)
