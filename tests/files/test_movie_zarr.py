"""OME-Zarr, and our own recordings after a clean end, a crash and a power cut."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.open import open_movie
from rtsmlm.files.movies.raw_layout import INDEX_DTYPE

Frames = NDArray[np.uint16]
Write = Callable[[Path, Frames], Path]

RECORD_BYTES = 24


def test_a_recording_keeps_frame_numbers_times_and_power(
    sample: dict[str, Write], frames: Frames, tmp_path: Path
) -> None:
    with open_movie(sample["recording"](tmp_path, frames)) as movie:
        last = list(movie.batches(4))[-1]

    assert last.index.tolist() == [9, 10, 12]
    assert last.t_exposure_end_ns.tolist() == [90_000_007, 100_000_007, 120_000_007]
    assert last.activation_power.tolist() == [2.0, 2.25, 2.5]
    assert movie.frame_index is not None
    assert movie.frame_index.tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 12]


def test_a_recording_from_before_units_were_written_is_in_mw(
    sample: dict[str, Write], frames: Frames, tmp_path: Path
) -> None:
    with open_movie(sample["recording"](tmp_path, frames)) as movie:
        assert movie.activation_power is not None
        assert movie.activation_power[:2].tolist() == [0.0, 0.25]
        assert movie.activation_unit == "mW"


@pytest.mark.parametrize("unit", ["%", "V", "us"])
def test_a_recording_states_the_unit_of_its_laser(
    sample: dict[str, Write], frames: Frames, tmp_path: Path, unit: str
) -> None:
    run = sample["recording"](tmp_path, frames)
    group = zarr.open_group(run / "raw.ome.zarr", mode="r+")
    group.attrs["rtsmlm"] = {**group.attrs["rtsmlm"], "activation_unit": unit}  # type: ignore[dict-item]

    with open_movie(run) as movie:
        assert movie.activation_unit == unit
        assert movie.describe()["activation power"] == f"per frame, in {unit}"


def test_a_recording_without_a_laser_has_no_unit(
    sample: dict[str, Write], frames: Frames, tmp_path: Path
) -> None:
    run = sample["recording"](tmp_path, frames)
    index = run / "raw_index.bin"
    records = np.fromfile(index, dtype=INDEX_DTYPE)
    records["activation_power"] = np.nan
    index.write_bytes(records.tobytes())

    with open_movie(run) as movie:
        assert movie.activation_unit is None
        assert "activation power" not in movie.describe()


def test_a_recording_states_its_calibration(
    sample: dict[str, Write], frames: Frames, tmp_path: Path
) -> None:
    with open_movie(sample["recording"](tmp_path, frames)) as movie:
        stated = movie.stated

    assert (stated.pixel_nm, stated.offset_adu, stated.e_per_adu) == (108, 99.5, 0.5)
    assert stated.em_gain is None


def test_run_folder_and_recording_are_the_same_movie(
    sample: dict[str, Write], frames: Frames, tmp_path: Path
) -> None:
    run = sample["recording"](tmp_path, frames)

    with open_movie(run) as whole, open_movie(run / "raw.ome.zarr") as raw:
        np.testing.assert_array_equal(whole.read([4, 5]), raw.read([4, 5]))
        assert raw.frame_index is not None


@pytest.mark.parametrize(("n_bytes", "n_frames"), [(24 * 6, 6), (24 * 6 + 23, 6), (24, 1)])
def test_frames_without_a_record_are_left_out(
    sample: dict[str, Write], frames: Frames, tmp_path: Path, n_bytes: int, n_frames: int
) -> None:
    run = sample["recording"](tmp_path, frames)
    index = run / "raw_index.bin"
    index.write_bytes(index.read_bytes()[:n_bytes])

    with open_movie(run) as movie:
        np.testing.assert_array_equal(movie.read(range(movie.n_frames)), frames[:n_frames])


@pytest.mark.parametrize(
    ("left", "n_frames"), [(None, 8), (0, 8), (100, 8), (2048, 9), (4 * 2048 - 1, 11)]
)
def test_of_a_chunk_that_is_cut_short_the_whole_frames_are_read(
    sample: dict[str, Write], frames: Frames, tmp_path: Path, left: int | None, n_frames: int
) -> None:
    run = sample["recording"](tmp_path, frames)
    chunk = run / "raw.ome.zarr" / "0" / "c" / "2" / "0" / "0"
    raw = chunk.read_bytes()
    chunk.unlink() if left is None else chunk.write_bytes(raw[:left])

    with open_movie(run) as movie:
        assert movie.frame_index is not None
        assert len(movie.frame_index) == movie.n_frames == n_frames
        np.testing.assert_array_equal(movie.read(range(n_frames)), frames[:n_frames])
        difference = movie.describe().get("difference", "")
        assert (f"raw_index.bin states 11 frames, {n_frames} are there" in difference) == (
            n_frames < 11
        )


def test_zeros_that_a_power_cut_left_in_the_index_are_no_frames(
    sample: dict[str, Write], frames: Frames, tmp_path: Path
) -> None:
    run = sample["recording"](tmp_path, frames)
    index = run / "raw_index.bin"
    index.write_bytes(index.read_bytes()[: 7 * RECORD_BYTES] + bytes(4 * RECORD_BYTES))

    with open_movie(run) as movie:
        assert movie.n_frames == 7


@pytest.mark.parametrize("left", [None, 3000])
def test_frames_of_a_chunk_lost_in_the_middle_are_left_out_and_the_others_keep_their_numbers(
    sample: dict[str, Write], frames: Frames, tmp_path: Path, left: int | None
) -> None:
    run = sample["recording"](tmp_path, frames)
    chunk = run / "raw.ome.zarr" / "0" / "c" / "1"
    whole = (chunk / "0" / "0").read_bytes()
    if left is None:
        shutil.rmtree(chunk)
    else:
        (chunk / "0" / "0").write_bytes(whole[:left])
    kept = [0, 1, 2, 3, *([] if left is None else [4]), 8, 9, 10]

    with open_movie(run) as movie:
        assert (
            f"{11 - len(kept)} frames before the last are missing" in movie.describe()["difference"]
        )
        np.testing.assert_array_equal(movie.read(range(movie.n_frames)), frames[kept])
        batches = list(movie.batches(3))
    assert [index for b in batches for index in b.index.tolist()] == [k + k // 5 for k in kept]
    assert [power for b in batches for power in b.activation_power] == [0.25 * k for k in kept]


def test_a_recording_without_its_index_ends_with_its_last_chunk(
    sample: dict[str, Write], frames: Frames, tmp_path: Path
) -> None:
    run = sample["recording"](tmp_path, frames)
    (run / "raw_index.bin").unlink()

    with open_movie(run) as movie:
        np.testing.assert_array_equal(movie.read(range(11)), frames)
        assert movie.n_frames == 12
        assert movie.frame_index is None


def test_a_recording_that_was_compressed_afterwards_keeps_its_frame_numbers(
    sample: dict[str, Write], frames: Frames, tmp_path: Path
) -> None:
    run = sample["recording"](tmp_path, frames)
    zarr.create_array(
        run / "raw.ome.zarr" / "0", shape=frames.shape, chunks=(4, 32, 32), dtype="<u2",
        overwrite=True,
    )[:] = frames  # fmt: skip

    with open_movie(run) as movie:
        np.testing.assert_array_equal(movie.read(range(11)), frames)
        assert movie.frame_index is not None
        assert movie.frame_index.tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 12]


def test_a_record_of_the_index_has_24_bytes() -> None:
    assert INDEX_DTYPE.itemsize == RECORD_BYTES


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("compressed", [True, False])
def test_bare_arrays_of_zarr_2_and_3_are_movies(
    frames: Frames, tmp_path: Path, zarr_format: Literal[2, 3], compressed: bool
) -> None:
    path = tmp_path / "array.zarr"
    zarr.create_array(
        path,
        shape=frames.shape,
        chunks=(3, 16, 32),
        dtype="<u2",
        zarr_format=zarr_format,
        compressors="auto" if compressed else None,
    )[:] = frames

    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.read([10, 1, 2]), frames[[10, 1, 2]])
        assert movie.n_frames == 11


def test_shards_are_read_as_what_lies_in_them(frames: Frames, tmp_path: Path) -> None:
    path = tmp_path / "array.zarr"
    zarr.create_array(
        path, shape=frames.shape, shards=(6, 32, 32), chunks=(2, 32, 32), dtype="<u2"
    )[:] = frames

    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.read(range(11)), frames)


def test_two_channels_are_refused_with_what_was_found(
    sample: dict[str, Write], frames: Frames, tmp_path: Path
) -> None:
    path = sample["ome_zarr_04"](tmp_path, frames)
    zarr.create_array(
        path / "0", shape=(5, 2, 1, 32, 32), dtype="<u2", overwrite=True, zarr_format=2
    )

    with pytest.raises(FileFormatError, match="5 t x 2 c planes"):
        open_movie(path)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"axes": ["t", "c", "z", "y", "x"], "version": "0.3"}, id="axes by letters"),
        pytest.param({"axes": None, "version": "0.1"}, id="no axes"),
        pytest.param({"datasets": [{"path": "0"}]}, id="no scale"),
    ],
)
def test_images_of_older_and_careless_writers_are_movies_without_a_pixel_size(
    sample: dict[str, Write], frames: Frames, tmp_path: Path, change: dict[str, object]
) -> None:
    path = sample["ome_zarr_04"](tmp_path, frames)
    attributes = json.loads((path / ".zattrs").read_text())
    attributes["multiscales"][0].update(change)
    (path / ".zattrs").write_text(json.dumps(attributes))

    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.read(range(movie.n_frames)), frames)
        assert movie.stated.pixel_nm is None


@pytest.mark.parametrize("name", ["../elsewhere", "/etc", "nothing", "", None, 7])
def test_an_image_outside_of_its_folder_is_refused(
    sample: dict[str, Write], frames: Frames, tmp_path: Path, name: object
) -> None:
    path = sample["ome_zarr_04"](tmp_path, frames)
    (tmp_path / "elsewhere").mkdir()
    attributes = json.loads((path / ".zattrs").read_text())
    attributes["multiscales"][0]["datasets"][0]["path"] = name
    (path / ".zattrs").write_text(json.dumps(attributes))

    with pytest.raises(FileFormatError, match="names"):
        open_movie(path)


@pytest.mark.parametrize("key", ["filters", "compressor"])
def test_pickled_chunks_are_not_decoded(
    sample: dict[str, Write], frames: Frames, tmp_path: Path, key: str
) -> None:
    path = sample["ome_zarr_04"](tmp_path, frames)
    description = json.loads((path / "0" / ".zarray").read_text())
    codec = {"id": "pickle", "protocol": 5}
    description[key] = [codec] if key == "filters" else codec
    (path / "0" / ".zarray").write_text(json.dumps(description))

    with pytest.raises(FileFormatError, match="codec 'pickle'"):
        open_movie(path)


def test_chunks_larger_than_memory_are_refused_before_they_are_read(
    sample: dict[str, Write], frames: Frames, tmp_path: Path
) -> None:
    run = sample["recording"](tmp_path, frames)
    description = run / "raw.ome.zarr" / "0" / "zarr.json"
    data = json.loads(description.read_text())
    data["chunk_grid"]["configuration"]["chunk_shape"] = [2**31 - 1, 32, 32]
    description.write_text(json.dumps(data))

    with pytest.raises(FileFormatError, match="chunks of"):
        open_movie(run)


def test_a_group_without_an_image_names_what_is_in_it(
    sample: dict[str, Write], frames: Frames, tmp_path: Path
) -> None:
    path = sample["ome_zarr_04"](tmp_path, frames)
    (path / ".zattrs").unlink()

    with pytest.raises(FileFormatError, match="open one of 0 in it"):
        open_movie(path)
