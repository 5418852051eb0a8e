"""open_movies: what a user gives to be read, a movie or several that are one."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from pathlib import Path

from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.joined import join
from rtsmlm.files.movies.movie import Movie
from rtsmlm.files.movies.open import open_movie
from rtsmlm.files.movies.side_by_side import lay_side_by_side
from rtsmlm.settings.camera import MovieSettings


def open_movies(
    paths: Sequence[Path],
    settings: MovieSettings | None = None,
    *,
    known_shape: tuple[int, int] | None = None,
) -> Movie:
    """Open a movie, or several as one, whose frame numbers go on from each to the next.

    Where the settings say that they are of several cameras, their frames lie side by side instead.

    Parameters
    ----------
    paths
        At least one.
    settings, known_shape
        As for `open_movie`.

    Raises
    ------
    FileFormatError
        If one cannot be read, is given twice, or differs from the first in the size of its frames
        or in what it states of the camera.
    """
    if settings is not None and settings.side_by_side:
        return _side_by_side(paths, settings)
    if len(paths) == 1:
        return open_movie(paths[0], settings, known_shape=known_shape)
    ordered, note = in_order(paths)
    movies: list[Movie] = []
    read: set[Path] = set()
    try:
        for path in ordered:
            movie = open_movie(path, settings, known_shape=known_shape)
            files = {file.resolve() for file in movie.files}
            movies.append(movie)
            if files <= read:  # as a part of one before
                movies.pop().close()
            elif again := sorted(file.name for file in files & read):
                raise FileFormatError(f"{path} is read with {', '.join(again)}: give it alone")
            read |= files
    except BaseException:
        for movie in movies:
            movie.close()
        raise
    movie = join(movies)
    if note:
        movie.add_notes(note)
    return movie


def _side_by_side(paths: Sequence[Path], settings: MovieSettings) -> Movie:
    """Open the movies of several cameras, given from left to right."""
    if len({path.resolve() for path in paths}) < max(len(paths), 2):
        raise FileFormatError(
            "side by side (movie.side_by_side) needs a movie of each of two or more cameras, from "
            f"left to right; {', '.join(path.name for path in paths)} is given"
        )
    movies: list[Movie] = []
    try:
        movies.extend(open_movie(path, settings) for path in paths)
    except BaseException:
        for movie in movies:
            movie.close()
        raise
    return lay_side_by_side(movies)


def expanded(paths: Sequence[Path]) -> list[Path]:
    """Return paths with patterns such as cell_*.tif replaced by the files that match them.

    Shells of Windows leave patterns to the programs, and those of others do so in quotes. A file
    whose name has such characters itself is that file.

    Raises
    ------
    FileFormatError
        If nothing matches a pattern.
    """
    found: list[Path] = []
    for path in paths:
        if path.exists() or not glob.has_magic(str(path)):
            found.append(path)
            continue
        matches = sorted(Path(match) for match in glob.glob(str(path.expanduser())))
        if not matches:
            raise FileFormatError(f"nothing matches {path}; give movie files or their folders")
        found += matches
    return found


def in_order(paths: Sequence[Path]) -> tuple[list[Path], str]:
    """Return movies in the order in which they are to be read, and a sentence if it was changed.

    A shell lists movie_10 before movie_2: movies that are given in the order of their letters are
    read in the order of their numbers.

    Raises
    ------
    FileFormatError
        If a movie is given twice.
    """
    seen: set[Path] = set()
    for path in paths:
        if (resolved := path.resolve()) in seen:
            raise FileFormatError(f"{path} is given twice; name each movie once")
        seen.add(resolved)
    by_number = sorted(paths, key=_natural)
    if list(paths) == by_number or list(paths) != sorted(paths):
        return list(paths), ""
    names = ", ".join(path.name for path in by_number[:4]) + ", ..." * (len(by_number) > 4)
    return by_number, f"the movies are read in the order of the numbers in their names: {names}"


def _natural(path: Path) -> list[tuple[bool, int, str]]:
    """Return a key that sorts movie_2 before movie_10, and movie before movie_2."""
    parts = re.split(r"(\d+)", str(path.with_suffix("")))
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]
