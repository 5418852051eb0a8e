"""Overlay: a small frame over a window, which stays usable; it keeps its place and its width."""

from __future__ import annotations

from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets

_LETTERS, _MARGINS_PX = 42, 60
_FROM_BOTTOM_PX = 70
_FRAME_PX = 2
"""Of the style sheet; no layout counts it."""


class Overlay(QtWidgets.QFrame):
    """A hidden frame; not a dialog, so that no key and no button of the window is blocked by it.

    Parameters
    ----------
    parent
        The window.
    is_central
        In the middle of it; otherwise near its lower edge.
    """

    def __init__(self, parent: QtWidgets.QWidget, *, is_central: bool = False) -> None:
        super().__init__(parent)
        self._is_central = is_central
        self.setObjectName("walk")
        parent.installEventFilter(self)
        self.hide()

    def bring_up(self) -> None:
        """Show it in its place, above all else in the window."""
        self.show()
        self.raise_()
        self.place()

    def place(self) -> None:
        """Go where it belongs, as high as its text needs."""
        parent = self.parentWidget()
        if parent is None:
            return
        wanted = _LETTERS * self.fontMetrics().averageCharWidth() + _MARGINS_PX
        width = min(max(wanted, self.minimumSizeHint().width()), parent.width() - 40)
        height = self.heightForWidth(width) + 2 * _FRAME_PX
        left = (parent.width() - width) // 2
        top = parent.height() - height - _FROM_BOTTOM_PX
        self.setGeometry(left, (parent.height() - height) // 2 if self._is_central else top,
                         width, height)  # fmt: skip

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:
        """Stay in place when the window changes its size."""
        if event.type() == QtCore.QEvent.Type.Resize and isinstance(event, QtGui.QResizeEvent):
            self.place()
        return super().eventFilter(watched, event)
