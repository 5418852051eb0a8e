"""Preferences: what a window remembers from one start to the next, in an ini file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from platformdirs import user_config_path

from rtsmlm.viewer.widgets.qt import QtCore

DEFAULTS: dict[str, Any] = {
    "theme": "system",
    "text_scale": 0.0,
    "lut": "ember",
    "depth_colors": "blue-yellow",
    "mode": "gaussian",
    "color": "none",
    "gamma": 0.6,
    "brightness": 1.0,
    "autocontrast": True,
    "walk_through_seen": False,
    "tour": "",
    "detections": True,
    "tab": 0,
    "operator": "",
}
"""Text scale 0 chooses one by the size of the screen."""


class Preferences:
    """Named values with defaults, written at once.

    Parameters
    ----------
    file
        Where they lie; None takes the place that the system has for it.
    """

    def __init__(self, file: Path | None = None) -> None:
        path = file or user_config_path("rtsmlm", appauthor=False) / "window.ini"
        self._settings = QtCore.QSettings(str(path), QtCore.QSettings.Format.IniFormat)

    def get(self, name: str) -> Any:
        """Return a value, or its default where the file has none or one of another kind."""
        default = DEFAULTS[name]
        text = self._settings.value(f"window/{name}")
        if not isinstance(text, str):
            return default
        try:
            value = json.loads(text)
        except ValueError:
            return default
        if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        return value if isinstance(value, type(default)) else default

    def set(self, name: str, value: Any) -> None:
        """Remember a value of plain JSON data."""
        if name not in DEFAULTS:
            raise KeyError(name)
        self._settings.setValue(f"window/{name}", json.dumps(value))

    def bytes(self, name: str) -> QtCore.QByteArray | None:
        """Return the state of a splitter or a window; None where there is none."""
        value = self._settings.value(f"layout/{name}")
        return value if isinstance(value, QtCore.QByteArray) else None

    def set_bytes(self, name: str, value: QtCore.QByteArray) -> None:
        """Remember the state of a splitter or a window."""
        self._settings.setValue(f"layout/{name}", value)

    def save(self) -> None:
        """Write to disk."""
        self._settings.sync()
