"""Several movies as one: parts by name, movies given together, patterns, hidden files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.open import open_movie
from rtsmlm.files.movies.several import expanded, in_order, open_movies

APPLE_DOUBLE = b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(200)


def movie(path: Path, first: int, n: int, side: int = 6, dtype: str = "u2") -> Path:
    """Frames whose pixels hold their number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = np.arange(first, first + n, dtype=dtype)
    frames = np.broadcast_to(numbers[:, None, None], (n, side, side))
    tifffile.imwrite(path, frames, photometric="minisblack", metadata=None)
    return path


def test_parts_of_andor_solis_are_read_with_the_first_in_order(tmp_path: Path) -> None:
    movie(tmp_path / "movie.tif", 0, 3)
    for part in range(2, 12):
        movie(tmp_path / f"movie_X{part}.tif", 3 * part - 3, 3)

    for path in (tmp_path / "movie.tif", tmp_path):
        with open_movie(path) as found:
            assert found.read(range(33))[:, 0, 0].tolist() == list(range(33))
            assert found.frame_index is None
            assert "read together with its parts movie_X2.tif" in found.describe()["note"]


def test_a_part_alone_says_where_the_others_are(tmp_path: Path) -> None:
    movie(tmp_path / "movie.tif", 0, 3)
    movie(tmp_path / "movie_X2.tif", 3, 3)

    with open_movie(tmp_path / "movie_X2.tif") as found:
        assert found.n_frames == 3
        assert found.account.differences == ("it is part 2 of movie.tif; open that for all frames",)


def test_a_part_with_other_frames_is_named_and_not_read(tmp_path: Path) -> None:
    movie(tmp_path / "movie.tif", 0, 3)
    movie(tmp_path / "movie_X2.tif", 3, 3, side=7)

    with open_movie(tmp_path / "movie.tif") as found:
        assert found.n_frames == 3
        [difference] = found.account.differences
        assert "movie_X2.tif is not read" in difference


@pytest.mark.parametrize(
    "sibling", ["movie_2.tif", "movie (2).tif", "movie-part2.tif", "movie2.tif"]
)
def test_a_file_that_may_continue_the_movie_is_named(tmp_path: Path, sibling: str) -> None:
    movie(tmp_path / "movie.tif", 0, 3)
    movie(tmp_path / sibling, 3, 3)

    with open_movie(tmp_path / "movie.tif") as found:
        assert found.n_frames == 3
        assert f"not read: {sibling} beside it" in found.describe()["note"]


def test_movies_given_together_go_on_in_number_and_keep_their_gaps(tmp_path: Path) -> None:
    whole = movie(tmp_path / "a.tif", 0, 4)
    for number in (0, 1, 3):
        movie(tmp_path / "b" / f"img_{number}.tif", 4 + number, 1)
    bytes_only = movie(tmp_path / "c.tif", 8, 2, dtype="u1")

    with open_movies([whole, tmp_path / "b", bytes_only]) as found:
        batches = list(found.batches(3))
        pixels = np.concatenate([batch.pixels for batch in batches])[:, 0, 0]
        numbers = np.concatenate([batch.index for batch in batches])

    assert pixels.tolist() == numbers.tolist() == [0, 1, 2, 3, 4, 5, 7, 8, 9]
    assert found.describe()["movies"].count("frames)") == 3
    [difference] = found.account.differences
    assert difference.startswith("b: 1 image file is missing: 2")


def test_movies_of_other_sizes_or_cameras_are_not_one(tmp_path: Path) -> None:
    small, large = movie(tmp_path / "a.tif", 0, 2), movie(tmp_path / "b.tif", 0, 2, side=7)
    frames = np.zeros((2, 6, 6), np.uint16)
    for name, size in (("c.ome.tif", 0.1), ("d.ome.tif", 0.16)):
        tifffile.imwrite(
            tmp_path / name, frames, metadata={"axes": "TYX", "PhysicalSizeX": size}, ome=True
        )

    with pytest.raises(FileFormatError, match=r"b\.tif has frames of 7 x 7 pixels, .* of 6 x 6"):
        open_movies([small, large])
    with pytest.raises(FileFormatError, match=r"states pixel_nm = 100, .* 160"):
        open_movies([tmp_path / "c.ome.tif", tmp_path / "d.ome.tif"])


def test_a_part_that_is_given_beside_its_first_is_read_once(tmp_path: Path) -> None:
    paths = [movie(tmp_path / "m.tif", 0, 2), movie(tmp_path / "m_X2.tif", 2, 2)]

    with open_movies(paths) as found:
        assert found.read(range(found.n_frames))[:, 0, 0].tolist() == [0, 1, 2, 3]
    with pytest.raises(FileFormatError, match=r"m\.tif is read with m_X2\.tif: give it alone"):
        open_movies(paths[::-1])


def test_movies_in_the_order_of_letters_are_read_in_that_of_numbers() -> None:
    given = [Path(f"cell_{n}.tif") for n in (1, 10, 11, 2, 9)]
    chosen = [Path("cell_9.tif"), Path("cell_2.tif"), Path("cell_10.tif")]

    ordered, note = in_order(given)

    assert [path.stem for path in ordered] == [f"cell_{n}" for n in (1, 2, 9, 10, 11)]
    assert "order of the numbers" in note
    assert in_order(chosen) == (chosen, "")
    with pytest.raises(FileFormatError, match="given twice"):
        in_order([given[0], given[0]])


def test_a_pattern_that_no_shell_has_expanded_is_expanded(tmp_path: Path) -> None:
    odd = movie(tmp_path / "cell [1].tif", 0, 1)
    others = [movie(tmp_path / f"run_{n}.tif", 0, 1) for n in (1, 2)]

    assert expanded([odd, tmp_path / "run_*.tif"]) == [odd, *others]
    with pytest.raises(FileFormatError, match="nothing matches"):
        expanded([tmp_path / "x*.tif"])


def test_files_that_a_system_has_put_there_do_not_count(tmp_path: Path) -> None:
    movie(tmp_path / "movie.tif", 0, 3)
    for name in ("._movie.tif", ".DS_Store", "Thumbs.db", ".hidden.tif"):
        (tmp_path / name).write_bytes(APPLE_DOUBLE)
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "other.tif").write_bytes(APPLE_DOUBLE)

    with open_movie(tmp_path) as found:
        assert (found.path.name, found.n_frames) == ("movie.tif", 3)
    with pytest.raises(FileFormatError, match="a Mac has put beside the file of that name"):
        open_movie(tmp_path / "._movie.tif")
