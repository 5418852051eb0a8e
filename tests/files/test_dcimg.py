"""Hamamatsu's movies: both headers, the four pixels put back, and what is refused."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.open import open_movie

FRAMES = (100 + np.arange(4 * 6 * 8).reshape(4, 6, 8)).astype(np.uint16)
N, HEIGHT, WIDTH = FRAMES.shape
IMAGE_BYTES = WIDTH * HEIGHT * 2
LINE = 3


def old_file(*, row_bytes: int = WIDTH * 2, four: bool = True) -> bytes:
    """Return a file of the older kind: all pixels that were written over lie behind the frames."""
    session, data = 232, 24 + 56
    head = bytearray(session + data)
    head[:5] = b"DCIMG"
    struct.pack_into("<I", head, 8, 7)
    struct.pack_into("<III", head, 0x20, 1, N, session)
    struct.pack_into(
        "<7I", head, session + 32, N, 2, 0, WIDTH, row_bytes, HEIGHT, row_bytes * HEIGHT
    )
    struct.pack_into("<I", head, session + 68, data)
    struct.pack_into("<Q", head, session + 72, data + N * IMAGE_BYTES)
    stamped = FRAMES.copy()
    if four:
        stamped[:, LINE, :4] = 7
    second, at = 160, 160 + 112
    footer = bytearray(at)
    struct.pack_into("<Q", footer, 8, second)
    struct.pack_into("<I", footer, 40, at + 8 * N if four else 0)
    struct.pack_into("<Q", footer, second + 88, at)
    struct.pack_into("<I", footer, second + 100, LINE * WIDTH * 2)
    kept = FRAMES[:, LINE, :4].astype("<u2").tobytes()
    return bytes(head) + stamped.astype("<u2").tobytes() + bytes(footer) + kept


def new_file(*, y0: int, depth: int = 2, version: int = 0x1000000) -> bytes:
    """Return a file of the newer kind, of a camera whose region begins at line `y0`."""
    head = bytearray(1024)
    head[:5] = b"DCIMG"
    struct.pack_into("<I", head, 8, version)
    struct.pack_into("<III", head, 0x20, 1, N, 64)
    struct.pack_into("<7I", head, 64 + 60, N, depth, 0, WIDTH, HEIGHT, WIDTH * depth,
                     WIDTH * HEIGHT * depth)  # fmt: skip
    struct.pack_into("<Q", head, 64 + 96, 1024 - 64)
    struct.pack_into("<4H", head, 64 + 712, 0, WIDTH, y0, HEIGHT)
    out, line = bytes(head), 1023 - y0
    for k, frame in enumerate(FRAMES.astype("<u2" if depth == 2 else "u1")):
        stamped, kept = frame.copy(), bytes(8)
        if depth == 2 and 0 <= line < HEIGHT:
            stamped[line, :4], kept = k, frame[line, :4].tobytes()
        out += stamped.tobytes() + bytes(12) + kept + bytes(12)
    return out


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("four", [True, False])
def test_the_older_kind_is_read_with_its_pixels_put_back(tmp_path: Path, four: bool) -> None:
    with open_movie(written(tmp_path / "a.dcimg", old_file(four=four))) as movie:
        assert np.array_equal(movie.read(range(N)), FRAMES)
        assert movie.account.differences == ()


@pytest.mark.parametrize("y0", [1023 - LINE, 0, 1500])
def test_the_newer_kind_is_read_wherever_its_region_lies(tmp_path: Path, y0: int) -> None:
    with open_movie(written(tmp_path / "a.dcimg", new_file(y0=y0))) as movie:
        assert movie.describe()["format"] == "Hamamatsu DCIMG"
        assert np.array_equal(movie.read([2, 0, 3]), FRAMES[[2, 0, 3]])


def test_frames_of_one_byte_are_read_as_they_are(tmp_path: Path) -> None:
    with open_movie(written(tmp_path / "a.dcimg", new_file(y0=0, depth=1))) as movie:
        assert np.array_equal(movie.read([1]), FRAMES[[1]].astype(np.uint8))


def test_a_movie_that_is_cut_has_the_frames_that_are_whole_and_says_so(tmp_path: Path) -> None:
    data = new_file(y0=1023 - LINE)
    whole = 1024 + 2 * (IMAGE_BYTES + 32) + IMAGE_BYTES + 15  # into the footer of the third frame

    with open_movie(written(tmp_path / "a.dcimg", data[:whole])) as movie:
        assert movie.n_frames == 2
        assert np.array_equal(movie.read([0, 1]), FRAMES[:2])
        assert any("4" in sentence for sentence in movie.account.differences)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (new_file(y0=0, version=0x99), "0x99"),
        (old_file(row_bytes=WIDTH * 2 + 8), "save it as TIFF"),
        (b"DCIMG" + bytes(20), "header"),
        (b"DCIMG" + bytes(3) + struct.pack("<I", 7), "header"),
    ],
)
def test_what_is_not_known_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        open_movie(written(tmp_path / "a.dcimg", data))
