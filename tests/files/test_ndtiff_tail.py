"""NDTiff while it is written: frames on disk count before the index lists them."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from rtsmlm.files.movies.growing import GrowingMovie
from rtsmlm.files.movies.open import open_movie

FRAMES = np.random.default_rng(0).integers(1, 4000, (9, 12, 10)).astype("<u2")


class Writer:
    """Writes as ndstorage 0.1 does: room ahead, each frame at once, the index when it likes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.stack = folder / "a_NDTiffStack.tif"
        self.stack.write_bytes(b"II*\0" + struct.pack("<I", 8) + bytes(20_000))
        self.at, self.entries = 8, b""
        (folder / "NDTiff.index").write_bytes(b"")

    def put(self, k: int, *, upto: int | None = None) -> None:
        """Write a frame, or its first bytes."""
        height, width = FRAMES[k].shape
        metadata = json.dumps({"Camera": "Cam", "k": "x" * (k % 3)}).encode()
        self.at += self.at % 2
        pixels_at = self.at + 178
        metadata_at = pixels_at + FRAMES[k].nbytes
        tags = {
            256: width, 257: height, 258: 16, 259: 1, 262: 1, 273: pixels_at, 277: 1, 278: height,
            279: FRAMES[k].nbytes, 282: self.at + 162, 283: self.at + 170, 296: 3,
        }  # fmt: skip
        data = struct.pack("<H", 13)
        data += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
        data += struct.pack("<HHII", 51123, 2, len(metadata), metadata_at)
        end = metadata_at + len(metadata)
        data += struct.pack("<I", end + end % 2) + bytes(16) + FRAMES[k].tobytes() + metadata
        with self.stack.open("r+b") as file:
            file.seek(self.at)
            file.write(data[:upto])
        axes, name = json.dumps({"time": k}).encode(), self.stack.name.encode()
        self.entries += struct.pack("<I", len(axes)) + axes + struct.pack("<I", len(name)) + name
        self.entries += struct.pack(
            "<8I", pixels_at, width, height, 1, 0, metadata_at, len(metadata), 0
        )
        self.at = end

    def finish(self) -> None:
        """Cut off the room that is left, and list all."""
        with self.stack.open("r+b") as file:
            file.truncate(self.at)
        self.list_all()

    def list_all(self) -> None:
        (self.folder / "NDTiff.index").write_bytes(self.entries)


def test_frames_behind_those_of_the_index_are_read_and_counted_on(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "a")
    for k in range(3):
        writer.put(k)
    writer.list_all()
    for k in range(3, 7):
        writer.put(k)
    writer.put(7, upto=-1)  # of the last one the last byte is on its way

    with open_movie(writer.folder) as movie:
        assert movie.n_frames == 7
        np.testing.assert_array_equal(movie.read(np.arange(7)), FRAMES[:7])
        assert any("4 frames are in" in text for text in movie.account.further)

    writer.list_all()
    with open_movie(writer.folder) as movie:
        assert movie.n_frames == 8, "the index has it, and the room for it is there"


@pytest.mark.parametrize("n_listed", [0, 1])
def test_without_two_frames_in_the_index_their_numbers_are_not_guessed(
    tmp_path: Path, n_listed: int
) -> None:
    writer = Writer(tmp_path / "a")
    for k in range(4):
        writer.put(k)
        if k + 1 == n_listed:
            writer.list_all()
    if n_listed:
        with open_movie(writer.folder) as movie:
            assert movie.n_frames == 1


def test_following_needs_not_wait_for_the_index(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "a")
    writer.put(0)
    writer.put(1)
    writer.list_all()
    movie, stop = GrowingMovie(writer.folder, open_movie, idle_s=20.0), Event()
    taken = []
    for k, (pixels, index) in enumerate(movie.frames(stop)):
        np.testing.assert_array_equal(pixels, FRAMES[index])
        taken.append(index)
        if k + 2 < len(FRAMES):
            writer.put(k + 2)
        if k + 1 == len(FRAMES):
            stop.set()
    movie.close()
    assert taken == list(range(len(FRAMES)))


@pytest.mark.parametrize("reserves", [True, False])
def test_following_ends_where_the_room_ahead_is_cut_off(tmp_path: Path, reserves: bool) -> None:
    writer = Writer(tmp_path / "a")
    for k in range(3):
        writer.put(k)
    writer.list_all()
    if not reserves:
        writer.finish()
    t_ns = 0

    def clock() -> int:
        nonlocal t_ns
        t_ns += 200_000_000  # of each look, so that no wall clock counts
        return t_ns

    movie, stop = GrowingMovie(writer.folder, open_movie, idle_s=10.0, clock=clock), Event()
    taken = []
    for _, index in movie.frames(stop):
        taken.append(index)
        if index == 1 and reserves:
            writer.finish()
    movie.close()
    assert taken == [0, 1, 2]
    assert (t_ns < 8e9) == reserves, "only silence tells where nothing was reserved"
