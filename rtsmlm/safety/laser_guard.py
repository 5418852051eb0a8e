"""LaserGuard: cap, ramp, dose and heartbeat of one laser."""

from __future__ import annotations

import atexit
import math
from collections.abc import Callable

from rtsmlm.errors import ConfigError
from rtsmlm.protocols import Actuator
from rtsmlm.realtime.clock import now_ns
from rtsmlm.safety.guard import Audit, Guard
from rtsmlm.safety.records import CommandContext
from rtsmlm.settings.lasers import LaserSettings

_LEAST_CHANGE = 0.02
"""A smaller relative change is not worth a command over a serial line."""
_BUDGET_TICKS = 1.5
"""Ticks jitter; a rise may use what the last half tick left."""
_REL_TOLERANCE, _ABS_MW, _OF_RANGE = 0.10, 0.5, 0.10
"""Most difference of measured and set power: relative, absolute, and as a part of the cap where
the laser is weak or its unit is not mW."""
_OF_CAP = 1e-3
"""Lowest power of a laser that knows none itself, as a part of the cap."""


class LaserGuard(Guard):
    """Let no more light through than was agreed, and none while its effect is not seen.

    Parameters
    ----------
    laser
        The laser; only this guard may command it.
    settings
        Cap, dose and start power.
    max_rise
        Most rise of the logarithm of the power per tick; infinite where a schedule rules.
    tick_s
        Time between commands.
    silence_s
        The laser goes dark when no heartbeat came for so long; None for a laser that does not
        depend on what is seen.
    audit, on_trip, clock_ns
        As for `Guard`.
    """

    _safe_state = "switched off"

    def __init__(
        self,
        laser: Actuator,
        settings: LaserSettings,
        *,
        max_rise: float = math.inf,
        tick_s: float = 1.0,
        silence_s: float | None = None,
        audit: Audit,
        on_trip: Callable[[str], None] = lambda text: None,
        clock_ns: Callable[[], int] = now_ns,
    ) -> None:
        super().__init__(laser, audit=audit, on_trip=on_trip, clock_ns=clock_ns)
        self._settings = settings
        self._max_rise, self._tick_s, self._silence_s = max_rise, tick_s, silence_s
        self._cap = 0.0
        self._least = 0.0
        self._rise_left = 0.0
        self._jumps_left = 0
        self._dose_so_far = 0.0
        self._lit_unseen = False
        self._counted_ns = self._beat_ns = self._clock_ns()

    @property
    def limits(self) -> tuple[float, float]:
        """Least and most power above 0, as agreed when it was armed."""
        return self._least, self._cap

    @property
    def dose(self) -> float:
        """Power times seconds since it was armed."""
        return self._dose()

    def beat(self) -> None:
        """Say that what the laser does is being watched."""
        self._beat_ns = self._clock_ns()
        self._lit_unseen = self._sent > 0.0

    def allow_jump(self) -> None:
        """Let the next rise be as high as the cap: after a test pulse has shown its effect."""
        self._jumps_left = 1

    def arm(self) -> None:
        """Allow commands; see `Guard.arm`. The laser is dark afterwards."""
        super().arm()
        atexit.register(self._at_exit)

    def shut_down(self, reason: str) -> list[str]:
        """Switch the laser off and disarm; return what failed."""
        failed = super().shut_down(reason)
        atexit.unregister(self._at_exit)
        return failed

    def _at_exit(self) -> None:
        self.shut_down("the program ended")

    def _check_limits(self, device: tuple[float, float]) -> None:
        low, high = device
        name, unit, cap = self.actuator.name, self.actuator.unit, self._settings.max_power
        key = f"lasers.{name}.max_power"
        if cap is None:
            raise ConfigError(
                f"{name} has no cap and is not armed; set {key}, at most {high:g} {unit}"
            )
        if not math.isfinite(cap) or cap > high:
            raise ConfigError(
                f"{key} is {cap:g} {unit}, the device gives {high:g} at most; lower the cap"
            )
        least = self._settings.min_power
        least = max(low, _OF_CAP * cap) if least is None else max(least, low)
        if least >= cap:
            raise ConfigError(
                f"{key} is {cap:g} {unit}, but the device gives {least:g} at least; raise the cap, "
                "weaken the beam by a filter, or use pulses (pulse_property)"
            )
        self._cap, self._least = cap, least

    def _begin(self) -> None:
        self._dose_so_far, self._jumps_left = 0.0, 0
        self._rise_left = self._max_rise
        self._lit_unseen = False
        self._counted_ns = self._beat_ns = self._clock_ns()

    def _terms(self) -> str:
        unit = self.actuator.unit
        dose = self._settings.max_dose
        return (
            f"{self._least:g} to {self._cap:g} {unit}"
            + (f", dose at most {dose:g} {unit} s" if dose is not None else "")
            + (f", dark after {self._silence_s:g} s of silence" if self._silence_s else "")
        )

    def _obey(self, wanted: float, context: CommandContext) -> None:
        self._count()
        if wanted < 0:
            self.trip(f"asked for {wanted:g} {self.actuator.unit}, which is no power")
            return
        if self._dose_is_used_up():
            return
        power = self._within(wanted)
        if power == 0.0:
            if self._sent > 0.0 or not self._dark:
                if failed := self._make_safe():
                    self.trip("it does not go dark: " + "; ".join(failed))
                    return
                self._audit("command", context, wanted)
            else:
                self._audit("unchanged", context, wanted)
        elif self._sent > 0 and abs(power / self._sent - 1) < _LEAST_CHANGE and power < self._cap:
            self._audit("unchanged", context, wanted)
        else:
            if power > self._sent > 0:
                self._rise_left -= min(math.log(power / self._sent), self._rise_left)
            self._put(power, context, wanted)

    def _within(self, wanted: float) -> float:
        """Return the power that cap, least power and ramp leave of what is wanted."""
        if wanted < self._least:
            return 0.0
        power = min(wanted, self._cap)
        if self._jumps_left and power > self._sent:
            self._jumps_left = 0
        elif self._sent == 0.0:
            power = min(power, max(2 * self._least, self._settings.start_power))
        elif math.isfinite(self._max_rise) and power > self._sent:
            power = min(power, self._sent * math.exp(self._rise_left))
        return power

    def _make_safe(self) -> list[str]:
        self._count()
        return super()._make_safe()

    def _put(self, value: float, context: CommandContext, wanted: float) -> None:
        self._count()
        self._lit_unseen = True
        super()._put(value, context, wanted)

    def poll(self) -> None:
        """Look at heartbeat, dose and device."""
        self._count()
        if self.armed and self.tripped is None:
            silent_s = (self._clock_ns() - self._beat_ns) / 1e9
            # Also where the law has turned it dark by then: what it did unseen is not known.
            silent = self._silence_s is not None and silent_s > self._silence_s
            if silent and self._lit_unseen:
                self.trip(f"nothing was seen for {silent_s:.1f} s (limit {self._silence_s:g} s)")
            else:
                self._dose_is_used_up()
        super().poll()

    def _count(self) -> None:
        """Add what has shone since the last count to the dose, and to what may rise."""
        t_ns = self._clock_ns()
        passed_s = max(t_ns - self._counted_ns, 0) / 1e9
        self._counted_ns = t_ns
        self._dose_so_far += self._sent * passed_s
        if math.isfinite(self._max_rise):
            gained = self._max_rise * passed_s / self._tick_s
            self._rise_left = min(self._rise_left + gained, _BUDGET_TICKS * self._max_rise)

    def _dose_is_used_up(self) -> bool:
        limit = self._settings.max_dose
        if limit is None or self._dose() < limit:
            return False
        self.trip(
            f"the dose of {self._dose():.3g} {self.actuator.unit} s has reached its limit of "
            f"{limit:g} (lasers.{self.actuator.name}.max_dose)"
        )
        return True

    def _dose(self) -> float:
        since_s = max(self._clock_ns() - self._counted_ns, 0) / 1e9
        return self._dose_so_far + self._sent * since_s

    def _tolerance(self) -> float:
        least = _ABS_MW if self.actuator.unit == "mW" else _OF_RANGE * self._cap
        return max(_REL_TOLERANCE * self._sent, min(least, _OF_RANGE * self._cap))
