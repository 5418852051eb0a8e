"""A recording that is still being written gives every frame once, complete, and then ends."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from rtsmlm.errors import FileFormatError, FrameMismatchError
from rtsmlm.files.movies.growing import GrowingMovie
from rtsmlm.files.movies.open import open_movie

FRAMES = (100 + np.arange(30 * 8 * 10).reshape(30, 8, 10)).astype(np.uint16)
IDLE_S = 0.8


def write_tiff(path: Path) -> Iterator[None]:
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for frame in FRAMES:
            writer.write(frame, contiguous=False, metadata=None, photometric="minisblack")
            yield


def write_zarr(path: Path) -> Iterator[None]:
    array = zarr.create_array(
        str(path / "0"), shape=(1, 8, 10), chunks=(3, 8, 10), dtype="uint16",
        dimension_names=["t", "y", "x"],
    )  # fmt: skip
    for k in range(0, len(FRAMES), 3):
        array.resize((k + 3, 8, 10))
        array[k : k + 3] = FRAMES[k : k + 3]
        yield


def write_ndtiff(path: Path) -> Iterator[None]:
    """Write pixels and index as NDTiff does, the room for both ahead of them."""
    path.mkdir()
    stack, index = path / "movie_NDTiffStack.tif", path / "NDTiff.index"
    stack.write_bytes(b"II*\0" + bytes(4) + bytes(len(FRAMES) * 400))
    index.write_bytes(bytes(8000))
    at = 0
    for k, frame in enumerate(FRAMES):
        axes, name = json.dumps({"time": k}).encode(), stack.name.encode()
        place = 8 + 400 * k
        with stack.open("r+b") as file:
            file.seek(place)
            file.write(frame.tobytes())
        entry = struct.pack("<I", len(axes)) + axes + struct.pack("<I", len(name)) + name
        entry += struct.pack("<8I", place, 10, 8, 1, 0, 0, 0, 0)
        with index.open("r+b") as file:
            file.seek(at)
            file.write(entry)
        at += len(entry)
        yield


WRITERS: dict[str, tuple[str, Callable[[Path], Iterator[None]]]] = {
    "tiff": ("a.tif", write_tiff),
    "zarr": ("a.zarr", write_zarr),
    "ndtiff": ("movie", write_ndtiff),
}


def growing(path: Path, idle_s: float = IDLE_S) -> GrowingMovie:
    return GrowingMovie(path, open_movie, idle_s=idle_s)


@pytest.mark.parametrize("kind", WRITERS)
def test_every_frame_comes_once_and_complete_while_it_is_written(kind: str, tmp_path: Path) -> None:
    name, write = WRITERS[kind]
    path = tmp_path / name
    stop, pause = threading.Event(), threading.Event()

    def record() -> None:
        for _ in write(path):
            pause.wait(0.02)

    writer = threading.Thread(target=record)
    movie = growing(path)
    writer.start()
    taken = [(index, pixels.copy()) for pixels, index in movie.frames(stop)]
    writer.join()
    movie.close()
    movie.close()

    assert [index for index, _ in taken] == list(range(len(FRAMES)))
    assert np.array_equal([pixels for _, pixels in taken], FRAMES)


def test_the_newest_frame_waits_until_it_is_settled(tmp_path: Path) -> None:
    path, now = tmp_path / "a.tif", [0]
    movie = GrowingMovie(path, open_movie, idle_s=10.0, clock=lambda: now[0])
    steps = write_tiff(path)
    for _ in range(5):
        next(steps)
    frames = movie.frames(threading.Event())

    first = [next(frames)[1] for _ in range(4)]
    now[0] = int(0.6e9)
    last = next(frames)[1]
    steps.close()
    frames.close()
    movie.close()

    assert (first, last) == ([0, 1, 2, 3], 4)


def test_a_file_that_never_comes_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"no frame of .*a\.tif can be read after 0\.2 s"):
        next(growing(tmp_path / "a.tif", 0.2).frames(threading.Event()))


def test_following_ends_at_once_where_it_is_stopped(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", FRAMES, photometric="minisblack")
    stop = threading.Event()
    movie = growing(tmp_path / "a.tif", 60.0)

    taken = 0
    for _ in movie.frames(stop):
        taken += 1
        if taken == 10:
            stop.set()
    movie.close()

    assert 10 <= taken < len(FRAMES)


def test_frames_of_another_size_end_it(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, FRAMES, photometric="minisblack")
    movie = growing(path, 60.0)
    frames = movie.frames(threading.Event())
    next(frames)

    tifffile.imwrite(path, FRAMES[:, :4], photometric="minisblack")

    with pytest.raises(FrameMismatchError, match=r"were \(8, 10\) and are \(4, 10\) now"):
        list(frames)
    movie.close()


def test_a_frame_that_comes_late_is_left_out_and_counted(tmp_path: Path) -> None:
    path, stop = tmp_path / "movie", threading.Event()
    steps = write_ndtiff(path)
    for _ in range(4):
        next(steps)
    steps.close()
    index = path / "NDTiff.index"
    whole = index.read_bytes()
    index.write_bytes(whole.replace(b'{"time": 1}', b'{"time": 3}', 1))  # 1 is not there yet
    movie = growing(path)
    frames = movie.frames(stop)

    first = [next(frames)[1] for _ in range(3)]
    index.write_bytes(whole)
    rest = [number for _, number in frames]
    movie.close()

    assert first == [0, 2, 3]
    assert rest == []
    assert movie.n_late == 1


def test_enough_frames_are_waited_for_or_the_end(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", FRAMES, photometric="minisblack")
    movie = growing(tmp_path / "a.tif", 0.3)

    assert movie.wait_for(10, threading.Event()).n_frames == len(FRAMES)
    assert movie.wait_for(1000, threading.Event()).n_frames == len(FRAMES)
    movie.close()
