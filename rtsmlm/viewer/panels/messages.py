"""Messages: the warnings of a run, the newest first."""

from __future__ import annotations

from rtsmlm.viewer.panels.panel import Panel
from rtsmlm.viewer.sources.updates import RunUpdate
from rtsmlm.viewer.widgets.qt import QtCore, QtWidgets

_MOST_OF_RUN, _MOST_PROBLEMS = 500, 50
"""The newest are kept: a program that is no run of ours could send any number."""


class Messages(Panel, QtWidgets.QListWidget):
    """A list of sentences: warnings and failures of the run, and what could not be read of it."""

    changed = QtCore.Signal(int, str)
    """How many there are, and the newest; empty where there is none."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.texts: tuple[str, ...] = ()
        self._of_run: tuple[str, ...] = ()
        self._problems: tuple[str, ...] = ()
        self._has_run = False
        self.setWordWrap(True)
        self.setSpacing(3)
        self.setToolTip("Warnings and failures of this run, the newest first (no unit).")

    def show_update(self, update: RunUpdate) -> None:
        """List what is new."""
        newest = ""
        if update.begins:
            if self._has_run:  # what could not be read before belongs to the first one
                self._problems = ()
            self._of_run, self._has_run = (), True
        if update.status is not None:
            of_run = update.status.warnings
            newest = of_run[-1] if of_run and of_run != self._of_run else ""
            self._of_run = of_run
        if update.problem is not None and update.problem not in self._problems:
            self._problems = (*self._problems, update.problem)[-_MOST_PROBLEMS:]
            newest = update.problem
        texts = (*self._of_run[-_MOST_OF_RUN:], *self._problems)
        if texts != self.texts:
            self.texts = texts
            self.clear()
            self.addItems([f"▲ {text}" for text in reversed(texts)])
            self.changed.emit(len(texts), newest)
