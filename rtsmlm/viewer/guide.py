"""Guide: opens the help where it is asked for, and leads through tours, in a window of panels."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Mapping

from rtsmlm.viewer.help_pages import FIRST
from rtsmlm.viewer.panels.help_dialog import HelpDialog
from rtsmlm.viewer.panels.panel import Panel
from rtsmlm.viewer.panels.walk_through import WalkThrough
from rtsmlm.viewer.sources.updates import RunUpdate
from rtsmlm.viewer.themed_widget import ThemedWidget
from rtsmlm.viewer.tours import FIRST_RUN, TOURS, Step, Tour, start_run
from rtsmlm.viewer.widgets.help_mark import HelpMark
from rtsmlm.viewer.widgets.outline import Outline
from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets

_LOOK_AGAIN_MS = 6000
"""A run that cannot start has ended by then."""

_log = logging.getLogger(__name__)


class Guide(Panel, QtCore.QObject):
    """Help and tours of a window.

    Parameters
    ----------
    window
        The window.
    parts
        What steps of tours speak of, by the names that `tours.Step` uses.
    """

    def __init__(self, window: ThemedWidget, parts: Mapping[str, QtWidgets.QWidget]) -> None:
        super().__init__(window)
        self._window, self._parts = window, parts
        self._is_live = False
        self.help = HelpDialog(window)
        self.walk_through = WalkThrough()
        self.outline = Outline()
        # A panel grows when its run begins, or when it has something to warn of.
        self.outline.resized.connect(lambda: QtCore.QTimer.singleShot(0, self._scroll))
        self._started: subprocess.Popen[bytes] | None = None
        self.help.tour_asked.connect(self._take_tour)
        self.walk_through.step_shown.connect(self._explain)
        self.walk_through.start_asked.connect(self._start_run)
        for mark in window.findChildren(HelpMark):
            mark.clicked.connect(lambda _=False, mark=mark: self.help.show_section(mark.section))

    def set_theme(self, theme: object) -> None:
        """Take the colours of a theme."""
        self.help.set_theme(self._window.theme)

    def show_update(self, update: RunUpdate) -> None:
        """Note whether a run goes on."""
        is_live = update.connection in ("live", "silent")
        if is_live != self._is_live:
            self._is_live = is_live
            self.walk_through.allow_start(is_live=is_live)

    # -- help --------------------------------------------------------------------------------

    def help_here(self) -> None:
        """Open the section on the part under the mouse, else on the part with the focus."""
        under = QtWidgets.QApplication.widgetAt(QtGui.QCursor.pos())
        for widget in (under, QtWidgets.QApplication.focusWidget()):
            if section := self.section_of(widget):
                self.help.show_section(section)
                return
        self.help.show_section(FIRST)

    def section_of(self, widget: QtWidgets.QWidget | None) -> str:
        """Return the section on the panel that a widget belongs to; empty outside all panels."""
        if widget is None or not self._window.isAncestorOf(widget):
            return ""
        while widget is not None and widget is not self._window:
            if isinstance(widget, Panel) and widget.section:
                return widget.section
            widget = widget.parentWidget()
        return ""

    # -- tours -------------------------------------------------------------------------------

    def begin_on_first_start(self, *, is_narrow: bool) -> None:
        """Begin the tour that another window has asked for; else the first one, once."""
        preferences = self._window.preferences
        if asked := TOURS.get(preferences.get("tour")):
            preferences.set("tour", "")
            preferences.set("walk_through_seen", True)
            self.walk_through.begin(asked)
        elif not is_narrow and not preferences.get("walk_through_seen"):
            preferences.set("walk_through_seen", True)
            self.walk_through.begin(FIRST_RUN)

    def _take_tour(self, name: str) -> None:
        self.walk_through.allow_start(is_live=self._is_live)
        self.walk_through.begin(TOURS[name], is_running=False)

    def _start_run(self, tour: Tour) -> None:
        self._window.preferences.set("tour", tour.name)
        self._window.preferences.save()
        try:
            self._started = start_run(tour)
        except OSError as error:
            _log.warning("%s did not start: %s", tour.command, error)
            self._window.report_failure(f"{tour.command} did not start: {error}")
            return
        self._window.report(f"Starting: {tour.command}")
        QtCore.QTimer.singleShot(_LOOK_AGAIN_MS, self._look_again)

    def _look_again(self) -> None:
        """Report a run that has ended at once: it has no terminal to say why."""
        if self._started is not None and self._started.poll():
            self._window.report_failure(
                f"{self.walk_through.tour.command} ended at once; in a terminal it says why"
            )

    def _explain(self, step: Step | None) -> None:
        """Bring to the front what a step speaks of, and frame it; None takes the frame away."""
        if step is None:
            self.outline.mark(None, "")
            return
        name, _, tab = step.panel.partition(":")
        part = self._parts[name]
        self._window.layout_parts.show_part(part)
        if tab and isinstance(part, QtWidgets.QTabWidget):
            titles = [part.tabText(k) for k in range(part.count())]
            part.setCurrentIndex(titles.index(tab))
        self.outline.mark(part, self._window.theme.accent)
        QtCore.QTimer.singleShot(0, self._scroll)  # after the row of the tour has its place

    def _scroll(self) -> None:
        """Bring into view what is framed, where it lies in a column that scrolls."""
        part = area = self.outline.parentWidget()
        while area is not None and not isinstance(area, QtWidgets.QScrollArea):
            area = area.parentWidget()
        if area is not None and part is not None:
            area.ensureWidgetVisible(part, 0, 0)
