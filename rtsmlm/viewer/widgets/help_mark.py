"""Help mark: a small question mark on a panel, which opens the section on it in the help."""

from __future__ import annotations

from rtsmlm.viewer.widgets.controls import explained
from rtsmlm.viewer.widgets.qt import QtCore, QtWidgets

_MARGIN_PX = 2


class HelpMark(QtWidgets.QToolButton):
    """A question mark; the window connects its click.

    Parameters
    ----------
    section
        Anchor of the section in the help.
    """

    def __init__(self, section: str) -> None:
        super().__init__()
        self.section = section
        self.setObjectName("help")
        self.setText("?")
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.NoFocus)  # Tab goes to what can be changed
        self.setCursor(QtCore.Qt.CursorShape.PointingHandCursor)
        fixed = QtWidgets.QSizePolicy.Policy.Fixed
        self.setSizePolicy(fixed, fixed)
        explained(self, "What this shows, and what to do with it (F1; no unit).")

    def sizeHint(self) -> QtCore.QSize:
        """Return a square as high as a line of text."""
        side = self.fontMetrics().height() + _MARGIN_PX
        return QtCore.QSize(side, side)

    def minimumSizeHint(self) -> QtCore.QSize:
        """Return the same."""
        return self.sizeHint()
