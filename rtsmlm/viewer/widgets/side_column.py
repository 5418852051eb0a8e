"""A column of panels that scrolls where the window is too low, and never sideways."""

from __future__ import annotations

from rtsmlm.viewer.widgets.qt import QtCore, QtWidgets


class SideColumn(QtWidgets.QScrollArea):
    """Panels one below the other; the first takes the room that is left."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._inside = QtWidgets.QWidget()
        self._panels = QtWidgets.QVBoxLayout(self._inside)
        self._panels.setContentsMargins(0, 0, 0, 0)
        self._panels.setSpacing(6)
        self.setWidget(self._inside)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def add(self, panel: QtWidgets.QWidget) -> None:
        """Add a panel below the others."""
        self._panels.addWidget(panel, 0 if self._panels.count() else 1)

    def minimumSizeHint(self) -> QtCore.QSize:
        """Return a size that cuts nothing off at the sides."""
        inside = self._inside.minimumSizeHint()
        return QtCore.QSize(inside.width() + self.verticalScrollBar().sizeHint().width(), 200)

    def sizeHint(self) -> QtCore.QSize:
        """Return the size of the panels."""
        return self.minimumSizeHint().expandedTo(self._inside.sizeHint())
