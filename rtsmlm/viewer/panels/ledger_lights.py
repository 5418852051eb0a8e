"""Ledger lights: what became of the frames, and whether the model fits."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

from rtsmlm.stream.messages import StatusMessage
from rtsmlm.viewer.panels.panel import Panel
from rtsmlm.viewer.sources.updates import RunUpdate
from rtsmlm.viewer.widgets.controls import explained
from rtsmlm.viewer.widgets.flow_layout import FlowLayout
from rtsmlm.viewer.widgets.help_mark import HelpMark
from rtsmlm.viewer.widgets.qt import QtWidgets
from rtsmlm.viewer.widgets.theme import DARK, Theme

Color: TypeAlias = Literal["grey", "green", "amber", "red"]

# The shape differs too, for those who do not see the colour.
_SIGNS: dict[Color, str] = {"grey": "○", "green": "●", "amber": "▲", "red": "■"}
_BEHIND_S = 1.0

_TIPS = {
    "received": "Frames received from the camera. Grey: none yet.",
    "recorded": "Frames written to disk. Amber: the disk is more than a second behind, or the run "
    "is over and some are missing. "
    "Grey: raw frames are not recorded.",
    "localized": "Frames that were localized. Amber: more than a second of frames waits.",
    "skipped": "Frames that the localizer had no time for; they are caught up after the run. "
    "Amber: there are some.",
    "lost": "Frames that the camera took and that did not arrive. Red: there are some.",
}
LEDGER = tuple(_TIPS)
_NO_VERDICT = "No verdict yet on whether PSF, camera and localizer fit the data."


def ledger_colors(status: StatusMessage | None, *, is_over: bool = False) -> dict[str, Color]:
    """Return the colour of each light; grey without a status, or without a frame.

    Parameters
    ----------
    status
        The newest of the run.
    is_over
        Nothing is on its way any more: whatever is missing stays missing.
    """
    if status is None or not (status.totals.received or status.totals.lost):
        return dict.fromkeys(LEDGER, "grey")
    totals, rate = status.totals, status.frames_per_s
    most = max(_BEHIND_S * (0.0 if math.isnan(rate) else rate), 10.0)
    if is_over:
        most = 0.0
    is_late = status.recorder_backlog > most
    is_cut = is_over and 0 < totals.recorded < totals.received - totals.other_size
    disk: Color = "amber" if is_late or is_cut else "green"
    return {
        "received": "green",
        "recorded": disk if status.recording or totals.recorded else "grey",
        "localized": "amber" if totals.in_ring > most else "green",
        "skipped": "amber" if totals.skipped else "green",
        "lost": "red" if totals.lost else "green",
    }


def model_light(status: StatusMessage | None) -> tuple[Color, str, str]:
    """Return colour, words and sentence of the model-validity light."""
    if status is None:
        return "grey", "model: no verdict yet", _NO_VERDICT
    verdict = status.validity.verdict or status.model
    if status.validity.findings:
        return "amber", verdict or "model does not fit", "\n".join(status.validity.findings)
    if "ok" in verdict:
        return "green", verdict, "PSF, camera and localizer fit the data."
    if remark := status.validity.remark:
        return "grey", verdict, f"No verdict on the PSF: {remark}."
    words = verdict if verdict.startswith("model") else f"model: {verdict or 'no verdict yet'}"
    return "grey", words, verdict or _NO_VERDICT


class LedgerLights(Panel, QtWidgets.QWidget):
    """One light for each way that a frame can go, and one for the model."""

    section = "frames-and-model"

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._status: StatusMessage | None = None
        self._is_over = False
        self.lights: dict[str, QtWidgets.QLabel] = {}
        self.colors: dict[str, Color] = {}
        layout = FlowLayout(self, across=16, down=2)
        for name in (*LEDGER, "model"):
            light = self.lights[name] = QtWidgets.QLabel()
            explained(light, f"{_TIPS[name]} In frames." if name in _TIPS else "Model")
            layout.addWidget(light)
        layout.addWidget(HelpMark(self.section))
        self._show()

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of a theme."""
        self._theme = theme
        self._show()

    def show_update(self, update: RunUpdate) -> None:
        """Show the newest status; another run begins grey."""
        was_over, self._is_over = self._is_over, update.connection == "ended"
        if update.begins:
            self._status = None
        if update.status is not None:
            self._status = update.status
        if update.begins or update.status is not None or was_over != self._is_over:
            self._show()

    def _show(self) -> None:
        status = self._status
        self.colors = ledger_colors(status, is_over=self._is_over)
        for name in LEDGER:
            count = 0 if status is None else int(getattr(status.totals, name))
            self._set(name, self.colors[name], name, f"{count:,}")
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
