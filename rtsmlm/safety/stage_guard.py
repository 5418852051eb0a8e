"""StageGuard: a stage moves by small steps within a range, or not at all."""

from __future__ import annotations

from collections.abc import Callable

from rtsmlm.errors import ConfigError
from rtsmlm.protocols import Actuator
from rtsmlm.realtime.clock import now_ns
from rtsmlm.safety.guard import Audit, Guard
from rtsmlm.safety.records import CommandContext
from rtsmlm.settings.lasers import StageSettings

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
    audit, on_trip, clock_ns
        As for `Guard`.
    """

    _safe_state = "stopped"

    def __init__(
        self,
        stage: Actuator,
        settings: StageSettings,
        *,
        audit: Audit,
        on_trip: Callable[[str], None] = lambda text: None,
        clock_ns: Callable[[], int] = now_ns,
    ) -> None:
        super().__init__(stage, audit=audit, on_trip=on_trip, clock_ns=clock_ns)
        self._settings = settings
        self._low_um = self._high_um = 0.0

    def _check_limits(self, device: tuple[float, float]) -> None:
        low, high = device
        if not low < high:
            raise ConfigError(
                f"{self.actuator.name} has no room to move: its limits are {low:g} to {high:g} um"
            )
        self._low_um, self._high_um = low, high

    def _begin(self) -> None:
        self._sent = self.actuator.setpoint()

    def _terms(self) -> str:
        return (
            f"{self._low_um:g} to {self._high_um:g} um, at most {self._settings.max_step_um:g} um "
            "at a time"
        )

    def _obey(self, wanted: float, context: CommandContext) -> None:
        if not self._low_um <= wanted <= self._high_um:
            self.trip(
                f"asked for {wanted:g} um, outside its range of {self._low_um:g} to "
                f"{self._high_um:g} um (stages.{self.actuator.name}.range_um)"
            )
            return
        step = self._settings.max_step_um
        self._put(self._sent + min(max(wanted - self._sent, -step), step), context, wanted)

    def _make_safe(self) -> list[str]:
        stands = self._sent
        failed = super()._make_safe()
        self._sent = stands
        return failed

    def _tolerance(self) -> float:
        return _STEP_TOLERANCE * self._settings.max_step_um
