"""Side box: a field for one limit of a range, which may be empty."""

from __future__ import annotations

import math

from rtsmlm.errors import number_text
from rtsmlm.viewer.widgets.controls import explained
from rtsmlm.viewer.widgets.qt import QtCore, QtWidgets


def side_box(tip: str) -> QtWidgets.QLineEdit:
    """Return a box for one limit."""
    made = QtWidgets.QLineEdit()
    made.setObjectName("side")
    made.setAlignment(QtCore.Qt.AlignmentFlag.AlignRight)
    explained(made, tip)
    return made


def side_of(text: str) -> float | None:
    """Return the number in a box; None where it is empty, NaN where it is none."""
    text = text.strip().replace(",", ".")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def number_of(value: float) -> float:
    """Return a value with the digits that are shown of it."""
    return float(number_text(value))
