"""Raw frames on disk: all of them, at once, with their numbers; and what a slow disk does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rtsmlm.errors import RecordingError
from rtsmlm.files.movies.open import open_movie
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.raw_recorder import RawRecorder
from rtsmlm.files.run.raw_store import RawStore
from rtsmlm.frames import CameraFrame, FrameBatch
from rtsmlm.realtime.frame_ranges import FrameRanges
from rtsmlm.settings.camera import MovieSettings

SHAPE = (20, 30)
NEVER = threading.Event()


@pytest.fixture
def recorder(tmp_path: Path) -> Callable[..., RawRecorder]:
    def make(**changes: object) -> RawRecorder:
        options: dict[str, object] = {
            "n_frames": None,
            "seconds": None,
            "buffer_mb": 1.0,
            "chunk_mb": 0.01,
            "reserve_mb": 0.0,
            "attributes": {"pixel_nm": 108.0, "offset_adu": 99.0, "exposure_ms": 12.5},
            "on_written": lambda start, stop: None,
            "on_warning": pytest.fail,
            "on_failure": lambda error: pytest.fail(str(error)),
            **changes,
        }
        folder = RunFolder(tmp_path / "run")
        folder.make()
        return RawRecorder(folder, SHAPE, **options)  # type: ignore[arg-type]

    return make


def frame(index: int, t_ns: int = 0) -> CameraFrame:
    return CameraFrame(np.full(SHAPE, index % 65536, np.uint16), index, t_ns, 1.5)


@pytest.mark.parametrize("n_frames", [None, 77])
def test_what_goes_in_comes_out_with_numbers_times_and_calibration(
    recorder: Callable[..., RawRecorder], tmp_path: Path, n_frames: int | None
) -> None:
    written = FrameRanges()
    out = recorder(n_frames=n_frames, on_written=written.add)
    numbers = [k + 5 * (k > 40) for k in range(77)]
    for number in numbers:
        out.push(frame(number, 1000 * number), NEVER)
    out.close()

    with open_movie(tmp_path / "run", MovieSettings()) as movie:
        assert movie.n_frames == 77
        assert movie.frame_index is not None
        assert movie.frame_index.tolist() == numbers
        assert movie.t_exposure_end_ns is not None
        assert movie.t_exposure_end_ns.tolist() == [1000 * number for number in numbers]
        assert (movie.read(np.arange(77)) == np.array(numbers)[:, None, None]).all()
        assert (movie.stated.pixel_nm, movie.stated.offset_adu) == (108.0, 99.0)
        assert movie.exposure_ms == 12.5
    assert list(written) == [(0, 41), (46, 82)], "only what is on disk is booked, gaps are not"


@pytest.mark.parametrize("chunk_mb", [0.001, 0.01, 32.0])
def test_a_frame_is_on_disk_with_its_record_while_its_chunk_is_open(
    recorder: Callable[..., RawRecorder], tmp_path: Path, chunk_mb: float
) -> None:
    out = recorder(chunk_mb=chunk_mb)

    for number in range(30):
        out.push(frame(number), NEVER)
        deadline = time.monotonic() + 20
        while out.n_written <= number:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        with open_movie(tmp_path / "run") as movie:
            assert movie.n_frames == number + 1
            assert movie.read([number])[0, 0, 0] == number
    out.close()


def test_a_slow_disk_makes_the_camera_thread_wait_and_loses_nothing(
    recorder: Callable[..., RawRecorder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = RawStore.append

    def slowly(self: RawStore, batch: FrameBatch) -> None:
        time.sleep(0.02)
        append(self, batch)

    monkeypatch.setattr(RawStore, "append", slowly)
    out = recorder(buffer_mb=0.02)
    started = time.monotonic()
    for number in range(300):
        out.push(frame(number), NEVER)
    waited_s = time.monotonic() - started
    out.close()

    assert waited_s > 0.1, "the buffer was never full: the test did not try"
    with open_movie(tmp_path / "run", MovieSettings()) as movie:
        assert movie.n_frames == 300


def test_giving_up_ends_the_wait_for_a_disk_that_hangs(
    recorder: Callable[..., RawRecorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    release, give_up = threading.Event(), threading.Event()
    append = RawStore.append

    def hang(self: RawStore, batch: FrameBatch) -> None:
        release.wait(30)
        append(self, batch)

    monkeypatch.setattr(RawStore, "append", hang)
    out = recorder(buffer_mb=0.001)
    threading.Timer(0.1, give_up.set).start()

    for number in range(100):
        out.push(frame(number), give_up)

    assert give_up.is_set()
    release.set()
    out.close()


def test_a_folder_that_cannot_be_written_is_a_sentence_and_not_a_traceback(
    recorder: Callable[..., RawRecorder], tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "raw_index.bin").mkdir()

    with pytest.raises(RecordingError, match="cannot record to"):
        recorder()
