"""Export: what is on screen as a file to measure in and as a picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rtsmlm.errors import ConfigError
from rtsmlm.render.write import write_view
from rtsmlm.viewer.panels.super_res_panel import SuperResPanel
from rtsmlm.viewer.widgets.qt import QtCore, QtWidgets


def export_view(panel: SuperResPanel, path: Path, title: str) -> tuple[Path, Path]:
    """Write a 16-bit TIFF and a PNG of what a panel shows.

    Parameters
    ----------
    panel
        Shows it.
    path
        Where to; the suffix is replaced by .tif and .png.
    title
        Of the picture.

    Returns
    -------
    :
        The TIFF and the PNG.

    Raises
    ------
    ConfigError
        If there is no image yet.
    SinkError
        If a file cannot be written.
    """
    viewport, canvas = panel.canvas.viewport, panel.canvas
    if viewport is None:
        raise ConfigError("there is no image to export yet; wait for the first localizations")
    drawn = panel.picture.render(viewport, canvas.canvas_px, panel.appearance, budget_ms=None)
    if drawn is None:
        raise ConfigError("there is no image to export yet; wait for the first localizations")
    tif, png = path.with_suffix(".tif"), path.with_suffix(".png")
    write_view(tif, png, drawn.view, drawn.rgb, title)
    return tif, png


def ask_for_path(parent: QtWidgets.QWidget, then: Callable[[Path], None]) -> None:
    """Show a dialog for the file, and call `then` with what is chosen.

    It is not the system's own dialog, which the keys that switch the lasers off do not reach.
    """
    dialog = QtWidgets.QFileDialog(parent, "Export the image", "localizations.tif")
    dialog.setOption(QtWidgets.QFileDialog.Option.DontUseNativeDialog)
    dialog.setAcceptMode(QtWidgets.QFileDialog.AcceptMode.AcceptSave)
    dialog.setNameFilter("16-bit TIFF, and a PNG beside it (*.tif)")
    dialog.setAttribute(QtCore.Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.fileSelected.connect(lambda path: then(Path(path)))
    dialog.open()
