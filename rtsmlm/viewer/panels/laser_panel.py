"""Laser panel: power, target and gain of the loop, and why the laser is off."""

from __future__ import annotations

import math

from rtsmlm.errors import number_text
from rtsmlm.stream.messages import LoopMessage
from rtsmlm.viewer.commands import ResetTrip, SetGain, SetTarget
from rtsmlm.viewer.panels.panel import Panel
from rtsmlm.viewer.sources.updates import RunUpdate
from rtsmlm.viewer.widgets.controls import Ask, allow, button, label, number, show_as, show_number
from rtsmlm.viewer.widgets.help_mark import HelpMark
from rtsmlm.viewer.widgets.qt import QtWidgets

NO_LOOP = "no laser is steered in this run; see [feedback] in the configuration"


class LaserPanel(Panel, QtWidgets.QFrame):
    """State of the loop, target and gain.

    Parameters
    ----------
    ask
        Called as `Control.ask`.
    """

    section = "laser"

    def __init__(self, ask: Ask, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self._ask = ask
        self._why_not: str | None = None
        self._has_loop = self._is_over = False
        self._armed: bool | None = None
        self._asked_target: float | None = None
        self._chosen: dict[str, float] = {}
        self.tripped: str | None = None
        self._make()
        self._lay_out()
        self._show_loop(None)

    def _make(self) -> None:
        self.badge = label(
            "",
            "",
            "Armed: commands are sent to the laser. Monitor: none are. Tripped: off, and latched.",
        )
        self.power = label("–", "big", "Last power sent to the laser, in its own unit.")
        self.bar = QtWidgets.QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setRange(0, 1000)
        self.bar.setToolTip("Power as a part of its cap (no unit).")
        names = {
            "cap": "Greatest power that is ever sent, in the laser's own unit.",
            "wanted": "Power that the law asks for, in the laser's own unit.",
            "dose": "Power times seconds so far.",
            "state": "What the law does: off, test, tune, steer, hold or stopped (no unit).",
            "others": "Power of the other lasers, each in its own unit.",
        }
        self.values = {name: label("–", "", tip) for name, tip in names.items()}
        self.target = number(
            (0.0, 99.0), "Density to hold, in emitters per µm² and frame.",
            decimals=4, suffix=" /µm²", step=0.01, lowest="–",
        )  # fmt: skip
        self.gain = number(
            (0.0, 1.0), "Gain of the law: part of the logarithmic error that is corrected per "
            "tick (no unit).\nA run that goes on may keep its own; the next one takes this.",
            decimals=2, step=0.05, lowest="–",
        )  # fmt: skip
        self.alarm = label("", "alarm", "Why the laser was switched off.")
        self.alarm.setWordWrap(True)
        self.reset = button("Reset trip", "Lift the latch; the laser stays dark, and the next "
                            "run with --arm arms it anew (no unit).")  # fmt: skip
        self.target.valueChanged.connect(self._send_target)
        self.gain.valueChanged.connect(self._send_gain)
        self.reset.clicked.connect(lambda: self._ask(ResetTrip()))

    def _lay_out(self) -> None:
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 8)
        layout.setSpacing(5)
        head = QtWidgets.QHBoxLayout()
        self.title = label("Laser", "title")
        head.addWidget(self.title)
        head.addStretch(1)
        head.addWidget(self.badge)
        head.addWidget(HelpMark(self.section))
        grid = QtWidgets.QGridLayout()
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(3)
        grid.setColumnStretch(1, 1)
        grid.setColumnStretch(3, 1)
        places = {"wanted": (0, 0), "cap": (0, 2), "dose": (1, 0), "state": (1, 2)}
        for name, (row, column) in places.items():
            grid.addWidget(label(name, "dim"), row, column)
            grid.addWidget(self.values[name], row, column + 1)
        grid.addWidget(label("others", "dim"), 2, 0)
        grid.addWidget(self.values["others"], 2, 1, 1, 3)
        grid.addWidget(label("target", "dim"), 3, 0)
        grid.addWidget(self.target, 3, 1)
        grid.addWidget(label("gain", "dim"), 3, 2)
        grid.addWidget(self.gain, 3, 3)
        layout.addLayout(head)
        layout.addWidget(self.alarm)
        layout.addWidget(self.reset)
        layout.addWidget(self.power)
        layout.addWidget(self.bar)
        layout.addLayout(grid)

    def overrides(self) -> list[str]:
        """Return what the user has chosen for the next run, as `section.key=value` texts."""
        return [f"feedback.{name}={value:g}" for name, value in self._chosen.items()]

    def _send_gain(self, gain: float) -> None:
        if gain <= 0:  # stands for no number
            self._chosen.pop("gain", None)
            return
        self._chosen["gain"] = gain
        self._ask(SetGain(gain))

    def _send_target(self, per_um2: float) -> None:
        if per_um2 <= 0:
            self._chosen.pop("target_per_um2", None)
            return
        self._chosen["target_per_um2"] = per_um2
        self._asked_target = per_um2
        self._ask(SetTarget(per_um2))

    def set_why_not(self, why_not: str | None) -> None:
        """Allow the controls, or show why they cannot be used."""
        self._why_not = why_not
        steers = [self.target, self.gain]
        allow(steers, why_not or (None if self._has_loop else NO_LOOP))
        allow([self.reset], why_not)

    def show_update(self, update: RunUpdate) -> None:
        """Show the loop, and the gain that another run was started with."""
        is_over = update.connection == "ended"
        if is_over != self._is_over:
            self._is_over = is_over
            self._show_badge()
        if update.begins and update.run is not None:
            gain = update.run.settings.feedback.gain
            if gain is not None:
                show_number(self.gain, gain)
        if update.status is not None:
            self._show_loop(update.status.loop)

    def _show_loop(self, loop: LoopMessage | None) -> None:
        """Show the loop; None where nothing is steered."""
        self._has_loop = loop is not None
        self.set_why_not(self._why_not)
        self._armed = None if loop is None else loop.armed
        self.tripped = None if loop is None else loop.tripped
        self._show_badge()
        self.alarm.setVisible(self.tripped is not None)
        self.alarm.setText(f"Tripped: {self.tripped}" if self.tripped is not None else "")
        self.reset.setVisible(self.tripped is not None)
        if loop is None:
            self.title.setText("Laser")
            self.power.setText("not steered")
            self.bar.setValue(0)
            for value in self.values.values():
                value.setText("–")
        else:
            self._show_values(loop)

    def _show_values(self, loop: LoopMessage) -> None:
        unit, power = loop.unit, loop.power
        self.title.setText(f"Laser {loop.laser}")
        self.power.setText(f"{number_text(0.0 if math.isnan(power) else power)} {unit}")
        self.bar.setValue(round(1000 * power / loop.cap) if loop.cap > 0 and power >= 0 else 0)
        self.values["cap"].setText(_number(loop.cap, unit))
        self.values["wanted"].setText(_number(loop.wanted, unit))
        self.values["dose"].setText(_number(loop.dose, f"{unit} s" if unit else ""))
        self.values["state"].setText(loop.state or "–")
        others = [f"{k} {number_text(v)}" for k, v in loop.powers.items() if k != loop.laser]
        self.values["others"].setText(", ".join(others) or "–")
        self._show_target(loop.target_per_um2)

    def _show_badge(self) -> None:
        if self._armed is None:
            show_as(self.badge, "dim", "")
        elif self._is_over:
            show_as(self.badge, "dim", "run over")
        elif self.tripped is not None:
            show_as(self.badge, "alarm", "TRIPPED")
        else:
            show_as(self.badge, *(("armed", "ARMED") if self._armed else ("dim", "monitor")))

    def _show_target(self, per_um2: float) -> None:
        if math.isnan(per_um2) or self.target.hasFocus():
            return
        # A status that was on its way when another target was chosen must not undo it.
        if self._asked_target is not None and abs(per_um2 - self._asked_target) > 5e-5:
            return
        self._asked_target = None
        show_number(self.target, per_um2)


def _number(value: float, unit: str) -> str:
    return "–" if math.isnan(value) else f"{number_text(value)} {unit}".strip()
