"""GrowingMovie: a recording that another program is still writing, of any format that is read.

The file is opened anew while it grows, at most half of the time, so that the pace follows what
opening costs: some 20 us for each frame of a TIFF file. The newest frames are held back until later
ones are there, or until they have not changed for a moment: their pixels may not be written yet,
although the file already lists them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import numpy as np

from rtsmlm.errors import FileFormatError, FrameMismatchError
from rtsmlm.files.movies.movie import Movie
from rtsmlm.files.movies.ndtiff_tail import has_room_ahead
from rtsmlm.frames import Pixels
from rtsmlm.realtime.clock import now_ns

POLL_S = 0.05
_COST = 1.0
"""Pause after opening the file, in times that this took."""
_SETTLED_S = 0.5
"""Frames behind which nothing has come for so long are complete."""
_READ_FRAMES = 32


class GrowingMovie:
    """Frames of a recording in their order, each once, as they come.

    Parameters
    ----------
    path
        The file or folder; it may not be there yet.
    open_movie
        Opens what is there so far.
    idle_s
        The recording has ended when nothing has come for so long.
    clock
        Monotonic time in ns.
    """

    def __init__(
        self,
        path: Path,
        open_movie: Callable[[Path], Movie],
        *,
        idle_s: float,
        clock: Callable[[], int] = now_ns,
    ) -> None:
        self.path = path
        self._open = open_movie
        self._idle_s = idle_s
        self._clock = clock
        self._movie: Movie | None = None
        self._n_seen = 0
        self._changed_ns = clock()
        self._had_room = False
        self._closed_ns: int | None = None
        self.n_late = 0
        """Frames that appeared before others that had been handed on, and were left out."""

    def wait_for_first(self, stop: Event) -> Movie:
        """Return the movie, opened, once it has a frame.

        Raises
        ------
        FileFormatError
            If there is none until `idle_s` have passed, with the reason.
        """
        while True:
            try:
                return self._look()
            except (FileFormatError, OSError) as error:
                if self._is_idle() or stop.is_set():
                    raise FileFormatError(
                        f"no frame of {self.path} can be read after {self._idle_s:g} s: {error}"
                    ) from error
            stop.wait(POLL_S)

    def wait_for(self, n_frames: int, stop: Event) -> Movie:
        """Return the movie once it has so many frames, or has ended with fewer.

        Raises
        ------
        FileFormatError
            If there never is a frame.
        """
        movie = self.wait_for_first(stop)
        while movie.n_frames < n_frames and not self._is_idle() and not stop.is_set():
            stop.wait(POLL_S)
            with contextlib.suppress(FileFormatError, OSError):
                movie = self._look()
        return movie

    def frames(self, stop: Event) -> Iterator[tuple[Pixels, int]]:
        """Yield pixels and camera frame number of each frame, until no more comes.

        Parameters
        ----------
        stop
            Ends it at once.

        Raises
        ------
        FileFormatError
            If there never is a frame.
        FrameMismatchError
            If the frames change their size.
        """
        shape = self.wait_for_first(stop).shape
        position, last_index = 0, -1
        while not stop.is_set():
            started_ns = self._clock()
            with contextlib.suppress(FileFormatError, OSError):  # written at this moment
                self._look()
            cost_s = (self._clock() - started_ns) * 1e-9
            movie = self._movie
            if movie is None:
                return
            if movie.shape != shape:
                raise FrameMismatchError(
                    f"frames of {self.path} were {shape} and are {movie.shape} now"
                )
            is_idle = self._is_idle() or self._is_finished()
            for pixels, index in self._ready(movie, position, stop):
                position += 1
                if index <= last_index:
                    self.n_late += 1
                    continue
                last_index = index
                yield pixels, index
            if is_idle and position >= movie.n_frames:
                return
            stop.wait(max(POLL_S, _COST * cost_s))

    def _ready(self, movie: Movie, position: int, stop: Event) -> Iterator[tuple[Pixels, int]]:
        """Yield the frames from a position on that are complete."""
        settled = (self._clock() - self._changed_ns) * 1e-9 > _SETTLED_S
        end = movie.n_frames - (0 if settled else movie.frames_at_once)
        numbers = movie.frame_index
        while position < end and not stop.is_set():
            until = min(position + _READ_FRAMES, end)
            try:
                pixels = movie.read(np.arange(position, until))
            except FileFormatError:
                return  # it is listed, and not all of it is there
            for k, frame in enumerate(pixels, position):
                yield frame, k if numbers is None else int(numbers[k])
            position = until

    def _look(self) -> Movie:
        """Open what is there now, in place of what was there before."""
        movie = self._open(self.path)
        if self._movie is not None:
            self._movie.close()
        self._movie = movie
        if movie.n_frames > self._n_seen:
            self._n_seen = movie.n_frames
            self._changed_ns = self._clock()
        return movie

    def _is_finished(self) -> bool:
        """Return whether the program that wrote NDTiff has cut off the room that it had reserved.

        Other formats do not say so, nor does a program that reserves nothing.
        """
        has_room = has_room_ahead(self.path)
        self._had_room |= has_room is True
        if has_room is not False or not self._had_room:
            self._closed_ns = None
            return False
        if self._closed_ns is None:
            self._closed_ns = self._clock()
        since_ns = max(self._closed_ns, self._changed_ns)
        return (self._clock() - since_ns) * 1e-9 > _SETTLED_S

    def _is_idle(self) -> bool:
        return (self._clock() - self._changed_ns) * 1e-9 > self._idle_s

    def close(self) -> None:
        """Close the file. Safe to call more than once."""
        if self._movie is not None:
            self._movie.close()
            self._movie = None
