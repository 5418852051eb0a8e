"""Acquisition panel: what the next run will be, and how long the disk lasts."""

from __future__ import annotations

import math

from rtsmlm.stream.messages import RunMessage, StatusMessage
from rtsmlm.viewer.panels.panel import Panel
from rtsmlm.viewer.sources.updates import RunUpdate
from rtsmlm.viewer.widgets.controls import allow, button, label, number, show_as, tick
from rtsmlm.viewer.widgets.qt import QtCore, QtWidgets

_SIDES = (("x", 0), ("y", 0), ("width", 8), ("height", 8))
_LOW_DISK_S = 120.0


class AcquisitionPanel(Panel, QtWidgets.QFrame):
    """Exposure, region and recording; they take effect with the next start."""

    draw_asked = QtCore.Signal(bool)
    """True: show a region to drag on the camera image."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self._touched = self._knows_exposure = self._knows_record = False
        self._corner = (0, 0)
        """Of the image that is shown, on the chip."""
        self._make()
        self._lay_out()

    def _make(self) -> None:
        self.exposure = number(
            (0.01, 100_000), "Exposure per frame of the next run, in ms.",
            decimals=2, suffix=" ms", step=1,
        )  # fmt: skip
        self.exposure.setValue(10)
        self.roi: dict[str, QtWidgets.QDoubleSpinBox] = {}
        for name, least in _SIDES:
            what = "Place" if name in "xy" else "Size"
            self.roi[name] = number(
                (least, 16384), f"{what} of the region that the next run reads out: {name}, in "
                "camera pixels of the whole chip.", suffix=" px", step=8,
            )  # fmt: skip
        self.draw = button(
            "Draw", "Drag the region on the camera image, in camera pixels.", checkable=True
        )
        self.whole = button(
            "Whole chip", "Read out the whole chip in the next run (camera pixels)."
        )
        self.record = tick(
            "Record raw", "Write raw frames to disk in the next run (MB/s: see beside)."
        )
        self.record.setChecked(True)  # as the settings have it by default
        self.disk = label("", "dim", "Free disk in GB, and how long it lasts at this rate.")
        self._full = True
        self.draw.toggled.connect(self.draw_asked)
        self.whole.clicked.connect(self._take_whole)
        self.exposure.valueChanged.connect(self._learn_exposure)
        self.record.toggled.connect(self._learn_record)
        for box in self.roi.values():
            box.valueChanged.connect(self._touch)

    def _lay_out(self) -> None:
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 8)
        layout.setSpacing(5)
        grid = QtWidgets.QGridLayout()
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        grid.setColumnStretch(3, 1)
        grid.addWidget(label("exposure", "dim"), 0, 0)
        grid.addWidget(self.exposure, 0, 1)
        grid.addWidget(self.draw, 0, 2)
        grid.addWidget(self.whole, 0, 3)
        for k, (name, _) in enumerate(_SIDES):
            row, column = 1 + k % 2, 2 * (k // 2)
            grid.addWidget(label(name, "dim"), row, column)
            grid.addWidget(self.roi[name], row, column + 1)
        last = QtWidgets.QHBoxLayout()
        last.addWidget(self.record)
        last.addStretch(1)
        last.addWidget(self.disk)
        layout.addWidget(label("Next run", "title"))
        layout.addLayout(grid)
        layout.addLayout(last)

    def _touch(self) -> None:
        self._touched, self._full = True, False

    def _learn_record(self) -> None:
        self._knows_record = True

    def _learn_exposure(self) -> None:
        self._knows_exposure = True

    def _take_whole(self) -> None:
        self._full, self._touched = True, True
        self.draw.setChecked(False)

    def set_why_not(self, why_not: str | None) -> None:
        """Allow the controls, or show why they cannot be used."""
        allow([self.exposure, *self.roi.values(), self.draw, self.whole, self.record], why_not)

    def show_update(self, update: RunUpdate) -> None:
        """Show what another run was started with, and how long the disk lasts."""
        if update.begins and update.run is not None:
            self._show_settings(update.run)
        if update.status is not None:
            self._show_disk(update.status)

    def _show_settings(self, run: RunMessage) -> None:
        exposure = run.settings.acquisition.exposure_ms
        roi = run.settings.micromanager.roi
        height, width = run.shape
        self._corner = (roi[0], roi[1]) if roi else (0, 0)
        self._set([(self.exposure, exposure)])
        self._knows_exposure |= exposure is not None
        if not self._touched:
            self._set(list(zip(self.roi.values(), roi or (0, 0, width, height), strict=True)))
            self._full = roi is None
        self._set_record(run.settings.record.raw)

    def take_roi(self, x: int, y: int, width: int, height: int) -> None:
        """Take a region that was drawn on the image of the run that goes on."""
        on_chip = (x + self._corner[0], y + self._corner[1], width, height)
        self._set(list(zip(self.roi.values(), on_chip, strict=True)))
        self._touch()

    def _set(self, values: list[tuple[QtWidgets.QDoubleSpinBox, float | None]]) -> None:
        for box, value in values:
            if value is not None and not box.hasFocus():
                was = box.blockSignals(True)
                box.setValue(value)
                box.blockSignals(was)

    def _set_record(self, on: bool) -> None:
        self._knows_record = True
        was = self.record.blockSignals(True)
        self.record.setChecked(on)
        self.record.blockSignals(was)

    def roi_px(self) -> tuple[int, int, int, int]:
        """Return x, y, width and height."""
        x, y, width, height = (round(box.value()) for box in self.roi.values())
        return x, y, width, height

    def roi_on_image(self) -> tuple[int, int, int, int]:
        """Return the region as it lies on the image of the run that goes on."""
        x, y, width, height = self.roi_px()
        return x - self._corner[0], y - self._corner[1], width, height

    def overrides(self) -> list[str]:
        """Return what the user has chosen for the next run, as `section.key=value` texts."""
        texts = []
        if self._knows_exposure:
            texts.append(f"acquisition.exposure_ms={self.exposure.value():g}")
        if self._full and self._touched:
            texts.append("micromanager.roi=none")
        elif not self._full:
            x, y, width, height = self.roi_px()
            texts.append(f"micromanager.roi=[{x}, {y}, {width}, {height}]")
        if self._knows_record:
            texts.append(f"record.raw={'true' if self.record.isChecked() else 'false'}")
        return texts

    def _show_disk(self, status: StatusMessage) -> None:
        free_mb, rate_mb_per_s = status.disk_free_mb, status.disk_mb_per_s
        if math.isnan(free_mb):
            self.disk.setText("")
            return
        text = f"{free_mb / 1024:.3g} GB free"
        name = "dim"
        if status.recording and rate_mb_per_s > 0:
            left_s = free_mb / rate_mb_per_s
            text += f", {_duration(left_s)} left"
            name = "alarm" if left_s < _LOW_DISK_S else "dim"
        elif not status.recording:
            text += ", not recording"
        show_as(self.disk, name, text)


def _duration(seconds: float) -> str:
    if not math.isfinite(seconds) or seconds > 99 * 3600:
        return "over 99 h"
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
