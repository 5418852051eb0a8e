"""Canvas: a picture in the sample plane that is panned and zoomed with the mouse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from rtsmlm.render.rgb import RGB8
from rtsmlm.render.scale_bar import bar_length_nm, length_text
from rtsmlm.viewer.live_picture import Picture
from rtsmlm.viewer.widgets.picture_labels import draw_labels
from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets
from rtsmlm.viewer.widgets.viewport import Viewport

Qt = QtCore.Qt
_ZOOM_STEP = 1.25
_PAN_PX = 60


def to_qimage(rgb: RGB8) -> QtGui.QImage:
    """Return an image that shares no memory with the array, uint8, (height, width, 3)."""
    height, width, _ = rgb.shape
    data = np.ascontiguousarray(rgb)
    image = QtGui.QImage(data.data, width, height, 3 * width, QtGui.QImage.Format.Format_RGB888)
    return image.convertToFormat(QtGui.QImage.Format.Format_RGB32)


class MouseTool(Protocol):
    """Takes the mouse and the keys before the canvas does; each returns whether it has."""

    def on_press(self, event: QtGui.QMouseEvent) -> bool:
        """Take a button that goes down."""
        ...

    def on_move(self, event: QtGui.QMouseEvent) -> bool:
        """Take a move of the pointer, with or without a button."""
        ...

    def on_release(self, event: QtGui.QMouseEvent) -> bool:
        """Take a button that comes up."""
        ...

    def on_double_click(self, event: QtGui.QMouseEvent) -> bool:
        """Take a double click."""
        ...

    def on_key(self, event: QtGui.QKeyEvent) -> bool:
        """Take a key that goes down."""
        ...


class Canvas(QtWidgets.QWidget):
    """Shows the last picture at once where the mouse moves it; the panel draws the next."""

    viewport_changed = QtCore.Signal()

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewport: Viewport | None = None
        self.message = ""
        """Shown in the middle where there is no picture."""
        self.hues: tuple[QtGui.QImage, str, str] | None = None
        """Colours from left to right and the text at both ends."""
        self.picture: Picture | None = None
        """The one that is shown."""
        self.mouse_tools: list[MouseTool] = []
        self.labels: tuple[str, ...] = ()
        """What is laid over the localizations, written in the upper right corner."""
        self.overlays: list[Callable[[QtGui.QPainter], None]] = []
        """What draws over the picture."""
        self.pointer: QtCore.QPointF | None = None
        """Where the mouse is; None while it is elsewhere."""
        self.idle_cursor = Qt.CursorShape.OpenHandCursor
        self._whole: tuple[float, tuple[float, float]] | None = None
        self._follows_size = True
        self._image: QtGui.QImage | None = None
        self._image_at: Viewport | None = None
        self._drag: QtCore.QPointF | None = None
        self.setMinimumSize(240, 200)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(self.idle_cursor)
        self.setMouseTracking(True)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)

    @property
    def canvas_px(self) -> tuple[int, int]:
        """Width and height in pixels of the screen."""
        ratio = self.devicePixelRatioF()
        return max(round(self.width() * ratio), 1), max(round(self.height() * ratio), 1)

    def set_field(self, corner_nm: float, size_nm: tuple[float, float]) -> None:
        """Tell the field, and show all of it."""
        self._whole = corner_nm, size_nm
        self._image = self._image_at = None
        self.show_whole()

    def show_whole(self) -> None:
        """Show the whole field, also after the window changes its size."""
        self._follows_size = True
        if self._whole is not None:
            self._go_to(Viewport.whole(*self._whole, self.canvas_px))

    def zoom(self, factor: float, at: QtCore.QPointF | None = None) -> None:
        """Zoom in by a factor around a point of the widget, else around its middle."""
        if self.viewport is None:
            return
        ratio = self.devicePixelRatioF()
        where = at or QtCore.QPointF(self.width() / 2, self.height() / 2)
        at_px = (where.x() * ratio, where.y() * ratio)
        self._follows_size = False
        self._go_to(self.viewport.zoomed(factor, at_px, self.canvas_px))

    def pan(self, right: float, down: float) -> None:
        """Move the picture by so many pixels of the widget."""
        if self.viewport is not None:
            ratio = self.devicePixelRatioF()
            self._follows_size = False
            self._go_to(self.viewport.moved(right * ratio, down * ratio))

    def _go_to(self, viewport: Viewport) -> None:
        self.viewport = viewport
        self.update()
        self.viewport_changed.emit()

    def place_nm(self, at: QtCore.QPointF) -> tuple[float, float] | None:
        """Return x and y in the sample plane under a point of the widget."""
        if self.viewport is None:
            return None
        ratio = self.devicePixelRatioF()
        x0_nm, y0_nm = self.viewport.corner_nm(self.canvas_px)
        scale = self.viewport.nm_per_px * ratio
        return x0_nm + at.x() * scale, y0_nm + at.y() * scale

    @property
    def nm_per_point(self) -> float:
        """Side of a point of the widget, in which the mouse counts."""
        return 0.0 if self.viewport is None else self.viewport.nm_per_px * self.devicePixelRatioF()

    def point_at(self, x_nm: float, y_nm: float) -> QtCore.QPointF:
        """Return the point of the widget at a place in the sample plane."""
        if self.viewport is None:
            return QtCore.QPointF()
        x0_nm, y0_nm = self.viewport.corner_nm(self.canvas_px)
        scale = self.nm_per_point
        return QtCore.QPointF((x_nm - x0_nm) / scale, (y_nm - y0_nm) / scale)

    def show_picture(self, picture: Picture) -> None:
        """Show a picture."""
        self.picture = picture
        self._image = to_qimage(picture.rgb)
        self._image_at = picture.viewport
        self.update()

    # -- events --------------------------------------------------------------------------

    def paintEvent(self, _event: QtGui.QPaintEvent) -> None:
        """Draw the picture, the scale bar and the colours."""
        painter = QtGui.QPainter(self)
        painter.fillRect(self.rect(), QtGui.QColor("#000000"))
        if self._image is not None and self._image_at is not None and self.viewport is not None:
            painter.setRenderHint(
                QtGui.QPainter.RenderHint.SmoothPixmapTransform,
                self._image_at.nm_per_px != self.viewport.nm_per_px,
            )
            painter.drawImage(self._target(self._image, self._image_at, self.viewport), self._image)
            self._draw_bar(painter, self.viewport)
            self._draw_hues(painter)
            draw_labels(painter, self.width(), self.labels)
            for paint in self.overlays:
                paint(painter)
        if self.message:
            painter.setPen(QtGui.QColor("#aab2c0"))
            flags = Qt.AlignmentFlag.AlignCenter.value | Qt.TextFlag.TextWordWrap.value
            painter.drawText(self.rect().adjusted(20, 20, -20, -20), flags, self.message)
        painter.end()

    def _target(self, image: QtGui.QImage, was: Viewport, now: Viewport) -> QtCore.QRectF:
        """Return where a picture that was drawn for another viewport lies in the widget."""
        ratio = self.devicePixelRatioF()
        x_nm, y_nm = was.corner_nm((image.width(), image.height()))
        left_nm, top_nm = now.corner_nm(self.canvas_px)
        scale = was.nm_per_px / now.nm_per_px / ratio
        per_nm = 1 / (now.nm_per_px * ratio)
        return QtCore.QRectF(
            (x_nm - left_nm) * per_nm,
            (y_nm - top_nm) * per_nm,
            image.width() * scale,
            image.height() * scale,
        )

    def _draw_bar(self, painter: QtGui.QPainter, viewport: Viewport) -> None:
        nm = viewport.nm_per_px * self.devicePixelRatioF()
        length_nm = bar_length_nm(self.width() * nm)
        length, margin, thick = length_nm / nm, 16, 5
        text = length_text(length_nm)
        metrics = painter.fontMetrics()
        right, bottom = self.width() - margin, self.height() - margin
        width = max(length, metrics.horizontalAdvance(text))
        ground = QtCore.QRectF(
            right - width - 8, bottom - thick - metrics.height() - 8, width + 16,
            metrics.height() + thick + 16,
        )  # fmt: skip
        painter.fillRect(ground, QtGui.QColor(0, 0, 0, 130))
        bar = QtCore.QRectF(right - length, bottom - thick, length, thick)
        painter.fillRect(bar, QtGui.QColor("white"))
        painter.setPen(QtGui.QColor("white"))
        x = right - (length + metrics.horizontalAdvance(text)) / 2
        x = min(x, right - metrics.horizontalAdvance(text))
        painter.drawText(QtCore.QPointF(x, bottom - thick - 5), text)

    def _draw_hues(self, painter: QtGui.QPainter) -> None:
        if self.hues is None:
            return
        image, low, high = self.hues
        metrics = painter.fontMetrics()
        width, height, margin = 140, 8, 16
        top = self.height() - margin - height
        box = QtCore.QRectF(
            margin - 8, top - metrics.height() - 8, width + 16, metrics.height() + height + 16
        )
        painter.fillRect(box, QtGui.QColor(0, 0, 0, 130))
        painter.drawImage(QtCore.QRectF(margin, top, width, height), image)
        painter.setPen(QtGui.QColor("white"))
        painter.drawText(QtCore.QPointF(margin, top - 5), low)
        left = margin + width - metrics.horizontalAdvance(high)
        painter.drawText(QtCore.QPointF(left, top - 5), high)

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:
        """Keep showing the whole field, or the same middle."""
        super().resizeEvent(event)
        if self._follows_size:
            self.show_whole()
        else:
            self.viewport_changed.emit()

    def wheelEvent(self, event: QtGui.QWheelEvent) -> None:
        """Zoom around the pointer."""
        self.zoom(_ZOOM_STEP ** (event.angleDelta().y() / 120), event.position())
        event.accept()

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:
        """Begin to pan, unless a tool takes it."""
        if any(tool.on_press(event) for tool in self.mouse_tools):
            return
        if event.button() in (Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton):
            self._drag = event.position()
            self.setCursor(Qt.CursorShape.ClosedHandCursor)

    def mouseMoveEvent(self, event: QtGui.QMouseEvent) -> None:
        """Pan, and note where the mouse is."""
        self.pointer = event.position()
        self.update()
        if any(tool.on_move(event) for tool in self.mouse_tools):
            return
        if self._drag is not None:
            by = event.position() - self._drag
            self._drag = event.position()
            self.pan(by.x(), by.y())

    def mouseReleaseEvent(self, event: QtGui.QMouseEvent) -> None:
        """End to pan."""
        if any(tool.on_release(event) for tool in self.mouse_tools):
            return
        self._drag = None
        self.setCursor(self.idle_cursor)

    def mouseDoubleClickEvent(self, event: QtGui.QMouseEvent) -> None:
        """Show the whole field, unless a tool takes it."""
        if not any(tool.on_double_click(event) for tool in self.mouse_tools):
            self.show_whole()

    def leaveEvent(self, event: QtCore.QEvent) -> None:
        """Note that the mouse is elsewhere."""
        self.pointer = None
        self.update()
        super().leaveEvent(event)

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:
        """Pan with the arrows, zoom with plus and minus, Home shows all."""
        if any(tool.on_key(event) for tool in self.mouse_tools):
            return
        key, keys = event.key(), Qt.Key
        steps: dict[int, tuple[int, int]] = {
            keys.Key_Left: (_PAN_PX, 0), keys.Key_Right: (-_PAN_PX, 0),
            keys.Key_Up: (0, _PAN_PX), keys.Key_Down: (0, -_PAN_PX),
        }  # fmt: skip
        if key in steps:
            self.pan(*steps[key])
        elif key in (keys.Key_Plus, keys.Key_Equal):
            self.zoom(_ZOOM_STEP)
        elif key == keys.Key_Minus:
            self.zoom(1 / _ZOOM_STEP)
        elif key == keys.Key_Home:
            self.show_whole()
        else:
            super().keyPressEvent(event)
