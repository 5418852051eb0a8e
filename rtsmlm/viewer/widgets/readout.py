"""Readout: the place under the mouse in nm and µm, and what the picture holds there."""

from __future__ import annotations

import math

from rtsmlm.errors import number_text
from rtsmlm.viewer.live_picture import Picture
from rtsmlm.viewer.widgets.canvas import Canvas
from rtsmlm.viewer.widgets.qt import QtCore, QtGui

_UNITS = {"z_nm": ("z", "nm"), "frame": ("frame", ""), "photons": ("photons", "")}
_MARGIN = 8


class Readout:
    """Two lines in the upper left corner of the canvas, only while the mouse is over it.

    Parameters
    ----------
    canvas
        On which it draws itself.
    """

    def __init__(self, canvas: Canvas) -> None:
        self._canvas = canvas
        canvas.overlays.append(self.paint)

    def lines(self) -> list[str]:
        """Return the lines; none while the mouse is elsewhere."""
        canvas = self._canvas
        place = None if canvas.pointer is None else canvas.place_nm(canvas.pointer)
        if place is None:
            return []
        x_nm, y_nm = place
        found = [
            f"x {_grouped(x_nm)} nm   y {_grouped(y_nm)} nm   "
            f"({x_nm / 1000:.3f}, {y_nm / 1000:.3f} µm)"
        ]
        value = None if canvas.picture is None else value_text(canvas.picture, x_nm, y_nm)
        return found if value is None else [*found, value]

    def paint(self, painter: QtGui.QPainter) -> None:
        """Draw it over the picture."""
        lines = self.lines()
        if not lines:
            return
        metrics = painter.fontMetrics()
        width = max(metrics.horizontalAdvance(line) for line in lines)
        height = metrics.height() * len(lines)
        ground = QtCore.QRectF(_MARGIN, _MARGIN, width + 12, height + 8)
        painter.fillRect(ground, QtGui.QColor(0, 0, 0, 150))
        painter.setPen(QtGui.QColor("#e7e9ee"))
        for k, line in enumerate(lines):
            base = _MARGIN + 4 + metrics.ascent() + k * metrics.height()
            painter.drawText(QtCore.QPointF(_MARGIN + 6, base), line)


def value_text(picture: Picture, x_nm: float, y_nm: float) -> str | None:
    """Return what a picture holds at a place of the plane; None beside the picture.

    Parameters
    ----------
    picture
        As it was drawn last.
    x_nm, y_nm
        In the plane of the picture.
    """
    view = picture.view
    column = math.floor((x_nm - view.corner_nm[0]) / view.pixel_nm)
    row = math.floor((y_nm - view.corner_nm[1]) / view.pixel_nm)
    height, width = view.density.shape
    if not (0 <= row < height and 0 <= column < width):
        return None
    count = float(view.density[row, column])
    per_um2 = count / (view.pixel_nm / 1000) ** 2
    text = f"{number_text(per_um2)} localizations/µm²" if per_um2 < 1e5 else f"{per_um2:.2e}/µm²"
    if len(view.planes) == 2 and count > 0:
        title, unit = _UNITS[view.style.color]
        mean = float(view.planes[1, row, column]) / count
        text += f"   {title} {number_text(mean, 4)} {unit}".rstrip()
    if not view.style.projection.is_flat:
        text += "   (x and y of the tilted view)"
    return text


def _grouped(value: float) -> str:
    return f"{value:,.1f}".replace(",", "\u202f")
