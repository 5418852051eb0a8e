"""The files of a recording while it is made: pixels first, then records, whatever the disk does."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from rtsmlm.errors import RecordingError
from rtsmlm.files.movies.open import open_movie
from rtsmlm.files.movies.raw_layout import INDEX_DTYPE, read_index
from rtsmlm.files.movies.recording import RecordedMovie
from rtsmlm.files.run import raw_store
from rtsmlm.files.run.disk_sync import DiskSync
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.raw_store import ENDLESS, RawStore, finish_recording
from rtsmlm.frames import FrameBatch

SHAPE = (16, 24)
FRAME_BYTES = SHAPE[0] * SHAPE[1] * 2
CHUNK_FRAMES = 5


def frames(start: int, stop: int) -> FrameBatch:
    """Frames that are full of their number; the camera has lost every tenth."""
    k = np.arange(start, stop)
    pixels = np.broadcast_to(k[:, None, None].astype(np.uint16), (len(k), *SHAPE))
    return FrameBatch(
        pixels=np.ascontiguousarray(pixels),
        index=k + k // 9,
        t_exposure_end_ns=1000 * k,
        t_ring_ns=1000 * k,
        activation_power=0.5 * k,
    )


class Made:
    """A store in a run folder, and the disk under it."""

    def __init__(self, folder: Path, n_frames: int = ENDLESS) -> None:
        self.folder = RunFolder(folder)
        self.folder.make()
        self.sync = DiskSync("t", pytest.fail)
        self.store = RawStore(
            self.folder,
            SHAPE,
            n_frames=n_frames,
            chunk_frames=min(CHUNK_FRAMES, n_frames),
            attributes={"pixel_nm": 108.0, "exposure_ms": 10.0},
            sync=self.sync,
        )

    def read(self) -> list[int]:
        """Read what is on disk at this moment; None of it may lie."""
        with open_movie(self.folder.path) as movie:
            pixels = movie.read(range(movie.n_frames))
            numbers = pixels[:, 0, 0].astype(np.int64)
            assert (pixels == numbers[:, None, None]).all()
            assert movie.frame_index is not None
            assert movie.frame_index.tolist() == (numbers + numbers // 9).tolist()
            assert movie.t_exposure_end_ns is not None
            assert movie.t_exposure_end_ns.tolist() == (1000 * numbers).tolist()
        return [int(number) for number in numbers]


LET_GO = RawStore._let_go


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Made]]:
    all_made: list[Made] = []

    def make(n_frames: int = ENDLESS) -> Made:
        all_made.append(Made(tmp_path / "run", n_frames))
        return all_made[-1]

    yield make
    for made in all_made:
        LET_GO(made.store)


@pytest.fixture
def made(make: Callable[..., Made]) -> Made:
    return make()


def test_every_frame_can_be_read_as_soon_as_it_was_appended(made: Made) -> None:
    for k in range(13):
        made.store.append(frames(k, k + 1))

        assert made.read() == list(range(k + 1))


@pytest.mark.parametrize("batch", [1, 3, 5, 7, 23])
def test_batches_of_any_size_are_split_over_the_chunks(made: Made, batch: int) -> None:
    for start in range(0, 23, batch):
        made.store.append(frames(start, min(start + batch, 23)))
    assert made.read() == list(range(23))

    made.store.close()

    assert made.read() == list(range(23))
    assert made.store.n_frames == 23


@pytest.mark.parametrize("n", [1, 4, 5, 6, 10, 11])
@pytest.mark.parametrize("expected", [ENDLESS, 11])
def test_after_its_end_zarr_reads_a_recording_of_the_true_length(
    make: Callable[..., Made], n: int, expected: int
) -> None:
    made = make(expected)
    made.store.append(frames(0, n))

    made.store.close()

    group = zarr.open_group(made.folder.raw, mode="r")
    array: Any = group["0"]
    assert array.shape == (n, *SHAPE)
    assert array[:, 3, 4].tolist() == list(range(n))
    assert dict(group.attrs)["rtsmlm"] == {"pixel_nm": 108.0, "exposure_ms": 10.0, "n_frames": n}
    axes: Any = group.attrs["ome"]
    assert [axis["name"] for axis in axes["multiscales"][0]["axes"]] == ["t", "y", "x"]


def test_a_recording_that_was_killed_is_finished_afterwards(made: Made) -> None:
    made.store.append(frames(0, 13))
    LET_GO(made.store)
    with open_movie(made.folder.raw) as movie:
        assert isinstance(movie, RecordedMovie)
        assert movie.is_gapless
        n = movie.n_frames

    finish_recording(made.folder.raw, n)
    finish_recording(made.folder.raw, n)

    array: Any = zarr.open_group(made.folder.raw, mode="r")["0"]
    assert array[:, 3, 4].tolist() == list(range(13))
    assert made.read() == list(range(13))


def test_a_recording_with_a_gap_says_so(made: Made) -> None:
    made.store.append(frames(0, 13))
    (made.folder.raw / "0" / "c" / "1" / "0" / "0").unlink()

    with open_movie(made.folder.raw) as movie:
        assert isinstance(movie, RecordedMovie)
        assert not movie.is_gapless


def test_a_short_recording_is_not_filled_up_to_a_chunk(made: Made) -> None:
    made.store.append(frames(0, 2))

    made.store.close()

    files = [p for p in (made.folder.raw / "0" / "c").rglob("*") if p.is_file()]
    assert [file.stat().st_size for file in files] == [2 * FRAME_BYTES]


def test_a_recording_of_no_frames_is_an_empty_array(made: Made) -> None:
    made.store.close()

    array: Any = zarr.open_group(made.folder.raw, mode="r")["0"]
    assert array.shape == (0, *SHAPE)


@pytest.mark.parametrize("room", range(0, 12 * FRAME_BYTES, FRAME_BYTES // 2 + 7))
def test_a_disk_that_fills_anywhere_leaves_whole_frames_with_their_records(
    made: Made, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    left = [room]

    def write(file: FileIO, data: Any) -> None:
        raw = data.tobytes()
        file.write(raw[: left[0]])
        if len(raw) > left[0]:
            left[0] = 0
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= len(raw)

    with monkeypatch.context() as full:
        full.setattr(raw_store, "_write", write)
        for _ in range(2):  # a second try finds it as full
            with pytest.raises(OSError, match="No space"):
                made.store.append(frames(made.store.n_frames, 12))
    written = made.store.n_frames
    if written:
        assert made.read() == list(range(written))

    made.store.append(frames(20, 30))  # there is space again

    assert made.read() == [*range(written), *range(20, 30)]
    made.store.close()
    assert made.read() == [*range(written), *range(20, 30)]


@pytest.mark.parametrize("failing", ["chunk", "index"])
def test_the_index_never_names_a_frame_whose_pixels_are_not_there(
    made: Made, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    made.store.append(frames(0, 3))
    write = raw_store._write

    def torn(file: FileIO, data: Any) -> None:
        is_index = data.dtype == INDEX_DTYPE
        write(file, data[:1])
        if is_index == (failing == "index"):
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(raw_store, "_write", torn)
    monkeypatch.setattr(RawStore, "_let_go", lambda self: None)  # as a kill at this point
    with pytest.raises(OSError, match="Input/output"):
        made.store.append(frames(3, 5))

    records, _ = read_index(made.folder.raw)
    assert records is not None
    n_pixels = (made.folder.raw / "0" / "c" / "0" / "0" / "0").stat().st_size // FRAME_BYTES
    assert len(records) <= n_pixels
    assert made.read() == list(range(len(records)))


def test_a_recording_that_was_removed_is_not_made_anew_in_parts(made: Made) -> None:
    made.store.append(frames(0, CHUNK_FRAMES))
    shutil.rmtree(made.folder.path)

    with pytest.raises(FileNotFoundError):
        made.store.append(frames(CHUNK_FRAMES, CHUNK_FRAMES + 1))

    assert not made.folder.path.exists()


def test_a_file_that_was_shortened_is_not_continued_with_zeros(made: Made) -> None:
    made.store.append(frames(0, 3))
    made.store._let_go()
    (made.folder.raw / "0" / "c" / "0" / "0" / "0").write_bytes(b"")

    with pytest.raises(OSError, match="was shortened by another program"):
        made.store.append(frames(3, 4))


def test_a_writer_that_does_not_store_frames_plainly_is_refused(
    make: Callable[..., Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_store, "_PLAIN", {"codecs": [{"name": "zstd"}]})

    with pytest.raises(RecordingError, match="this version of ome-writers stores frames as"):
        make()


def test_pixels_records_and_folders_are_noted_for_the_disk_in_this_order(made: Made) -> None:
    made.sync._files.clear()
    made.sync._folders.clear()

    made.store.append(frames(0, CHUNK_FRAMES + 1))

    raw, index = made.folder.raw, made.folder.raw_index
    chunks = [raw / "0" / "c" / str(k) / "0" / "0" for k in (0, 1)]
    assert list(made.sync._files) == [*chunks, index]
    assert {chunks[0].parent, raw / "0" / "c"} <= set(made.sync._folders)


def test_an_hour_of_any_camera_makes_thousands_of_files_and_not_millions() -> None:
    from rtsmlm.realtime.ring import frames_that_fit
    from rtsmlm.settings.run import RecordSettings

    chunk_mb = RecordSettings().chunk_mb
    rates = {(64, 64): 100, (128, 128): 3, (512, 512): 50, (2048, 2048): 100}
    n_files = {
        shape: -(-3600 * per_s // frames_that_fit(shape, chunk_mb))
        for shape, per_s in rates.items()
    }

    assert n_files == {(64, 64): 88, (128, 128): 11, (512, 512): 2813, (2048, 2048): 90_000}
