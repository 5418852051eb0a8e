"""The convolutions of a model for OpenVINO: fed with planes, in eight bits if asked.

The ONNX model holds everything from raw frames on. Where an architecture has a compiled
front end for the CPU, the graph is cut where its planes enter; the PSF is a constant here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops

from rtsmlm.engines.example_frames import OFFSET_ADU, example_frames
from rtsmlm.engines.runtime import input_shapes
from rtsmlm.errors import LocalizerError
from rtsmlm.models.architecture import NetworkModel
from rtsmlm.models.inputs import BLOCK_PX
from rtsmlm.models.manifest import ONNX_NAME

_LEVELS, _WEIGHT_LEVELS = 256, 255
_EXAMPLE_FRAMES, _EXAMPLE_SIDE_PX = 24, 128
_HEADROOM = 1.1
"""Activations of other frames may be a little larger than any of the examples."""


def trunk(core: Any, model: NetworkModel, size: tuple[int, int, int]) -> Any:
    """Return the convolutions, planes (n, rows, columns, planes) to maps (n, channels, ...).

    Parameters
    ----------
    core
        `openvino.Core`.
    model
        The network, conditioned on the PSF.
    size
        n, rows and columns, in cells of the architecture, multiples of four.
    """
    n, rows, columns = size
    cell_px, n_planes = model.architecture.cell_px, model.architecture.planes
    whole = conditioned(core, model, (n, rows * cell_px, columns * cell_px))
    planes = ops.parameter([n, rows, columns, n_planes], openvino.Type.f32, name="planes")
    _replace(_convolutions(whole)[0].input_value(0), ops.transpose(planes, [0, 3, 1, 2]).output(0))
    return openvino.Model([whole.output(0)], [planes], model.manifest.name)


def conditioned(core: Any, model: NetworkModel, size: tuple[int, int, int]) -> Any:
    """Return the whole graph for frames of one shape, conditioned on the PSF.

    Parameters
    ----------
    core
        `openvino.Core`.
    model
        The network, conditioned on the PSF.
    size
        Frames at once, height and width in pixels, padded.
    """
    whole = core.read_model(model.folder / ONNX_NAME)
    shapes = input_shapes(model, size)
    inputs = {name: p for p in whole.get_parameters() for name in p.output(0).get_names()}
    if unknown := sorted(set(inputs) - set(shapes)):
        raise LocalizerError(
            f"{model.manifest.name} asks for {', '.join(unknown)}; rtsmlm gives a network "
            f"{', '.join(shapes)}"
        )
    whole.reshape({name: list(shapes[name]) for name in inputs})
    if "condition" in inputs:
        constant = ops.constant(model.psf.condition)
        _replace(inputs["condition"].output(0), constant.output(0))
        whole.remove_parameter(inputs["condition"])
    return whole


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
            # Other users of the value get its steps, too: it is stored in eight bits.
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
        The network, conditioned on the PSF.
    """
    side = _EXAMPLE_SIDE_PX // BLOCK_PX * BLOCK_PX
    frames = example_frames(model, _EXAMPLE_FRAMES + 2, side)
    plain = np.ones((side, side), dtype=np.float32)
    front_end = model.architecture.front_end(_EXAMPLE_FRAMES, (OFFSET_ADU * plain, plain, plain))
    if front_end is None:
        raise LocalizerError(f"{model.manifest.name} has no front end to measure ranges with")
    planes = front_end(frames.pixels, np.ones((_EXAMPLE_FRAMES, 2), dtype=np.float32))
    cells = side // model.architecture.cell_px
    network = trunk(core, model, (_EXAMPLE_FRAMES, cells, cells))
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
