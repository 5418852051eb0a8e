"""Which frames of several cameras belong together: those that the cameras gave the same number."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.frames import Pixels

_WINDOW = 64
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Waiting:
    """A frame that lacks the part of a camera."""

    pixels: Pixels
    times_ns: dict[int, int] = field(default_factory=dict)
    """When the exposure ended, by the cameras whose part is there."""


@dataclass(frozen=True, slots=True)
class FrameSet:
    """One frame of each camera, side by side; the pixels are valid until the next is asked for."""

    number: int
    pixels: Pixels
    times_ns: tuple[int, ...]
    """When the exposure of each camera ended."""


class FrameSets:
    """Lays frames of the same number side by side, whatever the order in which they come.

    Each camera gives its frames in the order of their numbers, so that with a frame of number k of
    every camera, those before it that lack a part will never be complete: they are left out, and
    the numbers of the complete ones show a gap. A frame whose number does not rise is of no set.

    Parameters
    ----------
    n_cameras
        How many cameras there are.
    part_shape
        Height and width of the frame of one camera.
    """

    def __init__(self, n_cameras: int, part_shape: tuple[int, int]) -> None:
        self._n, (height, self._width) = n_cameras, part_shape
        self._shape = height, self._width * n_cameras
        self._waiting: dict[int, _Waiting] = {}
        self._free: list[Pixels] = []
        self._given: Pixels | None = None
        self.first: list[int | None] = [None] * n_cameras
        """First number of each camera."""
        self.last: list[int | None] = [None] * n_cameras
        """Number of the newest frame of each camera."""
        self.n_lost = [0] * n_cameras
        """Frames of each camera that are missing in its numbers."""
        self.n_fallen = 0
        """Frames whose number did not rise."""

    def __len__(self) -> int:
        """Return how many frames wait for a part."""
        return len(self._waiting)

    def put(
        self, camera: int, number: int, part: NDArray[Any] | None, time_ns: int = 0
    ) -> FrameSet | None:
        """Take the frame of a camera, and return the set that it completes.

        Parameters
        ----------
        camera
            Which one, from left to right.
        number
            Its number, counted alike by all cameras.
        part
            Its pixels; None where only the numbers count.
        time_ns
            When its exposure ended.
        """
        last = self.last[camera]
        if last is not None and number <= last:
            self.n_fallen += 1
            return None
        self.n_lost[camera] += 0 if last is None else number - last - 1
        self.last[camera] = number
        if last is None:
            self.first[camera] = number
        waiting = self._waiting.get(number)
        if waiting is None:
            waiting = self._waiting[number] = _Waiting(self._free_pixels())
        waiting.times_ns[camera] = time_ns
        if part is not None:
            start = camera * self._width
            np.copyto(waiting.pixels[:, start : start + self._width], part)
        return self._complete(number) if len(waiting.times_ns) == self._n else None

    def forget(self, number: int) -> None:
        """Leave out what there is of a frame."""
        waiting = self._waiting.pop(number, None)
        if waiting is not None:
            self._free.append(waiting.pixels)

    def _complete(self, number: int) -> FrameSet:
        for earlier in [k for k in self._waiting if k < number]:
            self.forget(earlier)
        whole = self._waiting.pop(number)
        if self._given is not None:
            self._free.append(self._given)
        self._given = whole.pixels
        return FrameSet(number, whole.pixels, tuple(whole.times_ns[k] for k in range(self._n)))

    def _free_pixels(self) -> Pixels:
        if self._given is not None:  # the next frame is asked for
            self._free.append(self._given)
            self._given = None
        return self._free.pop() if self._free else np.empty(self._shape, dtype=np.uint16)


class TimesApart:
    """Warns once where the frames of a set were exposed at different times.

    Numbers that the core gives do not show what a camera lost before; the times do, and they show
    cameras that are not triggered together. More than half a frame apart, another pairing would be
    nearer.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._apart_ns: list[int] = []
        self._start_ns = 0
        self._warned = False

    def add(self, times_ns: tuple[int, ...]) -> None:
        """Take the times of a set."""
        if self._warned:
            return
        if not self._apart_ns:
            self._start_ns = max(times_ns)
        self._apart_ns.append(max(times_ns) - min(times_ns))
        if len(self._apart_ns) <= _WINDOW:
            return
        period_ns = (max(times_ns) - self._start_ns) / _WINDOW
        apart_ns = median(self._apart_ns)
        self._apart_ns = []
        if apart_ns > period_ns / 2:
            self._warned = True
            logger.warning(
                "frames of the same number reach us %.1f ms apart from the cameras %s, at one "
                "frame in %.1f ms: if they are not triggered together, or one has lost frames that "
                "its numbers do not show, the parts of a frame are different exposures",
                apart_ns * 1e-6,
                ", ".join(self._labels),
                period_ns * 1e-6,
            )
