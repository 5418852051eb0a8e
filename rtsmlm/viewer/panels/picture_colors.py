"""What is chosen above the picture: how rows are drawn, what gives the colour, colour tables."""

from __future__ import annotations

import numpy as np

from rtsmlm.errors import number_text
from rtsmlm.render.depth_tables import depth_table
from rtsmlm.viewer.live_picture import Picture
from rtsmlm.viewer.panels.picture_tools import NO_DEPTH
from rtsmlm.viewer.widgets.canvas import to_qimage
from rtsmlm.viewer.widgets.lut import LUTS
from rtsmlm.viewer.widgets.qt import QtGui, QtWidgets

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
TABLES: dict[str, tuple[tuple[str, str], ...]] = {
    "density": tuple((name.capitalize(), name) for name in LUTS),
    "value": (
        ("Blue – yellow", "blue-yellow"),
        ("Violet – yellow", "violet-yellow"),
        ("Hues", "hue"),
    ),
}
TABLE_TIPS = {
    "density": "Colour table of the density, in localizations per µm².",
    "value": "Colours from the least to the greatest value, in its unit beside the scale. The "
    "first two are in order for colour-blind sight, too; hues are not.",
}
WHY_NOT = {"z_nm": NO_DEPTH, "channel": "this run has one channel"}


def scale_of(drawn: Picture, depth_colors: str) -> tuple[QtGui.QImage, str, str] | None:
    """Return the colours of a picture whose hue is a value, and the text at both ends."""
    if drawn.limits is None:
        return None
    table = np.round(depth_table(depth_colors)[None] * 255).astype(np.uint8)
    unit = _UNITS[drawn.view.style.color]
    low, high = (number_text(value) for value in drawn.limits)
    prefix = "frame " if not unit else ""
    return to_qimage(table), prefix + low, f"{high} {unit}".strip()


def allow_entry(box: QtWidgets.QComboBox, data: str, is_there: bool, why_not: str) -> None:
    """Allow an entry of a list, or explain why it cannot be chosen."""
    model, place = box.model(), box.findData(data)
    if isinstance(model, QtGui.QStandardItemModel) and (item := model.item(place)) is not None:
        item.setEnabled(is_there)
        item.setToolTip("" if is_there else f"Not now: {why_not}")
