"""Several movies read as one: the parts of a recording, in the order that they are given."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibration import StatedCalibration
from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.account import MovieAccount
from rtsmlm.files.movies.movie import Movie, MovieFacts
from rtsmlm.frames import Pixels

_PART_NUMBER = re.compile(r"_X([1-9]\d{0,4})", re.IGNORECASE)
"""Andor Solis writes movie.tif, movie_X2.tif, movie_X3.tif, ... where a file gets too large."""
_LIKELY_PART = re.compile(
    r"[ _.-]*(part|pt|file|stack|s)?[ _.-]*\(?0*([1-9]\d{0,3})\)?", re.IGNORECASE
)
"""What other programs and people add to a name; it may as well mean the next movie."""
_MOST_NAMED = 3


def open_with_parts(path: Path, open_one: Callable[[Path], Movie]) -> Movie:
    """Open a file, with those beside it that continue it.

    Parts by the names of Andor Solis are read with it where their frames are alike; files whose
    names may mean a part are named in a note.

    Parameters
    ----------
    path
        The file.
    open_one
        Opens one file.
    """
    movies = [open_one(path)]
    differences = list(_first_part(path))
    for part in parts_of(path)[1:]:
        following = open_one(part)
        if (following.shape, following.dtype) != (movies[0].shape, movies[0].dtype):
            differences.append(f"its part {part.name} is not read: its frames differ")
            following.close()
            break
        movies.append(following)
    movie = join(movies)
    movie.add_differences(*differences)
    if len(movies) > 1:
        names = ", ".join(movie.path.name for movie in movies[1:])
        movie.add_notes(f"read together with its parts {names}")
    movie.add_notes(*_hints(path, {file.name for file in movie.files}))
    return movie


def parts_of(path: Path) -> list[Path]:
    """Return a file and those beside it that continue it by the names of Andor Solis, in order."""
    if _PART_NUMBER.search(path.stem[-7:]):
        return [path]
    parts = [path]
    while True:
        following = path.with_name(f"{path.stem}_X{len(parts) + 1}{path.suffix}")
        if not following.is_file():
            return parts
        parts.append(following)


def _first_part(path: Path) -> Iterator[str]:
    """Yield a sentence where a file is a later part of one that lies beside it."""
    number = _PART_NUMBER.search(path.stem[-7:])
    if number is None:
        return
    first = path.with_name(path.stem[: -len(number[0])] + path.suffix)
    if first.is_file():
        yield f"it is part {number[1]} of {first.name}; open that for all frames"


def _hints(path: Path, read: set[str]) -> Iterator[str]:
    """Yield a sentence where files beside it may continue a file, by their names.

    Parameters
    ----------
    path
        The file that was opened.
    read
        Names of all files that are read with it.
    """
    alike = [
        other.name
        for other in sorted(path.parent.glob(f"{glob.escape(path.stem)}*{path.suffix}"))
        if other.name not in read
        and _LIKELY_PART.fullmatch(other.stem[len(path.stem) :])
        and not _PART_NUMBER.fullmatch(other.stem[len(path.stem) :])
    ]
    if alike:
        names = ", ".join(alike[:_MOST_NAMED]) + ", ..." * (len(alike) > _MOST_NAMED)
        yield f"not read: {names} beside it; if they continue it, give all of them in one command"


def join(movies: Sequence[Movie]) -> Movie:
    """Return movies as one, whose frame numbers go on from each to the next.

    Parameters
    ----------
    movies
        At least one, in order; the result owns them.

    Raises
    ------
    FileFormatError
        If their frames differ in size. They are closed then.
    """
    if len(movies) == 1:
        return movies[0]
    try:
        return JoinedMovie(movies)
    except BaseException:
        for movie in movies:
            movie.close()
        raise


class JoinedMovie(Movie):
    """The frames of several movies, one after the other."""

    def __init__(self, movies: Sequence[Movie]) -> None:
        first = movies[0]
        for movie in movies[1:]:
            if movie.shape != first.shape:
                raise FileFormatError(
                    f"{movie.path} has frames of {movie.shape[0]} x {movie.shape[1]} pixels, "
                    f"{first.path} of {first.shape[0]} x {first.shape[1]}; movies that are read as "
                    "one have the same"
                )
        n_frames = sum(movie.n_frames for movie in movies)
        facts = MovieFacts(
            path=first.path,
            kind=f"{len(movies)} movies: {first.describe()['format']}",
            shape=first.shape,
            n_frames=n_frames,
            dtype=first.dtype,
            files=tuple(file for movie in movies for file in movie.files),
            account=_account(movies),
            contradictions=tuple(
                dict.fromkeys(found for movie in movies for found in movie.contradictions)
            ),
            stated=_stated(movies),
            exposure_ms=first.exposure_ms,
            frame_index=_frame_index(movies, n_frames),
            t_exposure_end_ns=_together([movie.t_exposure_end_ns for movie in movies]),
            activation_power=_together([movie.activation_power for movie in movies]),
            activation_unit=first.activation_unit,
            details=_details(movies),
            notes=tuple(f"{m.path.name}: {note}" for m in movies for note in m.notes),
        )
        super().__init__(facts)
        self._movies = list(movies)
        self._starts = np.cumsum([0, *(movie.n_frames for movie in movies)])

    def _stored(self, start: int, stop: int) -> NDArray[Any]:
        return self._pixels(start, stop)

    def _pixels(self, start: int, stop: int) -> Pixels:
        # Not as stored: the parts may differ in type and byte order.
        parts = []
        for movie, first in zip(self._movies, self._starts, strict=False):
            begin, end = max(start - first, 0), min(stop - first, movie.n_frames)
            if begin < end:
                parts.append(movie.read(np.arange(begin, end)))
        return np.concatenate(parts) if len(parts) != 1 else parts[0]

    def close(self) -> None:
        """Close all movies. Safe to call more than once."""
        for movie in self._movies:
            movie.close()


def _frame_index(movies: Sequence[Movie], n_frames: int) -> NDArray[np.int64] | None:
    """Return frame numbers that go on; None where they count from 0 without a gap."""
    numbers: list[NDArray[np.int64]] = []
    following = 0
    for movie in movies:
        own = movie.frame_index
        own = np.arange(movie.n_frames, dtype=np.int64) if own is None else own
        # A part of a recording may have the numbers of the whole.
        shift = 0 if own[0] >= following else following
        numbers.append(own + shift)
        following = int(numbers[-1][-1]) + 1
    together = np.concatenate(numbers)
    return None if np.array_equal(together, np.arange(n_frames)) else together


def _together(columns: Sequence[NDArray[Any] | None]) -> NDArray[Any] | None:
    """Return a column of all frames, None where a movie has none."""
    present = [column for column in columns if column is not None]
    return np.concatenate(present) if len(present) == len(columns) else None


def _details(movies: Sequence[Movie]) -> dict[str, str]:
    """Return the metadata of the first movie, and what was joined."""
    listed = "; ".join(f"{movie.path} ({movie.n_frames} frames)" for movie in movies)
    return {**movies[0].details, "movies": listed}


def _account(movies: Sequence[Movie]) -> MovieAccount:
    """Return one account; what a movie states of its frames is no statement on all of them."""
    n_frames = sum(movie.n_frames for movie in movies)
    further = []
    for movie in movies:
        on_metadata = {contradiction.sentence for contradiction in movie.contradictions}
        differences = [text for text in movie.account.differences if text not in on_metadata]
        further += [f"{movie.path.name}: {text}" for text in differences]
    return MovieAccount(read=n_frames, present=n_frames, further=tuple(further))


def _stated(movies: Sequence[Movie]) -> StatedCalibration:
    """Return what the first movie states.

    Raises
    ------
    FileFormatError
        If another one states something else: its photons would be wrong.
    """
    first = movies[0]
    for movie in movies[1:]:
        for name in ("pixel_nm", "pixel_height_nm", "offset_adu", "e_per_adu", "em_gain"):
            held, found = getattr(first.stated, name), getattr(movie.stated, name)
            if held is not None and found is not None and abs(found - held) > 0.01 * abs(held):
                raise FileFormatError(
                    f"{first.path} states {name} = {held:g}, {movie.path} {found:g}; movies that "
                    "are read as one are recorded alike: reconstruct them one by one"
                )
    return first.stated
