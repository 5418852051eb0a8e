"""FollowCamera: a recording that another program is still writing, in place of a camera."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from threading import Event
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibration import StatedCalibration
from rtsmlm.drivers.replay import DEFAULT_EXPOSURE_MS, Movie
from rtsmlm.errors import FrameMismatchError
from rtsmlm.frames import CameraFrame
from rtsmlm.protocols import Camera
from rtsmlm.realtime.clock import now_ns


class Growing(Protocol):
    """What following needs of a recording; `rtsmlm.files.movies.growing` has it."""

    def frames(self, stop: Event) -> Iterator[tuple[NDArray[np.uint16], int]]:
        """Yield pixels and camera frame number of each frame, until no more comes."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...


class FollowCamera:
    """Hands on the frames of a recording as they appear in its file.

    Frames have the time at which they were found there: the clock of the program that writes them
    is not ours. Nothing is lost where they are not taken in time, since the file keeps them.

    Parameters
    ----------
    growing
        The recording; closed together with the camera.
    first
        What the file stated when its first frame was there.
    clock
        Monotonic time in ns.
    """

    def __init__(
        self, growing: Growing, first: Movie, *, clock: Callable[[], int] = now_ns
    ) -> None:
        self._growing = growing
        self._shape = first.shape
        self._exposure_ms = first.exposure_ms or DEFAULT_EXPOSURE_MS
        self._stated = first.stated
        self._described = dict(first.describe())
        self._clock = clock

    @property
    def name(self) -> str:
        return "follow"

    @property
    def shape(self) -> tuple[int, int]:
        return self._shape

    @property
    def exposure_ms(self) -> float:
        return self._exposure_ms

    @property
    def stated(self) -> StatedCalibration:
        return self._stated

    @property
    def core(self) -> None:
        return None

    def describe(self) -> Mapping[str, str]:
        # How many frames there were at the start says nothing of the run.
        known = {k: v for k, v in self._described.items() if not k.startswith("frames")}
        return {"camera": self.name, **known}

    def stream(self, stop: Event, n_frames: int | None = None) -> Iterator[CameraFrame]:
        """Yield the frames of the recording as they come; see `Camera.stream`."""
        for taken, (pixels, index) in enumerate(self._growing.frames(stop), 1):
            if pixels.shape != self._shape or pixels.dtype != np.uint16:
                raise FrameMismatchError(
                    f"frame {index} of the recording is {pixels.shape} {pixels.dtype}; it began "
                    f"with {self._shape} uint16"
                )
            yield CameraFrame(pixels=pixels, index=index, t_exposure_end_ns=self._clock())
            if taken == n_frames:
                return

    def close(self) -> None:
        self._growing.close()


def _conforms(camera: FollowCamera) -> Camera:
    return camera
