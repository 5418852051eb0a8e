"""A recording replayed as a camera: numbers kept, timing kept, prompt to stop."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from threading import Event, Timer

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsmlm.calibration import StatedCalibration
from rtsmlm.drivers.replay import DEFAULT_EXPOSURE_MS, ReplayCamera
from rtsmlm.errors import DeviceError, FrameMismatchError
from rtsmlm.frames import FrameBatch
from rtsmlm.realtime.clock import now_ns


class Recording:
    """A movie in memory whose pixels hold the position of the frame."""

    def __init__(
        self,
        n_frames: int = 40,
        *,
        exposure_ms: float | None = 2.0,
        frame_index: NDArray[np.int64] | None = None,
        t_exposure_end_ns: NDArray[np.int64] | None = None,
    ) -> None:
        self.shape = (6, 8)
        self.n_frames = n_frames
        self.stated = StatedCalibration(pixel_nm=108.0)
        self.exposure_ms = exposure_ms
        self.frame_index = frame_index
        self.t_exposure_end_ns = t_exposure_end_ns
        self.closed = 0
        self.pixels = np.repeat(np.arange(n_frames, dtype=np.uint16), 48).reshape(-1, 6, 8)

    def describe(self) -> Mapping[str, str]:
        return {"movie": "in memory"}

    def batches(self, frames_per_batch: int) -> Iterator[FrameBatch]:
        for first in range(0, self.n_frames, frames_per_batch):
            yield FrameBatch.from_pixels(
                self.pixels[first : first + frames_per_batch], first_index=first
            )

    def close(self) -> None:
        self.closed += 1


def test_all_frames_come_in_order_with_their_pixels() -> None:
    frames = [
        (f.index, int(f.pixels[0, 0]), f.pixels.shape)
        for f in ReplayCamera(Recording(40), "fast").stream(Event())
    ]

    assert frames == [(i, i, (6, 8)) for i in range(40)]


def test_gaps_in_the_recorded_numbers_are_kept() -> None:
    numbers = np.array([3, 4, 9, 10, 1_000_000], dtype=np.int64)
    camera = ReplayCamera(Recording(5, frame_index=numbers), "fast")

    assert [frame.index for frame in camera.stream(Event())] == numbers.tolist()


def test_original_times_are_kept_and_shifted_to_now() -> None:
    times = 10**15 + np.array([0, 5, 10, 60, 65], dtype=np.int64) * 1_000_000
    camera = ReplayCamera(Recording(5, t_exposure_end_ns=times))
    start_ns = now_ns()

    frames = [(f.t_exposure_end_ns, now_ns()) for f in camera.stream(Event())]

    ended_ns, taken_ns = np.array(frames).T
    assert np.array_equal(np.diff(ended_ns), np.diff(times))
    assert 0 <= ended_ns[0] - start_ns < 50e6
    assert np.all(taken_ns >= ended_ns)


def test_without_times_the_exposure_sets_the_pace_and_a_gap_takes_its_time() -> None:
    numbers = np.array([0, 1, 2, 12, 13], dtype=np.int64)
    camera = ReplayCamera(Recording(5, exposure_ms=4.0, frame_index=numbers))

    ends = [frame.t_exposure_end_ns for frame in camera.stream(Event())]

    assert np.diff(ends).tolist() == [4_000_000, 4_000_000, 40_000_000, 4_000_000]


def test_a_late_reader_sees_the_frames_at_the_time_they_were_due() -> None:
    camera = ReplayCamera(Recording(10, exposure_ms=2.0))
    ends = []
    for frame in camera.stream(Event()):
        ends.append(frame.t_exposure_end_ns)
        if frame.index == 2:
            time.sleep(0.05)

    assert set(np.diff(ends).tolist()) == {2_000_000}


def test_a_clock_that_was_set_during_the_recording_does_not_hold_the_replay() -> None:
    times = np.array([0, 10, -3_600_000, -3_599_990, 20], dtype=np.int64) * 1_000_000
    camera = ReplayCamera(Recording(5, t_exposure_end_ns=times))

    ends = [frame.t_exposure_end_ns for frame in camera.stream(Event())]

    assert np.all(np.diff(ends) >= 0)
    assert ends[-1] - ends[0] == 20_000_000


def test_fast_does_not_wait() -> None:
    camera = ReplayCamera(Recording(200, exposure_ms=1000.0), "fast")
    started = time.monotonic()

    assert sum(1 for _ in camera.stream(Event())) == 200
    assert time.monotonic() - started < 5


def test_stop_ends_a_long_wait() -> None:
    camera, stop = ReplayCamera(Recording(10, exposure_ms=60_000.0)), Event()
    timer = Timer(0.1, stop.set)
    timer.start()
    started = time.monotonic()

    taken = sum(1 for _ in camera.stream(stop))

    timer.join()
    assert taken == 1
    assert time.monotonic() - started < 5


def test_the_number_of_frames_is_limited() -> None:
    camera = ReplayCamera(Recording(40), "fast")

    assert sum(1 for _ in camera.stream(Event(), 7)) == 7
    assert sum(1 for _ in camera.stream(Event(), 1000)) == 40


@pytest.mark.parametrize(
    ("recording", "exposure_ms"),
    [
        (Recording(3, exposure_ms=7.0), 7.0),
        (
            Recording(4, exposure_ms=None, t_exposure_end_ns=np.array([0, 5, 10, 90]) * 1_000_000),
            5.0,
        ),
        (Recording(3, exposure_ms=None), DEFAULT_EXPOSURE_MS),
    ],
)
def test_the_exposure_is_that_of_the_recording(recording: Recording, exposure_ms: float) -> None:
    assert ReplayCamera(recording).exposure_ms == exposure_ms


def test_a_frame_of_another_shape_is_an_error() -> None:
    recording = Recording(4)
    recording.shape = (6, 9)

    with pytest.raises(FrameMismatchError, match=r"frame 0 of the recording is \(6, 8\)"):
        next(iter(ReplayCamera(recording, "fast").stream(Event())))


def test_a_file_that_breaks_is_a_device_that_fails() -> None:
    class Torn(Recording):
        def batches(self, frames_per_batch: int) -> Iterator[FrameBatch]:
            yield from list(super().batches(4))[:2]
            raise OSError("disk")

    camera = ReplayCamera(Torn(40), "fast")

    with pytest.raises(DeviceError, match="cannot be read after frame 7: disk"):
        list(camera.stream(Event()))
