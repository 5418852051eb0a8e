"""LightWarnings: light that may be on, and a laser steered on old data, across the window."""

from __future__ import annotations

from rtsmlm.viewer.light_state import LightState
from rtsmlm.viewer.panels.panel import Panel
from rtsmlm.viewer.widgets.controls import label, show_as
from rtsmlm.viewer.widgets.help_mark import HelpMark
from rtsmlm.viewer.widgets.qt import QtWidgets

_MOST = 2
_TIP = "What to know of the lasers now (no unit); it stays as long as it is true."


class LightWarnings(Panel, QtWidgets.QWidget):
    """One line for each warning; takes no room where there is none.

    Parameters
    ----------
    light
        What is known of the lasers.
    """

    section = "warnings-of-the-lasers"

    def __init__(self, light: LightState, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._light = light
        self.lines = [label("", "caution", _TIP) for _ in range(_MOST)]
        row, layout = QtWidgets.QHBoxLayout(self), QtWidgets.QVBoxLayout()
        for one in (row, layout):
            one.setContentsMargins(0, 0, 0, 0)
            one.setSpacing(4)
        row.addLayout(layout, 1)
        row.addWidget(HelpMark(self.section))
        for line in self.lines:
            line.setWordWrap(True)
            line.hide()
            layout.addWidget(line)
        self.hide()

    def refresh(self) -> None:
        """Show what is true now; the age of what came last counts, so time alone changes it."""
        warnings = self._light.warnings()
        for k, line in enumerate(self.lines):
            if k < len(warnings):
                name = "alarm" if warnings[k].is_alarm else "caution"
                sign = "■" if warnings[k].is_alarm else "▲"
                show_as(line, name, f"{sign} {warnings[k].text}")
            line.setVisible(k < len(warnings))
        self.setVisible(bool(warnings))
