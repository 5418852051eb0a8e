"""Ledger lights: what became of the frames, and whether the model fits, at a glance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from rtsmlm.viewer.widgets.controls import explained
from rtsmlm.viewer.widgets.qt import QtWidgets
from rtsmlm.viewer.widgets.theme import DARK, Theme

Color: TypeAlias = Literal["grey", "green", "amber", "red"]

# Also the shape tells, for those who do not see the colour.
_SIGNS: dict[Color, str] = {"grey": "○", "green": "●", "amber": "▲", "red": "■"}
_BEHIND_S = 1.0

_TIPS = {
    "received": "Frames that came from the camera. Grey: none yet.",
    "recorded": "Frames written to disk. Amber: the disk is more than a second behind. "
    "Grey: raw frames are not recorded.",
    "localized": "Frames that were localized. Amber: more than a second of frames waits.",
    "skipped": "Frames that the localizer had no time for; they are caught up after the run. "
    "Amber: there are some.",
    "lost": "Frames that the camera took and that never came. Red: there are some.",
}
LEDGER = tuple(_TIPS)


def ledger_colors(status: Mapping[str, Any]) -> dict[str, Color]:
    """Return the colour of each light for a status message."""
    totals: Mapping[str, int] = status.get("totals") or {}
    counts = {name: int(totals.get(name) or 0) for name in LEDGER}
    if not counts["received"] and not counts["lost"]:
        return dict.fromkeys(LEDGER, "grey")
    most = max(_BEHIND_S * float(status.get("frames_per_s") or 0), 10.0)
    disk: Color = "amber" if (status.get("recorder_backlog") or 0) > most else "green"
    late: Color = "amber" if int(totals.get("in_ring") or 0) > most else "green"
    return {
        "received": "green",
        "recorded": disk if status.get("recording") or counts["recorded"] else "grey",
        "localized": late,
        "skipped": "amber" if counts["skipped"] else "green",
        "lost": "red" if counts["lost"] else "green",
    }


def model_light(status: Mapping[str, Any]) -> tuple[Color, str, str]:
    """Return colour, words and sentence of the model-validity light."""
    validity: Mapping[str, Any] = status.get("validity") or {}
    findings = list(validity.get("findings") or [])
    verdict = str(validity.get("verdict") or status.get("model") or "")
    if findings:
        return "amber", verdict or "model does not fit", "\n".join(map(str, findings))
    if "ok" in verdict:
        return "green", verdict, "PSF, camera and localizer fit the data that come."
    return "grey", "model ?", verdict or "Nothing has been said about whether the model fits."


class LedgerLights(QtWidgets.QWidget):
    """One light for each way that a frame can go, and one for the model."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._status: Mapping[str, Any] = {}
        self.lights: dict[str, QtWidgets.QLabel] = {}
        self.colors: dict[str, Color] = {}
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(16)
        for name in (*LEDGER, "model"):
            light = self.lights[name] = QtWidgets.QLabel()
            explained(light, f"{_TIPS[name]} In frames." if name in _TIPS else "Model")
            layout.addWidget(light)
        self.show_status({})

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of a theme."""
        self._theme = theme
        self.show_status(self._status)

    def show_status(self, status: Mapping[str, Any]) -> None:
        """Show a status message."""
        self._status = status
        totals: Mapping[str, Any] = status.get("totals") or {}
        self.colors = ledger_colors(status)
        for name in LEDGER:
            self._set(name, self.colors[name], name, f"{int(totals.get(name) or 0):,}")
        color, words, sentence = model_light(status)
        self.colors["model"] = color
        self._set("model", color, words, "")
        self.lights["model"].setToolTip(f"Model validity (no unit). {sentence}")

    def _set(self, name: str, color: Color, words: str, count: str) -> None:
        shown = self._theme.light(color)
        number = f" <b>{count.replace(',', chr(0x202F))}</b>" if count else ""
        text = f'<span style="color:{shown}">{_SIGNS[color]}</span> {words}{number}'
        if self.lights[name].text() != text:
            self.lights[name].setText(text)
