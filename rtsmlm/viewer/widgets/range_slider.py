"""Range slider: a part of a whole, with two handles; the part between them is dragged along."""

from __future__ import annotations

from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets

Qt = QtCore.Qt
_HANDLE, _HEIGHT = 11, 22


class RangeSlider(QtWidgets.QAbstractSlider):
    """From `low` to `high` within 0 to `last`, whole numbers, both included."""

    moved = QtCore.Signal()
    """The user has moved a handle."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.last, self.low, self.high = 0, 0, 0
        self._held: str | None = None
        self._from = 0
        self._color, self._ground = QtGui.QColor("#f2a33a"), QtGui.QColor("#333a47")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(80, _HEIGHT)
        policy = QtWidgets.QSizePolicy.Policy
        self.setSizePolicy(policy.Expanding, policy.Fixed)

    def sizeHint(self) -> QtCore.QSize:
        """Return the size that it likes."""
        return QtCore.QSize(160, _HEIGHT)

    def set_colors(self, color: str, ground: str) -> None:
        """Take the colours of a theme."""
        self._color, self._ground = QtGui.QColor(color), QtGui.QColor(ground)
        self.update()

    def set_range(self, low: int, high: int, last: int) -> None:
        """Show a part of 0 to `last`."""
        self.last = max(last, 0)
        self.low = min(max(low, 0), self.last)
        self.high = min(max(high, self.low), self.last)
        self.update()

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left out."""
        return self.low == 0 and self.high == self.last

    def shift(self, by: int) -> None:
        """Move the part, as far as there is room."""
        by = min(max(by, -self.low), self.last - self.high)
        self.set_range(self.low + by, self.high + by, self.last)

    def _x(self, value: int) -> float:
        room = self.width() - 2 * _HANDLE
        return _HANDLE + room * value / max(self.last, 1)

    def _value(self, x: float) -> int:
        room = max(self.width() - 2 * _HANDLE, 1)
        return round(min(max((x - _HANDLE) / room, 0), 1) * self.last)

    def paintEvent(self, _event: QtGui.QPaintEvent) -> None:
        """Draw the whole, the part and its handles."""
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        middle, low, high = self.height() / 2, self._x(self.low), self._x(self.high)
        painter.setBrush(self._ground)
        painter.drawRoundedRect(
            QtCore.QRectF(_HANDLE, middle - 2, self.width() - 2 * _HANDLE, 4), 2, 2
        )
        painter.setBrush(self._color)
        painter.drawRect(QtCore.QRectF(low, middle - 2.5, high - low, 5))
        for x in (low - _HANDLE / 2, high + _HANDLE / 2):
            painter.drawRoundedRect(QtCore.QRectF(x - _HANDLE / 2, middle - 8, _HANDLE, 16), 3, 3)
        painter.end()

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:
        """Take a handle, or the part between both."""
        x = event.position().x()
        if x < self._x(self.low):
            self._held = "low"
        elif x > self._x(self.high):
            self._held = "high"
        else:
            self._held = "both"
        self._from = self._value(x)

    def mouseMoveEvent(self, event: QtGui.QMouseEvent) -> None:
        """Drag what is held."""
        value = self._value(event.position().x())
        if self._held == "low":
            self.set_range(min(value, self.high), self.high, self.last)
        elif self._held == "high":
            self.set_range(self.low, max(value, self.low), self.last)
        elif self._held == "both":
            before = self.low
            self.shift(value - self._from)
            self._from += self.low - before
        self.moved.emit()

    def mouseReleaseEvent(self, _event: QtGui.QMouseEvent) -> None:
        """Let go."""
        self._held = None

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:
        """Move the part with the arrows, by a tenth of it."""
        by = max((self.high - self.low) // 10, 1)
        if event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            self.shift(by if event.key() == Qt.Key.Key_Right else -by)
            self.moved.emit()
        else:
            super().keyPressEvent(event)
