"""Outline: a frame around a panel that a tour speaks of; it takes no click and hides nothing."""

from __future__ import annotations

from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets

_WIDTH_PX = 3


class Outline(QtWidgets.QWidget):
    """Lies over one panel at a time, transparent but for its edge."""

    resized = QtCore.Signal()
    """The panel has another size, and so has the frame."""

    def __init__(self) -> None:
        super().__init__()
        self._color = "#ffffff"
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_NoSystemBackground)
        self.hide()

    def mark(self, panel: QtWidgets.QWidget | None, color: str) -> None:
        """Go around a panel; None takes it away."""
        self._color = color
        before = self.parentWidget()
        if before is not panel:
            if before is not None:
                before.removeEventFilter(self)
            self.setParent(panel)
            if panel is not None:
                panel.installEventFilter(self)
        if panel is None:
            self.hide()
            return
        self.setGeometry(panel.rect())
        self.raise_()
        self.show()
        self.update()

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:
        """Stay as large as the panel."""
        panel = self.parentWidget()
        if event.type() == QtCore.QEvent.Type.Resize and panel is not None:
            self.setGeometry(panel.rect())
            self.resized.emit()
        return super().eventFilter(watched, event)

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        """Draw the edge."""
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        painter.setPen(QtGui.QPen(QtGui.QColor(self._color), _WIDTH_PX))
        inset = _WIDTH_PX // 2 + 1
        painter.drawRoundedRect(self.rect().adjusted(inset, inset, -inset, -inset), 6, 6)
        painter.end()
