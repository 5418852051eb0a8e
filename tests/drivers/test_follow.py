"""A recording that grows is a camera: its frames, numbers and faults, without the file itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from threading import Event

import numpy as np
import pytest

from rtsmlm.calibration import StatedCalibration
from rtsmlm.drivers.follow import FollowCamera
from rtsmlm.drivers.replay import DEFAULT_EXPOSURE_MS
from rtsmlm.errors import FrameMismatchError
from rtsmlm.frames import FrameBatch


class Growing:
    """Frames that are there, in place of a file."""

    def __init__(self, frames: list[tuple[np.ndarray, int]]) -> None:
        self._frames = frames
        self.n_closed = 0

    def frames(self, stop: Event) -> Iterator[tuple[np.ndarray, int]]:
        for frame in self._frames:
            if stop.is_set():
                return
            yield frame

    def close(self) -> None:
        self.n_closed += 1


class First:
    """What a file states when its first frame is there."""

    shape = (4, 6)
    n_frames = 1
    stated = StatedCalibration(pixel_nm=108.0)
    frame_index = None
    t_exposure_end_ns = None

    def __init__(self, exposure_ms: float | None = 20.0) -> None:
        self.exposure_ms = exposure_ms

    def describe(self) -> Mapping[str, str]:
        return {"path": "a.tif", "frames": "1", "frames present": "1", "format": "TIFF"}

    def batches(self, frames_per_batch: int) -> Iterator[FrameBatch]:
        raise NotImplementedError

    def close(self) -> None: ...


def frames(*numbers: int) -> list[tuple[np.ndarray, int]]:
    return [(np.full((4, 6), number, np.uint16), number) for number in numbers]


def test_frames_keep_their_numbers_and_get_the_time_at_which_they_were_found() -> None:
    now = iter(range(100, 200, 10))
    camera = FollowCamera(Growing(frames(0, 1, 5)), First(), clock=lambda: next(now))

    taken = list(camera.stream(Event()))

    assert [frame.index for frame in taken] == [0, 1, 5], "a gap stays one"
    assert [frame.t_exposure_end_ns for frame in taken] == [100, 110, 120]
    assert [int(frame.pixels[0, 0]) for frame in taken] == [0, 1, 5]


def test_it_states_what_the_file_states() -> None:
    growing = Growing([])
    camera = FollowCamera(growing, First())

    assert camera.shape == (4, 6)
    assert camera.exposure_ms == 20.0
    assert camera.stated.pixel_nm == 108.0
    assert camera.core is None
    assert camera.describe() == {"camera": "follow", "path": "a.tif", "format": "TIFF"}
    assert FollowCamera(growing, First(None)).exposure_ms == DEFAULT_EXPOSURE_MS
    camera.close()
    assert growing.n_closed == 1


def test_it_ends_after_as_many_frames_as_were_asked_for_or_when_it_is_stopped() -> None:
    stop = Event()
    camera = FollowCamera(Growing(frames(*range(10))), First())

    assert [frame.index for frame in camera.stream(stop, 3)] == [0, 1, 2]
    stop.set()
    assert list(camera.stream(stop)) == []


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 7), np.uint16), np.zeros((4, 6), np.int32)], ids=["shape", "type"]
)
def test_a_frame_of_another_kind_is_refused_with_its_number(pixels: np.ndarray) -> None:
    camera = FollowCamera(Growing([*frames(0), (pixels, 1)]), First())
    stream = camera.stream(Event())
    next(stream)

    with pytest.raises(FrameMismatchError, match="frame 1 of the recording"):
        next(stream)
