"""The control law: from the density that is seen to the power that is wanted, on logarithms.

ln(density) answers to ln(power) with a gain near 1 whatever the dye and the size of the pool, so
that one setting serves all. Each tick moves the logarithm of the power by a part of the logarithmic
error (velocity form: no integral is stored that could wind up), more slowly up than down.
"""

from __future__ import annotations

import math

from rtsmlm.errors import number_text
from rtsmlm.feedback.law.feed_forward import FeedForward
from rtsmlm.feedback.law.power_scale import PowerScale
from rtsmlm.feedback.law.reading import Reading, read
from rtsmlm.feedback.law.state import LawState
from rtsmlm.feedback.law.stopping import Exhaustion
from rtsmlm.feedback.law.tuning import Experiment, RelayTest, StepTest, law_gain
from rtsmlm.feedback.records import Decision, DensityEstimate, Event, State
from rtsmlm.settings.feedback import FeedbackSettings
from rtsmlm.settings.lasers import Point, at_time

_HOLD_TICKS = 2
_CALM_TICKS = 2
_REACHED = 0.2
_EXHAUSTED_BELOW = 0.5
_DRIFT_GAIN = 0.003
"""Small against gain²/4, so that learning the drift never makes the loop swing."""
_DRIFT_LEARNS_WITHIN = 0.15
_TUNE_WITHIN = 0.1
_DRIFT_SHARE = 0.1
"""Part of the permitted rise that the drift may take up."""


class DensityLaw:
    """Steers one laser so that the density of emitters stays at its target.

    It has no clock and touches nothing; the same estimates give the same decisions.

    Parameters
    ----------
    settings
        What to hold and how fast. Where `max_local_per_um2` is None the localizer's limit is kept.
    power_limits
        Least and highest power in the unit of the laser; below the least it is off.
    start_power
        In force when the run starts, same unit; 0 is dark.

    Raises
    ------
    ConfigError
        The limits are not 0 < least < highest.
    """

    def __init__(
        self, settings: FeedbackSettings, power_limits: tuple[float, float], start_power: float
    ) -> None:
        self._settings = settings
        self._target = settings.target_per_um2
        self._scale = PowerScale(*power_limits)
        power = self._scale.nearest(start_power)
        self._safe_power = power or self._scale.least
        self._state = LawState(
            power=power,
            log_power=self._scale.log(power),
            gain=settings.gain,
            exhaustion=Exhaustion(settings.stop.exhausted_s),
        )
        self._start = FeedForward(self._scale, power) if settings.feed_forward else None
        self._experiment: Experiment | None = None
        if settings.tune != "none":
            self._experiment = StepTest() if settings.tune == "step" else RelayTest()
        self._base = 0.0

    @property
    def gain(self) -> float:
        """Part of the logarithmic error that is corrected per tick, as set or as tuned."""
        return self._state.gain

    @gain.setter
    def gain(self, gain: float) -> None:
        self._state.gain = gain

    def set_target(self, target_per_um2: float | tuple[Point, ...]) -> None:
        """Change the target: emitters per frame and um2, or (seconds, density) points."""
        self._target = target_per_um2

    def follow(self, power: float) -> None:
        """Go on from the power that is in force, where a guard or a person has set another one.

        A start or an experiment that this cuts short is given up.
        """
        s, real = self._state, self._scale.nearest(power)
        if math.isclose(real, s.power, rel_tol=0.01):
            return
        self._start = None
        self._end_tuning()
        s.power, s.log_power = real, self._scale.log(real)

    def decide(self, estimate: DensityEstimate | None, t_s: float) -> Decision:
        """Return what the laser should do until the next tick.

        Parameters
        ----------
        estimate
            Density over the frames since the last call, None where there is none.
        t_s
            Seconds since the start of the run.
        """
        s = self._state
        if s.phase == "stopped":
            return Decision(power=0.0, state="stopped", reason=s.end_reason, stop=True)
        reading = read(estimate, self._settings, at_time(self._target, t_s))
        if reading is None:
            return self._without()
        s.lost_ticks = 0
        s.crowded_ticks = s.crowded_ticks + 1 if reading.crowded else 0
        if s.phase == "hold":
            return self._decision(self._resting_power(reading), "hold", s.end_reason)
        if reading.target <= 0:
            return self._dark("the target is 0")
        if self._experimenting and (reading.crowded or reading.log_limit < 0):
            self._start = None
            self._end_tuning()
        if self._start is not None:
            return self._test(self._start, reading)
        error = self._smooth(reading)
        if s.phase == "tune" and self._experiment is not None:
            return self._tune(self._experiment, reading)
        return self._steer(reading, error, t_s)

    # --- without an estimate, or at the end

    def _without(self) -> Decision:
        s = self._state
        s.lost_ticks += 1
        s.smoothed = None
        if s.lost_ticks <= _HOLD_TICKS:
            why = f"no usable estimate for {s.lost_ticks} ticks, power held"
            return self._decision(s.power, "hold", why)
        self._start = None
        self._end_tuning()
        return self._dark(f"no usable estimate for {s.lost_ticks} ticks")

    def _resting_power(self, reading: Reading) -> float:
        """Return the power that stands for good; once dark it stays dark."""
        return self._state.power if reading.target > 0 else 0.0

    def _dark(self, why: str) -> Decision:
        s = self._state
        s.log_power, s.drift = self._scale.log(0.0), 0.0
        return self._decision(0.0, "off", why)

    def _no_response(self) -> Decision:
        s = self._state
        self._start = None
        s.phase = "hold"
        s.end_reason = "the density does not answer to the laser"
        safe = min(self._safe_power, s.power)
        return self._decision(safe, "hold", s.end_reason, s.once("no response"))

    # --- start and tuning

    @property
    def _experimenting(self) -> bool:
        return self._start is not None or self._state.phase == "tune"

    def _test(self, start: FeedForward, reading: Reading) -> Decision:
        s = self._state
        power, measured = start.step(reading)
        if measured and s.power > 0:
            s.response.note(math.log(s.power), reading)
            if s.response.none():
                return self._no_response()
        if power is None:
            self._start = None
            s.log_power = self._scale.log(s.power)
            return self._steer(reading, self._smooth(reading), None)
        s.log_power = self._scale.log(power)
        why = f"test pulse, {_seen(reading)}"
        return self._decision(power, "test", why)

    def _tune(self, experiment: Experiment, reading: Reading) -> Decision:
        s = self._state
        away = experiment.step(reading.log_density(), reading.log_error(reading.density))
        if away is not None:
            s.power, s.log_power = self._scale.move(s.power, self._base, away)
            return self._decision(s.power, "tune", f"experiment, ln(power) {away:+.2f}")
        plant = experiment.result()
        self._end_tuning()
        if plant is None:
            return self._decision(s.power, "steer", "the experiment shows nothing, gain kept")
        s.gain = law_gain(plant, self._settings.smoothing)
        s.response.answered = True
        why = f"plant gain {plant.gain:.2f}, {plant.dead_ticks:.1f} ticks late: gain {s.gain:.2f}"
        return self._decision(s.power, "steer", why, s.once("tuned"))

    def _end_tuning(self) -> None:
        s = self._state
        if s.phase == "tune":
            level = min(s.log_power, self._base)
            s.power, s.log_power = self._scale.move(s.power, level, 0.0)
            s.phase, s.smoothed, self._experiment = "steer", None, None

    # --- the law proper

    def _smooth(self, reading: Reading) -> float:
        s = self._state
        w = self._settings.smoothing if s.smoothed is not None else 1.0
        s.smoothed = w * reading.density + (1 - w) * (s.smoothed or 0.0)
        return reading.log_error(s.smoothed)

    def _steer(self, reading: Reading, error: float, t_s: float | None) -> Decision:
        s = self._state
        before, lit_before = s.log_power, s.power > 0
        self._watch_response(reading, error)
        if s.response.none():
            return self._no_response()
        change = self._change(reading, error)
        s.power, s.log_power = self._scale.move(s.power, before, change)
        if not s.power:
            s.drift = 0.0
        spent = self._scale.at_cap(s.power) and reading.log_error(reading.density) > -math.log(
            _EXHAUSTED_BELOW
        )
        if t_s is not None and s.exhaustion.update(t_s, spent=spent):
            return self._exhausted()
        event = self._event(reading, error, lit_before)
        seen = _seen(reading)
        if not s.power:
            return self._decision(0.0, "off", f"{seen}: no light wanted", event)
        if self._experiment is not None and abs(error) < _TUNE_WITHIN and not event:
            s.phase, self._base = "tune", s.log_power
        crowd = ", crowded" if reading.crowded else ""
        return self._decision(s.power, "steer", f"{seen}{crowd}", event)

    def _change(self, reading: Reading, error: float) -> float:
        """Return the change of the logarithm of the power in this tick."""
        s, c = self._state, self._settings
        if reading.crowded:
            # Counts are too low in a crowd, whatever they say; what they said is forgotten.
            s.smoothed, s.drift, s.calm_ticks = None, 0.0, _CALM_TICKS
            part = 0.5 if s.crowded_ticks == 1 else 1.0
            return -part * c.max_fall
        if s.power > 0 and abs(error) < _DRIFT_LEARNS_WITHIN and not self._scale.at_cap(s.power):
            learned = s.drift + _DRIFT_GAIN * error
            s.drift = min(max(learned, 0.0), _DRIFT_SHARE * c.max_rise)
        change = s.drift + (s.gain * error if abs(error) > c.dead_band else 0.0)
        if s.calm_ticks > 0:
            s.calm_ticks -= 1
            change = min(change, 0.0)
        return min(max(change, -c.max_fall), c.max_rise)

    def _watch_response(self, reading: Reading, error: float) -> None:
        s = self._state
        if not reading.crowded and error > _REACHED and s.power > 0:
            s.response.note(math.log(s.power), reading)
        else:
            s.response.forget(on_target=abs(error) < _REACHED and s.power > 0)

    def _event(self, reading: Reading, error: float, lit_before: bool) -> Event | None:
        s = self._state
        above = not lit_before and error < -self._settings.dead_band
        if s.floor.stands(reading.log_density(), above=above):
            return s.once("below thermal floor")
        if reading.crowded:
            return "crowded" if s.crowded_ticks == 1 else None
        if self._scale.at_cap(s.power):
            return s.once("at cap")
        if abs(error) < _REACHED and s.power > 0:
            return s.once("target reached")
        return None

    def _exhausted(self) -> Decision:
        s = self._state
        s.phase = "stopped"
        s.end_reason = (
            f"{self._settings.stop.exhausted_s:g} s at the cap of {self._scale.highest:g} with "
            "less than half of the target: the pool is used up"
        )
        return self._decision(0.0, "stopped", s.end_reason, s.once("exhausted"), stop=True)

    def _decision(
        self,
        power: float,
        state: State,
        reason: str,
        event: Event | None = None,
        *,
        stop: bool = False,
    ) -> Decision:
        self._state.power = power
        return Decision(power=power, state=state, reason=reason, event=event, stop=stop)


def _seen(reading: Reading) -> str:
    """Return the density beside the target, in words."""
    if reading.target <= 0:
        return f"{number_text(reading.density)} per µm², nothing is to be seen"
    percent = 100 * (reading.density / reading.target - 1)
    where = f"{abs(percent):.0f} % {'above' if percent > 0 else 'below'} the target of"
    return f"{number_text(reading.density)} per µm², {where} {number_text(reading.target)}"
