"""A histogram of one column, and the range of it that is shown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.viewer.widgets.controls import explained, label, tick
from rtsmlm.viewer.widgets.qt import QtCore, QtWidgets, pg
from rtsmlm.viewer.widgets.theme import DARK, Theme
from rtsmlm.viewer.widgets.trend_plot import style_plot

Sides: TypeAlias = tuple[float | None, float | None]
"""Least and greatest value; None where a side is open."""

OPEN = 3e38
"""What stands for an open side in a filter, which compares as float32."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column that has a histogram."""

    name: str
    title: str
    unit: str
    log: bool = False
    filters: bool = True
    one_sided: bool = False
    """Only the least value can be set."""


COLUMNS = (
    Column("std_x_nm", "Precision", "nm", log=True),
    Column("photons", "Photons", "photons", log=True),
    Column("frame", "Frames", "frames"),
    Column("probability", "Probability", "1 (no unit)", one_sided=True),
    Column("z_nm", "Depth z", "nm"),
    Column("background", "Background", "photons/px", log=True, filters=False),
)


class HistogramPlot(QtWidgets.QWidget):
    """A histogram with a region to drag; new rows never move a side that has been set.

    Parameters
    ----------
    column
        What is shown.
    """

    changed = QtCore.Signal()

    def __init__(self, column: Column, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.column = column
        self._bounds = (0.0, 1.0)  # of the axis
        self._open, self._is_empty = [True, True], True
        what = column.title.lower()
        self.on = tick(column.title, f"Show only a range of {what}, in {column.unit}; drag its "
                       "sides.")  # fmt: skip
        self.range_text = label("", "dim", f"Range that is shown, in {column.unit}.")
        self._make_plot()
        self._make_region()
        head = QtWidgets.QHBoxLayout()
        head.addWidget(self.on if column.filters else label(column.title))
        head.addStretch(1)
        head.addWidget(self.range_text)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(self.plot, 1)
        self.on.toggled.connect(self._switch)
        self.set_theme(DARK)

    def _make_plot(self) -> None:
        self.plot = pg.PlotWidget()
        what = "Localizations per frame" if self.column.name == "frame" else self.column.title
        explained(self.plot, f"{what} of all rows, along the axis {self.column.title.lower()} in "
                  f"{self.column.unit}.")  # fmt: skip
        self.plot.setMenuEnabled(False)
        self.plot.hideButtons()
        self.plot.setMouseEnabled(x=False, y=False)
        self.plot.setMinimumHeight(46)
        self.plot.hideAxis("left")
        self.plot.hideAxis("bottom")
        self._bars = pg.PlotDataItem(stepMode="center", fillLevel=0)
        self._line = pg.PlotDataItem(fillLevel=0)
        self.plot.addItem(self._bars)
        self.plot.addItem(self._line)

    def _make_region(self) -> None:
        self.region = pg.LinearRegionItem((0.0, 1.0), swapMode="block")
        self.region.setVisible(False)
        self.plot.addItem(self.region, ignoreBounds=True)
        self.region.sigRegionChanged.connect(self._dragged)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of a theme."""
        style_plot(self.plot, theme)
        for item in (self._bars, self._line):
            item.setPen(pg.mkPen(theme.blue, width=1))
            item.setBrush(pg.mkBrush(theme.blue + "60"))
        self.region.setBrush(pg.mkBrush(theme.accent + "2c"))
        self.region.setHoverBrush(pg.mkBrush(theme.accent + "50"))
        for line in self.region.lines:
            line.setPen(pg.mkPen(theme.accent, width=2))
            line.setHoverPen(pg.mkPen(theme.accent, width=4))

    # -- what is shown -------------------------------------------------------------------

    def show_counts(self, counts: NDArray[np.int64], edges: NDArray[np.float64]) -> None:
        """Show a histogram, from its first to its last bin that holds more than stragglers."""
        total = counts.sum()
        if not total:
            self._show_range()
            return
        self._fill()
        share = np.cumsum(counts) / total
        first = max(int(np.searchsorted(share, 0.002)) - 1, 0)
        last = min(int(np.searchsorted(share, 0.998)) + 2, len(counts))
        at = np.log10(edges) if self.column.log else edges
        self._bars.setData(at[first : last + 1], counts[first:last])
        self._look_at(float(at[first]), float(at[last]))

    def show_curve(self, at: NDArray[np.float64], values: NDArray[np.float64]) -> None:
        """Show a curve instead, of what is there at each value."""
        if len(at) > 1:
            self._fill()
            self._line.setData(at, values)
            self._look_at(float(at[0]), float(at[-1]))

    def _fill(self) -> None:
        if self._is_empty:
            self._is_empty = False
            self.plot.showAxis("bottom")

    def _look_at(self, low: float, high: float) -> None:
        self._bounds = low, high
        self._show_range()
        if self.on.isChecked():
            sides = self.region.getRegion()
            if not self._open[0]:
                low = min(low, sides[0])
            if not self._open[1]:
                high = max(high, sides[1])
            self._put((low if self._open[0] else sides[0], high if self._open[1] else sides[1]))
        self.plot.setXRange(low, high, padding=0.03)
        if self.column.log:
            self.plot.getAxis("bottom").setTicks([_log_ticks(low, high)])

    def _put(self, sides: tuple[float, float]) -> None:
        """Set the region without reporting a change."""
        was = self.region.blockSignals(True)
        self.region.setRegion(sides)
        self.region.blockSignals(was)

    # -- the range -----------------------------------------------------------------------

    def _switch(self, on: bool) -> None:
        if on:
            self._open = [True, True]
            self._put(self._bounds)
        self.region.setVisible(on)
        self.region.lines[1].setVisible(not self.column.one_sided)
        self._show_range()
        self.changed.emit()

    def _dragged(self) -> None:
        low, high = self.region.getRegion()
        close = 1e-6 * max(self._bounds[1] - self._bounds[0], 1e-12)
        if abs(low - self._bounds[0]) > close or not self._open[0]:
            self._open[0] = False
        if abs(high - self._bounds[1]) > close or not self._open[1]:
            self._open[1] = self.column.one_sided
        self._show_range()
        self.changed.emit()

    def _show_range(self) -> None:
        sides = self.sides()
        if sides is None:
            self.range_text.setText("none yet" if self._is_empty else "")
            return
        low, high = ("" if side is None else _number(side) for side in sides)
        words = {(True, True): f"{low} – {high}", (True, False): f"≥ {low}",
                 (False, True): f"≤ {high}"}  # fmt: skip
        self.range_text.setText(words.get((bool(low), bool(high)), "all"))

    def sides(self) -> Sides | None:
        """Return the limits that are set; None where the range is not switched on."""
        if not self.on.isChecked():
            return None
        values = [10.0**v if self.column.log else float(v) for v in self.region.getRegion()]
        low, high = (None if is_open else v for is_open, v in zip(self._open, values, strict=True))
        return low, high

    def set_sides(self, sides: Sides | None) -> None:
        """Set limits; None switches the range off."""
        was = self.blockSignals(True)
        self.on.setChecked(sides is not None)
        if sides is not None:
            self._open = [side is None for side in sides]
            shown = [self._to_axis(side) for side in sides]
            low, high = (b if s is None else s for s, b in zip(shown, self._bounds, strict=True))
            self._put((low, max(high, low)))
        self._show_range()
        self.blockSignals(was)
        self.changed.emit()

    def _to_axis(self, side: float | None) -> float | None:
        if side is None or not self.column.log:
            return side
        return math.log10(max(side, 1e-9))

    def range(self) -> tuple[float, float] | None:
        """Return the range for a filter; None shows all."""
        sides = self.sides()
        if sides is None or sides == (None, None):
            return None
        low, high = sides
        return (-OPEN if low is None else low), (OPEN if high is None else high)


def _log_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Return ticks at 1, 2 and 5 times powers of ten, few enough to be read."""
    steps: tuple[int, ...] = (1, 2, 5) if high - low < 1.2 else (1, 3)
    if high - low > 3:
        steps = (1,)
    if high - low < 0.35:
        steps = tuple(range(1, 10))
    powers = range(math.floor(low), math.ceil(high) + 1)
    values: list[Any] = [step * 10.0**power for power in powers for step in steps]
    return [(math.log10(v), f"{v:g}") for v in values if low <= math.log10(v) <= high]


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
