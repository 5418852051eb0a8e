"""A label for one line that is cut off with dots where there is no room; the tooltip has it all."""

from __future__ import annotations

from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets


class ElidedLabel(QtWidgets.QWidget):
    """Text in one line.

    Parameters
    ----------
    tip
        Tooltip; the whole text is added to it.
    bold
        Draw it bold.
    """

    def __init__(
        self, tip: str, *, bold: bool = False, parent: QtWidgets.QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._tip, self._bold, self._text = tip, bold, ""
        self.color: str | None = None
        """None takes the colour of the theme."""
        policy = QtWidgets.QSizePolicy.Policy
        self.setSizePolicy(policy.Expanding, policy.Fixed)
        self.setToolTip(tip)

    def text(self) -> str:
        """Return the whole text."""
        return self._text

    def set_text(self, text: str, color: str | None = None) -> None:
        """Show a text."""
        if (text, color) != (self._text, self.color):
            self._text, self.color = text, color
            self.setToolTip(f"{self._tip}\n{text}" if text else self._tip)
            self.update()

    def sizeHint(self) -> QtCore.QSize:
        """Return the size that shows all."""
        metrics = QtGui.QFontMetrics(self._font())
        return QtCore.QSize(metrics.horizontalAdvance(self._text) + 4, metrics.height() + 4)

    def minimumSizeHint(self) -> QtCore.QSize:
        """Return a size that shows some letters."""
        metrics = QtGui.QFontMetrics(self._font())
        return QtCore.QSize(6 * metrics.averageCharWidth(), metrics.height() + 4)

    def _font(self) -> QtGui.QFont:
        font = QtGui.QFont(self.font())
        font.setBold(self._bold)
        return font

    def paintEvent(self, _event: QtGui.QPaintEvent) -> None:
        """Draw what there is room for."""
        painter = QtGui.QPainter(self)
        painter.setFont(self._font())
        if self.color is not None:
            painter.setPen(QtGui.QColor(self.color))
        mode = QtCore.Qt.TextElideMode.ElideRight
        shown = painter.fontMetrics().elidedText(self._text, mode, self.width() - 2)
        sides = QtCore.Qt.AlignmentFlag
        painter.drawText(self.rect(), sides.AlignVCenter.value | sides.AlignLeft.value, shown)
        painter.end()
