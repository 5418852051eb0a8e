"""The halves of the chip as the frames of two cameras behind one dichroic mirror."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import DTypeLike

from rtsmlm.drivers.simulated.views import NAMES
from rtsmlm.frames import Pixels

LOSERS: tuple[tuple[str, ...], ...] = (NAMES, NAMES[:1], NAMES[1:])
"""Cameras that lose a frame: both, the first, the second."""


def frames_of_two(
    chip: Pixels,
    lost: Collection[str],
    get_buffer: Callable[[Sequence[int], DTypeLike], Pixels],
    tags: Mapping[str, str],
    *,
    swapped: bool,
) -> Iterator[Mapping[str, str]]:
    """Deliver the halves of a frame one after the other, as Micro-Manager's Multi Camera does.

    Parameters
    ----------
    chip
        The frame, shape (height, width).
    lost
        Cameras that lose this frame.
    get_buffer
        Where a frame is written; see `CameraDevice`.
    tags
        Metadata of the frame.
    swapped
        The second camera first.
    """
    height, width = chip.shape
    side = width // 2
    halves = list(zip(NAMES, (chip[:, :side], chip[:, side : 2 * side]), strict=True))
    for name, half in reversed(halves) if swapped else halves:
        if name not in lost:
            get_buffer((height, side), np.uint16)[:] = half
            yield {**tags, "Camera": name}
