"""Camera panel: the newest frame with the detections in it, and the region that is read out."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tifffile

from rtsmlm.localizations import F32, Localizations
from rtsmlm.viewer.panels.panel import Panel
from rtsmlm.viewer.panels.playback import Playback
from rtsmlm.viewer.sources.updates import CameraImage, RunUpdate
from rtsmlm.viewer.widgets.controls import label, tick
from rtsmlm.viewer.widgets.elided_label import ElidedLabel
from rtsmlm.viewer.widgets.help_mark import HelpMark
from rtsmlm.viewer.widgets.qt import QtCore, QtWidgets, pg
from rtsmlm.viewer.widgets.rubber_band import Roi, RubberBand, rate_text
from rtsmlm.viewer.widgets.steady_levels import SteadyLevels
from rtsmlm.viewer.widgets.theme import Theme

_MOST_ROWS = 50_000
"""Newest rows that are kept for the overlay."""

_MOST_WAITING = 16
PATIENCE_S = 0.6
"""After that a frame is shown without detections: rows are late, or there are none."""


class CameraPanel(Panel, QtWidgets.QFrame):
    """The newest frame whose detections are here: rows come some tenths of a second after it."""

    section = "camera"
    roi_drawn = QtCore.Signal(int, int, int, int)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.levels = SteadyLevels()
        self.image: CameraImage | None = None
        self.pixel_nm = 1.0
        self._recent: deque[Localizations] = deque()
        self._n_recent, self._newest_row = 0, -1
        self._waiting: deque[tuple[float, CameraImage]] = deque(maxlen=_MOST_WAITING)
        self._is_new = False
        self._exposure_ms = self._frames_per_s = math.nan
        self._shape: tuple[int, int] | None = None
        self._corner = np.zeros((2, 1), np.float32)
        """Where rows count from, in camera pixels: the first view of a frame."""
        self._make_plot()
        self.playback = Playback()
        self._n_saturated = 0
        self._replayed: F32 | None = None
        """Detections of the recorded frame that is shown, x and y in nm, (2, n)."""
        self.band = RubberBand(self.plot, lambda: self._shape)
        self.band.drawn.connect(self.roi_drawn)
        self.band.changed.connect(self._explain_band)
        self.caption = ElidedLabel(
            "Number of the frame shown, its detections, and how often a pixel was at the ceiling "
            "of the camera in all frames so far (pixels)."
        )
        self.caption.set_text("no frame yet")
        self.detections = tick("Detections", "Ring every detection of the frame shown (no unit).")
        self.detections.setChecked(True)
        row = QtWidgets.QHBoxLayout()
        row.addWidget(label("Camera", "title"))
        row.addStretch(1)
        row.addWidget(self.detections)
        row.addWidget(HelpMark(self.section))
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 8)
        layout.setSpacing(5)
        layout.addLayout(row)
        layout.addWidget(self.plot, 1)
        layout.addWidget(self.playback)
        layout.addWidget(self.caption)
        self.detections.toggled.connect(self._overlay)

    def _make_plot(self) -> None:
        self.plot = pg.PlotWidget()
        self.plot.setToolTip("Raw camera frame; brightness in ADU, places in camera pixels.")
        self.plot.setMinimumSize(180, 160)
        ignored = QtWidgets.QSizePolicy.Policy.Ignored  # takes what is left, however little
        self.plot.setSizePolicy(ignored, ignored)
        self.plot.hideAxis("left")
        self.plot.hideAxis("bottom")
        self.plot.setMenuEnabled(False)
        self.plot.hideButtons()
        self._view = self.plot.getViewBox()
        self._view.setAspectLocked(True)
        self._view.invertY(True)
        self._view.setDefaultPadding(0.0)
        self._view.setBackgroundColor("#000000")
        self.item = pg.ImageItem(axisOrder="row-major")
        self.rings = pg.ScatterPlotItem(
            size=11, pen=pg.mkPen("#ffc14d", width=1.4), brush=None, pxMode=True
        )
        self.plot.addItem(self.item)
        self.plot.addItem(self.rings)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of a theme."""
        self.plot.setBackground(theme.panel)

    # -- what comes in -------------------------------------------------------------------

    def show_update(self, update: RunUpdate) -> None:
        """Keep the newest rows for the overlay, and the frame until its rows can be here."""
        if update.begins and update.run is not None:
            self.pixel_nm = update.run.pixel_nm
            self._corner = np.array(update.run.settings.channels.corner, np.float32)[:, None]
        if update.begins or update.restarted:
            self._clear()
        if update.status is not None:
            self._n_saturated = update.status.saturated_pixels
        self._open_recording(update)
        self._add(update.rows)
        if update.status is not None:
            self._exposure_ms = update.status.exposure_ms
            self._frames_per_s = update.status.frames_per_s
        if update.frame is not None:
            self._waiting.append((time.monotonic(), update.frame))

    def _open_recording(self, update: RunUpdate) -> None:
        """Offer the recorded frames of a run that is over, where its folder is known."""
        if update.begins or update.connection in ("live", "silent"):
            self.playback.close_recording()
            self._replayed = None
        folder = update.folder
        if update.connection == "ended" and folder is not None and folder != self.playback.folder:
            self.playback.open(folder)
        if update.connection == "ended" and self.image is None:
            self.caption.set_text(self.playback.problem or "the recording is not here")

    def show_file(self, path: Path) -> None:
        """Show a single frame that was taken between two runs."""
        try:
            pixels = np.atleast_2d(tifffile.imread(path)).astype(np.uint16)
        except (OSError, ValueError, tifffile.TiffFileError) as error:
            self.caption.set_text(f"{path.name} cannot be read: {error}")
            return
        self._waiting.clear()
        self._replayed = np.zeros((2, 0), np.float32)
        self._show(CameraImage(0, pixels[-1] if pixels.ndim == 3 else pixels, 1))
        self._overlay()
        self._is_new = False
        self.caption.set_text(path.name)

    def close_recording(self) -> None:
        """Close the recording. Safe to call more than once."""
        self.playback.close_recording()

    def _add(self, batches: Sequence[Localizations]) -> None:
        for rows in batches:
            if not len(rows):
                continue
            self._recent.append(rows)
            self._n_recent += len(rows)
            self._newest_row = max(self._newest_row, int(rows.frame.max()))
            self._is_new = True
        while self._n_recent > _MOST_ROWS and len(self._recent) > 1:
            self._n_recent -= len(self._recent.popleft())

    def _clear(self) -> None:
        """Forget rows."""
        self._recent.clear()
        self._waiting.clear()
        self._n_recent, self._newest_row = 0, -1
        self._is_new = True

    def _choose_frame(self) -> None:
        """Show the newest frame whose rows are here, or for which they do not come."""
        too_late_s = time.monotonic() - PATIENCE_S
        for k in reversed(range(len(self._waiting))):
            came_s, image = self._waiting[k]
            if image.index <= self._newest_row or came_s < too_late_s or not self._n_recent:
                for _ in range(k + 1):
                    self._waiting.popleft()
                self._show(image)
                return

    def _show(self, image: CameraImage) -> None:
        self.image = image
        self._is_new = True
        height, width = image.pixels.shape
        self.item.setImage(image.pixels, levels=self.levels.update(image.pixels), autoLevels=False)
        n = image.binning
        self.item.setRect(QtCore.QRectF(-0.5, -0.5, width * n, height * n))
        if self._shape != (height * n, width * n):
            self._shape = height * n, width * n
            self._view.setRange(QtCore.QRectF(-0.5, -0.5, width * n, height * n), padding=0.0)

    def refresh(self) -> None:
        """Bring frame and overlay up to date."""
        self._choose_frame()
        if (taken := self.playback.take()) is not None:
            self._replayed = taken.places_nm
            self._show(taken.image)
        if self._is_new:
            self._is_new = False
            self._overlay()

    def places_px(self) -> F32:
        """Return x and y of the detections in the frame shown, in camera pixels, (2, n)."""
        if self.image is None:
            return np.zeros((2, 0), np.float32)
        if self._replayed is not None:
            return (self._replayed / self.pixel_nm + self._corner).astype(np.float32)
        index, found = self.image.index, []
        for rows in self._recent:
            here = rows.frame == index
            if here.any():
                found.append(np.stack([rows.x_nm[here], rows.y_nm[here]]))
        if not found:
            return np.zeros((2, 0), np.float32)
        places_nm: F32 = np.concatenate(found, axis=1)
        return (places_nm / self.pixel_nm + self._corner).astype(np.float32)

    def _overlay(self) -> None:
        if self.image is None or self.band.is_on:
            return
        places = self.places_px()
        shown = places if self.detections.isChecked() else places[:, :0]
        self.rings.setData(x=shown[0], y=shown[1])
        n = places.shape[1]
        text = f"frame {self.image.index}   ·   {n} detection{'' if n == 1 else 's'}"
        if self._n_saturated:
            count = f"{self._n_saturated:,}".replace(",", "\u202f")
            text += f"   ·   ▲ {count} saturated pixels so far"
        self.caption.set_text(text)

    # -- the region ----------------------------------------------------------------------

    def draw_roi(self, roi: Roi | None) -> None:
        """Let a region be drawn on the image, beginning with one; None takes it away."""
        if roi is None:
            self.band.switch_off()
        else:
            self.band.switch_on(roi)
            self._explain_band()

    def _explain_band(self) -> None:
        """Write the size of the region below the image, and the frame rate that it would give."""
        self._overlay()
        roi = self.band.roi()
        if not self.band.is_on or self._shape is None:
            return
        if roi is None:
            self.caption.set_text("Press, drag and release to draw a region; Esc cancels")
            return
        rate, how = rate_text(roi[3], self._exposure_ms, self._frames_per_s, self._shape[0])
        self.caption.set_text(f"{roi[2]} x {roi[3]} px   ·   {rate} ({how})")
