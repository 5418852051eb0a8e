"""A histogram of one column, and the range of it that is shown: by handles and by numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import number_text
from rtsmlm.viewer.widgets.controls import explained, label, tick
from rtsmlm.viewer.widgets.log_ticks import log_ticks
from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets, pg
from rtsmlm.viewer.widgets.side_box import number_of, side_box, side_of
from rtsmlm.viewer.widgets.theme import DARK, Theme
from rtsmlm.viewer.widgets.trend_plot import style_plot

Sides: TypeAlias = tuple[float | None, float | None]
"""Least and greatest value; None where a side is open."""

OPEN = 3e38
"""What stands for an open side in a filter, which compares as float32."""


FIRST_SHARE = 0.05
"""Of the rows: so many are hidden at a side when a range is switched on."""
_GRIP_PX = 11.0


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
    begins_with: Literal["least", "greatest", "both", "all"] = "both"
    """Sides that hide something as soon as the range is switched on: the worst rows."""

    @property
    def short_unit(self) -> str:
        """The unit, or nothing where there is none."""
        return "" if self.unit.startswith("1") else self.unit


COLUMNS = (
    Column("std_x_nm", "Precision", "nm", log=True, begins_with="greatest"),
    Column("photons", "Photons", "photons", log=True, begins_with="least"),
    Column("frame", "Frames", "frames", begins_with="all"),
    Column("probability", "Probability", "1 (no unit)", one_sided=True, begins_with="least"),
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
        self._share = self._edges = np.zeros(0)  # of all rows up to the end of each bin
        what = column.title.lower()
        self.on = tick(
            column.title,
            f"Show only a range of {what}, in {column.unit}: at first without the worst "
            "twentieth; then drag its sides or type them.",
        )
        self.sides_boxes = tuple(
            side_box(f"{side} {what} that is shown, in {column.unit}; empty: no limit.")
            for side in ("Least", "Greatest")
        )
        self._dash = label("–", "dim")
        self.range_text = label("", "dim", f"Range that is shown, in {column.unit}.")
        self._make_plot()
        self._make_region()
        self.unit = label(column.short_unit, "dim", f"Unit of the axis: {column.unit}.")
        self.unit.setObjectName("unit")
        self.unit.setParent(self.plot)
        self.unit.setAttribute(QtCore.Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        head = self.head = QtWidgets.QHBoxLayout()
        head.setSpacing(3)
        head.addWidget(self.on if column.filters else label(column.title))
        head.addStretch(1)
        head.addWidget(self.range_text)
        for widget in (self.sides_boxes[0], self._dash, self.sides_boxes[1]):
            head.addWidget(widget)
            widget.hide()
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(self.plot, 1)
        for box in self.sides_boxes:
            box.editingFinished.connect(self._take_numbers)
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
        for line in self.region.lines:
            line.addMarker("o", 0.5, _GRIP_PX)  # a line alone is too thin to be met
        self.region.sigRegionChanged.connect(self._dragged)

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:
        """Keep the unit in the upper right corner of the plot."""
        super().resizeEvent(event)
        self.unit.adjustSize()
        self.unit.move(self.plot.width() - self.unit.width() - 4, 0)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of a theme."""
        style_plot(self.plot, theme)
        for item in (self._bars, self._line):
            item.setPen(pg.mkPen(theme.blue, width=1))
            item.setBrush(pg.mkBrush(theme.blue + "60"))
        self.region.setBrush(pg.mkBrush(theme.accent + "2c"))
        self.region.setHoverBrush(pg.mkBrush(theme.accent + "50"))
        for line in self.region.lines:
            line.setPen(pg.mkPen(theme.accent, width=3))
            line.setHoverPen(pg.mkPen(theme.accent, width=6))
        for box in self.sides_boxes:
            box.setFixedWidth(round(3.7 * theme.px))

    # -- what is shown -------------------------------------------------------------------

    def show_counts(self, counts: NDArray[np.int64], edges: NDArray[np.float64]) -> None:
        """Show a histogram, from its first to its last bin that holds more than stragglers."""
        total = counts.sum()
        if not total:
            self._show_range()
            return
        self._fill()
        share = np.cumsum(counts) / total
        self._share, self._edges = share, edges
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
            self.plot.getAxis("bottom").setTicks([log_ticks(low, high)])

    def _put(self, sides: tuple[float, float]) -> None:
        """Set the region without reporting a change."""
        was = self.region.blockSignals(True)
        self.region.setRegion(sides)
        self.region.blockSignals(was)

    # -- the range -----------------------------------------------------------------------

    def _switch(self, on: bool) -> None:
        """Begin with a range that hides something, so that it shows what the box does."""
        if on:
            sides = self.first_sides()
            self._open = [side is None for side in sides]
            shown = [self._to_axis(side) for side in sides]
            low, high = (b if s is None else s for s, b in zip(shown, self._bounds, strict=True))
            self._put((low, max(low, high)))
        self._show_switch()
        self.changed.emit()

    def first_sides(self) -> Sides:
        """Return the range to begin with: all but the worst rows, or all frames so far."""
        low, high = (10.0**b if self.column.log else b for b in self._bounds)
        begins_with = self.column.begins_with
        if begins_with == "all":
            return number_of(low), number_of(high)
        if len(self._share):
            last = len(self._edges) - 1
            low_at, high_at = np.searchsorted(self._share, (FIRST_SHARE, 1 - FIRST_SHARE))
            low, high = self._edges[low_at], self._edges[min(int(high_at) + 1, last)]
        return (
            None if begins_with == "greatest" else number_of(float(low)),
            None if begins_with == "least" else number_of(float(high)),
        )

    def _show_switch(self) -> None:
        on = self.on.isChecked()
        self.region.setVisible(on)
        self.region.lines[1].setVisible(not self.column.one_sided)
        for widget in (*self.sides_boxes, self._dash):
            widget.setVisible(on)
        self.sides_boxes[1].setVisible(on and not self.column.one_sided)
        self.range_text.setVisible(not on)
        self._show_range()

    def _take_numbers(self) -> None:
        """Take both limits as they were typed; what is no number changes nothing."""
        sides = tuple(side_of(box.text()) for box in self.sides_boxes)
        if any(side is not None and math.isnan(side) for side in sides):
            self._show_range()
            return
        low, high = sides
        if low is not None and high is not None and low > high:
            low, high = high, low
        if (low, high) != self.sides():
            self.set_sides((low, high))

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
        for box, side in zip(self.sides_boxes, sides, strict=True):
            if not box.hasFocus():
                box.setText("" if side is None else number_text(side))

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
        self._show_switch()
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
