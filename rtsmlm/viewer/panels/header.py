"""Header: name of the run, connection, the buttons of a run, and Laser off."""

from __future__ import annotations

import math
from collections.abc import Callable

from rtsmlm.stream.messages import StatusMessage
from rtsmlm.viewer.commands import Snap, Start, Stop
from rtsmlm.viewer.light_state import LightState, OffState
from rtsmlm.viewer.panels.panel import Panel
from rtsmlm.viewer.sources.updates import Connection, RunUpdate
from rtsmlm.viewer.widgets.controls import Ask, allow, button, explained, label, show_as
from rtsmlm.viewer.widgets.elided_label import ElidedLabel
from rtsmlm.viewer.widgets.flow_layout import FlowLayout
from rtsmlm.viewer.widgets.help_mark import HelpMark
from rtsmlm.viewer.widgets.laser_key import KEYS
from rtsmlm.viewer.widgets.qt import QtWidgets
from rtsmlm.viewer.widgets.theme import DARK, Theme

_WORDS: dict[Connection, tuple[str, str, str]] = {
    "waiting": ("○", "waiting for a run", "grey"),
    "live": ("●", "live", "green"),
    "silent": ("▲", "silent", "amber"),
    "lost": ("■", "connection lost, trying again", "red"),
    "ended": ("○", "run over", "grey"),
}
_RUNS: tuple[Connection, ...] = ("live", "silent")
_BYTES_PER_MB = 1e6
_BEHIND_MB = 0.5
"""Less is only what is on its way."""

_OFF_TIP = (
    "Switch all lasers off at once, latched until a reset.\nKeys, wherever the focus is: "
    f"{KEYS} (no unit).\nWithout this window: rtsmlm lasers-off in a terminal of this computer."
)
_OFF_STYLES: dict[OffState, str] = {
    "": "dim",
    "off, not confirmed yet": "alarm",
    "off, confirmed": "confirmed",
    "no laser is driven": "caution",
}


class Header(Panel, QtWidgets.QWidget):
    """The uppermost line.

    Parameters
    ----------
    ask
        Called as `Control.ask`.
    overrides
        Called for the settings of a new run.
    light
        What is known of the lasers.
    """

    section = "start-and-stop"

    def __init__(
        self,
        ask: Ask,
        overrides: Callable[[], list[str]],
        light: LightState,
        parent: QtWidgets.QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._connection: Connection = "waiting"
        self._why_not: str | None = None
        self._off_is_possible = False
        self._behind_bytes = 0
        self._light = light
        self.title = ElidedLabel(
            "The run, and the address or folder that it is read from.", bold=True
        )
        self.connection = label("", "", "Connection to the run: live, silent for some seconds, "
                                "lost, or the run is over.")  # fmt: skip
        self.rate = label("", "dim", "Camera frames per second; localizations per frame.")
        self.start = button("Start", "Start a new run with the settings below (F5; no unit).")
        self.stop = button("Stop", "End the run in order: lasers off, camera stops, files close "
                           "(Shift+F5; no unit).")  # fmt: skip
        self.snap = button("Snap", "Take one frame while no run goes on (F6; no unit).")
        self.theme = button("Theme", "Dark, light, or as the system has it (Ctrl+T; no unit).")
        self.help = button("Help", "What each part shows, keys, theory, and tours (F1; no unit).")
        self.off = button("LASER OFF", _OFF_TIP)
        self.off.setObjectName("off")
        self.off_state = label("", "dim", "What became of the lasers since they were switched off "
                               "here (no unit).")  # fmt: skip
        self.off_state.hide()
        self._lay_out()
        self.start.clicked.connect(lambda: ask(Start(tuple(overrides()))))
        self.stop.clicked.connect(lambda: ask(Stop()))
        self.snap.clicked.connect(lambda: ask(Snap(tuple(overrides()))))

    def _lay_out(self) -> None:
        self._facts, self._buttons = QtWidgets.QWidget(), QtWidgets.QWidget()
        for container in (self._facts, self._buttons):
            container.setObjectName("clear")
        facts, buttons = FlowLayout(self._facts), FlowLayout(self._buttons, across=6)
        for fact in (self.connection, self.rate):
            facts.addWidget(fact)
        for made in (self.start, self.stop, self.snap, self.theme, self.help):
            buttons.addWidget(made)
        buttons.addWidget(HelpMark(self.section))
        self._rows = QtWidgets.QVBoxLayout(self)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setSpacing(4)
        self._shown_rows: list[list[QtWidgets.QWidget]] = []
        self.fit(10_000)

    def fit(self, width: int) -> None:
        """Take as few rows as a width allows; LASER OFF is always in the first."""
        facts, title, state, off = self._facts, self.title, self.off_state, self.off
        two = [title, facts, state, off]
        if _width([*two, self._buttons]) <= width:
            rows = [[title, facts, self._buttons, state, off]]
        elif _width(two) <= width:
            rows = [two, [self._buttons]]
        else:
            rows = [[off], [state], [title], [facts], [self._buttons]]
        if rows == self._shown_rows:
            return
        self._shown_rows = rows
        while (item := self._rows.takeAt(0)) is not None:
            if (line := item.layout()) is not None:
                line.deleteLater()
        for row in rows:
            line = QtWidgets.QHBoxLayout()
            line.setSpacing(8)
            for widget in row:
                is_wide = widget is title or len(row) == 1
                line.addWidget(widget, 1 if is_wide else 0)
            self._rows.addLayout(line)

    def set_theme(self, theme: Theme) -> None:
        """Take the colours of a theme."""
        self._theme = theme
        self._show_words()

    def set_why_not(self, why_not: str | None) -> None:
        """Allow the buttons, or show why they cannot be used."""
        self._why_not = why_not
        runs = self._connection in _RUNS
        self._allow_off()
        goes_on = "a run goes on; stop it first" if runs else None
        allow([self.start, self.snap], why_not or goes_on)
        allow([self.stop], why_not or (None if runs else "no run goes on"))

    def _allow_off(self) -> None:
        allow([self.off], None if self._off_is_possible else self._why_not)

    def allow_off(self, is_possible: bool) -> None:
        """Allow LASER OFF though the other buttons cannot be used."""
        self._off_is_possible = is_possible
        self.set_why_not(self._why_not)

    def show_update(self, update: RunUpdate) -> None:
        """Show the run, its connection and its rates."""
        self.title.set_text(update.source_name)
        self._show_connection(update.connection, update.behind_bytes)
        if update.connection == "ended":
            self.rate.setText("")
        elif update.status is not None:
            self.rate.setText(_rate(update.status))

    def refresh(self) -> None:
        """Show what became of the lasers that were switched off here."""
        state = self._light.off_state
        show_as(self.off_state, _OFF_STYLES[state], state)
        self.off_state.setVisible(bool(state))
        explained(self.off, f"{_OFF_TIP}\nNow: {state}." if state else _OFF_TIP)
        self._allow_off()

    def _show_connection(self, connection: Connection, behind_bytes: int) -> None:
        """Show the connection, and how much of the table is still on its way."""
        if (connection, behind_bytes) != (self._connection, self._behind_bytes):
            self._connection, self._behind_bytes = connection, behind_bytes
            self._show_words()
            self.set_why_not(self._why_not)

    def _show_words(self) -> None:
        sign, words, color = _WORDS[self._connection]
        behind_mb = self._behind_bytes / _BYTES_PER_MB
        if behind_mb > _BEHIND_MB and self._connection != "lost":
            sign, words, color = "▲", f"joined late, catching up {behind_mb:.0f} MB", "amber"
        shade = self._theme.light(color)
        text = f'<span style="color:{shade}">{sign}</span> {words}'
        if self.connection.text() != text:
            self.connection.setText(text)


def _width(widgets: list[QtWidgets.QWidget]) -> int:
    """Return the least width of widgets in a row."""
    sizes = [widget.minimumSizeHint() if isinstance(widget, ElidedLabel) else widget.sizeHint()
             for widget in widgets if not widget.isHidden()]  # fmt: skip
    return sum(size.width() for size in sizes) + 8 * (len(sizes) - 1)


def _rate(status: StatusMessage) -> str:
    rate, emitters = status.frames_per_s, status.emitters_per_frame
    texts = [] if math.isnan(rate) else [f"{rate:.0f} frames/s"]
    texts += [] if math.isnan(emitters) else [f"{emitters:.1f} per frame"]
    return "  ·  ".join(texts)
