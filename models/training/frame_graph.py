"""A network of raw frames: its inputs as a manifest has them, and its ONNX model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from rtsmlm.models.manifest import TensorEntry
from rtsmlm.models.training.onnx_export import export_onnx

OUTPUT = "maps"
TARGETS = "n"
_PLANE = ("height", "width")
_LIGHT_ADU = 100
_FRAMES = 2


def frame_inputs(
    frames: str, *, dtype: str = "uint16", around: int = 0, read_variance: bool = True
) -> tuple[TensorEntry, ...]:
    """Return the inputs of a network that takes raw frames, in their order.

    Parameters
    ----------
    frames
        What is to be known of the frames.
    dtype
        Type of the frames.
    around
        How many frames around a target are looked at, half of them before it. They may be missing.
    read_variance
        Whether the variance of the read noise is looked at.
    """
    n = f"{TARGETS} + {around}" if around else TARGETS
    rows = [
        ("frames", dtype, (n, *_PLANE), "ADU", frames),
        ("offset_adu", "float32", _PLANE, "ADU", "value in the dark"),
        ("photons_per_adu", "float32", _PLANE, "photon/ADU", "EMCCD: halved"),
    ]
    if read_variance:
        rows.append(("read_variance", "float32", _PLANE, "photon²", "EMCCD: a quarter"))
    if around:
        meaning = "1 where the previous, the next frame is there"
        if around > 2:
            meaning = "1 where that frame around is there, from the earliest to the latest"
        rows.append(("context", "float32", (TARGETS, str(around)), "1", meaning))
    return tuple(
        TensorEntry(name=name, dtype=dtype, shape=shape, unit=unit, meaning=meaning)
        for name, dtype, shape, unit, meaning in rows
    )


def write_frame_graph(
    graph: nn.Module,
    inputs: Sequence[TensorEntry],
    shape: tuple[int, int],
    path: Path,
    *,
    sides: tuple[str, str] = ("rows", "columns"),
    half: bool = True,
) -> None:
    """Write the ONNX model of a graph from raw frames to maps.

    Frames are integers of 32 bits there: those of a camera have 16, and not all engines know them.

    Parameters
    ----------
    graph
        In evaluation mode; called with the inputs in their order.
    inputs
        As its manifest names them.
    shape
        Height and width of the example frames, which fit the network.
    path
        File to write.
    sides
        How the last two axes of the maps are called.
    half
        Store the weights in half precision, see `rtsmlm.models.half_precision`.

    Raises
    ------
    LocalizerError
        If a weight is larger than float16 can hold.
    """
    lengths = dict(zip(_PLANE, shape, strict=True))

    def example(entry: TensorEntry) -> Tensor:
        size = [lengths.get(axis) or _length(axis) for axis in entry.shape]
        if entry.name == "frames":
            return torch.full(size, _LIGHT_ADU, dtype=torch.int32)
        return torch.ones(size)

    axes = {
        entry.name: {i: name for i, axis in enumerate(entry.shape) if (name := _open(axis))}
        for entry in inputs
    }
    axes = {name: found for name, found in axes.items() if found}
    export_onnx(
        graph,
        {entry.name: example(entry) for entry in inputs},
        OUTPUT,
        path,
        axes=axes | {OUTPUT: {0: TARGETS, 2: sides[0], 3: sides[1]}},
        half=half,
    )


def _open(axis: str) -> str | None:
    """Return how an axis that is left open is called in the ONNX model; None for a fixed one."""
    if axis in _PLANE or axis == TARGETS:
        return axis
    return "frames" if axis.startswith(TARGETS) else None


def _length(axis: str) -> int:
    """Return the length of an axis in the example: "2", "n", or "n + 2"."""
    return sum(_FRAMES if part == TARGETS else int(part) for part in axis.split(" + "))
