"""Rubber band: press, drag and release make a region of the camera image; handles change it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from rtsmlm.errors import number_text
from rtsmlm.viewer.widgets.qt import QtCore, QtGui, pg

Qt = QtCore.Qt
Roi: TypeAlias = tuple[int, int, int, int]
"""x, y, width, height in camera pixels."""

STEP_PX = 8
"""Sides and corners of a region that most cameras can read out are multiples of it."""
_COLOR = "#6bb3ff"


def snapped(a: tuple[float, float], b: tuple[float, float], shape_px: tuple[int, int]) -> Roi:
    """Return the region between two corners, on the steps of the camera and inside the image.

    Parameters
    ----------
    a, b
        x and y of opposite corners in camera pixels, from the outer corner of the first.
    shape_px
        Height and width of the image.
    """
    sides = []
    for k, most in ((0, shape_px[1]), (1, shape_px[0])):
        step = min(STEP_PX, most)
        low, high = sorted((a[k], b[k]))
        start = min(max(math.floor(low / step) * step, 0), (most - 1) // step * step)
        stop = max(math.ceil(high / step) * step, start + step)
        sides.append((start, min(stop, most) - start))
    return sides[0][0], sides[1][0], sides[0][1], sides[1][1]


def rate_text(rows: int, exposure_ms: float, frames_per_s: float, rows_now: int) -> tuple[str, str]:
    """Return the frame rate that a region would give, short, and how it is known.

    Parameters
    ----------
    rows
        Height of the region in camera pixels.
    exposure_ms
        Of the run; NaN where it is not known.
    frames_per_s
        Measured in the run that goes on; NaN or 0 where none does.
    rows_now
        Height that is read out in this run.
    """
    by_exposure = 1000 / exposure_ms if exposure_ms > 0 else math.inf
    if frames_per_s > 0 and frames_per_s < by_exposure / 1.1:
        by_rows = frames_per_s * rows_now / rows
        if by_rows < by_exposure:
            return f"about {number_text(by_rows)} frames/s", (
                f"if the readout goes by rows: {number_text(frames_per_s)} frames/s now with "
                f"{rows_now} rows; the camera states no readout time"
            )
    if math.isfinite(by_exposure):
        return f"at most {number_text(by_exposure)} frames/s", (
            f"by the exposure of {number_text(exposure_ms)} ms; the camera states no readout time"
        )
    return "frame rate not known", "the camera states neither exposure nor readout time"


class RubberBand(QtCore.QObject):
    """Draws a region on a plot while it is switched on.

    Parameters
    ----------
    plot
        Shows the camera image; camera pixel (0, 0) is centred at 0.
    shape_px
        Returns height and width of the image; None while there is none.
    """

    drawn = QtCore.Signal(int, int, int, int)
    """x, y, width and height in camera pixels of the image."""
    changed = QtCore.Signal()
    """The region is another, also while it is dragged."""
    cancelled = QtCore.Signal()
    """Escape was pressed while nothing was dragged."""

    def __init__(self, plot: pg.PlotWidget, shape_px: Callable[[], tuple[int, int] | None]) -> None:
        super().__init__(plot)
        self._plot, self._shape_px = plot, shape_px
        self._item: pg.RectROI | None = None
        self._from: tuple[float, float] | None = None
        self._before: Roi | None = None
        self.is_on = False
        plot.viewport().installEventFilter(self)
        self._escape = QtGui.QShortcut(QtGui.QKeySequence("Esc"), plot)
        self._escape.setContext(Qt.ShortcutContext.WindowShortcut)
        self._escape.setEnabled(False)
        self._escape.activated.connect(self.cancel)

    def switch_on(self, roi: Roi | None) -> None:
        """Begin to draw; a region that is less than the whole image is shown with its handles."""
        self.switch_off()
        self.is_on = True
        self._escape.setEnabled(True)
        self._plot.setCursor(Qt.CursorShape.CrossCursor)
        shape = self._shape_px()
        if roi is not None and shape is not None and roi[2:] != (shape[1], shape[0]):
            self._show(roi)

    def switch_off(self) -> None:
        """Take the region away."""
        self.is_on, self._from = False, None
        self._escape.setEnabled(False)
        self._plot.unsetCursor()
        self._take_away()
        self.changed.emit()

    def cancel(self) -> None:
        """Take back what is being dragged; with nothing in the hand, end to draw."""
        if self._from is None:
            self.cancelled.emit()
            return
        self._from = None
        self._take_away()
        if self._before is not None:
            self._show(self._before)
        self.changed.emit()

    def roi(self) -> Roi | None:
        """Return the region that is shown, on the steps of the camera."""
        shape = self._shape_px()
        if self._item is None or shape is None:
            return None
        at, size = self._item.pos(), self._item.size()
        x, y = at.x() + 0.5, at.y() + 0.5
        # Half a step less on either side: a handle snaps to the nearest step, not outwards.
        half = (STEP_PX - 1) / 2
        return snapped((x + half, y + half), (x + size.x() - half, y + size.y() - half), shape)

    # -- the region ------------------------------------------------------------------------

    def _take_away(self) -> None:
        if self._item is not None:
            self._plot.removeItem(self._item)
            self._item = None

    def _show(self, roi: Roi) -> None:
        x, y, width, height = roi
        if self._item is None:
            pen = pg.mkPen(_COLOR, width=2)
            self._item = pg.RectROI((x - 0.5, y - 0.5), (width, height), pen=pen)
            for corner in ((0, 0), (1, 0), (0, 1)):
                self._item.addScaleHandle(corner, (1 - corner[0], 1 - corner[1]))
            self._plot.addItem(self._item)
            self._item.sigRegionChanged.connect(self.changed)
            self._item.sigRegionChangeFinished.connect(self._finish_handle)
            self.changed.emit()
            return
        was = self._item.blockSignals(True)
        self._item.setPos((x - 0.5, y - 0.5))
        self._item.setSize((width, height))
        self._item.blockSignals(was)
        self.changed.emit()

    def _finish_handle(self) -> None:
        roi = self.roi()
        if roi is not None and self._from is None:
            self._show(roi)
            self.drawn.emit(*roi)

    # -- the mouse -------------------------------------------------------------------------

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:
        """Take the left button beside the handles; all else is the plot's."""
        kinds = QtCore.QEvent.Type
        if not self.is_on or not isinstance(event, QtGui.QMouseEvent):
            return False
        if event.type() == kinds.MouseButtonPress:
            return self._press(event)
        if self._from is None:
            return False
        if event.type() == kinds.MouseMove:
            self._stretch(event)
            return True
        if event.type() == kinds.MouseButtonRelease:
            self._release(event)
            return True
        return False

    def _place(self, event: QtGui.QMouseEvent) -> tuple[float, float]:
        """Return x and y in camera pixels from the outer corner of the first."""
        scene = self._plot.mapToScene(event.position().toPoint())
        at = self._plot.getViewBox().mapSceneToView(scene)
        return at.x() + 0.5, at.y() + 0.5

    def _press(self, event: QtGui.QMouseEvent) -> bool:
        if event.button() != Qt.MouseButton.LeftButton or self._shape_px() is None:
            return False
        if self._item is not None and self._is_on_band(event):
            return False
        self._before = self.roi()
        self._from = self._place(event)
        return True

    def _is_on_band(self, event: QtGui.QMouseEvent) -> bool:
        """Tell whether the press takes a handle, or the region as a whole."""
        scene = self._plot.mapToScene(event.position().toPoint())
        near = QtCore.QRectF(scene.x() - 6, scene.y() - 6, 12, 12)
        found = self._plot.scene().items(near)
        return any(item is self._item or item.parentItem() is self._item for item in found)

    def _stretch(self, event: QtGui.QMouseEvent) -> None:
        shape = self._shape_px()
        if self._from is not None and shape is not None:
            self._show(snapped(self._from, self._place(event), shape))

    def _release(self, event: QtGui.QMouseEvent) -> None:
        begun, at = self._from, self._place(event)
        if begun is not None and max(abs(begun[0] - at[0]), abs(begun[1] - at[1])) < 1:
            self.cancel()  # a click draws nothing
            return
        self._stretch(event)
        self._from = None
        roi = self.roi()
        if roi is not None:
            self.drawn.emit(*roi)
