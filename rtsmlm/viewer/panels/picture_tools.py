"""Picture tools: measuring, frames, tilt and layers of the super-resolution picture."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np

from rtsmlm.protocols import ImageLayer
from rtsmlm.render.filter import Filter
from rtsmlm.stream.settings_part import SettingsPart
from rtsmlm.viewer.drawing_thread import DrawingThread
from rtsmlm.viewer.live_picture import LivePicture
from rtsmlm.viewer.measuring import filter_texts
from rtsmlm.viewer.panels.histogram_panel import HistogramPanel
from rtsmlm.viewer.panels.layers_bar import LayersBar
from rtsmlm.viewer.panels.measure_bar import MeasureBar
from rtsmlm.viewer.panels.slab_bar import SlabBar
from rtsmlm.viewer.panels.time_bar import TimeBar
from rtsmlm.viewer.predictions import read_predictions
from rtsmlm.viewer.shapes import Tool
from rtsmlm.viewer.sources.updates import RunUpdate
from rtsmlm.viewer.widgets.canvas import Canvas
from rtsmlm.viewer.widgets.controls import add_shortcuts, allow
from rtsmlm.viewer.widgets.filter_chips import FilterChips
from rtsmlm.viewer.widgets.qt import QtCore, QtWidgets
from rtsmlm.viewer.widgets.readout import Readout
from rtsmlm.viewer.widgets.shape_tool import ShapeTool
from rtsmlm.viewer.widgets.theme import Theme
from rtsmlm.viewer.widgets.tool_strip import ToolStrip

MEASURING: tuple[tuple[Tool, str, str], ...] = (
    ("pan", "V", "Pan: drag the picture (no unit)."),
    ("distance", "D", "Distance: between two points, in nm, and its angle."),
    ("profile", "P", "Line profile: localizations along a line, and the width (FWHM) in nm."),
    ("rectangle", "R", "Rectangle: count, density per µm², precision in nm, photons, frames."),
    ("ellipse", "E", "Ellipse: count, density per µm², precision in nm, photons, frames."),
    ("polygon", "G", "Polygon, by corners or by hand: count, density per µm², precision in nm, "
     "photons, frames."),
)  # fmt: skip
BARS = (
    ("time", "T", "Time: choose which frames are shown, and play them."),
    ("slab", "3", "3D: tilt the sample and cut a slab out of it, in nm."),
    ("layers", "L", "Layers: channels, and images that networks predict (no unit)."),
)
_READ_S = 1.0
NO_DEPTH = "this run states no depth z"


class PictureTools(QtWidgets.QWidget):
    """The bars below the picture; `strip` and `chips` are placed by the panel.

    Parameters
    ----------
    canvas
        The picture.
    drawing
        Draws it.
    """

    reported = QtCore.Signal(str)
    failed = QtCore.Signal(str)
    filter_changed = QtCore.Signal()
    """Channels were hidden or shown: the filter of the picture is another."""
    layers_changed = QtCore.Signal()
    """Other predictions are shown."""

    def __init__(self, canvas: Canvas, drawing: DrawingThread) -> None:
        super().__init__()
        self._drawing = drawing
        self.readout = Readout(canvas)
        self.shapes = ShapeTool(canvas)
        self.strip, self.chips = ToolStrip(), FilterChips()
        self.time, self.slab, self.layers = TimeBar(), SlabBar(canvas), LayersBar()
        self.measure = MeasureBar(self.shapes, drawing, self.reported.emit, self.failed.emit)
        self.has_depth = False
        """Whether a row of this run states a depth."""
        self._last_frame = 0
        self._reading: Future[list[ImageLayer]] | None = None
        self._read_at_s = 0.0
        self._layer_files: dict[Path, int] = {}  # when each was written that has been read
        self._sides: tuple[float | None, float | None] | None = None
        self._make_strip()
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        for bar in (self.time, self.slab, self.layers, self.measure):
            column.addWidget(bar)
        self._connect()
        self._allow()

    def _make_strip(self) -> None:
        group = QtWidgets.QButtonGroup(self)
        for tool, key, tip in MEASURING:
            made = self.strip.add(tool, tip, key)
            group.addButton(made)
            made.toggled.connect(lambda on, tool=tool: self._take_tool(tool, on=on))
        self.strip.add_gap()
        for name, key, tip in BARS:
            made = self.strip.add(name, tip, key)
            made.toggled.connect(lambda on, name=name: self._show_bar(name, on=on))
        self.strip.buttons["pan"].setChecked(True)

    def add_keys(self, panel: QtWidgets.QWidget) -> None:
        """Let the keys of the tools act while the focus is in a panel."""
        keys = {key: self.strip.buttons[name].click for name, key, _ in (*MEASURING, *BARS)}
        add_shortcuts(panel, {**keys, "Space": self._play})

    def _connect(self) -> None:
        self.shapes.left.connect(self.strip.buttons["pan"].click)
        self.slab.changed.connect(lambda: self._drawing.restyle(projection=self.slab.projection))
        self.layers.channels_changed.connect(self.filter_changed)
        self.layers.predictions_changed.connect(self.layers_changed)

    def connect_filters(self, histograms: HistogramPanel) -> None:
        """Let the time bar and the chips act on the filters of the histograms."""
        frames = histograms.plots["frame"]
        self.time.changed.connect(lambda: frames.set_sides(self.time.sides))

        def show_sides() -> None:
            self._sides = frames.sides()
            self._show_frames()

        def remove(name: str) -> None:
            if name == "hidden_channels":
                self.layers.show_channels()
            histograms.remove(name)

        frames.changed.connect(show_sides)
        self.chips.removed.connect(remove)

    # -- tools and bars --------------------------------------------------------------------

    def _take_tool(self, tool: Tool, *, on: bool) -> None:
        if on:
            self.shapes.choose(tool)
            self.measure.show_tool()

    def _show_bar(self, name: str, *, on: bool) -> None:
        if name == "slab":
            (self.slab.open if on else self.slab.close_bar)()
            return
        bar = self.time if name == "time" else self.layers
        bar.setVisible(on)
        if name == "time" and on:
            self.time.show_frames(self._last_frame, self._sides)

    def _play(self) -> None:
        self.strip.buttons["time"].setChecked(True)
        self.time.play.toggle()

    def _allow(self) -> None:
        """Allow the bars that have something to show."""
        for name, why in (
            ("slab", None if self.has_depth else NO_DEPTH),
            ("layers", self.layers.why_empty),
        ):
            made = self.strip.buttons[name]
            if why is not None and made.isChecked():
                made.setChecked(False)
            allow([made], why)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of a theme."""
        self.strip.set_theme(theme)
        self.time.set_theme(theme)
        self.measure.set_theme(theme)

    # -- the run ---------------------------------------------------------------------------

    def show_update(self, update: RunUpdate) -> None:
        """Learn how long the run is, and what it has: depth, channels, predictions."""
        if update.begins:
            self._forget()
        settings = SettingsPart() if update.run is None else update.run.settings
        channels = settings.channels
        for rows in update.rows:
            if not len(rows):
                continue
            self._last_frame = max(self._last_frame, int(rows.frame.max()))
            self.has_depth = self.has_depth or bool(np.isfinite(rows.std_z_nm).any())
            self.layers.add_channels(np.unique(rows.channel).tolist(), channels.name_of)
        if update.layers:
            layers = tuple(update.layers)
            self._drawing.submit(lambda picture: picture.set_layers(layers))
            self._offer(layers)
        if update.rows:
            self._allow()
            self._show_frames()

    def _forget(self) -> None:
        """Forget the run before: shapes, tilt, layers and frames go with it."""
        self.measure.forget()
        self.has_depth, self._last_frame, self._reading = False, 0, None
        self._layer_files = {}
        self.layers.clear()
        self._allow()
        self.layers_changed.emit()

    def _show_frames(self) -> None:
        if self.time.isVisible() or self._sides is not None:
            self.time.show_frames(self._last_frame, self._sides)

    def follow_folder(self, folder: Path | None) -> None:
        """Offer the predictions in the folder of a run that is over; None where it is elsewhere.

        They are read again where they have changed: a network may take longer than the run.
        """
        self.measure.folder = folder
        now_s = time.monotonic()
        if folder is None or self._reading is not None or now_s < self._read_at_s:
            return
        self._read_at_s = now_s + _READ_S
        known = self._layer_files

        def read(picture: LivePicture) -> list[ImageLayer]:
            found = read_predictions(folder, known)
            picture.set_layers(found)
            return found

        self._reading = self._drawing.submit(read)

    def refresh(self) -> None:
        """Take what was measured and read."""
        self.measure.refresh()
        reading = self._reading
        if reading is None or not reading.done():
            return
        self._reading = None
        if not reading.cancelled() and reading.exception() is None:
            self._offer(reading.result())

    def _offer(self, layers: Sequence[ImageLayer]) -> None:
        """Offer predictions in the bar of the layers."""
        if layers:
            self.layers.add_predictions(layers)
            self._allow()

    # -- filters ---------------------------------------------------------------------------

    def with_channels(self, shown: Filter) -> Filter:
        """Return a filter that hides the channels that are off, too."""
        return replace(shown, hidden_channels=self.layers.hidden_channels)

    def show_filter(self, shown: Filter) -> None:
        """Show a chip for each limit."""
        self.chips.show_texts(filter_texts(shown))

    def close(self) -> bool:
        """Wait for what is being written. Safe to call more than once."""
        self.measure.close_files()
        return super().close()


def count_text(n_shown: int, n_inside: int) -> str:
    """Return how many localizations are shown, and of how many where some are hidden."""
    shown, inside = (f"{n:,}".replace(",", "\u202f") for n in (n_shown, n_inside))
    return f"{inside} localizations" if n_shown == n_inside else f"{shown} of {inside} shown"


def names_of(tools: Sequence[tuple[str, str, str]]) -> list[tuple[str, str]]:
    """Return keys and what they do, for the help."""
    return [(key, tip.split(":")[0]) for _, key, tip in tools]
