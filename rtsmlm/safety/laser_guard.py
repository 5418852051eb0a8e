"""LaserGuard: cap, ramp, dose and heartbeat of one laser."""

from __future__ import annotations

import atexit
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from rtsmlm.errors import number_text
from rtsmlm.protocols import Actuator
from rtsmlm.realtime.clock import now_ns
from rtsmlm.safety.at_once import at_once
from rtsmlm.safety.guard import Guard, Refusal
from rtsmlm.safety.laser_limits import agree
from rtsmlm.safety.records import CommandContext
from rtsmlm.safety.unseen_light import UnseenLight
from rtsmlm.safety.watched_actuator import DEFAULT_SAFETY, Audit
from rtsmlm.settings.lasers import LaserSettings
from rtsmlm.settings.safety import SafetySettings

_LEAST_CHANGE = 0.02
"""A smaller relative change is not worth a command over a serial line."""
_BUDGET_TICKS = 1.5
"""Ticks jitter; a rise may use what the last half tick left."""
_REL_TOLERANCE, _ABS_MW, _OF_RANGE = 0.10, 0.5, 0.10
"""Most difference of measured and set power: relative, absolute, and as a part of the cap where
the laser is weak or its unit is not mW."""
_ABOVE_CAP = 1.02
"""A set point is rounded by some devices; further above the cap it is a fault."""
_OLD_TICKS = 2.0
"""No power rises on an estimate that is older."""
_ASK_UNARMED_NS = 400_000_000
"""A laser that is not ours is asked twice a second."""


_END_S = 10.0
_armed: set[LaserGuard] = set()
"""Lasers that the end of the program has to switch off; of the process, as its end is."""


class LaserGuard(Guard):
    """Let no more light through than was agreed, and none while its effect is not seen.

    Parameters
    ----------
    laser
        The laser; only this guard may command it.
    settings
        Cap, dose and start power.
    safety
        Deadlines of the device.
    max_rise
        Most rise of the logarithm of the power per tick; infinite where a schedule rules.
    tick_s
        Time between commands.
    silence_s
        The laser goes dark when its light was not seen for so long; None for one that does not
        depend on what is seen.
    silence_after_beat
        That holds from the first `beat` on, for a run of which it is not known whether any comes.
    audit, on_trip, clock_ns, while_waiting
        As for `Guard`.
    """

    _safe_state = "switched off"

    def __init__(
        self,
        laser: Actuator,
        settings: LaserSettings,
        safety: SafetySettings = DEFAULT_SAFETY,
        *,
        max_rise: float = math.inf,
        tick_s: float = 1.0,
        silence_s: float | None = None,
        silence_after_beat: bool = False,
        audit: Audit,
        on_trip: Callable[[str], None] = lambda text: None,
        clock_ns: Callable[[], int] = now_ns,
        while_waiting: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(
            laser,
            safety,
            audit=audit,
            on_trip=on_trip,
            clock_ns=clock_ns,
            while_waiting=while_waiting,
        )
        self._settings = settings
        self._max_rise, self._tick_s = max_rise, tick_s
        self._unseen = UnseenLight(silence_s, silence_after_beat)
        self._least, self._cap = 0.0, settings.max_power or 0.0
        self._rise_left = 0.0
        self._jumps_left = 0
        self._dose_so_far = 0.0
        self._before_dark = 0.0
        self._counted_ns = self._clock_ns()
        self._asked_ns: int | None = None
        self._was_above = False

    @property
    def limits(self) -> tuple[float, float]:
        """Least and most power above 0, as agreed when it was armed."""
        return self._least, self._cap

    @property
    def dose(self) -> float:
        """Power times seconds since it was armed."""
        return self._dose()

    @property
    def setpoint(self) -> float:
        """What the device knew as its set point at the last poll; NaN before the first."""
        return self._readings.setpoint

    def device_limits(self) -> tuple[float, float]:
        """Ask the device for its limits.

        Raises
        ------
        DeviceError
            If it does not answer in time.
        """
        return self._device.limits()

    def beat(self, t_exposure_end_ns: int | None = None) -> None:
        """Say that the effect of the laser was seen.

        Parameters
        ----------
        t_exposure_end_ns
            When the exposure of the newest frame ended in which it was; not given is now.
        """
        t_ns = self._clock_ns()
        with self._lock:
            self._unseen.see(t_ns if t_exposure_end_ns is None else min(t_exposure_end_ns, t_ns))

    def allow_jump(self) -> None:
        """Let the next rise be as high as the cap: after a test pulse has shown its effect."""
        self._jumps_left = 1

    def arm(self) -> None:
        """Allow commands; see `Guard.arm`. The laser is dark afterwards."""
        super().arm()
        _armed.add(self)
        atexit.unregister(_at_exit)
        atexit.register(_at_exit)

    def shut_down(self, reason: str, *, wait_s: float | None = None) -> list[str]:
        """Switch the laser off and disarm; return what failed."""
        failed = super().shut_down(reason, wait_s=wait_s)
        _armed.discard(self)
        return failed

    def _check_limits(self, device: tuple[float, float]) -> None:
        name, unit = self.actuator.name, self.actuator.unit
        self._least, self._cap = agree(name, unit, self._settings, device)

    def _begin(self) -> None:
        with self._lock:
            self._dose_so_far, self._jumps_left = 0.0, 0
            self._rise_left = self._max_rise
            self._before_dark = 0.0
            self._unseen.begin()
            self._counted_ns = self._clock_ns()

    def _terms(self) -> str:
        unit, silence_s = self.actuator.unit, self._unseen.limit_s
        dose = self._settings.max_dose
        return (
            f"{self._least:g} to {self._cap:g} {unit}"
            + (f", dose at most {dose:g} {unit} s" if dose is not None else "")
            + (f", dark after {silence_s:g} s of silence" if silence_s else "")
        )

    # -- commands --------------------------------------------------------------------------

    def _plan(self, wanted: float, context: CommandContext) -> tuple[float | None, CommandContext]:
        with self._lock:
            self._count()
            if wanted < 0:
                raise Refusal(f"asked for {wanted:g} {self.actuator.unit}, which is no power")
            if text := self._dose_used_up():
                raise Refusal(text)
            if min(wanted, self._cap) > self._sent and (text := self._too_old(context)):
                self._jumps_left = 0
                return None, replace(context, reason=f"{text}, power held; {context.reason}")
            power = self._within(wanted)
            if power == 0.0:
                is_off = self._sent == 0.0 and self._dark.is_given
                return None if is_off else 0.0, context
            # A schedule knows what is worth a command, and ends its slopes exactly.
            least = 0.0 if math.isinf(self._max_rise) else _LEAST_CHANGE
            is_same = self._sent > 0 and abs(power / self._sent - 1) <= least
            if is_same and power < self._cap:
                return None, context
            if power > self._sent > 0:
                self._rise_left -= min(math.log(power / self._sent), self._rise_left)
            return power, context

    def _too_old(self, context: CommandContext) -> str | None:
        """Return why a rise does not rest on a young estimate, None if it does."""
        seen_ns = context.t_exposure_end_ns
        if seen_ns is None:
            if math.isinf(self._max_rise):
                return None  # a schedule rests on no estimate
            seen_ns = self._unseen.seen_ns
        if seen_ns is None:
            return "no estimate yet"
        age_s, limit_s = (self._clock_ns() - seen_ns) / 1e9, _OLD_TICKS * self._tick_s
        return f"estimate {age_s:.1f} s old (limit {limit_s:g} s)" if age_s > limit_s else None

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

    def _begin_change(self, value: float) -> None:
        self._count()
        self._unseen.light(self._clock_ns())

    def _begin_dark(self) -> None:
        self._count()
        if not self._dark.is_given:
            self._before_dark = self._power()
        self._unseen.dark(self._clock_ns())
        super()._begin_dark()

    # -- watching --------------------------------------------------------------------------

    def _tend(self) -> None:
        super()._tend()
        why = None
        with self._lock:
            self._count()
            if self._is_on_duty:
                why = self._unseen.too_long(self._clock_ns()) or self._dose_used_up()
        if why is not None:
            self.trip(why)

    def _poll_unarmed(self) -> None:
        t_ns = self._clock_ns()
        if self._asked_ns is not None and t_ns - self._asked_ns < _ASK_UNARMED_NS:
            return
        self._asked_ns = t_ns
        try:
            reading = self._readings.ask(t_ns)
        except Exception:  # it is not ours; what it does not answer is not a fault of this run
            return
        limit, measured = self._most()[0], reading.measured or 0.0
        is_above = self._cap > 0 and (reading.setpoint > limit or measured > self._most()[1])
        if is_above and not self._was_above:
            power = max(reading.setpoint, measured)
            self._tell(
                f"{self.actuator.name} is at {power:g} {self.actuator.unit}, above its cap of "
                f"{self._cap:g}; it is not armed, so it is left as it is"
            )
        self._was_above = is_above

    def _most(self) -> tuple[float, float]:
        return _ABOVE_CAP * self._cap, self._cap + self._tolerance(self._cap)

    def _tolerance(self, value: float) -> float:
        least = _ABS_MW if self.actuator.unit == "mW" else _OF_RANGE * self._cap
        return max(_REL_TOLERANCE * value, min(least, _OF_RANGE * self._cap))

    # -- dose ------------------------------------------------------------------------------

    def _power(self) -> float:
        """Return the power that has to be counted with, the larger of two while it changes."""
        if self._dark.is_given:
            return 0.0 if self._device.failed == [] else self._before_dark
        return max(self._sent, self._readings.commanded.value)

    def _count(self) -> None:
        """Add what has shone since the last count to the dose, and to what may rise."""
        t_ns = self._clock_ns()
        passed_s = max(t_ns - self._counted_ns, 0) / 1e9
        self._counted_ns = t_ns
        self._dose_so_far += self._power() * passed_s
        if math.isfinite(self._max_rise):
            gained = self._max_rise * passed_s / self._tick_s
            self._rise_left = min(self._rise_left + gained, _BUDGET_TICKS * self._max_rise)

    def _dose_used_up(self) -> str | None:
        limit = self._settings.max_dose
        if limit is None or self._dose() < limit:
            return None
        return (
            f"the dose of {number_text(self._dose())} {self.actuator.unit} s has reached its limit "
            f"of {limit:g} (lasers.{self.actuator.name}.max_dose)"
        )

    def _dose(self) -> float:
        since_s = max(self._clock_ns() - self._counted_ns, 0) / 1e9
        return self._dose_so_far + self._power() * since_s


def _at_exit() -> None:
    """Switch off all lasers at the same time."""
    lasers = {str(k): guard for k, guard in enumerate(tuple(_armed))}
    at_once({k: partial(g.shut_down, "the program ended") for k, g in lasers.items()}, _END_S)
