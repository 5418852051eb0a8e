"""Taking frames one by one: what each must be, and how long to wait for the next."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.drivers.micromanager.frame_sources import FrameSource
from rtsmlm.drivers.micromanager.frame_tags import ExposureClock, FrameNumbers
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
    """Takes frames from a source and checks them: shape, type, number, time."""

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
        self.numbers = FrameNumbers(label, number_tag)
        self.taken = 0

    def take(self) -> CameraFrame | None:
        """Return the next frame, None if there is none yet."""
        if not self._source.waiting():
            return None
        try:
            popped = self._source.pop()
        except Exception as error:  # vendor code
            raise DeviceError(
                f"no frame could be taken from camera {self._label} after frame "
                f"{self.numbers.last}: {error}"
            ) from error
        if popped is None:
            return None
        pixels, tags = popped
        number = self.numbers.next(tags)
        self._check(pixels, number)
        frame = CameraFrame(
            pixels=_as_uint16(pixels),
            index=number,
            t_exposure_end_ns=self._clock.end_ns(tags),
        )
        self.taken += 1
        return frame

    def waiting_numbers(self) -> list[int]:
        """Take what is waiting, of any size, and return its numbers; stop where there is none."""
        numbers: list[int] = []
        for _ in range(self._source.waiting()):
            try:
                popped = self._source.pop()
                if popped is None:
                    break
                numbers.append(self.numbers.next(popped[1]))
            except Exception:  # vendor code
                logger.exception("a waiting frame of camera %s could not be taken", self._label)
                break
        return numbers

    def _check(self, pixels: NDArray[Any], number: int) -> None:
        if self._dtype is None:
            if pixels.dtype not in (np.uint8, np.uint16):
                raise DeviceError(
                    f"camera {self._label} gives {pixels.dtype} pixels; only uint8 and "
                    "uint16 can be localized: choose another pixel type "
                    "(micromanager.properties)"
                )
            self._dtype = pixels.dtype
        if pixels.shape != self._shape or pixels.dtype != self._dtype:
            raise FrameMismatchError(
                f"frame {number} of camera {self._label} is {pixels.shape} {pixels.dtype}, "
                f"the run has {self._shape} {self._dtype}; keep region, binning and pixel "
                "type as they are during a run",
                (number,),
            )


def _as_uint16(pixels: NDArray[Any]) -> Pixels:
    return pixels if pixels.dtype == np.uint16 else pixels.astype(np.uint16)
