"""A column of panels that scrolls where the window is too low, and never sideways."""

from __future__ import annotations

from rtsmlm.viewer.widgets.qt import QtCore, QtWidgets


class SideColumn(QtWidgets.QScrollArea):
    """Panels one below the other; the first takes the room that is left.

    Parameters
    ----------
    panels
        From top to bottom.
    """

    def __init__(
        self, panels: list[QtWidgets.QWidget], parent: QtWidgets.QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._inside = QtWidgets.QWidget()
        layout = QtWidgets.QVBoxLayout(self._inside)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        for k, panel in enumerate(panels):
            layout.addWidget(panel, 1 if k == 0 else 0)
        self.setWidget(self._inside)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def minimumSizeHint(self) -> QtCore.QSize:
        """Return a size that cuts nothing off at the sides."""
        inside = self._inside.minimumSizeHint()
        return QtCore.QSize(inside.width() + self.verticalScrollBar().sizeHint().width(), 200)

    def sizeHint(self) -> QtCore.QSize:
        """Return the size of the panels."""
        return self.minimumSizeHint().expandedTo(self._inside.sizeHint())
