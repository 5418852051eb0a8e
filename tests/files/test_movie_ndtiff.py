"""NDTiff: order, gaps, and planes that are no series of frames."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.ndtiff import INDEX_NAME, open_ndtiff

Axes = dict[str, Any]
HEIGHT, WIDTH = 5, 8


def entry(axes: Axes, name: str, offset: int, **changes: int) -> bytes:
    numbers = {
        "offset": offset, "width": WIDTH, "height": HEIGHT, "type": 1, "compression": 0,
        "tags_at": 0, "tags_bytes": 0, "tags_compression": 0,
    } | changes  # fmt: skip
    text = json.dumps(axes).encode()
    parts = [struct.pack("<I", len(text)), text, struct.pack("<I", len(name)), name.encode()]
    return b"".join(parts) + struct.pack("<8I", *numbers.values())


def data_set(
    folder: Path, axes: Sequence[Axes], *, order: str = "<", name: str = "a.tif", **changes: int
) -> Path:
    """Frame k, all of whose pixels are k, at the axes k; the entries in this order."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    frames = np.arange(len(axes), dtype=f"{order}u2")[:, None, None] * np.ones(
        (1, HEIGHT, WIDTH), np.uint16
    )
    (folder / name).write_bytes(mark + frames.astype(f"{order}u2").tobytes())
    size = 2 * HEIGHT * WIDTH
    entries = [entry(a, name, 4 + k * size, **changes) for k, a in enumerate(axes)]
    (folder / INDEX_NAME).write_bytes(b"".join(entries))
    return folder


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_mark_of_the_tiff_file_tells_the_byte_order(tmp_path: Path, order: str) -> None:
    axes = [{"time": k} for k in range(4)]

    with open_ndtiff(data_set(tmp_path, axes, order=order)) as movie:
        assert movie.read(range(4))[:, 2, 3].tolist() == [0, 1, 2, 3]
        assert movie.shape == (HEIGHT, WIDTH)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(times=st.lists(st.integers(0, 60), min_size=2, max_size=12, unique=True))
def test_frames_come_in_the_order_of_time_and_keep_the_numbers_of_the_acquisition(
    tmp_path: Path, times: list[int]
) -> None:
    with open_ndtiff(data_set(tmp_path, [{"time": t} for t in times])) as movie:
        batch = next(movie.batches(100))

    assert batch.index.tolist() == sorted(times)
    assert batch.pixels[:, 0, 0].tolist() == [times.index(t) for t in sorted(times)]


def test_missing_frames_are_counted_in_a_note(tmp_path: Path) -> None:
    with open_ndtiff(data_set(tmp_path, [{"time": t} for t in (2, 3, 7)])) as movie:
        assert "3 time positions are missing: 4 to 6" in movie.describe()["difference"]


def test_a_frame_that_was_written_twice_is_read_as_it_was_written_last(tmp_path: Path) -> None:
    with open_ndtiff(data_set(tmp_path, [{"time": t} for t in (0, 1, 1)])) as movie:
        assert movie.read([0, 1])[:, 0, 0].tolist() == [0, 2]


def test_axes_with_one_position_do_not_matter_and_any_axis_is_a_series(tmp_path: Path) -> None:
    axes = [{"z": k, "channel": "DAPI", "time": 0} for k in range(3)]

    with open_ndtiff(data_set(tmp_path, axes) / INDEX_NAME) as movie:
        assert movie.n_frames == 3
        assert movie.frame_index is None


def test_two_series_are_refused_with_what_was_found(tmp_path: Path) -> None:
    axes = [{"time": t, "channel": c} for t in range(3) for c in ("red", "blue")]

    with pytest.raises(FileFormatError, match="lists 2 channel x 3 time planes"):
        open_ndtiff(data_set(tmp_path, axes))


def test_planes_that_are_named_and_not_numbered_are_no_series(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="planes along 'channel' that have no numbers"):
        open_ndtiff(data_set(tmp_path, [{"channel": c} for c in ("red", "blue")]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"type": 2}, "pixel type 2; rtsmlm reads grey values"),
        ({"compression": 5}, "several sizes or types, or compressed"),
        ({"width": 0}, "frames of 5 x 0 pixels"),
        ({"height": 2**32 - 1}, "frames of 4294967295 x 8 pixels"),
    ],
)
def test_frames_that_cannot_be_read_are_refused(
    tmp_path: Path, changes: dict[str, int], message: str
) -> None:
    with pytest.raises(FileFormatError, match=message):
        open_ndtiff(data_set(tmp_path, [{"time": 0}, {"time": 1}], **changes))


def test_frames_of_two_sizes_are_refused(tmp_path: Path) -> None:
    data_set(tmp_path, [{"time": 0}])
    index = tmp_path / INDEX_NAME
    index.write_bytes(index.read_bytes() + entry({"time": 1}, "a.tif", 4, width=WIDTH - 1))

    with pytest.raises(FileFormatError, match="several sizes"):
        open_ndtiff(tmp_path)


@pytest.mark.parametrize("name", ["../a.tif", "sub/a.tif", "missing.tif", ""])
def test_frames_outside_of_the_folder_are_not_followed(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "a.tif").write_bytes(b"II*\0" + bytes(1000))
    (folder / INDEX_NAME).write_bytes(entry({"time": 0}, name, 4))

    with pytest.raises(FileFormatError, match="which is not a file beside it"):
        open_ndtiff(folder)


@pytest.mark.parametrize("cut", [1, 20, 50])
def test_an_index_that_was_cut_gives_the_frames_before_the_cut(tmp_path: Path, cut: int) -> None:
    index = data_set(tmp_path, [{"time": t} for t in range(4)]) / INDEX_NAME
    index.write_bytes(index.read_bytes()[:-cut])

    with open_ndtiff(tmp_path) as movie:
        assert movie.n_frames == 3
        assert "NDTiff.index is cut short" in movie.describe()["difference"]


def test_frames_that_the_file_ends_before_are_left_out(tmp_path: Path) -> None:
    data_set(tmp_path, [{"time": t} for t in range(4)])
    movie_file = tmp_path / "a.tif"
    movie_file.write_bytes(movie_file.read_bytes()[:-1])

    with open_ndtiff(tmp_path) as movie:
        assert movie.n_frames == 3
        assert "NDTiff.index states 4 frames, 3 are there" in movie.describe()["difference"]


def test_an_empty_index_lists_no_frame(tmp_path: Path) -> None:
    (tmp_path / INDEX_NAME).write_bytes(bytes(4096))

    with pytest.raises(FileFormatError, match="lists no frame"):
        open_ndtiff(tmp_path)
