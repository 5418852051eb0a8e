"""Help: the keys, and what the colours mean."""

from __future__ import annotations

from rtsmlm.viewer.widgets.controls import button
from rtsmlm.viewer.widgets.laser_key import KEYS
from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets

SHORTCUTS: tuple[tuple[str, str], ...] = (
    (KEYS, "Laser off, wherever the focus is"),
    ("F1", "This help"),
    ("F5", "Start a run"),
    ("Shift+F5", "Stop the run"),
    ("F6", "Snap one frame"),
    ("Ctrl+E", "Export the super-resolution image"),
    ("Ctrl+T", "Theme: system, dark, light"),
    ("Ctrl++   Ctrl+-", "Larger and smaller text"),
    ("Wheel   +   -", "Zoom the super-resolution image"),
    ("Drag   arrow keys", "Pan it"),
    ("Double click   Home", "Show the whole field"),
    ("V   D   P", "In the picture: pan, distance, line profile"),
    ("R   E   G", "In the picture: rectangle, ellipse, polygon"),
    ("T   Space   3   L", "In the picture: time, play, 3D (right button tilts), layers"),
    ("Esc   Delete", "Take back what is drawn, then the tool"),
)
_COLORS = (
    "Lights: ○ grey, nothing known · ● green, fine · ▲ amber, attention · ■ red, frames are lost. "
    "Hold the mouse over anything to read what it is and its unit."
)


class HelpDialog(QtWidgets.QDialog):
    """Keys in a table; the window stays usable meanwhile."""

    walk_through_asked = QtCore.Signal()

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("rtsmlm: keys")
        self.setModal(False)
        table = QtWidgets.QTableWidget(len(SHORTCUTS), 2)
        table.setHorizontalHeaderLabels(["Key", "What it does"])
        table.verticalHeader().setVisible(False)
        table.setEditTriggers(QtWidgets.QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionMode(QtWidgets.QAbstractItemView.SelectionMode.NoSelection)
        table.setFocusPolicy(QtCore.Qt.FocusPolicy.NoFocus)
        table.setShowGrid(False)
        for row, texts in enumerate(SHORTCUTS):
            for column, text in enumerate(texts):
                table.setItem(row, column, QtWidgets.QTableWidgetItem(text))
        table.resizeColumnsToContents()
        table.horizontalHeader().setStretchLastSection(True)
        self.table = table
        colors = QtWidgets.QLabel(_COLORS)
        colors.setWordWrap(True)
        walk = button("Walk through", "Show the five steps of the first start again (no unit).")
        close = button("Close", "Close this help (Esc; no unit).")
        row_of_buttons = QtWidgets.QHBoxLayout()
        row_of_buttons.addWidget(walk)
        row_of_buttons.addStretch(1)
        row_of_buttons.addWidget(close)
        layout = QtWidgets.QVBoxLayout(self)
        layout.addWidget(table, 1)
        layout.addWidget(colors)
        layout.addLayout(row_of_buttons)
        walk.clicked.connect(self.walk_through_asked)
        walk.clicked.connect(self.close)
        close.clicked.connect(self.close)

    def showEvent(self, event: QtGui.QShowEvent) -> None:
        """Take a size that shows all keys, now that the size of text is known."""
        super().showEvent(event)
        self.table.resizeRowsToContents()
        self.table.resizeColumnToContents(0)
        rows = self.table.verticalHeader().length() + self.table.horizontalHeader().height()
        self.table.setMinimumHeight(rows + 6)
        letters = self.fontMetrics().averageCharWidth()
        self.table.setMinimumWidth(self.table.columnWidth(0) + 52 * letters)
        self.adjustSize()
