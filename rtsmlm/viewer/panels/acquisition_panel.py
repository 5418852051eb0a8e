"""Acquisition panel: what the next run will be, and how long the disk lasts."""

from __future__ import annotations

import math

from rtsmlm.errors import number_text
from rtsmlm.stream.messages import StatusMessage
from rtsmlm.stream.settings_part import SettingsPart
from rtsmlm.viewer.panels.panel import Panel
from rtsmlm.viewer.sources.updates import RunUpdate
from rtsmlm.viewer.widgets.controls import (
    allow,
    button,
    label,
    number,
    panel_layout,
    show_as,
    show_number,
    tick,
)
from rtsmlm.viewer.widgets.flow_layout import FlowLayout
from rtsmlm.viewer.widgets.help_mark import HelpMark
from rtsmlm.viewer.widgets.qt import QtCore, QtWidgets

_SIDES = (("x", 0), ("y", 0), ("width", 8), ("height", 8))
_LOW_DISK_S = 120.0
_NO_CHIP = "the size of the camera's image is known once a run has begun"


class AcquisitionPanel(Panel, QtWidgets.QFrame):
    """Exposure, length, region and recording; they take effect with the next start.

    An untouched control shows what the run has, and changes nothing of the next one:
    that goes by its configuration.
    """

    section = "next-run"
    draw_asked = QtCore.Signal(bool)
    """True: show a region to drag on the camera image."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.touched: set[str] = set()
        """Names of the settings that the user has changed here."""
        self._corner = (0, 0)
        """Of the image that is shown, on the chip."""
        self._settings = SettingsPart()
        self._shape: tuple[int, int] | None = None
        self._exposure_ms = math.nan
        self._why_not: str | None = None
        self._is_whole = True
        self._make()
        self._lay_out()
        self._show_settings()

    def _make(self) -> None:
        self.exposure = number(
            (0.0, 100_000), "Exposure per frame of the next run, in ms. As it is: what the camera "
            "has set.", decimals=2, suffix=" ms", step=1, lowest="as it is",
        )  # fmt: skip
        self.frames = number(
            (0, 1e9), "End the next run after so many frames.", step=1000, lowest="no limit"
        )
        self.seconds = number(
            (0, 2_592_000), "End the next run after so many seconds.", suffix=" s", step=10,
            lowest="no limit",
        )  # fmt: skip
        self.roi = {
            name: number(
                (least, 16384), f"{'Place' if name in 'xy' else 'Size'} of the region that the "
                f"next run reads out: {name}, in camera pixels of the whole chip.", suffix=" px",
                step=8,
            )
            for name, least in _SIDES
        }  # fmt: skip
        self.draw = button(
            "Draw", "Drag the region on the camera image, in camera pixels.", checkable=True
        )
        self.whole = button(
            "Whole chip", "Read out the whole chip in the next run (camera pixels)."
        )
        self.record = tick(
            "Record raw", "Write raw frames to disk in the next run (MB/s: see beside)."
        )
        self.disk = label("", "dim", "Free disk in GB, and how long it lasts at this rate.")
        self.reset = button(
            "As configured", "Take back what was changed here: the next run goes by its "
            "configuration (no unit).",
        )  # fmt: skip
        self.draw.toggled.connect(self.draw_asked)
        self.whole.clicked.connect(self._take_whole)
        self.reset.clicked.connect(self._forget_touched)
        self.record.toggled.connect(lambda: self._touch("record.raw"))
        for name, box in self._boxes.items():
            box.valueChanged.connect(lambda _, name=name: self._touch(name))
        for box in self.roi.values():
            box.valueChanged.connect(self._touch_region)

    @property
    def _boxes(self) -> dict[str, QtWidgets.QDoubleSpinBox]:
        """Boxes by the name of their setting; their lowest number stands for none."""
        return {
            "acquisition.exposure_ms": self.exposure,
            "acquisition.frames": self.frames,
            "acquisition.seconds": self.seconds,
        }

    def _lay_out(self) -> None:
        layout = panel_layout(self)
        head, below = QtWidgets.QHBoxLayout(), QtWidgets.QWidget()
        below.setObjectName("clear")
        last = FlowLayout(below, across=5)
        head.addWidget(label("Next run", "title"))
        head.addStretch(1)
        head.addWidget(self.reset)
        head.addWidget(HelpMark(self.section))
        grid = QtWidgets.QGridLayout()
        grid.setHorizontalSpacing(5)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        grid.setColumnStretch(3, 1)
        texts = ("exposure", "frames", "duration", "", "x", "width", "y", "height")
        sides = [self.roi[name] for name in ("x", "width", "y", "height")]
        boxes = [self.exposure, self.frames, self.seconds, self.record, *sides]
        for k, (text, box) in enumerate(zip(texts, boxes, strict=True)):
            row, column = k // 2, 2 * (k % 2)
            if text:
                grid.addWidget(label(text, "dim"), row, column)
                grid.addWidget(box, row, column + 1)
            else:
                grid.addWidget(box, row, column, 1, 2)
        last.addWidget(self.draw)
        last.addWidget(self.whole)
        last.addWidget(self.disk)
        layout.addLayout(head)
        layout.addLayout(grid)
        layout.addWidget(below)

    # -- what was touched ----------------------------------------------------------------

    def _touch(self, name: str) -> None:
        self.touched.add(name)
        self.reset.setEnabled(self._why_not is None)

    def _touch_region(self) -> None:
        self._is_whole = False
        self._touch("micromanager.roi")

    def _take_whole(self) -> None:
        self._touch_region()
        self._is_whole = True
        self.draw.setChecked(False)

    def _forget_touched(self) -> None:
        self.touched.clear()
        self.reset.clearFocus()
        self._show_settings()

    def set_why_not(self, why_not: str | None) -> None:
        """Allow the controls, or show why they cannot be used."""
        self._why_not = why_not
        allow([*self._boxes.values(), self.record], why_not)
        no_region = why_not or (_NO_CHIP if self._shape is None else None)
        allow([*self.roi.values(), self.draw, self.whole], no_region)
        allow([self.reset], why_not or (None if self.touched else "nothing was changed here"))

    # -- what is shown -------------------------------------------------------------------

    def show_update(self, update: RunUpdate) -> None:
        """Show what another run was started with, and how long the disk lasts."""
        if update.begins and update.run is not None:
            self.show_settings(update.run.settings, update.run.shape)
        if update.status is not None:
            self._show_exposure(update.status.exposure_ms)
            self._show_disk(update.status)

    def show_settings(
        self,
        settings: SettingsPart,
        shape: tuple[int, int] | None = None,
        exposure_ms: float = math.nan,
    ) -> None:
        """Show what the next run has by its configuration; what was touched stays.

        Parameters
        ----------
        settings
            In force in this run, or those of the next.
        shape
            Height and width of the camera's image in pixels; None where that is not known.
        exposure_ms
            Of the camera as it is; NaN where that is not known.
        """
        self._settings, self._shape = settings, shape or self._shape
        if not math.isnan(exposure_ms):
            self._exposure_ms = exposure_ms
        self._show_settings()

    def _show_settings(self) -> None:
        acquisition, roi = self._settings.acquisition, self._settings.micromanager.roi
        self._corner = (roi[0], roi[1]) if roi else (0, 0)
        exposure_ms = acquisition.exposure_ms or self._exposure_ms
        values = (exposure_ms, acquisition.frames, acquisition.seconds)
        for (name, box), value in zip(self._boxes.items(), values, strict=True):
            if name not in self.touched:
                show_number(box, 0.0 if value is None or math.isnan(value) else value)
        if "micromanager.roi" not in self.touched:
            self._is_whole = roi is None
            height, width = self._shape or (8, 8)
            for box, side in zip(self.roi.values(), roi or (0, 0, width, height), strict=True):
                show_number(box, side)
        if "record.raw" not in self.touched:
            was = self.record.blockSignals(True)
            self.record.setChecked(self._settings.record.raw)
            self.record.blockSignals(was)
        self.set_why_not(self._why_not)

    def _show_exposure(self, exposure_ms: float) -> None:
        """Show the exposure that the camera has, where no setting says another."""
        is_set = self._settings.acquisition.exposure_ms is not None
        if math.isnan(exposure_ms) or is_set or "acquisition.exposure_ms" in self.touched:
            return
        self._exposure_ms = exposure_ms
        show_number(self.exposure, exposure_ms)

    # -- the region ----------------------------------------------------------------------

    def take_roi(self, x: int, y: int, width: int, height: int) -> None:
        """Take a region that was drawn on the image of the run that goes on."""
        on_chip = (x + self._corner[0], y + self._corner[1], width, height)
        for box, side in zip(self.roi.values(), on_chip, strict=True):
            show_number(box, side)
        self._touch_region()

    def roi_px(self) -> tuple[int, int, int, int]:
        """Return x, y, width and height."""
        x, y, width, height = (round(box.value()) for box in self.roi.values())
        return x, y, width, height

    def roi_on_image(self) -> tuple[int, int, int, int]:
        """Return the region as it lies on the image of the run that goes on."""
        x, y, width, height = self.roi_px()
        return x - self._corner[0], y - self._corner[1], width, height

    # -- what is asked for ---------------------------------------------------------------

    def overrides(self) -> list[str]:
        """Return what the user has changed for the next run, as `section.key=value` texts."""
        texts = [
            f"{name}={_setting(box)}" for name, box in self._boxes.items() if name in self.touched
        ]
        if "micromanager.roi" in self.touched:
            region = "none" if self._is_whole else str(list(self.roi_px()))
            texts.append(f"micromanager.roi={region}")
        if "record.raw" in self.touched:
            texts.append(f"record.raw={'true' if self.record.isChecked() else 'false'}")
        return texts

    def _show_disk(self, status: StatusMessage) -> None:
        free_mb, rate_mb_per_s = status.disk_free_mb, status.disk_mb_per_s
        if math.isnan(free_mb):
            self.disk.setText("")
            return
        text = f"{number_text(free_mb / 1024)} GB free"
        name = "dim"
        if status.recording and rate_mb_per_s > 0:
            left_s = free_mb / rate_mb_per_s
            text += f", {_duration(left_s)} left"
            name = "alarm" if left_s < _LOW_DISK_S else "dim"
        elif not status.recording:
            text += ", not recording"
        show_as(self.disk, name, text)


def _setting(box: QtWidgets.QDoubleSpinBox) -> str:
    """Return the number of a box as a setting; its lowest stands for none."""
    return "none" if box.value() == box.minimum() else f"{box.value():.12g}"


def _duration(seconds: float) -> str:
    if not math.isfinite(seconds) or seconds > 99 * 3600:
        return "over 99 h"
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
