"""Histogram panel: distributions of the rows, and filters to drag on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rtsmlm.render.filter import Filter
from rtsmlm.viewer.measuring import filter_texts
from rtsmlm.viewer.panels.panel import Panel
from rtsmlm.viewer.series import RowStatistics, RunSeries
from rtsmlm.viewer.sources.updates import RunUpdate
from rtsmlm.viewer.widgets.help_mark import HelpMark
from rtsmlm.viewer.widgets.histogram_plot import COLUMNS, HistogramPlot
from rtsmlm.viewer.widgets.qt import QtCore, QtWidgets
from rtsmlm.viewer.widgets.theme import Theme


class HistogramPanel(Panel, QtWidgets.QFrame):
    """All histograms; `filter_changed` is sent when a region has been moved.

    Parameters
    ----------
    series
        Its emitters per frame are the curve on which the range of frames is set.
    """

    section = "filters"
    is_plot = True
    filter_changed = QtCore.Signal()
    switched_off = QtCore.Signal(str)
    """Another run has begun, and the filters of the one before, which are named, are off."""

    def __init__(self, series: RunSeries, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.statistics = RowStatistics()
        self._series = series
        self.plots = {column.name: HistogramPlot(column) for column in COLUMNS}
        grid = QtWidgets.QGridLayout(self)
        grid.setContentsMargins(8, 6, 8, 6)
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(4)
        for k, plot in enumerate(self.plots.values()):
            grid.addWidget(plot, k // 2, k % 2)
            plot.changed.connect(self.filter_changed)
        # The one without limits has room at its head.
        self.plots["background"].head.addWidget(HelpMark(self.section))
        for k in range(2):
            grid.setColumnStretch(k, 1)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of a theme."""
        for plot in self.plots.values():
            plot.set_theme(theme)

    def show_update(self, update: RunUpdate) -> None:
        """Count the new rows; another run begins without filters, rows that come again do not."""
        if update.begins:
            self._forget_filters()
        if update.begins or update.restarted:
            self.statistics.clear()
        for rows in update.rows:
            self.statistics.add(rows)

    def refresh(self) -> None:
        """Draw anew."""
        if not self.isVisible():
            return
        for name, plot in self.plots.items():
            if name == "frame":
                plot.show_curve(*self._series.curves["emitters"].points())
            else:
                plot.show_counts(*self.statistics.histogram(name))

    def _forget_filters(self) -> None:
        texts = filter_texts(self.filter())
        if texts:
            self.set_ranges({})
            self.switched_off.emit("; ".join(texts.values()))

    def remove(self, name: str) -> None:
        """Switch one limit off, by its name in `Filter`."""
        column = {"std_nm": "std_x_nm", "min_probability": "probability"}.get(name, name)
        if column in self.plots:
            self.plots[column].set_sides(None)

    def filter(self) -> Filter:
        """Return which localizations are shown."""
        least = self.plots["probability"].range()
        return Filter(
            std_nm=self.plots["std_x_nm"].range(),
            photons=self.plots["photons"].range(),
            frame=self.plots["frame"].range(),
            z_nm=self.plots["z_nm"].range(),
            min_probability=0.0 if least is None else float(np.clip(least[0], 0, 1)),
        )

    def ranges(self) -> dict[str, list[float | None]]:
        """Return the limits that are set, as plain data; None where a side is open."""
        found = {name: plot.sides() for name, plot in self.plots.items()}
        return {name: list(sides) for name, sides in found.items() if sides is not None}

    def set_ranges(self, ranges: Mapping[str, Any]) -> None:
        """Set limits as `ranges` returns them; what is missing shows all."""
        for name, plot in self.plots.items():
            sides = ranges.get(name)
            if isinstance(sides, list | tuple) and len(sides) == 2:
                low, high = (None if side is None else float(side) for side in sides)
                plot.set_sides((low, high))
            else:
                plot.set_sides(None)
