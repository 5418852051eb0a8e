"""Trends panel: density, laser, signal, image and speed over the camera frames, in tabs."""

from __future__ import annotations

import math

import numpy as np

from rtsmlm.viewer.panels.panel import Panel
from rtsmlm.viewer.series import RunSeries
from rtsmlm.viewer.sources.updates import RunUpdate
from rtsmlm.viewer.widgets.controls import label
from rtsmlm.viewer.widgets.help_mark import HelpMark
from rtsmlm.viewer.widgets.qt import QtCore, QtWidgets
from rtsmlm.viewer.widgets.theme import Theme
from rtsmlm.viewer.widgets.trend_plot import Curve, TrendPlot

TARGET_BAND = 0.2
"""Part of the target by which the density may be off and still counts as held."""

_X = "Over camera frames."
_PLOTS: dict[str, tuple[tuple[str, str, str, str], ...]] = {
    "Loop": (
        ("density", "Density", "/µm²", f"Emitters per frame and µm². {_X}\nGreen: the target. "
         "Dashed red: where the localizer can no longer separate them."),
        ("power", "Laser power", "", "Power of the laser that is steered, in its own unit, over "
         "the camera frames at which it was set."),
        ("on_time", "Time on", "frames", f"How long an emitter is on, in frames. {_X}"),
    ),
    "Signal": (
        ("photons", "Photons", "photons", f"Median photons of a localization. {_X}"),
        ("precision", "Precision", "nm", "Median lateral standard deviation in nm, as rows state "
         f"it, and as those show it that repeat from frame to frame (NeNA). {_X}"),
        ("background", "Background", "ph/px", f"Median background in photons per pixel. {_X}"),
    ),
    "Image": (
        ("resolution", "Resolution", "nm", "In nm: by Fourier ring correlation "
         f"(FRC), by decorrelation of the image, what the density allows (Nyquist), "
         f"and the precision by localizations that repeat (NeNA). {_X}"),
        ("drift", "Drift", "nm", f"Drift of the sample in nm, as measured on the "
         f"localizations, and the set points of stages against it (drift.hold). {_X}"),
    ),
    "Speed": (
        ("latency", "Latency", "ms", f"End of the exposure to published rows in ms, "
         f"over the last ten seconds and the whole run. {_X}"),
        ("backlog", "Backlog", "frames", f"Frames that wait for the localizer. {_X}"),
    ),
}  # fmt: skip
_EMPTY = {
    "Loop": "The density of emitters is shown here while a run goes on.",
    "Signal": "Photons, precision and background are shown here from the first hundred frames on.",
    "Image": "The resolution is shown here once there are enough localizations.",
    "Speed": "Latency and backlog are shown here while a run goes on.",
}
"""What a tab says as long as none of its plots has anything to show."""
_CURVES: dict[str, tuple[tuple[str, str], ...]] = {
    "density": (("mean", "density"), ("crowded", "local_density")),
    "photons": (("", "photons"),),
    "precision": (("stated", "precision_nm"), ("NeNA", "nena_nm")),
    "background": (("", "background"),),
    "on_time": (("", "on_time_frames"),),
    "resolution": (
        ("FRC", "resolution_nm"),
        ("decorrelation", "decorrelation_nm"),
        ("Nyquist", "nyquist_nm"),
        ("NeNA", "nena_nm"),
    ),
    "drift": (
        ("x", "drift_x_nm"),
        ("y", "drift_y_nm"),
        ("z", "drift_z_nm"),
        ("stage x", "hold_x_nm"),
        ("stage y", "hold_y_nm"),
        ("stage z", "hold_z_nm"),
    ),
    "latency": (
        ("p50", "recent_p50_ms"),
        ("p99", "recent_p99_ms"),
        ("p99 of the run", "p99_ms"),
    ),
    "backlog": (("", "backlog"),),
}
"""Name shown, and name in `RunSeries.curves`."""
_SECTIONS = {"Loop": "density-and-laser", "Signal": "signal", "Image": "resolution-and-drift",
             "Speed": "speed"}  # fmt: skip
"""Of the help, by tab."""
_LEAST_RANGES = {"drift": 2.0, "backlog": 2.0, "resolution": 1.0}
"""Of the axis of the values, in their unit: noise of less is not to look like a change."""


class TrendsPanel(Panel, QtWidgets.QTabWidget):
    """Figures over the frames; only the tab in front is drawn.

    Parameters
    ----------
    series
        The curves.
    """

    section = _SECTIONS["Loop"]
    """Of the tab in front."""
    is_plot = True

    def __init__(self, series: RunSeries, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.series = series
        self.limit_per_um2: float | None = None
        """Density above which the localizer cannot separate emitters."""
        self.laser, self.power_unit = "", ""
        """The one that is steered; others would press its curve flat."""
        self.plots: dict[str, TrendPlot] = {}
        self.empty: dict[str, QtWidgets.QLabel] = {}
        self.setUsesScrollButtons(False)
        for tab, plots in _PLOTS.items():
            page = QtWidgets.QWidget()
            layout = QtWidgets.QVBoxLayout(page)
            layout.setContentsMargins(8, 4, 8, 6)
            layout.setSpacing(4)
            for name, title, unit, tip in plots:
                self.plots[name] = TrendPlot(
                    title, unit, tip, log=name == "latency", from_zero=name != "drift",
                    least_range=_LEAST_RANGES.get(name, 0.0),
                )  # fmt: skip
                self.plots[name].hide()
                layout.addWidget(self.plots[name], 1)
            self.empty[tab] = label(_EMPTY[tab], "dim")
            self.empty[tab].setWordWrap(True)
            self.empty[tab].setAlignment(QtCore.Qt.AlignmentFlag.AlignTop)
            layout.addWidget(self.empty[tab])
            layout.addStretch(0)
            self.addTab(page, tab)
            self.setTabToolTip(self.count() - 1, "\n".join(tip for *_, tip in plots))
        self.help_mark = HelpMark(self.section)
        self.setCornerWidget(self.help_mark)
        self.currentChanged.connect(self._take_tab)
        self.currentChanged.connect(self.refresh)

    def _take_tab(self, tab: int) -> None:
        """Let the help be that on the tab in front."""
        own = getattr(self.widget(tab), "section", "")
        self.section = self.help_mark.section = _SECTIONS.get(self.tabText(tab), own)

    def show_update(self, update: RunUpdate) -> None:
        """Note which laser is steered, and the limit that another run was started with."""
        if update.begins and update.run is not None:
            self.limit_per_um2 = update.run.settings.feedback.max_local_per_um2
        if update.status is not None:
            loop = update.status.loop
            self.laser = "" if loop is None else loop.laser
            self.power_unit = "" if loop is None else loop.unit

    def set_narrow(self, is_narrow: bool) -> None:
        """Let the tabs scroll where they have no room."""
        self.setUsesScrollButtons(is_narrow)

    def show_count(self, widget: QtWidgets.QWidget, title: str, count: int) -> None:
        """Write how many entries a tab has behind its title."""
        self.setTabText(self.indexOf(widget), f"{title} {count}" if count else title)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of a theme."""
        for plot in self.plots.values():
            plot.set_theme(theme)
        self.refresh()

    def refresh(self) -> None:
        """Draw the tab in front."""
        tab = self.tabText(self.currentIndex())
        if not self.isVisible() or tab not in _PLOTS:
            return
        for name, *_ in _PLOTS[tab]:
            plot = self.plots[name]
            curves = self._powers() if name == "power" else self._of(name)
            plot.show_curves(curves)
        self.empty[tab].setVisible(all(self.plots[name].isHidden() for name, *_ in _PLOTS[tab]))
        if tab == "Loop":
            self._mark_density()

    def _of(self, name: str) -> list[Curve]:
        points = [(title, *self.series.curves[curve].points()) for title, curve in _CURVES[name]]
        return [curve for curve in points if len(curve[1])]

    def _powers(self) -> list[Curve]:
        self.plots["power"].unit = self.power_unit
        powers = self.series.powers
        shown = [self.laser] if self.laser in powers else list(powers)
        return [(name, *powers[name].points()) for name in shown]

    def _mark_density(self) -> None:
        density = self.plots["density"]
        target = self.series.curves["target"].last
        if math.isfinite(target):
            density.set_band(target * (1 - TARGET_BAND), target * (1 + TARGET_BAND))
        if self.limit_per_um2 is not None:
            crowded = self.series.curves["local_density"].points()[1]
            density.set_limit(self.limit_per_um2, float(np.max(crowded, initial=0.0)))
