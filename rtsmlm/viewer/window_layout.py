"""WindowLayout: header, warnings, three columns, a line below; remembers how they share."""

from __future__ import annotations

from rtsmlm.viewer.preferences import Preferences
from rtsmlm.viewer.widgets.elided_label import ElidedLabel
from rtsmlm.viewer.widgets.qt import QtCore, QtWidgets
from rtsmlm.viewer.widgets.side_column import SideColumn

_COLUMNS, _ROWS = (24, 46, 30), (50, 50)
"""Shares of the width and, on the right, of the height, in percent."""


class WindowLayout:
    """The places of a window, each of which takes panels.

    Parameters
    ----------
    window
        Takes the layout.
    """

    def __init__(self, window: QtWidgets.QWidget) -> None:
        orientation = QtCore.Qt.Orientation
        self._rows = QtWidgets.QVBoxLayout(window)
        self._rows.setContentsMargins(8, 8, 8, 8)
        self._rows.setSpacing(6)
        self.top, self.bottom = QtWidgets.QHBoxLayout(), QtWidgets.QHBoxLayout()
        self.under_top = QtWidgets.QVBoxLayout()
        self.columns = QtWidgets.QSplitter(orientation.Horizontal)
        self.left, self.middle = SideColumn(), QtWidgets.QSplitter(orientation.Vertical)
        self.right = QtWidgets.QSplitter(orientation.Vertical)
        for column in (self.left, self.middle, self.right):
            self.columns.addWidget(column)
        for splitter in (self.middle, self.right, self.columns):
            splitter.setChildrenCollapsible(False)
            splitter.setHandleWidth(6)
        self.columns.setStretchFactor(1, 1)
        self.newest = ElidedLabel("Newest message; all are in the tab Messages.")
        line = QtWidgets.QHBoxLayout()
        line.setSpacing(16)
        line.addLayout(self.bottom)
        line.addWidget(self.newest, 1)
        self._rows.addLayout(self.top)
        self._rows.addLayout(self.under_top)
        self._rows.addWidget(self.columns, 1)
        self._rows.addLayout(line)
        self._is_shared_out = False

    def restore(self, preferences: Preferences) -> None:
        """Share the room as it was when the window was closed last."""
        for name, splitter in (("columns", self.columns), ("right", self.right)):
            state = preferences.bytes(name)
            if state is not None:
                self._is_shared_out = splitter.restoreState(state)

    def save(self, preferences: Preferences) -> None:
        """Remember how the room is shared."""
        preferences.set_bytes("columns", self.columns.saveState())
        preferences.set_bytes("right", self.right.saveState())

    def share_out(self) -> bool:
        """Give each column its share, once the window has its size; False if that was done."""
        if self._is_shared_out:
            return False
        self._is_shared_out = True
        width, height = self.columns.width(), self.columns.height()
        self.columns.setSizes([width * share // 100 for share in _COLUMNS])
        self.right.setSizes([height * share // 100 for share in _ROWS])
        return True
