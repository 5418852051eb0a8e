"""Tool strip: a narrow column of buttons beside the picture, one for each tool."""

from __future__ import annotations

from collections.abc import Callable

from rtsmlm.viewer.widgets.controls import explained
from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets
from rtsmlm.viewer.widgets.theme import Theme

_SIDE = 16

Draw = Callable[[QtGui.QPainter], None]


def _line(*ends: tuple[float, float, float, float]) -> Draw:
    def draw(painter: QtGui.QPainter) -> None:
        for x0, y0, x1, y1 in ends:
            painter.drawLine(QtCore.QPointF(x0, y0), QtCore.QPointF(x1, y1))

    return draw


def _curve(*points: tuple[float, float]) -> Draw:
    def draw(painter: QtGui.QPainter) -> None:
        painter.drawPolyline(QtGui.QPolygonF([QtCore.QPointF(*point) for point in points]))

    return draw


def _clock(painter: QtGui.QPainter) -> None:
    painter.drawEllipse(QtCore.QPointF(8, 8), 6, 6)
    _line((8, 8, 8, 4.5), (8, 8, 10.5, 9.5))(painter)


def _polygon(painter: QtGui.QPainter) -> None:
    _curve((3, 6), (8, 2.5), (13.5, 7), (10.5, 13), (5, 12), (3, 6))(painter)


ICONS: dict[str, Draw] = {
    "pan": _line((8, 2, 8, 14), (2, 8, 14, 8), (8, 2, 6, 4), (8, 2, 10, 4), (8, 14, 6, 12),
                 (8, 14, 10, 12), (2, 8, 4, 6), (2, 8, 4, 10), (14, 8, 12, 6), (14, 8, 12, 10)),
    "distance": _line((2.5, 13.5, 13.5, 2.5), (1, 11, 5, 15), (11, 1, 15, 5)),
    "profile": _curve((1, 13), (4.5, 12.5), (6.5, 8), (8, 3), (9.5, 8), (11.5, 12.5), (15, 13)),
    "rectangle": lambda painter: painter.drawRect(QtCore.QRectF(2.5, 4, 11, 8)),
    "ellipse": lambda painter: painter.drawEllipse(QtCore.QPointF(8, 8), 6, 4.5),
    "polygon": _polygon,
    "time": _clock,
    "slab": _line((2, 6, 6, 2), (6, 2, 14, 2), (14, 2, 14, 10), (14, 10, 10, 14), (2, 6, 10, 6),
                  (10, 6, 14, 2), (10, 6, 10, 14), (2, 6, 2, 14), (2, 14, 10, 14)),
    "layers": _curve((8, 2), (14.5, 5.5), (8, 9), (1.5, 5.5), (8, 2), (1.5, 5.5), (1.5, 9),
                     (8, 12.5), (14.5, 9), (14.5, 5.5)),
}  # fmt: skip


def icon(name: str, color: str) -> QtGui.QIcon:
    """Return the picture of a tool in one colour, sharp on screens of twice the pixels."""
    ratio = 2
    pixmap = QtGui.QPixmap(_SIDE * ratio, _SIDE * ratio)
    pixmap.fill(QtCore.Qt.GlobalColor.transparent)
    painter = QtGui.QPainter(pixmap)
    painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
    painter.scale(ratio, ratio)
    painter.setPen(QtGui.QPen(QtGui.QColor(color), 1.4))
    ICONS[name](painter)
    painter.end()
    pixmap.setDevicePixelRatio(ratio)
    return QtGui.QIcon(pixmap)


class ToolStrip(QtWidgets.QWidget):
    """Buttons from top to bottom."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.buttons: dict[str, QtWidgets.QToolButton] = {}
        self._column = QtWidgets.QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(2)
        self._column.addStretch(1)

    def add(self, name: str, tip: str, key: str) -> QtWidgets.QToolButton:
        """Add a button that stays down.

        Parameters
        ----------
        name
            One of `ICONS`.
        tip
            What it does.
        key
            Key that does the same while the focus is in the picture; shown in the tooltip.
        """
        made = QtWidgets.QToolButton()
        made.setObjectName("tool")
        made.setCheckable(True)
        made.setFocusPolicy(QtCore.Qt.FocusPolicy.TabFocus)
        made.setAccessibleName(name)
        explained(made, f"{tip}\nKey in this panel: {key}")
        self.buttons[name] = made
        self._column.insertWidget(self._column.count() - 1, made)
        return made

    def add_gap(self) -> None:
        """Add room between two groups."""
        self._column.insertSpacing(self._column.count() - 1, 6)

    def set_theme(self, theme: Theme) -> None:
        """Draw the pictures in the colours of a theme."""
        side = round(1.3 * theme.px)
        for name, made in self.buttons.items():
            made.setIcon(_both(name, theme))
            made.setIconSize(QtCore.QSize(side, side))


def _both(name: str, theme: Theme) -> QtGui.QIcon:
    """Return the picture of a tool for a button that is up, down, or cannot be used."""
    made, size = QtGui.QIcon(), QtCore.QSize(_SIDE, _SIDE)
    modes, states = QtGui.QIcon.Mode, QtGui.QIcon.State
    for color, mode, state in (
        (theme.text, modes.Normal, states.Off),
        (theme.window, modes.Normal, states.On),
        (theme.gray, modes.Disabled, states.Off),
    ):
        made.addPixmap(icon(name, color).pixmap(size, 2.0), mode, state)
    return made
