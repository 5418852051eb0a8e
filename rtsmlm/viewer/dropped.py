"""DroppedFiles: what is dropped on a window opens in one of its own; a movie is offered first.

The window itself may control a run: nothing that is dropped on it changes what it shows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rtsmlm.files.movies.open import MOVIE_SUFFIXES
from rtsmlm.files.tables.read import RUN_TABLE
from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets

Kind = Literal["run", "table", "movie", "wrong"]
TABLE_SUFFIXES = frozenset(
    {".csv", ".tsv", ".txt", ".hdf5", ".h5", ".arrows", ".arrow", ".parquet", ".smlm", ".3d"}
)
_MOVIE_MARKS = ("NDTiff.index", "zarr.json", ".zattrs", ".zgroup", ".zarray")


@dataclass(frozen=True, slots=True)
class Dropped:
    """What a path is that was dropped."""

    kind: Kind
    path: Path
    """Of a run its folder, also where its table was dropped."""
    sentence: str = ""
    """Why it cannot be opened."""


def what_is(path: Path) -> Dropped:
    """Return what a path is, by its name and what lies in it; nothing is read."""
    suffix = path.suffix.lower()
    if not path.exists():
        return Dropped("wrong", path, f"{path.name} is not there")
    if path.is_dir():
        if (path / RUN_TABLE).is_file() or (path / "run.toml").is_file():
            return Dropped("run", path)
        has_movie = any(one.suffix.lower() in MOVIE_SUFFIXES for one in path.iterdir())
        if has_movie or any((path / mark).exists() for mark in _MOVIE_MARKS):
            return Dropped("movie", path)
        return Dropped("wrong", path, f"{path.name} is neither a run folder nor a movie")
    if path.name == RUN_TABLE and (path.parent / "run.toml").is_file():
        return Dropped("run", path.parent)
    if suffix in TABLE_SUFFIXES:
        return Dropped("table", path)
    if suffix in MOVIE_SUFFIXES:
        return Dropped("movie", path)
    if suffix == ".toml":
        advice = f"it is a configuration; run it with rtsmlm live {path.name}"
    else:
        advice = "drop a run folder, a table of localizations or a movie"
    return Dropped("wrong", path, f"{path.name} cannot be opened here: {advice}")


class DroppedFiles(QtCore.QObject):
    """Takes what is dropped on a widget.

    Parameters
    ----------
    window
        The widget.
    report, report_failure
        Show a sentence to the user.
    start
        Runs a command of rtsmlm: its arguments, and what is called with its exit code and the last
        line that it printed. None takes a process that outlives the window.
    """

    def __init__(
        self,
        window: QtWidgets.QWidget,
        report: Callable[[str], object],
        report_failure: Callable[[str], object],
        start: Callable[[list[str], Callable[[int, str], None]], None] | None = None,
    ) -> None:
        super().__init__(window)
        self._window = window
        self._report, self._report_failure = report, report_failure
        self._start = start or self._start_process
        self.question: QtWidgets.QMessageBox | None = None
        """Whether a movie is to be reconstructed, while it is asked."""
        window.setAcceptDrops(True)
        window.installEventFilter(self)

    def eventFilter(  # the name that Qt calls
        self, watched: QtCore.QObject, event: QtCore.QEvent
    ) -> bool:
        """Take drops of local files; let all else pass."""
        if not isinstance(event, QtGui.QDropEvent):
            return bool(super().eventFilter(watched, event))
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if not paths:
            return bool(super().eventFilter(watched, event))
        event.acceptProposedAction()
        if event.type() == QtCore.QEvent.Type.Drop:
            self.take(paths)
        return True

    def take(self, paths: list[Path]) -> None:
        """Open what was dropped; of several movies one is offered after the other."""
        for path in paths:
            dropped = what_is(path)
            if dropped.kind == "wrong":
                self._report_failure(dropped.sentence)
            elif dropped.kind == "movie":
                self._offer(dropped.path)
            else:
                self._view(dropped.path)

    def _view(self, path: Path) -> None:
        self._report(f"{path.name} opens in a window of its own")
        self._start(["view", str(path)], self._tell_failure)

    def _offer(self, movie: Path) -> None:
        box = QtWidgets.QMessageBox(self._window)
        box.setAttribute(QtCore.Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setText(f"Localize the movie {movie.name}?")
        box.setInformativeText("The results come into the folder out beside it.")
        buttons = QtWidgets.QMessageBox.StandardButton
        box.setStandardButtons(buttons.Yes | buttons.No)

        def answered(given: int) -> None:
            if given == buttons.Yes.value:
                self._reconstruct(movie)

        box.finished.connect(answered)
        self.question = box
        box.open()

    def _reconstruct(self, movie: Path) -> None:
        out = _free(movie.parent / "out" / (movie.stem or "movie"))
        self._report(f"{movie.name} is localized; the results open in a window when it is done")

        def done(code: int, last: str) -> None:
            if code:
                self._tell_failure(code, last)
            else:
                self._view(out)

        self._start(["reconstruct", str(movie), "--out", str(out)], done)

    def _tell_failure(self, code: int, last: str) -> None:
        if code:
            self._report_failure(last.removeprefix("error: ") or f"it ended with the code {code}")

    def _start_process(self, arguments: list[str], done: Callable[[int, str], None]) -> None:
        # Without an owner: what was opened stays when this window is closed.
        process = QtCore.QProcess()
        _running.append(process)
        process.setProcessChannelMode(QtCore.QProcess.ProcessChannelMode.MergedChannels)

        def ended(code: int, _: object = None) -> None:
            text = bytes(process.readAll().data()).decode("utf-8", "replace")
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            _running.remove(process)
            done(code, lines[-1] if lines else "")

        process.finished.connect(ended)
        process.start(sys.executable, ["-P", "-m", "rtsmlm.cli", *arguments])


_running: list[QtCore.QProcess] = []
"""Processes that were started here and go on."""


def _free(path: Path) -> Path:
    """Return a path that is not there yet."""
    free, number = path, 2
    while free.exists():
        free, number = path.with_name(f"{path.name}_{number}"), number + 1
    return free
