"""Uncompressed frames: read whole however the disk delivers, in any layout, and cut movies."""

from __future__ import annotations

from io import FileIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtsmlm.errors import ConfigError, FileFormatError
from rtsmlm.files.movies.dax import open_dax
from rtsmlm.files.movies.flat import FlatMovie, npy_layout, open_npy, read_exactly, stored_dtype
from rtsmlm.files.movies.movie import MovieFacts
from rtsmlm.settings.camera import MovieSettings

Frames = NDArray[np.uint16]
SHAPE = (6, 10)
NO_SETTINGS = MovieSettings()


@pytest.fixture
def tall(rng: np.random.Generator) -> Frames:
    """Seven frames that are wider than high, so that swapped axes show."""
    return rng.poisson(200, (7, *SHAPE)).astype(np.uint16)


class SlowShare(FileIO):
    """A file that never gives more than three bytes at once, as a network share may."""

    def readinto(self, buffer: memoryview, /) -> int | None:  # type: ignore[override]
        return super().readinto(memoryview(buffer)[:3])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(content=st.binary(min_size=1, max_size=60), data=st.data())
def test_bytes_are_read_whole_however_few_come_at_once(
    content: bytes, data: st.DataObject, tmp_path: Path
) -> None:
    path = tmp_path / "bytes"
    path.write_bytes(content)
    offset = data.draw(st.integers(0, len(content) - 1))
    into = np.zeros(data.draw(st.integers(0, len(content) - offset)), np.uint8)

    with SlowShare(path) as file:
        read_exactly(file, offset, into)

    assert into.tobytes() == content[offset : offset + len(into)]


def test_a_file_that_ends_too_early_says_at_which_byte(tmp_path: Path) -> None:
    path = tmp_path / "bytes"
    path.write_bytes(bytes(10))

    with SlowShare(path) as file, pytest.raises(EOFError, match="ends at byte 10"):
        read_exactly(file, 4, np.zeros(7, np.uint8))


def facts(path: Path, n_frames: int, dtype: str = "<u2") -> MovieFacts:
    return MovieFacts(path=path, kind="flat", shape=SHAPE, n_frames=n_frames, dtype=np.dtype(dtype))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(header=st.integers(0, 100), gap=st.integers(0, 50), start=st.integers(0, 6))
def test_frames_are_found_behind_a_header_and_between_gaps(
    header: int, gap: int, start: int, tall: Frames, tmp_path: Path
) -> None:
    path = tmp_path / "movie"
    path.write_bytes(bytes(header) + b"".join(f.tobytes() + b"x" * gap for f in tall))

    stride = tall[0].nbytes + gap
    with FlatMovie(facts(path, 7), header, stride_bytes=stride) as movie:
        np.testing.assert_array_equal(movie.read(range(start, 7)), tall[start:])


def test_frames_spread_over_files_in_any_order_are_put_together(
    tall: Frames, tmp_path: Path
) -> None:
    paths = [tmp_path / name for name in ("a", "b")]
    paths[0].write_bytes(b"".join(tall[k].tobytes() for k in (5, 1, 3)))
    paths[1].write_bytes(b"".join(tall[k].tobytes() for k in (0, 2, 4, 6)))
    which = np.array([1, 0, 1, 0, 1, 0, 1])
    offsets = np.array([0, 1, 1, 2, 2, 0, 3]) * tall[0].nbytes

    with FlatMovie(facts(tmp_path, 7), offsets, files=paths, file_of_frame=which) as movie:
        np.testing.assert_array_equal(movie.read(range(7)), tall)


def test_a_missing_file_of_several_is_told_and_the_others_are_closed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(120))

    with pytest.raises(FileFormatError, match="cannot be read"):
        FlatMovie(facts(tmp_path, 1), 0, files=[tmp_path / "a", tmp_path / "b"])

    (tmp_path / "a").unlink()  # would fail on Windows while it is open


@pytest.mark.parametrize("dtype", ["<u2", ">u2", "u1", "<i4", "<f4", ">f8"])
def test_an_array_of_numpy_is_a_movie_and_a_single_image_one_frame(
    tall: Frames, tmp_path: Path, dtype: str
) -> None:
    stored = (tall % 256).astype(dtype)
    np.save(tmp_path / "movie.npy", stored)
    np.save(tmp_path / "image.npy", stored[2])

    with open_npy(tmp_path / "movie.npy") as movie, open_npy(tmp_path / "image.npy") as image:
        assert (movie.n_frames, movie.shape, movie.dtype) == (7, SHAPE, np.dtype(dtype))
        np.testing.assert_array_equal(movie.read(range(7)), tall % 256)
        assert image.n_frames == 1
        np.testing.assert_array_equal(image.read([0])[0], tall[2] % 256)


def test_an_array_with_a_header_of_version_2_is_read(tall: Frames, tmp_path: Path) -> None:
    path = tmp_path / "movie.npy"
    with path.open("wb") as file:
        np.lib.format.write_array(file, tall, version=(2, 0))

    assert npy_layout(path)[:2] == (tall.shape, tall.dtype)
    with open_npy(path) as movie:
        np.testing.assert_array_equal(movie.read([6]), tall[6:])


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(5, np.uint16),
        np.zeros((2, 3, 4, 5), np.uint16),
        np.asfortranarray(np.zeros((2, 3, 4), np.uint16)),
        np.array([[{}]], dtype=object),
    ],
    ids=["line", "four axes", "Fortran order", "objects"],
)
def test_an_array_that_is_no_movie_is_described_in_the_refusal(
    array: np.ndarray, tmp_path: Path
) -> None:
    np.save(tmp_path / "movie.npy", array, allow_pickle=True)

    with pytest.raises(FileFormatError, match=rf"holds a {array.ndim}-dimensional array of"):
        npy_layout(tmp_path / "movie.npy")


@pytest.mark.parametrize("name", ["<u2", ">i4", "float32", "uint8"])
def test_types_are_named_as_numpy_names_them(name: str) -> None:
    assert stored_dtype(name) == np.dtype(name)


@pytest.mark.parametrize("name", ["", "u3", "bool", "S2", "<c8", "object", "(2,)u1,", "M8[s]"])
def test_a_type_that_is_no_number_is_a_wrong_setting(name: str) -> None:
    with pytest.raises(ConfigError, match=r"movie\.dtype .* is no (type of|real) number"):
        stored_dtype(name)


def dax_of(folder: Path, frames: Frames, *lines: str, order: str = ">") -> Path:
    (folder / "movie.dax").write_bytes(frames.astype(f"{order}u2").tobytes())
    if lines:
        (folder / "movie.inf").write_text("\n".join(lines))
    return folder / "movie.dax"


def test_an_inf_writes_the_width_first(tall: Frames, tmp_path: Path) -> None:
    path = dax_of(tmp_path, tall, "frame dimensions = 10 x 6", "number of frames = 7")

    with open_dax(path, NO_SETTINGS) as movie:
        assert movie.shape == SHAPE
        np.testing.assert_array_equal(movie.read(range(7)), tall)


def test_an_inf_wins_over_settings_that_were_left_from_another_movie(
    tall: Frames, tmp_path: Path
) -> None:
    path = dax_of(tmp_path, tall, "frame dimensions = 10 x 6")

    with open_dax(path, MovieSettings(height=3, width=5)) as movie:
        assert (movie.shape, movie.n_frames) == (SHAPE, 7)


def test_an_inf_states_the_byte_order(tall: Frames, tmp_path: Path) -> None:
    path = dax_of(
        tmp_path, tall, "data type = 16 bit integers (binary, little endian)",
        "frame dimensions = 10 x 6", order="<",
    )  # fmt: skip

    with open_dax(path, NO_SETTINGS) as movie:
        np.testing.assert_array_equal(movie.read(range(7)), tall)


@pytest.mark.parametrize("cut_bytes", [1, 60, 120, 121])
def test_a_dax_that_was_cut_short_gives_its_whole_frames(
    tall: Frames, tmp_path: Path, cut_bytes: int
) -> None:
    path = dax_of(tmp_path, tall, "frame dimensions = 10 x 6", "number of frames = 7")
    path.write_bytes(path.read_bytes()[:-cut_bytes])

    with open_dax(path, NO_SETTINGS) as movie:
        assert movie.n_frames == 7 - -(-cut_bytes // 120)
        assert "movie.inf states 7 frames" in movie.describe()["difference"]
        np.testing.assert_array_equal(movie.read([0, 4]), tall[[0, 4]])


def test_without_an_inf_the_largest_square_that_fits_is_guessed_and_said(tmp_path: Path) -> None:
    for side, n_frames, guess in ((64, 3, 64), (64, 4, 128), (16, 1, 16)):
        path = dax_of(tmp_path, np.full((n_frames, side, side), 100, np.uint16))
        with open_dax(path, NO_SETTINGS) as movie:
            assert movie.shape == (guess, guess)
            assert "are a guess from the file size" in movie.describe()["note"]


def test_a_dax_that_no_square_fits_asks_for_its_shape(tall: Frames, tmp_path: Path) -> None:
    path = dax_of(tmp_path, tall)

    with pytest.raises(FileFormatError, match=r"no whole number of square frames; set movie"):
        open_dax(path, NO_SETTINGS)
    with open_dax(path, MovieSettings(height=6, width=10)) as movie:
        assert movie.n_frames == 7
