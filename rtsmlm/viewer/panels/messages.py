"""Messages: what a run has to say, with time and level, the newest first."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from datetime import datetime

from rtsmlm.stream.messages import NoticeLevel, NoticeMessage, StatusMessage
from rtsmlm.viewer.panels.panel import Panel
from rtsmlm.viewer.sources.updates import RunUpdate
from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets
from rtsmlm.viewer.widgets.theme import DARK, Theme

_MOST = 500
"""The newest are kept: a program that is no run of ours could send any number."""
_SIGNS = {"information": "●", "warning": "▲", "error": "■"}
_COLORS = {"information": "green", "warning": "amber", "error": "red"}


class Messages(Panel, QtWidgets.QListWidget):
    """A list of sentences: what the run reports, what could not be read of it, and its window."""

    section = "messages"
    changed = QtCore.Signal(int, object)
    """How many there are, and the newest `NoticeMessage` where one is new, else None."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.notices: list[NoticeMessage] = []
        """Oldest first."""
        self._theme = DARK
        self._of_run: tuple[NoticeMessage, ...] = ()
        self._own: list[NoticeMessage] = []
        self._has_run = False
        self.setWordWrap(True)
        self.setSpacing(3)
        self.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setToolTip(
            "What this run reports, the newest first, with time (no unit).\n"
            "● information   ▲ warning   ■ error"
        )

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of a theme."""
        self._theme = theme
        self._fill()

    def show_update(self, update: RunUpdate) -> None:
        """List what is new."""
        if update.begins:
            if self._has_run:  # what could not be read before belongs to the first one
                self._own.clear()
            self._of_run, self._has_run = (), True
        newest = None
        if update.status is not None:
            of_run = _notices_of(update.status, self._of_run)
            newest = of_run[-1] if of_run and of_run != self._of_run else None
            self._of_run = of_run
        problem = update.problem
        if problem is not None and problem not in {notice.text for notice in self._own}:
            newest = NoticeMessage(time_s=time.time(), level="warning", text=problem)
            self._own = [*self._own, newest][-_MOST:]
        self._merge(newest)

    def add(self, text: str, level: NoticeLevel = "information") -> None:
        """Add a sentence of the program that owns the runs; one that is there already stays."""
        if text in {notice.text for notice in self._of_run}:
            return
        newest = NoticeMessage(time_s=time.time(), level=level, text=text)
        self._own = [*self._own, newest][-_MOST:]
        self._merge(newest)

    def _merge(self, newest: NoticeMessage | None) -> None:
        of_run = {notice.text for notice in self._of_run}
        own = [notice for notice in self._own if notice.text not in of_run]
        notices = sorted([*self._of_run, *own], key=_when)[-_MOST:]
        if notices != self.notices:
            self.notices = notices
            self._fill()
            self.changed.emit(len(notices), newest)

    def _fill(self) -> None:
        self.clear()
        for notice in reversed(self.notices):
            text = f"{_SIGNS[notice.level]} {_clock(notice.time_s)}{notice.text}"
            item = QtWidgets.QListWidgetItem(text)
            if notice.level != "information":
                color = self._theme.light(_COLORS[notice.level])
                item.setForeground(QtGui.QColor(color))
            item.setToolTip(f"{notice.level}: {notice.text}")
            self.addItem(item)

    def color_of(self, notice: NoticeMessage) -> str | None:
        """Return the colour of a notice where it stands alone; None for that of the text."""
        if notice.level == "information":
            return None
        return self._theme.light(_COLORS[notice.level])


def _notices_of(
    status: StatusMessage, before: Sequence[NoticeMessage]
) -> tuple[NoticeMessage, ...]:
    """Return what a status reports; a run that states no time is given that of its first sight."""
    if status.notices:
        return status.notices
    seen = {notice.text: notice for notice in before}
    now_s = time.time()
    return tuple(
        seen.get(text) or NoticeMessage(time_s=now_s, level="warning", text=text)
        for text in status.warnings[-_MOST:]
    )


def _when(notice: NoticeMessage) -> float:
    return -math.inf if math.isnan(notice.time_s) else notice.time_s


def _clock(time_s: float) -> str:
    """Return the time of the day, and nothing where no clock can show it."""
    try:
        return f"{datetime.fromtimestamp(time_s).astimezone():%H:%M:%S}  "
    except (ValueError, OverflowError, OSError):  # also NaN
        return ""
