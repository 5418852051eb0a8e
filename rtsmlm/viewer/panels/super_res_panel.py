"""Super-resolution panel: the growing picture, and how it is shown."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rtsmlm.errors import number_text
from rtsmlm.render.filter import Filter
from rtsmlm.viewer.drawing_thread import DrawingThread, Shown
from rtsmlm.viewer.live_picture import Appearance
from rtsmlm.viewer.pace import FULL
from rtsmlm.viewer.panels.histogram_panel import HistogramPanel
from rtsmlm.viewer.panels.panel import Panel
from rtsmlm.viewer.panels.picture_colors import (
    COLORS,
    MODES,
    TABLE_TIPS,
    TABLES,
    WHY_NOT,
    allow_entry,
    scale_of,
)
from rtsmlm.viewer.panels.picture_tools import PictureTools, count_text
from rtsmlm.viewer.preferences import Preferences
from rtsmlm.viewer.sources.updates import RunUpdate
from rtsmlm.viewer.widgets.canvas import Canvas
from rtsmlm.viewer.widgets.controls import (
    allow,
    button,
    choice,
    choose,
    explained,
    label,
    panel_layout,
    slider,
    tick,
)
from rtsmlm.viewer.widgets.elided_label import ElidedLabel
from rtsmlm.viewer.widgets.flow_layout import FlowLayout
from rtsmlm.viewer.widgets.help_mark import HelpMark
from rtsmlm.viewer.widgets.qt import QtCore, QtWidgets
from rtsmlm.viewer.widgets.theme import Theme

_OCTAVES = 4.0


class SuperResPanel(Panel, QtWidgets.QFrame):
    """The picture with its controls and tools.

    Parameters
    ----------
    preferences
        Where the appearance is remembered.
    """

    section = "image"
    export_asked = QtCore.Signal()
    _drawn = QtCore.Signal()

    def __init__(self, preferences: Preferences, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._preferences = preferences
        self._drawn.connect(self.refresh)  # in the event loop, as soon as it is free
        self.drawing = DrawingThread(self._drawn.emit)
        self.canvas = Canvas()
        self.tools = PictureTools(self.canvas, self.drawing)
        self._wanted_color = "none"
        """As it was chosen; where a run has no depth another one is shown meanwhile."""
        self.updates = 0
        """Pictures that were shown."""
        self.least_s = FULL.picture_s
        """From one picture of new rows to the next; more while the run needs the cores."""
        self._make_controls()
        self._lay_out()
        self._read_preferences()
        self.mode.currentIndexChanged.connect(self._restyle)
        self.color.currentIndexChanged.connect(self._take_color)
        self.lut.currentIndexChanged.connect(self._take_table)
        self.gamma.valueChanged.connect(self._restyle)
        self.brightness.valueChanged.connect(self._restyle)
        self.auto.toggled.connect(self._restyle)
        self.tools.layers_changed.connect(self.refresh)
        self.tools.strip.buttons["layers"].toggled.connect(self._show_channels)
        self.tools.add_keys(self)
        self._show_color()

    def _make_controls(self) -> None:
        self.mode = choice(
            MODES,
            "How a localization is drawn (no unit).\nGaussian: with its own precision in nm. "
            "Histogram: counts per pixel.\nASH: averaged shifted histogram.",
        )
        self.color = choice(
            COLORS,
            "What gives the colour: the density per µm² through the table beside this, "
            "z in nm, time in frames, photons, or the channel (no unit).",
        )
        self.lut = choice(TABLES["density"], "Colour table (no unit).")
        self.auto = tick(
            "Auto",
            "Let the white level follow the data slowly, in localizations per µm²; "
            "off keeps it where it is.",
        )
        self.brightness = slider(
            -100, 100, "Brightness: the white level relative to the automatic one, a factor of "
            "1/16 to 16 (no unit).",
        )  # fmt: skip
        self.gamma = slider(
            10, 150, "Gamma: exponent of the brightness in hundredths (no unit); below 100 "
            "lifts what is sparse.",
        )  # fmt: skip
        self.whole = button("Whole field", "Show the whole field (double click, or Home; no unit).")
        self.export = button(
            "Export …",
            "Save what is on screen as a 16-bit TIFF with its pixel size in nm, and as a PNG with "
            "a scale bar.",
        )
        explained(
            self.canvas,
            "Super-resolution image. Drag: pan. Wheel: zoom. Double click: whole field.\n"
            "The scale bar is in nm or µm.",
        )
        self.info = ElidedLabel("Localizations inside the field, and nm per screen pixel.")

    def _lay_out(self) -> None:
        layout = panel_layout(self)
        second, last = QtWidgets.QHBoxLayout(), QtWidgets.QHBoxLayout()
        choices = QtWidgets.QWidget()
        choices.setObjectName("clear")
        first = FlowLayout(choices, across=5)
        for widget in (self.mode, self.color, self.lut, HelpMark(self.section)):
            first.addWidget(widget)
        # Here, so that the panel is narrow enough for a window of 1024 pixels.
        last.addWidget(self.info, 1)
        last.addWidget(self.whole)
        last.addWidget(self.export)
        second.setSpacing(4)
        second.addWidget(self.auto)
        second.addWidget(label("Brightness", "dim"))
        second.addWidget(self.brightness, 3)
        second.addWidget(label("Gamma", "dim"))
        second.addWidget(self.gamma, 2)
        layout.addWidget(choices)
        layout.addLayout(second)
        layout.addWidget(self.tools.chips)
        picture = QtWidgets.QHBoxLayout()
        picture.setSpacing(4)
        picture.addWidget(self.tools.strip)
        picture.addWidget(self.canvas, 1)
        layout.addLayout(picture, 1)
        layout.addWidget(self.tools)
        layout.addLayout(last)
        self.whole.clicked.connect(self.canvas.show_whole)
        self.export.clicked.connect(self.export_asked)

    def _read_preferences(self) -> None:
        get = self._preferences.get
        choose(self.mode, get("mode"))
        self._wanted_color = get("color")
        self.auto.setChecked(get("autocontrast"))
        self.gamma.setValue(round(100 * get("gamma")))
        self.brightness.setValue(round(100 * np.log2(max(get("brightness"), 1e-3)) / _OCTAVES))

    @property
    def appearance(self) -> Appearance:
        """How the picture is shown."""
        get = self._preferences.get
        return Appearance(
            lut=get("lut"),
            depth_colors=get("depth_colors"),
            gamma=self.gamma.value() / 100,
            brightness=2.0 ** (_OCTAVES * self.brightness.value() / 100),
            autocontrast=self.auto.isChecked(),
            layers=self.tools.layers.shown,
        )

    def _restyle(self) -> None:
        appearance, mode = self.appearance, self.mode.currentData()
        self.drawing.restyle(mode=mode, color=self.color.currentData())
        for name, value in {
            "mode": mode, "gamma": appearance.gamma, "brightness": appearance.brightness,
            "autocontrast": appearance.autocontrast,
        }.items():  # fmt: skip
            self._preferences.set(name, value)

    # -- colours -----------------------------------------------------------------------------

    def _take_color(self) -> None:
        """Remember a colour that the user has chosen."""
        self._wanted_color = self.color.currentData()
        self._preferences.set("color", self._wanted_color)
        self._show_color()

    def _show_color(self) -> None:
        """Show the colour that is wanted, or the density where this run does not have it."""
        possible = {"z_nm": self.tools.has_depth, "channel": len(self.tools.layers.channels) > 1}
        for name, is_there in possible.items():
            allow_entry(self.color, name, is_there, WHY_NOT[name])
        color = self._wanted_color if possible.get(self._wanted_color, True) else "none"
        was = self.color.blockSignals(True)
        choose(self.color, color)
        self.color.blockSignals(was)
        self._show_tables(color)
        self._restyle()

    def _show_tables(self, color: str) -> None:
        """Offer the colour tables of the density, or those of a value."""
        kind = "density" if color == "none" else "value"
        was = self.lut.blockSignals(True)
        self.lut.clear()
        for text, name in TABLES[kind]:
            self.lut.addItem(text, name)
        choose(self.lut, self._preferences.get("lut" if kind == "density" else "depth_colors"))
        self.lut.blockSignals(was)
        explained(self.lut, TABLE_TIPS[kind])
        allow([self.lut], "each channel has a colour of its own" if color == "channel" else None)

    def _take_table(self) -> None:
        is_density = self.color.currentData() == "none"
        self._preferences.set("lut" if is_density else "depth_colors", self.lut.currentData())
        self.refresh()

    def _show_channels(self, on: bool) -> None:
        """Give each channel its colour as soon as the layers are opened."""
        if on and len(self.tools.layers.channels) > 1:
            choose(self.color, "channel")

    def filter_by(self, shown: Filter) -> None:
        """Show only what passes a filter, in the channels that are on, and show that it is so."""
        shown = self.tools.with_channels(shown)
        self.drawing.restyle(shown=shown)
        self.tools.show_filter(shown)

    def follow_filters(
        self, histograms: HistogramPanel, report: Callable[[str], None], fail: Callable[[str], None]
    ) -> None:
        """Show what the filters of the histograms let pass.

        Parameters
        ----------
        histograms
            Have the limits.
        report, fail
            Called with what was done, or with why not.
        """

        def take() -> None:
            self.filter_by(histograms.filter())

        histograms.filter_changed.connect(take)
        histograms.switched_off.connect(
            lambda texts: report(f"Another run: the filters are off ({texts})")
        )
        self.tools.connect_filters(histograms)
        self.tools.filter_changed.connect(take)
        self.tools.reported.connect(report)
        self.tools.failed.connect(fail)

    # -- what comes in -------------------------------------------------------------------

    def show_update(self, update: RunUpdate) -> None:
        """Take the new rows; another run begins an empty field."""
        if update.begins and update.run is not None:
            self._begin(update.run.shape, update.run.pixel_nm)
        elif update.restarted:
            self.drawing.clear()
        if self.drawing.field is not None:
            self.show_message("")
        elif update.connection == "ended":
            self.show_message("This run is empty.")
        else:
            self.show_message("Waiting for a run …")
        self.drawing.add(update.rows)
        had = (self.tools.has_depth, len(self.tools.layers.channels))
        self.tools.show_update(update)
        if had != (self.tools.has_depth, len(self.tools.layers.channels)):
            self._show_color()
        if update.connection == "ended":
            self.tools.follow_folder(update.folder)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of a theme."""
        self.tools.set_theme(theme)

    def show_message(self, text: str) -> None:
        """Write a sentence across the canvas; nothing where it is empty."""
        if self.canvas.message != text:
            self.canvas.message = text
            self.canvas.update()

    def _begin(self, shape_px: tuple[int, int], pixel_nm: float) -> None:
        """Begin a field."""
        self.drawing.begin(shape_px, pixel_nm)
        if (field := self.drawing.field) is not None:
            self.canvas.set_field(field.corner_nm, field.size_nm)

    def refresh(self) -> None:
        """State what is on screen, and show the newest picture that is finished."""
        self.tools.refresh()
        viewport, canvas = self.canvas.viewport, self.canvas
        if viewport is None or not canvas.isVisible():
            self.drawing.show(None)
            return
        self.drawing.show(Shown(viewport, canvas.canvas_px, self.appearance), self.least_s)
        if (drawn := self.drawing.take()) is None:
            return
        canvas.show_picture(drawn)
        canvas.hues = scale_of(drawn, self.appearance.depth_colors)
        canvas.labels = drawn.labels
        self.updates += 1
        nm = drawn.viewport.nm_per_px * canvas.devicePixelRatioF()
        count = count_text(drawn.n_shown, drawn.n_inside)
        self.info.set_text(f"{count}   ·   {number_text(nm)} nm per pixel of the screen")

    def close_picture(self) -> None:
        """End the threads that draw and write."""
        self.tools.close()
        self.drawing.close()
