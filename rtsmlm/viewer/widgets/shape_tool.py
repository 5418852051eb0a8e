"""ShapeTool: draws lines and regions on the canvas with the mouse, and lets them be changed."""

from __future__ import annotations

import math

import numpy as np

from rtsmlm.analysis.profile import Line
from rtsmlm.analysis.region import Ellipse, Polygon, Rectangle
from rtsmlm.viewer.shapes import (
    LEAST_POINTS,
    Point,
    Shape,
    Tool,
    begun,
    handles,
    is_whole,
    moved,
    stretched,
    with_handle,
)
from rtsmlm.viewer.widgets.canvas import Canvas
from rtsmlm.viewer.widgets.qt import QtCore, QtGui

Qt = QtCore.Qt
_GRAB_PX = 9.0
_LEAST_PX = 4.0
_FREEHAND_PX = 5.0
"""From one point of a line drawn by hand to the next."""
_MOST_HANDLES = 40
"""A polygon with more points was drawn by hand: it is moved as a whole."""
_COLOR, _GROUND = "#ffd166", QtGui.QColor(0, 0, 0, 170)


class ShapeTool(QtCore.QObject):
    """One shape at a time, in nm; the mouse on anything else pans as ever.

    Parameters
    ----------
    canvas
        Where it is drawn.
    """

    changed = QtCore.Signal()
    """The shape has been drawn, moved, or taken away."""
    left = QtCore.Signal()
    """Escape was pressed with nothing left to take away."""

    def __init__(self, canvas: Canvas) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self.tool: Tool = "pan"
        self.shape: Shape | None = None
        self.width_nm = 0.0
        """Of the strip of a profile."""
        self.is_drawing = False
        self._held: int | Point | None = None  # a handle, or where the whole is held
        self._pressed: QtCore.QPointF | None = None
        canvas.mouse_tools.append(self)
        canvas.overlays.append(self.paint)

    def choose(self, tool: Tool) -> None:
        """Take a tool into the hand; the shape of another one goes."""
        if tool == self.tool:
            return
        self.tool = tool
        cursor = Qt.CursorShape.OpenHandCursor if tool == "pan" else Qt.CursorShape.CrossCursor
        self._canvas.idle_cursor = cursor
        self._canvas.setCursor(cursor)
        self.remove()

    def remove(self) -> None:
        """Take the shape away."""
        self.is_drawing, self._held, self._pressed = False, None, None
        self._set(None)
        self.changed.emit()

    def _set(self, shape: Shape | None) -> None:
        self.shape = shape
        self._canvas.update()

    # -- the mouse -------------------------------------------------------------------------

    def on_press(self, event: QtGui.QMouseEvent) -> bool:
        """Take a handle, the shape, or begin one; False leaves the press to the canvas."""
        place = self._canvas.place_nm(event.position())
        if self.tool == "pan" or event.button() != Qt.MouseButton.LeftButton or place is None:
            return False
        self._pressed = event.position()
        if self.is_drawing and isinstance(self.shape, Polygon):
            return self._add_corner(event.position(), place)
        self._held = self._what_is_at(event.position(), place)
        if self._held is None:
            self.is_drawing = True
            self._set(begun(self.tool, place))
        return True

    def _add_corner(self, at: QtCore.QPointF, place: Point) -> bool:
        if isinstance(self.shape, Polygon):
            first = self._canvas.point_at(*self.shape.points_nm[0])
            if self._apart(at, first) < _GRAB_PX and len(self.shape.points_nm) >= LEAST_POINTS:
                self._finish()
            else:
                self._set(stretched(self.shape, place))
        return True

    def on_move(self, event: QtGui.QMouseEvent) -> bool:
        """Draw on, or drag what is held."""
        place = self._canvas.place_nm(event.position())
        if self._pressed is None or place is None or self.shape is None:
            return False
        if self.is_drawing:
            last = self._canvas.point_at(*handles(self.shape)[-1])
            far = self._apart(event.position(), last) >= _FREEHAND_PX
            if far or not isinstance(self.shape, Polygon):
                self._set(stretched(self.shape, place))
        elif isinstance(self._held, int):
            self._set(with_handle(self.shape, self._held, place))
            if isinstance(self.shape, Rectangle | Ellipse):
                self._held = self._corner_at(self.shape, place)
            self.changed.emit()
        elif self._held is not None:
            self._set(moved(self.shape, place[0] - self._held[0], place[1] - self._held[1]))
            self._held = place
            self.changed.emit()
        return True

    def on_release(self, event: QtGui.QMouseEvent) -> bool:
        """End a drag; what is too small to be meant goes, and polygons wait for more corners."""
        if self._pressed is None:
            return False
        pressed, self._pressed, self._held = self._pressed, None, None
        if not self.is_drawing:
            return True
        is_by_hand = self._apart(pressed, event.position()) >= _FREEHAND_PX
        if is_by_hand or not isinstance(self.shape, Polygon):
            self._finish()
        return True

    def on_double_click(self, event: QtGui.QMouseEvent) -> bool:
        """Close the polygon that is being drawn; with a tool in hand it never shows the whole."""
        place = self._canvas.place_nm(event.position())
        if self.is_drawing and isinstance(self.shape, Polygon) and place is not None:
            last = self._canvas.point_at(*self.shape.points_nm[-1])
            if self._apart(event.position(), last) >= _GRAB_PX:
                self._set(stretched(self.shape, place))
            self._finish()
        return self.tool != "pan"

    def on_key(self, event: QtGui.QKeyEvent) -> bool:
        """Escape takes back what is drawn, then the shape, then the tool; Delete the shape."""
        if self.tool == "pan":
            return False
        if event.key() in (Qt.Key.Key_Escape, Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            if self.shape is not None:
                self.remove()
            elif event.key() == Qt.Key.Key_Escape:
                self.left.emit()
            return True
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.is_drawing:
            self._finish()
            return True
        return False

    def _finish(self) -> None:
        self.is_drawing, self._pressed = False, None
        least_nm = _LEAST_PX * self._canvas.nm_per_point
        if self.shape is not None and not is_whole(self.shape, least_nm):
            self._set(None)
        self.changed.emit()

    def _what_is_at(self, at: QtCore.QPointF, place: Point) -> int | Point | None:
        if self.shape is None:
            return None
        points = handles(self.shape)
        if len(points) <= _MOST_HANDLES:
            for k, point in enumerate(points):
                if self._apart(at, self._canvas.point_at(*point)) < _GRAB_PX:
                    return k
        return place if self._is_on(self.shape, place) else None

    def _is_on(self, shape: Shape, place: Point) -> bool:
        x, y = np.array([place[0]]), np.array([place[1]])
        if not isinstance(shape, Line):
            return bool(shape.contains(x, y)[0])
        along, across = shape.along_and_across(x, y)[:, 0]
        reach_nm = _GRAB_PX * self._canvas.nm_per_point
        return bool(abs(across) <= reach_nm and 0 <= along <= shape.length_nm)

    @staticmethod
    def _corner_at(shape: Shape, place: Point) -> int:
        """Return the corner that is at a place, also after the box was turned inside out."""
        distances = [math.dist(point, place) for point in handles(shape)]
        return distances.index(min(distances))

    @staticmethod
    def _apart(a: QtCore.QPointF, b: QtCore.QPointF) -> float:
        return math.hypot(a.x() - b.x(), a.y() - b.y())

    # -- painting --------------------------------------------------------------------------

    def paint(self, painter: QtGui.QPainter) -> None:
        """Draw the shape with a dark edge, so that it is seen on any picture."""
        shape = self.shape
        if shape is None or self._canvas.viewport is None:
            return
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing, True)
        for color, width in ((_GROUND, 3.6), (QtGui.QColor(_COLOR), 1.6)):
            pen = QtGui.QPen(color, width)
            pen.setCosmetic(True)
            painter.setPen(pen)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            self._outline(painter, shape)
        points = handles(shape)
        if len(points) <= _MOST_HANDLES:
            painter.setPen(QtGui.QPen(_GROUND, 1))
            painter.setBrush(QtGui.QColor(_COLOR))
            for point in points:
                painter.drawEllipse(self._canvas.point_at(*point), 3.6, 3.6)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing, False)

    def _outline(self, painter: QtGui.QPainter, shape: Shape) -> None:
        points = [self._canvas.point_at(*point) for point in handles(shape)]
        if isinstance(shape, Line):
            painter.drawLine(points[0], points[1])
            if self.tool == "profile" and self.width_nm > 0:
                self._strip(painter, points)
        elif isinstance(shape, Ellipse):
            painter.drawEllipse(QtCore.QRectF(points[0], points[2]))
        elif self.is_drawing and isinstance(shape, Polygon):
            if self._canvas.pointer is not None:
                points.append(self._canvas.pointer)
            painter.drawPolyline(QtGui.QPolygonF(points))
        else:
            painter.drawPolygon(QtGui.QPolygonF(points))

    def _strip(self, painter: QtGui.QPainter, ends: list[QtCore.QPointF]) -> None:
        """Draw the sides of the strip that a profile counts."""
        along = ends[1] - ends[0]
        length = math.hypot(along.x(), along.y())
        if length < 1:
            return
        half = self.width_nm / 2 / self._canvas.nm_per_point
        side = QtCore.QPointF(-along.y() * half / length, along.x() * half / length)
        pen = painter.pen()
        pen.setWidthF(pen.widthF() / 2)
        pen.setStyle(Qt.PenStyle.DashLine)
        painter.setPen(pen)
        painter.drawPolygon(
            QtGui.QPolygonF([ends[0] + side, ends[1] + side, ends[1] - side, ends[0] - side])
        )
