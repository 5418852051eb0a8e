"""A small plot of one or two curves over the camera frames."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import number_text
from rtsmlm.viewer.widgets.controls import explained, label
from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets, pg
from rtsmlm.viewer.widgets.theme import DARK, Theme

Curve = tuple[str, NDArray[Any], NDArray[Any]]
"""Name, frames and values."""

_SHARE_OF_LIMIT = 3.0
_X_LABEL = "camera frame"
_LEAST_FRAMES = 10
_HEADROOM = 1.08


def style_plot(plot: pg.PlotWidget, theme: Theme) -> None:
    """Give a plot the colours of a theme."""
    plot.setBackground(theme.panel)
    for side in ("left", "bottom"):
        axis = plot.getAxis(side)
        axis.setPen(pg.mkPen(theme.line))
        axis.setTextPen(pg.mkPen(theme.dim))
        font = QtGui.QFont()
        font.setPixelSize(round(0.8 * theme.px))
        axis.setStyle(tickFont=font)
    axis = plot.getAxis("bottom")
    axis.setHeight(round((2.6 if axis.labelText else 1.5) * theme.px))
    if axis.labelText:
        axis.setLabel(axis.labelText, **{"font-size": f"{round(0.8 * theme.px)}px",
                                         "color": theme.dim})  # fmt: skip
    plot.getAxis("left").setWidth(round(3.6 * theme.px))


class TrendPlot(QtWidgets.QWidget):
    """Curves with their newest values written above.

    Parameters
    ----------
    title
        What is shown, without its unit.
    unit
        Of all curves.
    tip
        Tooltip; names the unit.
    log
        Show powers of ten.
    from_zero
        Begin the axis at 0, so that small changes do not look large.
    least_range
        The axis of the values never shows less than this, in their unit.
    """

    def __init__(
        self,
        title: str,
        unit: str,
        tip: str,
        *,
        log: bool = False,
        from_zero: bool = True,
        least_range: float = 0.0,
        parent: QtWidgets.QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.unit, self._theme, self._log = unit, DARK, log
        self._from_zero = from_zero and not log
        self.title, self.value = label(title, "title"), label("", "", tip)
        self.value.setTextFormat(QtCore.Qt.TextFormat.RichText)
        self.plot = pg.PlotWidget()
        explained(self.plot, tip)
        self.plot.setMenuEnabled(False)
        self.plot.hideButtons()
        self.plot.setMouseEnabled(x=False, y=False)
        self.plot.setMinimumHeight(64)
        self.plot.setLabel("bottom", _X_LABEL)
        self.plot.getAxis("bottom").enableAutoSIPrefix(False)
        self.plot.getAxis("left").enableAutoSIPrefix(False)
        self.plot.setLimits(minXRange=_LEAST_FRAMES, minYRange=0.3 if log else least_range)
        self.plot.setLogMode(y=log)
        self.plot.getPlotItem().setContentsMargins(0, 0, 6, 0)
        self.plot.getPlotItem().setDefaultPadding(0.04)
        self._curves: list[Any] = []
        self._band: Any = None
        self._limit: Any = None
        head = QtWidgets.QHBoxLayout()
        head.addWidget(self.title)
        self.value.setWordWrap(True)
        self.value.setAlignment(QtCore.Qt.AlignmentFlag.AlignRight)
        head.addWidget(self.value, 1)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 0)
        layout.setSpacing(1)
        layout.addLayout(head)
        layout.addWidget(self.plot, 1)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of a theme."""
        self._theme = theme
        style_plot(self.plot, theme)
        for k, curve in enumerate(self._curves):
            curve.setPen(pg.mkPen(theme.curve(k), width=1.6))

    def show_curves(self, curves: list[Curve]) -> None:
        """Show curves; one point is a figure and no plot, and what has none is not there."""
        n_points = max((len(x) for _, x, _ in curves), default=0)
        self.setVisible(n_points > 0)
        self.plot.setVisible(n_points > 1)
        while len(self._curves) < len(curves):
            pen = pg.mkPen(self._theme.curve(len(self._curves)), width=1.6)
            self._curves.append(self.plot.plot(pen=pen, connect="finite", antialias=True))
        for curve in self._curves[len(curves) :]:
            curve.setData([], [])
        texts = []
        for k, (name, x, y) in enumerate(curves):
            shown = np.where(y > 0, y, np.nan) if self._log else y
            self._curves[k].setData(x, shown)
            known = y[np.isfinite(y)]
            newest = number_text(known[-1]) if len(known) else "–"
            color = self._theme.curve(k)
            prefix = f"{name} " if name else ""
            texts.append(f'<span style="color:{color}">{prefix}<b>{newest}</b></span>')
        if self._from_zero:
            self._show_from_zero([y for _, _, y in curves])
        self.value.setText(f"{'&nbsp; '.join(texts)} {self.unit}")

    def _show_from_zero(self, values: list[NDArray[np.float64]]) -> None:
        tops = [float(np.nanmax(y)) for y in values if np.isfinite(y).any()]
        if self._band is not None:
            tops.append(float(self._band.getRegion()[1]))
        top = max(tops, default=0.0)
        self.plot.setYRange(0.0, top * _HEADROOM if top > 0 else 1.0, padding=0.0)

    def set_band(self, low: float, high: float) -> None:
        """Show where the values should lie."""
        if self._band is None:
            self._band = pg.LinearRegionItem(
                orientation="horizontal", movable=False, pen=pg.mkPen(None),
                brush=pg.mkBrush(self._theme.green + "38"),
            )  # fmt: skip
            self._band.setZValue(-10)
            self.plot.addItem(self._band)
        if tuple(self._band.getRegion()) != (low, high):
            self._band.setRegion((low, high))

    def set_limit(self, value: float, near: float) -> None:
        """Show a limit, as soon as the values come near to it.

        Parameters
        ----------
        value
            The limit.
        near
            Greatest value shown; a limit far above would press all curves flat.
        """
        if self._limit is None:
            pen = pg.mkPen(self._theme.red, width=1.2, style=QtCore.Qt.PenStyle.DashLine)
            self._limit = pg.InfiniteLine(angle=0, movable=False, pen=pen)
            self.plot.addItem(self._limit, ignoreBounds=True)
        self._limit.setValue(value)
        self._limit.setVisible(near * _SHARE_OF_LIMIT >= value)
