"""Export: what is on screen as a file to measure in and as a picture."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from rtsmlm.realtime.worker import Worker, one_line
from rtsmlm.render.write import write_view
from rtsmlm.viewer.panels.panel import Panel
from rtsmlm.viewer.panels.super_res_panel import SuperResPanel
from rtsmlm.viewer.widgets.picture_labels import labelled
from rtsmlm.viewer.widgets.qt import QtCore, QtWidgets

_LEAVE_S = 30.0
"""A disk that takes longer is not waited for when the window closes."""


class Exporter(Panel):
    """Writes a 16-bit TIFF and a PNG, in a thread: a slow disk must not stop the window.

    Parameters
    ----------
    panel
        Shows what is written.
    report, fail
        Called in the thread of the window with what was done, or with why not.
    """

    def __init__(
        self, panel: SuperResPanel, report: Callable[[str], None], fail: Callable[[str], None]
    ) -> None:
        self._panel, self._report, self._fail = panel, report, fail
        self._worker: Worker | None = None
        self._written = ""

    def write(self, path: Path, title: str) -> None:
        """Begin to write what is on screen now.

        Parameters
        ----------
        path
            Where to; the suffix is replaced by .tif and .png.
        title
            Of the picture.
        """
        panel = self._panel
        if self._worker is not None:
            self._fail("the export before is still being written; wait for it")
            return
        viewport, canvas = panel.canvas.viewport, panel.canvas
        if viewport is None or panel.drawing.field is None:
            self._fail("there is no image to export yet; wait for the first localizations")
            return
        canvas_px, appearance = canvas.canvas_px, panel.appearance
        drawing = panel.drawing.submit(
            lambda picture: picture.render(viewport, canvas_px, appearance, budget_ms=None)
        )
        tif, png = path.with_suffix(".tif"), path.with_suffix(".png")
        self._written = f"Saved {tif} and {png.name}"

        def work(_stop: threading.Event) -> None:
            if (drawn := drawing.result()) is not None:
                rgb = labelled(drawn.rgb, drawn.labels)
                write_view(tif, png, drawn.view, rgb, title, drawn.labels)

        self._worker = Worker("export", work, on_death=lambda _error: None)  # `refresh` reports it
        self._worker.start()
        self._report(f"Saving {tif} …")

    def refresh(self) -> None:
        """Report what has been written."""
        worker = self._worker
        if worker is None or worker.alive:
            return
        self._worker = None
        if worker.error is None:
            self._report(self._written)
        else:
            self._fail(one_line(worker.error))

    def close(self) -> None:
        """Wait for what is being written. Safe to call more than once."""
        if self._worker is not None:
            self._worker.wait(_LEAVE_S)


def ask_for_path(
    parent: QtWidgets.QWidget, then: Callable[[Path], None], folder: Path | None
) -> None:
    """Show a dialog for the file, and call `then` with what is chosen.

    It opens in the folder of the run, where that is known. It is not the system's own dialog, which
    the keys that switch the lasers off do not reach.
    """
    dialog = QtWidgets.QFileDialog(parent, "Export the image")
    dialog.setOption(QtWidgets.QFileDialog.Option.DontUseNativeDialog)
    dialog.setAcceptMode(QtWidgets.QFileDialog.AcceptMode.AcceptSave)
    if folder is not None and folder.is_dir():
        dialog.setDirectory(str(folder))
    dialog.selectFile("localizations.tif")
    dialog.setNameFilter("16-bit TIFF, and a PNG beside it (*.tif)")
    dialog.setAttribute(QtCore.Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.fileSelected.connect(lambda path: then(Path(path)))
    dialog.open()
