"""Movies of several cameras, recorded at the same time, as one of their frames side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibration import StatedPart, agreed
from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.account import MovieAccount
from rtsmlm.files.movies.movie import Movie, MovieFacts
from rtsmlm.frames import Pixels


def lay_side_by_side(movies: Sequence[Movie]) -> Movie:
    """Return movies as one: frame k has frame k of each of them, from left to right.

    Parameters
    ----------
    movies
        Two or more, one of each camera; the result owns them.

    Raises
    ------
    FileFormatError
        If they differ in their number of frames, in their frame numbers or in height. They are
        closed then.
    """
    try:
        return SideBySideMovie(movies)
    except BaseException:
        for movie in movies:
            movie.close()
        raise


class SideBySideMovie(Movie):
    """Frames that are made of one of each movie."""

    def __init__(self, movies: Sequence[Movie]) -> None:
        first = movies[0]
        _check(movies)
        widths = [movie.shape[1] for movie in movies]
        facts = MovieFacts(
            path=first.path,
            kind=f"{len(movies)} movies side by side: {first.describe()['format']}",
            shape=(first.shape[0], sum(widths)),
            n_frames=first.n_frames,
            dtype=first.dtype,
            files=tuple(file for movie in movies for file in movie.files),
            account=_account(movies),
            contradictions=tuple(
                dict.fromkeys(found for movie in movies for found in movie.contradictions)
            ),
            stated=agreed([StatedPart(movie.shape[::-1], movie.stated) for movie in movies]),
            exposure_ms=first.exposure_ms,
            frame_index=first.frame_index,
            t_exposure_end_ns=first.t_exposure_end_ns,
            activation_power=first.activation_power,
            activation_unit=first.activation_unit,
            details={
                **first.details,
                "movies": "; ".join(f"{m.path} ({m.shape[1]} x {m.shape[0]})" for m in movies),
            },
            notes=tuple(f"{m.path.name}: {note}" for m in movies for note in m.notes),
        )
        super().__init__(facts)
        self._movies = list(movies)
        self._starts = np.cumsum([0, *widths]).tolist()

    def _stored(self, start: int, stop: int) -> NDArray[Any]:
        return self._pixels(start, stop)

    def _pixels(self, start: int, stop: int) -> Pixels:
        frames = np.empty((stop - start, *self.shape), dtype=np.uint16)
        for movie, left in zip(self._movies, self._starts, strict=False):
            part = movie.read(np.arange(start, stop))
            frames[:, :, left : left + movie.shape[1]] = part
        return frames

    def close(self) -> None:
        """Close all movies. Safe to call more than once."""
        for movie in self._movies:
            movie.close()


def _check(movies: Sequence[Movie]) -> None:
    first = movies[0]
    for movie in movies[1:]:
        if movie.shape[0] != first.shape[0]:
            raise FileFormatError(
                f"{first.path} has frames {first.shape[0]} pixels high, {movie.path} "
                f"{movie.shape[0]}; movies side by side have one height: record both with regions "
                "of one height, or cut the higher one"
            )
        if movie.n_frames != first.n_frames:
            raise FileFormatError(
                f"{first.path} has {first.n_frames} frames, {movie.path} {movie.n_frames}, and "
                "nothing says which belong together; find where frames are missing, and save both "
                "movies with those that both cameras have"
            )
        ours, others = first.frame_index, movie.frame_index
        counted = np.arange(first.n_frames)
        ours = counted if ours is None else ours
        others = counted if others is None else others
        if differs := np.flatnonzero(ours - ours[0] != others - others[0]).tolist():
            k = differs[0]
            raise FileFormatError(
                f"frame {k} is number {ours[k]} of its camera in {first.path} and {others[k]} in "
                f"{movie.path}: one has frames that the other lacks; save both movies with those "
                "that both cameras have"
            )


def _account(movies: Sequence[Movie]) -> MovieAccount:
    """Return one account, with what differs in each movie."""
    further = []
    for movie in movies:
        on_metadata = {contradiction.sentence for contradiction in movie.contradictions}
        differences = [text for text in movie.account.differences if text not in on_metadata]
        further += [f"{movie.path.name}: {text}" for text in differences]
    n_frames = movies[0].n_frames
    return MovieAccount(read=n_frames, present=n_frames, further=tuple(further))
