"""Measure bar: what the tool in hand found in the picture, to copy, to keep and to save."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import numpy as np

from rtsmlm.analysis.measurement import Measurement, csv_text, write_csv
from rtsmlm.errors import number_text
from rtsmlm.realtime.worker import Worker, one_line
from rtsmlm.viewer.drawing_thread import DrawingThread
from rtsmlm.viewer.measuring import Measured, measure
from rtsmlm.viewer.widgets.controls import button, explained, label, number
from rtsmlm.viewer.widgets.qt import QtCore, QtGui, QtWidgets, pg
from rtsmlm.viewer.widgets.shape_tool import ShapeTool
from rtsmlm.viewer.widgets.theme import Theme
from rtsmlm.viewer.widgets.trend_plot import style_plot

AGAIN_S = 0.5
"""From one measurement to the next while rows come in; more where it takes long."""
_SHARE = 0.15
"""Most part of the time of the drawing thread that may go into measuring again."""
_LEAVE_S = 10.0
_PLOT_PX = 96
_HINTS = {
    "distance": "Drag from one point to the other.",
    "profile": "Drag a line across a structure.",
    "rectangle": "Drag from one corner to the other.",
    "ellipse": "Drag from one corner of its box to the other.",
    "polygon": "Click corners and double click the last, or draw around a part by hand.",
}


class MeasureBar(QtWidgets.QWidget):
    """Hidden until a tool is chosen; measures again as rows come in and filters change.

    Parameters
    ----------
    shapes
        What is drawn on the canvas.
    drawing
        In whose thread the rows are.
    report, fail
        Called with what was done, or with why not.
    """

    def __init__(
        self,
        shapes: ShapeTool,
        drawing: DrawingThread,
        report: Callable[[str], None],
        fail: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._shapes, self._drawing = shapes, drawing
        self._report, self._fail = report, fail
        self.folder: Path | None = None
        """Of the run, where it is known: the place to save to that is offered."""
        self.measured: Measured | None = None
        self.kept: list[Measurement] = []
        self._asked: Future[Measured] | None = None
        self._is_stale = False
        self._next_s = 0.0
        self._writing: Worker | None = None
        self._written = ""
        self._make()
        self._lay_out()
        shapes.changed.connect(self._take_shape)
        self.hide()

    def _make(self) -> None:
        self.found = label("", "", "What the tool found (unit beside each number).")
        self.found.setWordWrap(True)
        self.found.setTextInteractionFlags(QtCore.Qt.TextInteractionFlag.TextSelectableByMouse)
        self.rows = label("", "dim", "Which localizations count (no unit).")
        self.rows.setWordWrap(True)
        self.strip_width = number(
            (1, 100_000), "Width of the strip that a profile counts, across the line, in nm.",
            suffix=" nm", step=10,
        )  # fmt: skip
        self.strip_width.setValue(200)
        self.strip_label = label("width", "dim")
        self.copy = button("Copy", "Copy the result as a table with tabs (unit in a column).")
        self.keep = button(
            "Keep", "Keep the result for the csv file, and measure the next (no unit)."
        )
        self.save = button("Save csv …", "Save what is kept and this result (unit in a column).")
        self.plot = pg.PlotWidget()
        explained(self.plot, "Localizations along the line, over nm from its start; the curve is "
                  "the Gaussian on an even ground that was fitted.")  # fmt: skip
        self.plot.setMenuEnabled(False)
        self.plot.hideButtons()
        self.plot.setMouseEnabled(x=False, y=False)
        self.plot.setFixedHeight(_PLOT_PX)
        self._bars = pg.PlotDataItem(stepMode="center", fillLevel=0)
        self._curve = pg.PlotDataItem()
        self.plot.addItem(self._bars)
        self.plot.addItem(self._curve)
        self.strip_width.valueChanged.connect(self._take_width)
        self.copy.clicked.connect(self.copy_all)
        self.keep.clicked.connect(self.keep_this)
        self.save.clicked.connect(self.ask_where_to_save)
        self._take_width()

    def _lay_out(self) -> None:
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        row = QtWidgets.QHBoxLayout()
        row.addWidget(self.strip_label)
        row.addWidget(self.strip_width)
        row.addStretch(1)
        for made in (self.copy, self.keep, self.save):
            row.addWidget(made)
        for shown in (self.plot, self.found, self.rows):
            layout.addWidget(shown)
        layout.addLayout(row)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of a theme."""
        style_plot(self.plot, theme)
        self._bars.setPen(pg.mkPen(theme.blue, width=1))
        self._bars.setBrush(pg.mkBrush(theme.blue + "60"))
        self._curve.setPen(pg.mkPen(theme.accent, width=2))

    # -- what is measured ------------------------------------------------------------------

    def show_tool(self) -> None:
        """Show what belongs to the tool in hand; nothing for the one that pans."""
        tool = self._shapes.tool
        self.setVisible(tool != "pan")
        for widget in (self.strip_width, self.strip_label, self.plot):
            widget.setVisible(tool == "profile")
        self._show_result()

    def _take_width(self) -> None:
        self._shapes.width_nm = self.strip_width.value()
        if self._shapes.shape is not None:
            self._take_shape()
            self._shapes.changed.emit()

    def _take_shape(self) -> None:
        self._is_stale = True
        self._next_s = 0.0
        if self._shapes.shape is None:
            self.measured, self._asked = None, None
            self._show_result()

    def forget(self) -> None:
        """Forget the shape, for another run; what was kept stays."""
        self._shapes.remove()

    def refresh(self) -> None:
        """Take what was measured, and measure again where something has changed."""
        self._finish_writing()
        if self._asked is not None and self._asked.done():
            asked, self._asked = self._asked, None
            if not asked.cancelled() and asked.exception() is None and self._shapes.shape:
                self.measured = asked.result()
                self._next_s = time.monotonic() + max(AGAIN_S, self.measured.took_s / _SHARE)
                self._show_result()
        shape, tool = self._shapes.shape, self._shapes.tool
        if shape is None or self._shapes.is_drawing or self._asked is not None:
            return
        now = self._drawing.picture.version
        is_old = self.measured is None or self.measured.version != now
        if self._is_stale or (is_old and time.monotonic() >= self._next_s):
            self._is_stale = False
            width_nm = self.strip_width.value()
            self._asked = self._drawing.submit(
                lambda picture: measure(picture, tool, shape, width_nm)
            )

    def _show_result(self) -> None:
        measured, tool = self.measured, self._shapes.tool
        for made in (self.copy, self.keep):
            made.setEnabled(measured is not None)
        self.save.setEnabled(measured is not None or bool(self.kept))
        self.keep.setText(f"Keep ({len(self.kept)})" if self.kept else "Keep")
        self.rows.setVisible(measured is not None)
        if measured is None:
            self.found.setText(_HINTS.get(tool, ""))
            self._bars.setData([0, 1], [0])
            self._curve.setData([], [])
            return
        self.found.setText(result_text(measured))
        self.rows.setText(f"localizations: {measured.measurement.get('rows')}")
        if (profile := measured.profile) is not None:
            self._bars.setData(profile.edges_nm, profile.counts)
            if profile.fit is None:
                self._curve.setData([], [])
                return
            fine = np.linspace(0, profile.line.length_nm, 301)
            per_bin = (profile.edges_nm[1] - profile.edges_nm[0]) / (fine[1] - fine[0])
            self._curve.setData((fine[1:] + fine[:-1]) / 2, profile.fit.expected(fine) * per_bin)

    # -- what becomes of it ----------------------------------------------------------------

    def results(self) -> list[Measurement]:
        """Return what is kept, and the result that is shown."""
        shown = self.measured
        now = [] if shown is None or shown.measurement in self.kept else [shown.measurement]
        return [*self.kept, *now]

    def copy_all(self) -> None:
        """Copy the results to the clipboard."""
        clipboard = QtGui.QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(csv_text(self.results(), "\t"))
            self._report(f"Copied {_count(self.results())}")

    def keep_this(self) -> None:
        """Keep the result that is shown."""
        if self.measured is not None and self.measured.measurement not in self.kept:
            self.kept.append(self.measured.measurement)
        self._show_result()

    def ask_where_to_save(self) -> None:
        """Show a dialog for the file, in the folder of the run where that is known."""
        folder = self.folder or Path.cwd()
        dialog = QtWidgets.QFileDialog(self, "Save the results", str(folder / "measurements.csv"))
        # Not the system's own, which the keys that switch the lasers off do not reach.
        dialog.setOption(QtWidgets.QFileDialog.Option.DontUseNativeDialog)
        dialog.setAcceptMode(QtWidgets.QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilter("Table (*.csv)")
        dialog.setDefaultSuffix("csv")
        dialog.setAttribute(QtCore.Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.save_to(Path(path)))
        dialog.open()

    def save_to(self, path: Path) -> None:
        """Write the results in a thread: a disk that does not answer must not stop the window."""
        if self._writing is not None:
            self._fail("the results before are still being written; wait for them")
            return
        results = self.results()
        self._written = f"Saved {_count(results)} in {path}"

        def work(_stop: threading.Event) -> None:
            write_csv(path, results)

        self._writing = Worker("measurements", work, on_death=lambda _error: None)
        self._writing.start()

    def _finish_writing(self) -> None:
        if self._writing is None or self._writing.alive:
            return
        worker, self._writing = self._writing, None
        if worker.error is None:
            self._report(self._written)
        else:
            self._fail(one_line(worker.error))

    def close_files(self) -> None:
        """Wait for what is being written. Safe to call more than once."""
        if self._writing is not None:
            self._writing.wait(_LEAVE_S)


def _count(results: list[Measurement]) -> str:
    return f"{len(results)} measurement{'' if len(results) == 1 else 's'}"


def _grouped(value: float) -> str:
    return f"{value:,.0f}".replace(",", "\u202f")


def result_text(measured: Measured) -> str:
    """Return what a tool found, in a line or two."""
    found = measured.measurement
    if (profile := measured.profile) is not None:
        inside = f"{_grouped(profile.n_rows)} in the strip, {profile.line.length_nm:.1f} nm long"
        if (fit := profile.fit) is None:
            return f"{inside}   ·   no width: {profile.why_no_fit}"
        return (
            f"FWHM {fit.fwhm_nm:.1f} ± {fit.fwhm_error_nm:.1f} nm   ·   "
            f"{_grouped(fit.n_peak)} localizations in the peak, {inside}"
        )
    if (region := measured.statistics) is None:
        return f"{found.quantities[0].text}   ·   angle {found.quantities[1].text}"
    area = region.region.area_um2
    parts = [
        f"{_grouped(region.n_rows)} localizations",
        f"{number_text(area)} µm²" if area >= 0.01 else f"{_grouped(area * 1e6)} nm²",
        f"{number_text(region.density_per_um2)} per µm²",
    ]
    if region.n_rows:
        parts += [
            f"median precision {region.median_precision_nm:.1f} nm",
            f"photons mean {number_text(region.mean_photons)}, "
            f"median {number_text(region.median_photons)}",
            f"frames {region.first_frame} – {region.last_frame} ({_grouped(region.n_frames)} of "
            "them with localizations)",
        ]
    return "   ·   ".join(parts)
