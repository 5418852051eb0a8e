"""When a recording goes wrong: one sentence, no frame booked that is not on disk, no waiting."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtsmlm.errors import RecordingError, WorkerError
from rtsmlm.files.movies.open import open_movie
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.raw_recorder import RawRecorder
from rtsmlm.files.run.report import RunReport
from rtsmlm.frames import CameraFrame
from rtsmlm.realtime.ledger import FrameRanges, Ledger

SHAPE = (16, 24)
CHUNK_FRAMES = 5
NEVER = threading.Event()


def frame(index: int) -> CameraFrame:
    return CameraFrame(np.full(SHAPE, index, np.uint16), index, 1000 * index)


class Disk:
    """The disk of a recorder, with room for so many frames; hangs while `free` is not set."""

    def __init__(self, stream: Any, room_frames: int) -> None:
        self._stream, self._room = stream, room_frames
        self.free = threading.Event()
        self.free.set()

    def append(self, pixels: np.ndarray) -> None:
        self.free.wait(30)
        if self._room == 0:
            raise OSError(28, "No space left on device")
        self._room -= 1
        self._stream.append(pixels)

    def close(self) -> None:
        self._stream.close()


class Recording:
    """A recorder, what it has booked, and what it has said."""

    def __init__(self, folder: Path, *, disk_frames: int | None = None, **changes: Any) -> None:
        self.booked = FrameRanges()
        self.failures: list[RecordingError] = []
        self.folder = RunFolder.create_free(folder, "run")
        self.recorder = RawRecorder(
            self.folder,
            SHAPE,
            **{
                "n_frames": None,
                "buffer_mb": 1.0,
                "chunk_mb": CHUNK_FRAMES * SHAPE[0] * SHAPE[1] * 2 / 2**20,
                "attributes": {"pixel_nm": 108.0, "exposure_ms": 10.0},
                "on_written": self.booked.add,
                "on_failure": self.failures.append,
                **changes,
            },
        )
        if disk_frames is not None:
            self.recorder._stream = Disk(self.recorder._stream, disk_frames)  # type: ignore[assignment]

    def push(self, indices: Any) -> None:
        for index in indices:
            self.recorder.push(frame(index), NEVER)

    def close(self) -> None:
        with contextlib.suppress(WorkerError):  # of a recorder that has died and told so
            self.recorder.close()

    def frames(self) -> list[int]:
        with open_movie(self.folder.path) as movie:
            pixels = movie.read(range(movie.n_frames))
            assert (
                movie.frame_index is None or movie.frame_index.tolist() == pixels[:, 0, 0].tolist()
            )
            return [int(value) for value in pixels[:, 0, 0]]


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Callable[..., Recording]]:
    made: list[Recording] = []

    def make(**changes: Any) -> Recording:
        made.append(Recording(tmp_path, **changes))
        return made[-1]

    yield make
    for recording in made:
        recording.close()


def test_a_full_disk_ends_the_recording_with_one_sentence(
    record: Callable[..., Recording],
) -> None:
    recording = record(disk_frames=12)

    recording.push(range(40))
    recording.close()

    assert recording.recorder.failed.is_set()
    (error,) = recording.failures
    assert "recording stopped after 12 frames" in str(error)
    assert "No space left on device; free the disk" in str(error)
    assert "Localization continues" in str(error)


def test_after_a_failure_frames_are_taken_without_waiting(
    record: Callable[..., Recording],
) -> None:
    recording = record(disk_frames=3, buffer_mb=0.001)

    recording.push(range(500))  # many buffers long: it would never return

    assert recording.recorder.failed.wait(10)


def test_what_is_booked_of_a_failed_recording_can_be_read(
    record: Callable[..., Recording],
) -> None:
    recording = record(disk_frames=13)
    recording.push(range(30))
    recording.close()

    booked = [index for start, stop in recording.booked for index in range(start, stop)]

    assert booked == list(range(10)), "two whole chunks of five"
    assert recording.frames()[: len(booked)] == booked


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(st.sampled_from([1, 1, 1, 2, 7]), min_size=1, max_size=40))
def test_every_frame_is_booked_once_under_the_number_of_the_camera(
    record: Callable[..., Recording], steps: list[int]
) -> None:
    indices = np.cumsum(steps).tolist()
    recording = record()

    recording.push(indices)
    recording.close()

    assert [i for start, stop in recording.booked for i in range(start, stop)] == indices
    assert recording.frames() == indices
    assert recording.recorder.n_written == len(indices)
    assert recording.recorder.backlog == 0


def test_a_recording_of_no_frame_ends_without_a_failure(record: Callable[..., Recording]) -> None:
    recording = record()

    recording.close()

    assert recording.failures == []
    assert len(recording.booked) == 0


def test_fewer_frames_than_were_to_come_are_all_the_recording_states(
    record: Callable[..., Recording],
) -> None:
    recording = record(n_frames=1000)

    recording.push(range(17))
    recording.close()

    assert recording.frames() == list(range(17))


def test_a_disk_that_hangs_is_reported_when_the_recording_is_closed(
    record: Callable[..., Recording],
) -> None:
    recording = record(disk_frames=100)
    disk: Any = recording.recorder._stream
    disk.free.clear()
    recording.push(range(3))

    with pytest.raises(WorkerError, match="did not end within 0"):
        recording.recorder.close(timeout_s=0.05)

    disk.free.set()
    recording.close()
    assert recording.frames() == [0, 1, 2], "late, and not lost"


def test_a_run_is_good_when_all_frames_are_accounted_for_and_nothing_failed() -> None:
    ledger, report = Ledger(), RunReport(Path("run"))
    assert not report.ok, "nothing is known yet"

    for index in (0, 1, 4):
        ledger.receive(index, queued=True)
    report.totals = ledger.totals()
    assert not report.ok, "three frames are still on their way"

    ledger.release(3)
    report.totals = ledger.totals()
    assert report.ok, "frames that the camera lost are accounted for"

    report.warnings.append("the disk is nearly full")
    assert report.ok
    report.failures.append("the camera stalled")
    assert not report.ok
