"""When a disk takes no frames: a pause, no frame booked that is not on disk, and on it goes."""

from __future__ import annotations

import contextlib
import errno
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtsmlm.errors import RecordingError, WorkerError
from rtsmlm.files.movies.open import open_movie
from rtsmlm.files.run import disk_space, raw_store
from rtsmlm.files.run.folder import RunFolder, free_mb
from rtsmlm.files.run.raw_recorder import RawRecorder
from rtsmlm.files.run.raw_store import RawStore
from rtsmlm.files.run.report import RunReport
from rtsmlm.frames import CameraFrame, FrameBatch
from rtsmlm.realtime.frame_ranges import FrameRanges
from rtsmlm.realtime.ledger import Ledger

SHAPE = (16, 24)
FRAME_MB = SHAPE[0] * SHAPE[1] * 2 / 2**20
CHUNK_FRAMES = 5
NEVER = threading.Event()


def frame(index: int, shape: tuple[int, int] = SHAPE) -> CameraFrame:
    return CameraFrame(np.full(shape, index, np.uint16), index, 1000 * index)


class Disk:
    """The disk of a recorder, with room for so many frames; hangs while `free` is not set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room_frames = 10**9
        self.error = OSError(errno.ENOSPC, "No space left on device")
        self.free = threading.Event()
        self.free.set()
        self._append_part = RawStore._append_to_chunk
        monkeypatch.setattr(RawStore, "_append_to_chunk", self._append_to_chunk)
        monkeypatch.setattr(disk_space, "_RETRY_NS", 10_000_000)
        monkeypatch.setattr(disk_space, "_MEASURE_NS", 10_000_000)

    @property
    def _append_to_chunk(self) -> Callable[..., None]:
        disk = self

        def append(store: RawStore, pixels: Any, records: Any) -> None:
            disk.free.wait(30)
            for k in range(len(records)):
                if disk.room_frames <= 0:
                    raise disk.error
                disk._append_part(store, pixels[k : k + 1], records[k : k + 1])
                disk.room_frames -= 1

        return append


class Recording:
    """A recorder, what it has booked, and its messages."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.booked = FrameRanges()
        self.warnings: list[str] = []
        self.failures: list[RecordingError] = []
        self.folder = RunFolder.create_free(folder, "run")
        self.recorder = RawRecorder(
            self.folder,
            changes.pop("shape", SHAPE),
            **{
                "n_frames": None,
                "seconds": None,
                "buffer_mb": 1.0,
                "chunk_mb": CHUNK_FRAMES * FRAME_MB,
                "reserve_mb": 0.0,
                "attributes": {"pixel_nm": 108.0, "exposure_ms": 10.0},
                "on_written": self.booked.add,
                "on_warning": self.warnings.append,
                "on_failure": self.failures.append,
                **changes,
            },
        )

    def push(self, indices: Any) -> None:
        for index in indices:
            self.recorder.push(frame(index), NEVER)

    def wait_until(self, fact: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not fact():
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def close(self) -> None:
        with contextlib.suppress(WorkerError):  # of a recorder that has died and reported it
            self.recorder.close()

    def frames(self) -> list[int]:
        with open_movie(self.folder.path) as movie:
            pixels = movie.read(range(movie.n_frames))
            assert (
                movie.frame_index is None or movie.frame_index.tolist() == pixels[:, 0, 0].tolist()
            )
            return [int(value) for value in pixels[:, 0, 0]]

    def booked_frames(self) -> list[int]:
        return [index for start, stop in self.booked for index in range(start, stop)]


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Callable[..., Recording]]:
    made: list[Recording] = []

    def make(**changes: Any) -> Recording:
        made.append(Recording(tmp_path, **changes))
        return made[-1]

    yield make
    for recording in made:
        recording.close()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_a_full_disk_pauses_the_recording_with_one_sentence(
    record: Callable[..., Recording], disk: Disk
) -> None:
    recording = record()
    disk.room_frames = 12

    recording.push(range(40))
    recording.wait_until(lambda: bool(recording.warnings))
    recording.close()

    (text,) = recording.warnings
    assert "recording paused at frame 12: the disk of" in text
    assert "is full; free space, and it continues. Localization continues" in text
    (error,) = recording.failures
    assert "28 frames were not recorded: the disk of" in str(error)
    assert recording.recorder.n_left_out == 28
    assert recording.frames() == recording.booked_frames() == list(range(12))


def test_when_there_is_space_again_the_recording_continues_and_its_numbers_show_the_gap(
    record: Callable[..., Recording], disk: Disk
) -> None:
    recording = record(buffer_mb=10 * FRAME_MB)
    disk.room_frames = 12
    recording.push(range(300))

    disk.room_frames = 10**9
    recording.wait_until(lambda: len(recording.warnings) == 2)
    recording.push(range(300, 310))
    recording.close()

    frames = recording.frames()
    assert frames == recording.booked_frames()
    assert frames[:12] == list(range(12))
    assert frames[-10:] == list(range(300, 310))
    missing = 310 - len(frames)
    assert missing > 200
    assert missing == recording.recorder.n_left_out
    assert recording.warnings[1].startswith("recording continues with frame")
    (error,) = recording.failures
    assert f"{missing} frames were not recorded" in str(error)
    assert "ledger.json lists them" in str(error)


def test_an_outage_shorter_than_the_buffer_costs_no_frame(
    record: Callable[..., Recording], disk: Disk
) -> None:
    recording = record(buffer_mb=100 * FRAME_MB)
    disk.room_frames, disk.error = 12, OSError(errno.EIO, "Input/output error")
    recording.push(range(60))
    recording.wait_until(lambda: bool(recording.warnings))

    disk.room_frames = 10**9
    recording.push(range(60, 80))
    recording.wait_until(lambda: recording.recorder.backlog == 0)
    recording.close()

    assert recording.frames() == list(range(80))
    assert recording.failures == []
    assert "Input/output error; it is tried again every second" in recording.warnings[0]


def test_space_that_was_freed_just_before_the_end_is_used(
    record: Callable[..., Recording], disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_space, "_RETRY_NS", 10**12)
    recording = record()
    disk.room_frames = 12
    recording.push(range(40))
    recording.wait_until(lambda: bool(recording.warnings))

    disk.room_frames = 10**9
    recording.close()

    assert recording.frames() == list(range(40))
    assert recording.failures == []


def test_while_the_disk_is_full_frames_are_taken_without_waiting(
    record: Callable[..., Recording], disk: Disk
) -> None:
    recording = record(buffer_mb=0.001)
    disk.room_frames = 3

    recording.push(range(500))  # many buffers long: it would never return

    recording.close()
    assert recording.recorder.n_left_out == 497


def test_a_fault_of_the_program_ends_the_recording_with_one_sentence_and_without_waiting(
    record: Callable[..., Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(store: RawStore, batch: FrameBatch) -> None:
        raise ValueError("a fault")

    monkeypatch.setattr(RawStore, "append", fail)
    recording = record(buffer_mb=0.001)

    recording.push(range(500))

    assert recording.recorder.failed.wait(10)
    recording.close()
    (error,) = recording.failures
    assert "recording stopped after 0 frames" in str(error)
    assert "a fault; free the disk" in str(error)


def test_free_space_at_the_reserve_pauses_before_the_disk_refuses_anything(
    record: Callable[..., Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    room_mb = [100.0 + 12.5 * FRAME_MB]
    write = raw_store._write

    def spend(file: FileIO, data: Any) -> None:
        room_mb[0] -= data.nbytes / 2**20
        write(file, data)

    monkeypatch.setattr(raw_store, "_write", spend)
    monkeypatch.setattr(disk_space, "free_mb", lambda path: room_mb[0])
    recording = record(reserve_mb=100.0, buffer_mb=0.001)

    recording.push(range(60))
    recording.close()

    assert 99.9 < room_mb[0] < 100.1
    assert recording.frames() == recording.booked_frames() == list(range(12))
    assert "record.reserve_mb = 100 MB of" not in recording.warnings[0]
    assert "of which record.reserve_mb = 100 MB are kept" in recording.warnings[0]


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

    assert recording.booked_frames() == indices
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
    record: Callable[..., Recording], disk: Disk
) -> None:
    recording = record()
    disk.free.clear()
    recording.push(range(3))

    with pytest.raises(WorkerError, match="did not end within 0"):
        recording.recorder.close(timeout_s=0.05)

    disk.free.set()
    recording.close()
    assert recording.frames() == [0, 1, 2], "late, and not lost"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of 24 MB; needs the rights to mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if (
        sys.platform != "linux"
        or subprocess.run(mount, capture_output=True, check=False).returncode
    ):
        pytest.skip("needs the rights to mount a small disk")
    yield folder
    subprocess.run(["/bin/umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("reserve_mb", [0.0, 4.0])
def test_on_a_real_disk_that_is_full_the_reserve_stays_and_freed_space_is_used(
    small_disk: Path, reserve_mb: float
) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(8 << 20))
    shape = (256, 256)
    recording = Recording(small_disk, shape=shape, reserve_mb=reserve_mb, chunk_mb=1.0)
    for index in range(200):  # 25 MB into 16
        recording.recorder.push(frame(index, shape), NEVER)
    recording.wait_until(lambda: any("paused" in text for text in recording.warnings))
    assert reserve_mb <= free_mb(small_disk) < reserve_mb + 2
    (small_disk / "ledger.json").write_bytes(bytes(int(reserve_mb * 2**20 * 0.9)))
    (small_disk / "ledger.json").unlink()

    ballast.unlink()
    recording.wait_until(lambda: any("continues with" in text for text in recording.warnings))
    for index in range(200, 230):
        recording.recorder.push(frame(index, shape), NEVER)
    recording.close()

    frames = recording.frames()
    assert frames == recording.booked_frames()
    assert len(frames) + recording.recorder.n_left_out == 230
    assert frames[:80] == list(range(80))
    assert frames[-30:] == list(range(200, 230))
    assert "were not recorded" in str(recording.failures[0])


def test_a_real_disk_that_stays_full_to_the_end_leaves_all_that_was_written_readable(
    small_disk: Path,
) -> None:
    shape = (256, 256)
    recording = Recording(small_disk, shape=shape, chunk_mb=1.0)
    for index in range(300):
        recording.recorder.push(frame(index, shape), NEVER)
    recording.wait_until(lambda: any("paused" in text for text in recording.warnings))
    (small_disk / "rest").write_bytes(bytes(max(0, int(free_mb(small_disk) * 2**20) - 4096)))

    recording.close()

    frames = recording.frames()
    assert frames == recording.booked_frames() == list(range(len(frames)))
    assert len(frames) > 180
    assert recording.failures


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
