"""Labels in the upper right corner of a picture: what of it is no localizations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtsmlm.render.rgb import RGB8
from rtsmlm.viewer.widgets.qt import QtCore, QtGui

_MARGIN = 8


def draw_labels(painter: QtGui.QPainter, width: int, labels: Sequence[str]) -> None:
    """Write labels below each other.

    Parameters
    ----------
    painter
        Of the picture.
    width
        Of the picture.
    labels
        One line each.
    """
    metrics = painter.fontMetrics()
    for k, text in enumerate(labels):
        across, down = metrics.horizontalAdvance(text) + 12, metrics.height() + 4
        box = QtCore.QRectF(width - _MARGIN - across, _MARGIN + k * (down + 2), across, down)
        painter.fillRect(box, QtGui.QColor(0, 0, 0, 150))
        painter.setPen(QtGui.QColor("#e7e9ee"))
        painter.drawText(box, QtCore.Qt.AlignmentFlag.AlignCenter, text)


def labelled(rgb: RGB8, labels: Sequence[str]) -> RGB8:
    """Return a picture with its labels, (height, width, 3); from any thread."""
    if not labels:
        return rgb
    height, width, _ = rgb.shape
    pixels = np.ascontiguousarray(rgb)
    image = QtGui.QImage(
        pixels.data, width, height, 3 * width, QtGui.QImage.Format.Format_RGB888
    ).copy()
    painter = QtGui.QPainter(image)
    draw_labels(painter, width, labels)
    painter.end()
    stride = image.bytesPerLine()
    flat = np.frombuffer(image.constBits(), np.uint8, stride * height).reshape(height, stride)
    return np.array(flat[:, : 3 * width].reshape(height, width, 3))
