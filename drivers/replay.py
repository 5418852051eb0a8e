"""ReplayCamera: a recording in place of a camera, in its own time or as fast as taken."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from threading import Event
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibration import StatedCalibration
from rtsmlm.errors import DeviceError, FrameMismatchError
from rtsmlm.frames import CameraFrame, FrameBatch
from rtsmlm.protocols import Camera
from rtsmlm.realtime.clock import now_ns

DEFAULT_EXPOSURE_MS = 10.0
"""Frame interval where the recording states neither times nor an exposure."""

_READ_FRAMES = 16  # per read of the file; few, so that stopping is prompt
_COARSE_S = 0.02  # a wait on an event may end 16 ms late on Windows; a sleep may not


class Movie(Protocol):
    """What replay needs of a recording; every reader of `rtsmlm.files` has it."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        ...

    @property
    def n_frames(self) -> int:
        """Frames in the recording."""
        ...

    @property
    def stated(self) -> StatedCalibration:
        """What the recording states of its calibration."""
        ...

    @property
    def exposure_ms(self) -> float | None:
        """Exposure per frame, None where it is not known."""
        ...

    @property
    def frame_index(self) -> NDArray[np.int64] | None:
        """Camera frame numbers, (n_frames,); None where they count from 0 without gap."""
        ...

    @property
    def t_exposure_end_ns(self) -> NDArray[np.int64] | None:
        """Ends of the exposures on any clock, (n_frames,); None where not known."""
        ...

    def describe(self) -> Mapping[str, str]:
        """Return what is known of the recording, as text."""
        ...

    def batches(self, frames_per_batch: int) -> Iterator[FrameBatch]:
        """Return the frames in order."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...


class ReplayCamera:
    """Plays a recording through the same protocol as a camera.

    Frame numbers are kept, gaps and all. With `original` timing frames come at the
    intervals of the recording, counted from the start; if they are taken late, they keep
    the time at which they were due, as those of a camera with an endless buffer would.

    Parameters
    ----------
    movie
        The recording; closed together with the camera.
    timing
        At the original intervals, or as fast as frames are taken.
    clock
        Monotonic time in ns.
    """

    def __init__(
        self,
        movie: Movie,
        timing: Literal["original", "fast"] = "original",
        *,
        clock: Callable[[], int] = now_ns,
    ) -> None:
        self._movie = movie
        self._timing = timing
        self._clock = clock
        self._closed = False

    @property
    def name(self) -> str:
        return f"replay ({self._timing})"

    @property
    def shape(self) -> tuple[int, int]:
        return self._movie.shape

    @property
    def exposure_ms(self) -> float:
        if self._movie.exposure_ms is not None:
            return self._movie.exposure_ms
        times = self._movie.t_exposure_end_ns
        interval_ns = 0.0
        if times is not None and len(times) > 1:
            interval_ns = float(np.median(np.diff(times)))
        return interval_ns / 1e6 if interval_ns > 0 else DEFAULT_EXPOSURE_MS

    @property
    def stated(self) -> StatedCalibration:
        return self._movie.stated

    @property
    def core(self) -> None:
        return None

    def describe(self) -> Mapping[str, str]:
        return {"camera": self.name, **self._movie.describe()}

    def stream(self, stop: Event, n_frames: int | None = None) -> Iterator[CameraFrame]:
        """Yield the frames of the recording; see `Camera.stream`."""
        due_ns = self._due_ns()
        n_frames = len(due_ns) if n_frames is None else min(n_frames, len(due_ns))
        start_ns = self._clock()
        for taken, (pixels, index) in enumerate(self._frames()):
            if taken >= n_frames:
                return
            end_ns = start_ns + int(due_ns[taken])
            if self._timing == "fast":
                end_ns = self._clock()
            else:
                self._wait_until(end_ns, stop)
            if stop.is_set():
                return
            if pixels.shape != self.shape or pixels.dtype != np.uint16:
                raise FrameMismatchError(
                    f"frame {index} of the recording is {pixels.shape} {pixels.dtype}; the "
                    f"recording has {self.shape} uint16"
                )
            yield CameraFrame(pixels=pixels, index=index, t_exposure_end_ns=end_ns)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._movie.close()

    def _frames(self) -> Iterator[tuple[NDArray[np.uint16], int]]:
        """Yield pixels and camera frame number."""
        numbers = self._movie.frame_index
        position = 0
        try:
            for batch in self._movie.batches(_READ_FRAMES):
                for pixels, counted in zip(batch.pixels, batch.index, strict=True):
                    yield pixels, int(counted if numbers is None else numbers[position])
                    position += 1
        except (OSError, ValueError) as error:
            raise DeviceError(
                f"the recording cannot be read after frame {position - 1}: {error}"
            ) from error

    def _due_ns(self) -> NDArray[np.int64]:
        """Return when each frame is due after the start, in ns, (n_frames,)."""
        times, numbers = self._movie.t_exposure_end_ns, self._movie.frame_index
        if times is None:
            if numbers is None:
                numbers = np.arange(self._movie.n_frames, dtype=np.int64)
            times = numbers * round(self.exposure_ms * 1e6)
        if not len(times):
            return np.zeros(0, dtype=np.int64)
        # A clock that was set during the recording must not turn the replay back.
        due: NDArray[np.int64] = np.maximum.accumulate(times - times[0])
        return due

    def _wait_until(self, end_ns: int, stop: Event) -> None:
        while (left_s := (end_ns - self._clock()) * 1e-9) > 0 and not stop.is_set():
            if left_s > _COARSE_S:
                stop.wait(left_s - _COARSE_S)
            else:
                time.sleep(left_s)


def _conforms(camera: ReplayCamera) -> Camera:
    return camera
