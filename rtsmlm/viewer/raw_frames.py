"""RawFrames: the recorded frames of a finished run, with their detections; no Qt here."""

from __future__ import annotations

import logging
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError, RtsmlmError
from rtsmlm.files.movies.movie import Movie
from rtsmlm.files.movies.open import open_movie
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.state import run_state
from rtsmlm.files.tables.arrow_file import iter_arrow_batches
from rtsmlm.localizations import F32
from rtsmlm.realtime.worker import Worker, one_line
from rtsmlm.viewer.sources.updates import CameraImage

NOT_RECORDED = "no raw frames were recorded in this run"
_END_POLL_S = 0.5
"""A run that has ended still writes its last files."""
_LEAVE_S = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RawFrame:
    """A recorded frame."""

    position: int
    """In the recording, from 0."""
    image: CameraImage
    places_nm: F32 | None
    """x and y of the detections in it, shape (2, n); None while the table is being read."""


class RawFrames:
    """Reads one frame at a time, the newest that was asked for, in a thread of its own.

    Parameters
    ----------
    folder
        The run folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.n_frames = 0
        """Of the recording; 0 as long as it is not open."""
        self.problem: str | None = None
        """Why there are no frames; None where there are, or that is not known yet."""
        self._turn = threading.Condition()
        self._asked: int | None = 0
        self._taken: RawFrame | None = None
        self._worker = Worker("playback", self._work, on_death=self._note, has_time=True)
        self._worker.start()

    def ask(self, position: int) -> None:
        """Ask for a frame; one that was asked for before and is not read yet is left out."""
        with self._turn:
            self._asked = position
            self._turn.notify_all()

    def take(self) -> RawFrame | None:
        """Return the newest frame, once; None where there is none that is new."""
        with self._turn:
            taken, self._taken = self._taken, None
        return taken

    def close(self) -> None:
        """Close the recording. Safe to call more than once."""
        self._worker.stop()
        with self._turn:
            self._turn.notify_all()
        self._worker.end(_LEAVE_S)

    def _note(self, error: BaseException) -> None:
        self.problem = one_line(error)

    def _work(self, stop: threading.Event) -> None:
        while run_state(self.folder).stage == "running":
            if stop.wait(_END_POLL_S):
                return
        try:
            path = _recording_of(RunFolder(self.folder))
            with open_movie(path) as movie:
                self._serve(movie, stop)
        except RtsmlmError as error:
            self.problem = one_line(error)

    def _serve(self, movie: Movie, stop: threading.Event) -> None:
        self.n_frames = movie.n_frames
        places: _Places | None = None
        last: int | None = None
        while not stop.is_set():
            if places is None and self._asked is None:
                places = _Places(RunFolder(self.folder).localizations)
                if self._asked is None and last is not None:
                    self.ask(last)
            with self._turn:
                self._turn.wait_for(lambda: stop.is_set() or self._asked is not None)
                asked, self._asked = self._asked, None
            if stop.is_set() or asked is None:
                return
            last = min(max(asked, 0), movie.n_frames - 1)
            frame = self._read(movie, last, places)
            with self._turn:
                self._taken = frame

    def _read(self, movie: Movie, position: int, places: _Places | None) -> RawFrame:
        numbers = movie.frame_index
        number = position if numbers is None else int(numbers[position])
        image = CameraImage(number, movie.read([position])[0], 1)
        return RawFrame(position, image, None if places is None else places.of(number))


class _Places:
    """Where the localizations of each frame are.

    Parameters
    ----------
    table
        A `localizations.arrows` file; one that cannot be read has none.
    """

    def __init__(self, table: Path) -> None:
        parts = list(self._parts(table))
        frames = np.concatenate([frame for frame, _ in parts] or [np.zeros(0, np.int32)])
        places = np.concatenate([place for _, place in parts] or [np.zeros((2, 0), np.float32)], 1)
        order = np.argsort(frames, kind="stable")  # rows caught up after the run come last
        self._frames, self._places = frames[order], places[:, order]

    @staticmethod
    def _parts(table: Path) -> Iterator[tuple[NDArray[np.int32], F32]]:
        try:
            for rows in iter_arrow_batches(table):
                yield rows.frame.astype(np.int32), np.stack([rows.x_nm, rows.y_nm])
        except FileFormatError as error:
            _log.warning("no detections are shown: %s", error)

    def of(self, number: int) -> F32:
        """Return x and y in nm of a frame, shape (2, n)."""
        first, stop = np.searchsorted(self._frames, [number, number + 1])
        return self._places[:, first:stop]


def _recording_of(folder: RunFolder) -> Path:
    """Return the recording of a run, or the movie that was reconstructed into a folder.

    Raises
    ------
    FileFormatError
        If there is none.
    """
    if folder.raw.exists():
        return folder.raw
    try:
        run = tomllib.loads(folder.settings.read_text(encoding="utf-8")).get("run", {})
        path = Path(run["camera"]["path"])
        is_there = path.exists()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(NOT_RECORDED) from error
    if not is_there:
        raise FileFormatError(f"the movie of this run is not at {path} any more")
    return path
