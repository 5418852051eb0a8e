"""Taking frames one by one: what each must be, and how long to wait for the next."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.drivers.micromanager.frame_sources import FrameSource
from rtsmlm.drivers.micromanager.frame_tags import ExposureClock, FrameNumbers, Tags
from rtsmlm.errors import DeviceError, FrameMismatchError
from rtsmlm.frames import CameraFrame, Pixels
from rtsmlm.realtime.clock import now_ns

_IDLE_S = 1e-3

logger = logging.getLogger(__name__)


class Silence:
    """How long no frame has come while we were waiting for one."""

    def __init__(self, timeout_s: float, exposure_ms: float) -> None:
        self.limit_s = max(timeout_s, 10 * exposure_ms * 1e-3)
        self.poll_s = min(_IDLE_S, max(exposure_ms * 1e-3 / 4, 1e-4))
        self._since_ns: int | None = None

    def broken(self) -> None:
        self._since_ns = None

    def too_long(self) -> bool:
        now = now_ns()
        if self._since_ns is None:
            self._since_ns = now
        return now - self._since_ns > self.limit_s * 1e9


class FrameReader:
    """Takes frames of one camera from a source and checks them: shape, type, number, time.

    Parameters
    ----------
    label
        Label of the camera.
    source
        Where its frames are.
    shape
        Height and width of a frame in the source.
    number_tag
        As for `FrameNumbers`.
    """

    def __init__(
        self,
        label: str,
        source: FrameSource,
        shape: tuple[int, int],
        number_tag: str | None,
    ) -> None:
        self._label = label
        self._source = source
        self._shape = shape
        self._dtype: np.dtype[Any] | None = None
        self._clock = ExposureClock()
        self._numbers = FrameNumbers(label, number_tag)
        self.popped = 0
        """Frames that were taken out of the source."""
        self.taken = 0
        """Frames that were given."""

    @property
    def last(self) -> int:
        """Number of the last frame; -1 at the start."""
        return self._numbers.last

    def take(self) -> CameraFrame | None:
        """Return the next frame; None if it, or a part of it, is not there yet."""
        if not self._source.waiting():
            return None
        try:
            popped = self._source.pop()
        except Exception as error:  # vendor code
            raise DeviceError(
                f"no frame could be taken from camera {self._label} after frame "
                f"{self.last}: {error}"
            ) from error
        if popped is None:
            return None
        self.popped += 1
        frame = self._frame(*popped)
        self.taken += frame is not None
        return frame

    def waiting_numbers(self) -> list[int]:
        """Take what is waiting, of any size, and return its numbers; stop where there is none."""
        numbers: list[int] = []
        for _ in range(self._source.waiting()):
            try:
                popped = self._source.pop()
                if popped is None:
                    break
                number = self._number(popped[1])
            except Exception:  # vendor code
                logger.exception("a waiting frame of camera %s could not be taken", self._label)
                break
            if number is not None:
                numbers.append(number)
        return numbers

    @property
    def is_full(self) -> bool:
        """Whether so much was taken that is no whole frame that no more of it may be."""
        return False

    def why_silent(self, limit_s: float) -> str:
        """Return what to say where no frame has come for so long."""
        return (
            f"camera {self._label} gave no frame for {limit_s:g} s after frame {self.last}; check "
            "trigger, cable and exposure (acquisition.stall_timeout_s)"
        )

    def finish(self) -> None:
        """Say what is to be said at the end."""

    def _frame(self, pixels: NDArray[Any], tags: Tags) -> CameraFrame | None:
        number = self._numbers.next(tags)
        self._check(pixels, number, self._label)
        return CameraFrame(
            pixels=_as_uint16(pixels),
            index=number,
            t_exposure_end_ns=self._clock.end_ns(tags),
        )

    def _number(self, tags: Tags) -> int | None:
        return self._numbers.next(tags)

    def _check(self, pixels: NDArray[Any], number: int, label: str) -> None:
        if self._dtype is None:
            if pixels.dtype not in (np.uint8, np.uint16):
                raise DeviceError(
                    f"camera {label} gives {pixels.dtype} pixels; only uint8 and "
                    "uint16 can be localized: choose another pixel type "
                    "(micromanager.properties)"
                )
            self._dtype = pixels.dtype
        if pixels.shape != self._shape or pixels.dtype != self._dtype:
            raise FrameMismatchError(
                f"frame {number} of camera {label} is {pixels.shape} {pixels.dtype}, "
                f"the run has {self._shape} {self._dtype}; keep region, binning and pixel "
                "type as they are during a run",
                (number,),
            )


def _as_uint16(pixels: NDArray[Any]) -> Pixels:
    return pixels if pixels.dtype == np.uint16 else pixels.astype(np.uint16)
