"""Super-resolution panel: the growing picture, and how it is shown."""

from __future__ import annotations

import numpy as np

from rtsmlm.render.depth_tables import depth_table
from rtsmlm.render.filter import Filter
from rtsmlm.viewer.drawing_thread import DrawingThread, Shown
from rtsmlm.viewer.live_picture import Appearance, Picture
from rtsmlm.viewer.pace import FULL
from rtsmlm.viewer.panels.panel import Panel
from rtsmlm.viewer.preferences import Preferences
from rtsmlm.viewer.sources.updates import RunUpdate
from rtsmlm.viewer.widgets.canvas import Canvas, to_qimage
from rtsmlm.viewer.widgets.controls import allow, button, choice, choose, explained, label, tick
from rtsmlm.viewer.widgets.elided_label import ElidedLabel
from rtsmlm.viewer.widgets.flow_layout import FlowLayout
from rtsmlm.viewer.widgets.lut import LUTS
from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets

MODES = (
    ("Gaussian", "gaussian"),
    ("Histogram", "histogram"),
    ("ASH", "shifted-histogram"),
)
COLORS = (
    ("Density", "none"),
    ("Depth z", "z_nm"),
    ("Time", "frame"),
    ("Photons", "photons"),
    ("Channel", "channel"),
)
_UNITS = {"z_nm": "nm", "frame": "", "photons": "photons"}
_OCTAVES = 4.0
_LEAST_SLIDER_PX = 30
"""In a dock of 300 pixels."""


class SuperResPanel(Panel, QtWidgets.QFrame):
    """The picture with its controls.

    Parameters
    ----------
    preferences
        Where the appearance is remembered.
    """

    export_asked = QtCore.Signal()
    _drawn = QtCore.Signal()

    def __init__(self, preferences: Preferences, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._preferences = preferences
        self._drawn.connect(self.refresh)  # in the event loop, as soon as it is free
        self.drawing = DrawingThread(self._drawn.emit)
        self.canvas = Canvas()
        self.updates = 0
        """Pictures that were shown."""
        self.least_s = FULL.picture_s
        """From one picture of new rows to the next; more while the run needs the cores."""
        self._make_controls()
        self._lay_out()
        self._read_preferences()
        for box in (self.mode, self.color, self.lut):
            box.currentIndexChanged.connect(self._restyle)
        self.gamma.valueChanged.connect(self._restyle)
        self.brightness.valueChanged.connect(self._restyle)
        self.auto.toggled.connect(self._restyle)
        self._restyle()

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
        self.lut = choice(
            [(name.capitalize(), name) for name in LUTS],
            "Colour table of the density, in localizations per µm².",
        )
        self.auto = tick(
            "Auto",
            "Let the white level follow the data slowly, in localizations per µm²; "
            "off keeps it where it is.",
        )
        self.brightness = _slider(
            -100, 100, "Brightness: the white level relative to the automatic one, a factor of "
            "1/16 to 16 (no unit).",
        )  # fmt: skip
        self.gamma = _slider(
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
        self.setObjectName("panel")
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 8)
        layout.setSpacing(5)
        second, last = QtWidgets.QHBoxLayout(), QtWidgets.QHBoxLayout()
        choices = QtWidgets.QWidget()
        choices.setObjectName("clear")
        first = FlowLayout(choices, across=5)
        for widget in (self.mode, self.color, self.lut):
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
        layout.addWidget(self.canvas, 1)
        layout.addLayout(last)
        self.whole.clicked.connect(self.canvas.show_whole)
        self.export.clicked.connect(self.export_asked)

    def _read_preferences(self) -> None:
        get = self._preferences.get
        choose(self.mode, get("mode"))
        choose(self.color, get("color"))
        choose(self.lut, get("lut"))
        self.auto.setChecked(get("autocontrast"))
        self.gamma.setValue(round(100 * get("gamma")))
        self.brightness.setValue(round(100 * np.log2(max(get("brightness"), 1e-3)) / _OCTAVES))

    @property
    def appearance(self) -> Appearance:
        """How the picture is shown."""
        return Appearance(
            lut=self.lut.currentData(),
            gamma=self.gamma.value() / 100,
            brightness=2.0 ** (_OCTAVES * self.brightness.value() / 100),
            autocontrast=self.auto.isChecked(),
        )

    def _restyle(self) -> None:
        appearance = self.appearance
        mode, color = self.mode.currentData(), self.color.currentData()
        allow([self.lut], None if color == "none" else "the colours show something else now")
        self.drawing.restyle(mode=mode, color=color)
        for name, value in {
            "mode": mode, "color": color, "lut": appearance.lut, "gamma": appearance.gamma,
            "brightness": appearance.brightness, "autocontrast": appearance.autocontrast,
        }.items():  # fmt: skip
            self._preferences.set(name, value)

    def filter_by(self, shown: Filter) -> None:
        """Show only what passes a filter."""
        self.drawing.restyle(shown=shown)

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
        viewport, canvas = self.canvas.viewport, self.canvas
        if viewport is None or not canvas.isVisible():
            self.drawing.show(None)
            return
        self.drawing.show(Shown(viewport, canvas.canvas_px, self.appearance), self.least_s)
        drawn = self.drawing.take()
        if drawn is None:
            return
        canvas.show_picture(drawn)
        canvas.hues = _hues(drawn)
        self.updates += 1
        nm = drawn.viewport.nm_per_px * canvas.devicePixelRatioF()
        count = f"{drawn.n_inside:,}".replace(",", "\u202f")
        self.info.set_text(f"{count} localizations   ·   {nm:.3g} nm per pixel of the screen")

    def close_picture(self) -> None:
        """End the threads that draw."""
        self.drawing.close()


def _hues(drawn: Picture) -> tuple[QtGui.QImage, str, str] | None:
    """Return the colours of a picture whose hue is a value, and the text at both ends."""
    if drawn.limits is None:
        return None
    table = np.round(depth_table()[None] * 255).astype(np.uint8)
    unit = _UNITS[drawn.view.style.color]
    low, high = (f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}" for value in drawn.limits)
    prefix = "frame " if not unit else ""
    return to_qimage(table), prefix + low, f"{high} {unit}".strip()


def _slider(low: int, high: int, tip: str) -> QtWidgets.QSlider:
    made = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
    made.setRange(low, high)
    made.setMinimumWidth(_LEAST_SLIDER_PX)
    explained(made, tip)
    return made
