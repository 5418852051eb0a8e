"""Every format gives the same frames, in batches or one by one."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from rtsmlm.errors import ConfigError, FileFormatError
from rtsmlm.files.movies.open import find_movies, open_movie
from rtsmlm.settings.camera import MovieSettings

Frames = NDArray[np.uint16]
Write = Callable[[Path, Frames], Path]


def test_batches_of_any_format_hold_every_pixel_in_order(
    any_format: Write, frames: Frames, tmp_path: Path
) -> None:
    path = any_format(tmp_path, frames)

    with open_movie(path) as movie:
        batches = list(movie.batches(4))

    assert [len(batch) for batch in batches] == [4, 4, 3]
    assert {batch.pixels.dtype for batch in batches} == {np.dtype("=u2")}
    np.testing.assert_array_equal(np.concatenate([b.pixels for b in batches]), frames)
    assert (movie.n_frames, movie.shape) == (11, (32, 32))


def test_skipped_frames_of_any_format_are_read_in_the_order_asked_for(
    any_format: Write, frames: Frames, tmp_path: Path
) -> None:
    wanted = [9, 2, 3, 4, 10, 0]

    with open_movie(any_format(tmp_path, frames)) as movie:
        pixels = movie.read(wanted)
        none = movie.read([])

    np.testing.assert_array_equal(pixels, frames[wanted])
    assert none.shape == (0, 32, 32)


def test_a_span_starts_and_stops_where_it_is_told(
    any_format: Write, frames: Frames, tmp_path: Path
) -> None:
    with open_movie(any_format(tmp_path, frames)) as movie:
        numbers = [b.pixels[:, 0, 0] for b in movie.batches(3, start=2, stop=9)]
        beyond = list(movie.batches(8, start=9, stop=10_000))

    assert np.concatenate(numbers).tolist() == [1002, 1003, 1004, 1005, 1006, 1007, 1008]
    assert sum(len(b) for b in beyond) == 2


def test_frames_count_from_the_start_of_the_movie_in_a_later_span(
    sample: dict[str, Write], frames: Frames, tmp_path: Path
) -> None:
    with open_movie(sample["plain_tiff"](tmp_path, frames)) as movie:
        batch = next(movie.batches(2, start=5))

    assert batch.index.tolist() == [5, 6]


def test_a_batch_outlives_the_movie_and_may_be_written_to(
    any_format: Write, frames: Frames, tmp_path: Path
) -> None:
    with open_movie(any_format(tmp_path, frames)) as movie:
        first = next(movie.batches(2))
        first.pixels[:] = 0
        again = next(movie.batches(2))
    movie.close()

    np.testing.assert_array_equal(again.pixels, frames[:2])


def test_reading_a_closed_movie_is_told(any_format: Write, frames: Frames, tmp_path: Path) -> None:
    movie = open_movie(any_format(tmp_path, frames))
    movie.close()

    with pytest.raises(FileFormatError, match="closed"):
        movie.read([0])


@pytest.mark.parametrize(
    ("name", "pixel_nm", "exposure_ms"),
    [
        ("imagej_tiff", 160, None),
        ("ome_tiff", 110, None),
        ("ndtiff", 130, 20),
        ("micromanager_raw", 65, 50),
        ("picasso_raw", 130, None),
        ("spe", None, 30),
        ("ome_zarr_04", 108, None),
        ("recording", 108, 10),
        ("plain_tiff", None, None),
    ],
)
def test_pixel_and_exposure_are_what_the_file_states(
    sample: dict[str, Write],
    frames: Frames,
    tmp_path: Path,
    name: str,
    pixel_nm: float | None,
    exposure_ms: float | None,
) -> None:
    with open_movie(sample[name](tmp_path, frames)) as movie:
        assert movie.stated.pixel_nm == pytest.approx(pixel_nm)
        assert movie.exposure_ms == pytest.approx(exposure_ms)


def test_a_picasso_sidecar_states_the_camera(
    sample: dict[str, Write], frames: Frames, tmp_path: Path
) -> None:
    with open_movie(sample["picasso_raw"](tmp_path, frames)) as movie:
        stated = movie.stated

    assert (stated.offset_adu, stated.e_per_adu, stated.em_gain) == (200, 15.6, 300)


def test_micromanager_times_are_told_where_they_go_with_the_exposure(
    sample: dict[str, Write], frames: Frames, tmp_path: Path
) -> None:
    with open_movie(sample["micromanager_raw"](tmp_path, frames)) as movie:
        times_ns = movie.t_exposure_end_ns
        stated = movie.stated

    assert times_ns is not None
    assert np.diff(times_ns).tolist() == [51_000_000] * 10
    assert (stated.e_per_adu, stated.offset_adu) == (0.46, 100)


def test_times_shorter_than_the_exposure_are_not_believed(
    sample: dict[str, Write], frames: Frames, tmp_path: Path
) -> None:
    path = sample["micromanager_raw"](tmp_path, frames)
    sidecar = tmp_path / "movie_metadata.txt"
    sidecar.write_text(sidecar.read_text().replace('"Exposure-ms": 50.0', '"Exposure-ms": 500.0'))

    with open_movie(path) as movie:
        assert movie.t_exposure_end_ns is None
        assert "times ignored" in movie.describe()["note"]


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_byte_order_of_a_bare_raw_movie_is_seen_in_its_pixels(
    frames: Frames, tmp_path: Path, order: str
) -> None:
    path = tmp_path / "movie.raw"
    path.write_bytes(frames.astype(f"{order}u2").tobytes())

    with open_movie(path, MovieSettings(height=32, width=32)) as movie:
        np.testing.assert_array_equal(movie.read(range(11)), frames)


def test_settings_describe_a_headerless_file(rng: np.random.Generator, tmp_path: Path) -> None:
    frames = rng.integers(0, 256, (5, 20, 30), dtype=np.uint8)
    path = tmp_path / "movie.bin"
    path.write_bytes(frames.tobytes())

    with open_movie(path, MovieSettings(height=20, width=30, dtype="<u1")) as movie:
        np.testing.assert_array_equal(movie.read(range(5)), frames)


def test_the_size_of_the_camera_maps_replaces_the_guess(frames: Frames, tmp_path: Path) -> None:
    path = tmp_path / "movie.dax"
    path.write_bytes(np.ascontiguousarray(frames[:8, :16, :]).astype(">u2").tobytes())

    with open_movie(path) as guessed:
        assert guessed.shape == (64, 64)
        assert "guess" in guessed.describe()["note"]
    with open_movie(path, known_shape=(16, 32)) as movie:
        np.testing.assert_array_equal(movie.read(range(8)), frames[:8, :16, :])
        assert "note" not in movie.describe()


def test_a_wrong_extension_does_not_matter_where_the_content_tells(
    sample: dict[str, Write], frames: Frames, tmp_path: Path
) -> None:
    path = sample["plain_tiff"](tmp_path, frames).rename(tmp_path / "movie.dax")

    with open_movie(path) as movie:
        assert movie.n_frames == 11


def test_a_folder_with_one_movie_is_that_movie(
    any_format: Write, frames: Frames, tmp_path: Path
) -> None:
    any_format(tmp_path, frames)

    with open_movie(tmp_path) as movie:
        np.testing.assert_array_equal(movie.read([3]), frames[3:4])


def test_a_folder_with_two_movies_names_them(
    sample: dict[str, Write], frames: Frames, tmp_path: Path
) -> None:
    sample["npy"](tmp_path, frames)
    sample["spe"](tmp_path, frames)

    with pytest.raises(FileFormatError, match=r"holds 2 movies \(movie\.\w+, movie\.\w+\)"):
        open_movie(tmp_path)


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i4", "<u4", "<i2"])
def test_whole_numbers_of_any_type_become_adu(frames: Frames, tmp_path: Path, dtype: str) -> None:
    path = tmp_path / "movie.npy"
    np.save(path, frames.astype(dtype))

    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.read(range(11)), frames)
        assert movie.dtype == np.dtype(dtype)


@pytest.mark.parametrize("value", [-1.0, 0.5, 65536.0, np.nan, np.inf])
def test_values_that_no_camera_gives_are_refused_with_their_place(
    frames: Frames, tmp_path: Path, value: float
) -> None:
    path = tmp_path / "movie.tif"
    scaled = frames.astype(np.float32)
    scaled[7, 3, 4] = value
    tifffile.imwrite(path, scaled)

    with open_movie(path) as movie:
        assert next(movie.batches(7)).pixels.shape == (7, 32, 32)
        with pytest.raises(FileFormatError, match=r"frame 7, row 3, column 4"):
            list(movie.batches(5))


def test_positions_outside_of_the_movie_are_told(
    any_format: Write, frames: Frames, tmp_path: Path
) -> None:
    with open_movie(any_format(tmp_path, frames)) as movie:
        with pytest.raises(FileFormatError, match="frame 11 is not in"):
            movie.read([0, 11])
        with pytest.raises(ConfigError, match="1 frame or more"):
            next(movie.batches(0))


def test_what_is_described_can_be_written_as_json(
    any_format: Write, frames: Frames, tmp_path: Path
) -> None:
    with open_movie(any_format(tmp_path, frames)) as movie:
        told = movie.describe()

    assert json.loads(json.dumps(told)) == told
    assert (told["frames"], told["shape"]) == ("11", "32 x 32")


@pytest.mark.parametrize("name", ["plain_tiff", "ome_tiff", "dax", "ndtiff", "recording"])
def test_memory_does_not_grow_with_the_length_of_the_movie(
    sample: dict[str, Write], rng: np.random.Generator, tmp_path: Path, name: str
) -> None:
    n_frames, side = 400, 128  # 13 MB
    frames = rng.integers(100, 200, (n_frames, side, side), dtype=np.uint16)
    path = sample[name](tmp_path, frames)

    tracemalloc.start()
    try:
        with open_movie(path) as movie:
            n_read = sum(len(batch) for batch in movie.batches(10))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert n_read == n_frames
    assert peak < 0.25 * frames.nbytes


def test_ndtiff_frames_come_in_the_order_of_time_and_missing_ones_leave_a_gap(
    sample: dict[str, Write], frames: Frames, tmp_path: Path
) -> None:
    data = sample["ndtiff"](tmp_path, frames)
    raw = (data / "NDTiff.index").read_bytes()
    size = raw.index(b'{"time": 1,') - raw.index(b'{"time": 0,')
    entries = [raw[k * size : (k + 1) * size] for k in range(4)]
    (data / "NDTiff.index").write_bytes(b"".join(entries[k] for k in (3, 0, 1)))

    with open_movie(data) as movie:
        batch = next(movie.batches(10))

    assert batch.index.tolist() == [0, 1, 3]
    np.testing.assert_array_equal(batch.pixels, frames[[0, 1, 3]])


def test_movies_are_found_in_all_folders_and_each_once(tmp_path: Path) -> None:
    frames = np.zeros((3, 8, 8), np.uint16)
    for name in ("a/one.tif", "a/deep/two.tif", "b/cell_MMStack.ome.tif", ".hidden/no.tif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(tmp_path / name, frames, photometric="minisblack")
    tifffile.imwrite(tmp_path / "b" / "cell_MMStack_1.ome.tif", frames, photometric="minisblack")
    (tmp_path / "images").mkdir()
    for k in range(3):
        tifffile.imwrite(tmp_path / "images" / f"img_{k:03d}.tif", frames[k])
    for name in ("run.toml", "image.tif"):  # results without raw frames
        (tmp_path / "done").mkdir(exist_ok=True)
        (tmp_path / "done" / name).write_text("")
    (tmp_path / "empty").mkdir()

    found = [path.relative_to(tmp_path).as_posix() for path in find_movies(tmp_path)]

    assert found == ["a/one.tif", "a/deep/two.tif", "b/cell_MMStack.ome.tif", "images"]
    assert find_movies(tmp_path / "a" / "one.tif") == [tmp_path / "a" / "one.tif"]
    assert find_movies(tmp_path / "empty") == []
