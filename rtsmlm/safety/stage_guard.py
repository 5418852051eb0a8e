"""StageGuard: a stage moves by small steps within a range, or not at all."""

from __future__ import annotations

import math
from collections.abc import Callable

from rtsmlm.errors import ConfigError, DeviceError
from rtsmlm.protocols import Actuator
from rtsmlm.realtime.clock import now_ns
from rtsmlm.safety.guard import Guard, Refusal
from rtsmlm.safety.records import CommandContext
from rtsmlm.safety.watched_actuator import DEFAULT_SAFETY, Audit
from rtsmlm.settings.lasers import StageSettings
from rtsmlm.settings.safety import SafetySettings

_STEP_TOLERANCE = 0.5
"""Part of the largest step by which a stage may miss where it was sent."""


class StageGuard(Guard):
    """Keep a stage within its range, one bounded step at a time.

    A trip leaves it where it stands: to move somewhere "safe" could break a sample.

    Parameters
    ----------
    stage
        The stage; only this guard may command it.
    settings
        Range and largest step.
    safety
        Deadlines of the device.
    audit, on_trip, clock_ns, while_waiting
        As for `Guard`.
    """

    _safe_state = "stopped"
    _is_light = False

    def __init__(
        self,
        stage: Actuator,
        settings: StageSettings,
        safety: SafetySettings = DEFAULT_SAFETY,
        *,
        audit: Audit,
        on_trip: Callable[[str], None] = lambda text: None,
        clock_ns: Callable[[], int] = now_ns,
        while_waiting: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(
            stage,
            safety,
            audit=audit,
            on_trip=on_trip,
            clock_ns=clock_ns,
            while_waiting=while_waiting,
        )
        self._settings = settings
        self._low_um = self._high_um = 0.0

    def _check_limits(self, device: tuple[float, float]) -> None:
        low, high = device
        name, step = self.actuator.name, self._settings.max_step_um
        if not -math.inf < low < high < math.inf:
            raise ConfigError(f"{name} has no room to move: its limits are {low:g} to {high:g} um")
        if not 0 < step < math.inf:
            raise ConfigError(f"stages.{name}.max_step_um is {step:g}; it takes a finite step")
        self._low_um, self._high_um = low, high

    def _begin(self) -> None:
        stands = self._device.setpoint()
        if not math.isfinite(stands):
            raise ConfigError(f"{self.actuator.name} stands at {stands:g} um, which is no place")
        self._sent = stands

    def stands_um(self) -> float:
        """Return where the stage stands, as it reports it; nothing is moved.

        Raises
        ------
        DeviceError
            If it does not answer in time, or not with a finite number.
        """
        stands = self._device.setpoint()
        if not math.isfinite(stands):
            raise DeviceError(f"{self.actuator.name} stands at {stands:g} um, which is no place")
        return stands

    def note(self, wanted: float, context: CommandContext) -> None:
        """Note in the audit what would be asked for, armed or not, and send nothing."""
        self._audit("monitor", context, wanted)

    def _terms(self) -> str:
        return (
            f"{self._low_um:g} to {self._high_um:g} um, at most {self._settings.max_step_um:g} um "
            "at a time"
        )

    def _plan(self, wanted: float, context: CommandContext) -> tuple[float | None, CommandContext]:
        if not self._low_um <= wanted <= self._high_um:
            raise Refusal(
                f"asked for {wanted:g} um, outside its range of {self._low_um:g} to "
                f"{self._high_um:g} um (stages.{self.actuator.name}.range_um)"
            )
        step = self._settings.max_step_um
        return self._sent + min(max(wanted - self._sent, -step), step), context

    def _tolerance(self, value: float) -> float:
        return _STEP_TOLERANCE * self._settings.max_step_um
