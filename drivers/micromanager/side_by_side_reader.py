"""Taking the frames of several cameras, which come in any order, as frames side by side."""

from __future__ import annotations

import logging
from typing import Any

from numpy.typing import NDArray

from rtsmlm.drivers.micromanager.frame_sets import FrameSets, TimesApart
from rtsmlm.drivers.micromanager.frame_sources import FrameSource
from rtsmlm.drivers.micromanager.frame_tags import (
    CAMERA_TAG,
    CHANNEL_NAME_TAG,
    ExposureClock,
    FrameNumbers,
    Tags,
)
from rtsmlm.drivers.micromanager.physical_cameras import PhysicalCameras
from rtsmlm.drivers.micromanager.reader import FrameReader
from rtsmlm.errors import DeviceError
from rtsmlm.frames import CameraFrame

logger = logging.getLogger(__name__)


class SideBySideReader(FrameReader):
    """Takes frames of several cameras and gives those of the same number as one.

    Frames that a camera lost show as a gap in the numbers, as for one camera.

    Parameters
    ----------
    cameras
        Which ones, from left to right.
    source
        Where their frames are.
    number_tag
        As for `FrameNumbers`; all cameras count from the start of the sequence.
    from_start
        Whether the sequence starts with the first frame that is read: a frame that is missing
        there was lost.
    most_waiting
        Frames that may wait for a part.
    """

    def __init__(
        self,
        cameras: PhysicalCameras,
        source: FrameSource,
        number_tag: str | None,
        *,
        from_start: bool,
        most_waiting: int,
    ) -> None:
        super().__init__(cameras.label, source, cameras.part_shape, number_tag)
        self._labels = cameras.labels
        self._which = {label: k for k, label in enumerate(cameras.labels)}
        self._each = [FrameNumbers(label, number_tag, from_start=True) for label in cameras.labels]
        self._clocks = [ExposureClock() for _ in cameras.labels]
        self._sets = FrameSets(len(cameras.labels), cameras.part_shape)
        self._apart = TimesApart(cameras.labels)
        self._from_start = from_start
        self._most_waiting = most_waiting
        self._zero: int | None = None  # the number of the cameras that is our 0
        self._last = -1

    @property
    def last(self) -> int:
        """Number of the last frame; -1 at the start."""
        return self._last

    @property
    def is_full(self) -> bool:
        """Whether as many frames wait for a part as may."""
        return len(self._sets) >= self._most_waiting

    def why_silent(self, limit_s: float) -> str:
        """Return what to say where no whole frame has come for so long."""
        if self.is_full:
            return (
                f"{len(self._sets)} frames of {self._label} wait for the part of a camera after "
                f"frame {self._last}, as many as its buffer has room for; "
                f"{self._numbers_so_far()}. Trigger all cameras together, and raise "
                "micromanager.circular_buffer_mb if one is only late"
            )
        return (
            f"the cameras of {self._label} gave no whole frame for {limit_s:g} s after frame "
            f"{self._last}; {self._numbers_so_far()}. Check that all run and are triggered "
            "together, and that their numbers count from the start "
            "(micromanager.frame_number_tag, acquisition.stall_timeout_s)"
        )

    def finish(self) -> None:
        """Log what each camera lost."""
        lost = [f"{n} of {k}" for k, n in zip(self._labels, self._sets.n_lost, strict=True) if n]
        if lost:
            logger.warning(
                "frames that a camera lost: %s; what the other cameras have of them is left out",
                ", ".join(lost),
            )
        if self._sets.n_fallen:
            logger.warning(
                "%d frames are left out: the numbers of their camera fell or repeated",
                self._sets.n_fallen,
            )

    def _frame(self, pixels: NDArray[Any], tags: Tags) -> CameraFrame | None:
        camera, number = self._read(tags)
        try:
            self._check(pixels, self._index(number), self._labels[camera])
        except BaseException:
            self._sets.forget(number)
            raise
        time_ns = self._clocks[camera].end_ns(tags)
        whole = self._sets.put(camera, number, pixels, time_ns)
        if whole is None:
            return None
        self._fix_zero(whole.number)
        self._apart.add(whole.times_ns)
        self._last = self._index(whole.number)
        return CameraFrame(whole.pixels, self._last, max(whole.times_ns))

    def _number(self, tags: Tags) -> int | None:
        camera, number = self._read(tags)
        whole = self._sets.put(camera, number, None)
        if whole is None:
            return None
        self._fix_zero(whole.number)
        return self._index(whole.number)

    def _read(self, tags: Tags) -> tuple[int, int]:
        """Return which camera a frame is from, and its number."""
        label = tags(f"{self._label}-{CHANNEL_NAME_TAG}") or tags(CAMERA_TAG)
        camera = self._which.get(label or "")
        if camera is None:
            raise DeviceError(
                f"a frame after frame {self._last} of {self._label} is from camera {label!r}, not "
                f"from {' or '.join(self._labels)}; name all cameras that it joins in "
                "micromanager.cameras"
            )
        return camera, self._each[camera].next(tags)

    def _fix_zero(self, number: int) -> None:
        """Count from the first frame of any camera, or from the first whole one of a host."""
        if self._zero is None:
            first = [k for k in self._sets.first if k is not None]
            self._zero = min(first) if self._from_start else number

    def _index(self, number: int) -> int:
        return number if self._zero is None else number - self._zero

    def _numbers_so_far(self) -> str:
        pairs = zip(self._labels, self._sets.first, self._sets.last, strict=True)
        return ", ".join(
            f"{label} gave none" if first is None else f"{label} gave frames {first} to {last}"
            for label, first, last in pairs
        )
