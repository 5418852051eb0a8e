"""Movies of several cameras as one: frame by frame side by side, and nothing left out silently."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.several import open_movies
from rtsmlm.settings.camera import MovieSettings

SIDE_BY_SIDE = MovieSettings(side_by_side=True)


def movie(path: Path, frames: np.ndarray) -> Path:
    tifffile.imwrite(path, frames, photometric="minisblack", metadata=None)
    return path


@pytest.fixture
def frames(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 65536, (9, 6, 20), dtype=np.uint16)


@pytest.mark.parametrize("edges", [[12], [5, 14]])
def test_frames_lie_side_by_side_in_the_order_in_which_the_movies_are_given(
    tmp_path: Path, frames: np.ndarray, edges: list[int]
) -> None:
    parts = np.split(frames, edges, axis=2)
    names = ["z10.tif", "z2.tif", "a.tif"]
    paths = [movie(tmp_path / n, part) for n, part in zip(names, parts, strict=False)]

    with open_movies(paths, SIDE_BY_SIDE) as found:
        assert (found.n_frames, found.shape) == (9, (6, 20))
        assert found.files == tuple(paths)
        np.testing.assert_array_equal(found.read([7, 2, 3]), frames[[7, 2, 3]])
        batches = [batch.pixels for batch in found.batches(4)]
        sizes = [part.size for part in found.stated.parts]
        described = found.describe()

    np.testing.assert_array_equal(np.concatenate(batches), frames)
    assert sizes == [(part.shape[2], 6) for part in parts]
    assert all(path.name in described["movies"] for path in paths)


def test_eight_and_sixteen_bits_lie_beside_each_other(tmp_path: Path, frames: np.ndarray) -> None:
    narrow = (frames % 200).astype(np.uint8)
    paths = [movie(tmp_path / "a.tif", narrow), movie(tmp_path / "b.tif", frames)]

    with open_movies(paths, SIDE_BY_SIDE) as found:
        np.testing.assert_array_equal(found.read([4])[0], np.hstack([narrow[4], frames[4]]))


def test_movies_of_different_length_are_refused_with_both_and_what_to_do(
    tmp_path: Path, frames: np.ndarray
) -> None:
    paths = [movie(tmp_path / "a.tif", frames), movie(tmp_path / "b.tif", frames[:8])]

    with pytest.raises(FileFormatError, match=r"a\.tif has 9 frames, .*b\.tif 8, .* save both"):
        open_movies(paths, SIDE_BY_SIDE)


def test_movies_of_different_height_are_refused(tmp_path: Path, frames: np.ndarray) -> None:
    paths = [movie(tmp_path / "a.tif", frames), movie(tmp_path / "b.tif", frames[:, :5])]

    with pytest.raises(FileFormatError, match=r"6 pixels high, .*b\.tif 5; .* one height"):
        open_movies(paths, SIDE_BY_SIDE)


def test_a_frame_that_one_camera_lost_is_found_in_the_frame_numbers(
    tmp_path: Path, frames: np.ndarray
) -> None:
    paths = []
    for name, lost in (("short", 3), ("long", 5)):
        folder = tmp_path / name
        folder.mkdir()
        for number in range(9):
            if number != lost:
                movie(folder / f"img_{number:03d}.tif", frames[number])
        paths.append(folder)

    with pytest.raises(FileFormatError, match=r"frame 3 is number 4 .*short.* and 3 in .*long"):
        open_movies(paths, SIDE_BY_SIDE)


@pytest.mark.parametrize("given", [["a.tif"], ["a.tif", "a.tif"]])
def test_one_movie_or_one_given_twice_is_not_two_cameras(
    tmp_path: Path, frames: np.ndarray, given: list[str]
) -> None:
    movie(tmp_path / "a.tif", frames)

    with pytest.raises(FileFormatError, match="needs a movie of each of two or more cameras"):
        open_movies([tmp_path / name for name in given], SIDE_BY_SIDE)


def test_a_movie_that_cannot_be_read_is_named(tmp_path: Path, frames: np.ndarray) -> None:
    paths = [movie(tmp_path / "a.tif", frames), tmp_path / "missing.tif"]

    with pytest.raises(FileFormatError, match=r"missing\.tif does not exist"):
        open_movies(paths, SIDE_BY_SIDE)
