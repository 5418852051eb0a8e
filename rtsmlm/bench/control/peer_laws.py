"""The laws of three other programs, written anew after their source, for comparison only.

All powers are irradiances in W/cm²; each law steers its own unit within, as its users would set it.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class HtSmlmLaw:
    """Pulse length of htSMLM (Deschamps and Ries, jdeschamps/htSMLM, ActivationTask).

    Its signal is the number of emitters that vanish from one frame to the next. The 0.1 that is
    added in every loop and the change that is applied again while it is small are the original's.
    """

    target: float
    """Vanished emitters per pair of frames."""
    power: float
    """W/cm² at the start; at least one unit of pulse length, it cannot leave 0 fast."""
    feedback: float = 0.4
    most_pulse: float = 10_000.0
    w_cm2_per_pulse: float = 1e-4
    _change: float = 0.0

    def decide(self, vanished: float) -> float:
        """Return the irradiance in W/cm² for the next loop of 100 ms; NaN is an idle camera."""
        if math.isnan(vanished):
            return self.power
        pulse = self.power / self.w_cm2_per_pulse
        if self.target <= 0:
            pulse = 0.0
        else:
            self._change += 0.1 + pulse * self.feedback * (1 - vanished / self.target)
            pulse += self._change
            if self._change**2 > 1 or (pulse == 0 and self._change < 0):
                self._change = 0.0
        self.power = min(max(pulse, 0.0), self.most_pulse) * self.w_cm2_per_pulse
        return self.power


@dataclass(slots=True)
class AutoLaseLaw:
    """AutoLase (Holden et al., micro-manager/plugins/autolase): steps up or down, or none.

    Its signal is the longest time that any pixel has been bright, a running mean of 50 samples
    20 ms apart. 0 to 5 V in steps of 0.05 V; a filter makes 5 V of `highest_w_cm2`.
    """

    low_s: float
    """Below this on-time the power goes up."""
    high_s: float
    power: float
    highest_w_cm2: float = 0.25

    def decide(self, on_time_s: float) -> float:
        """Return the irradiance in W/cm² for the next second."""
        step = 0.05 / 5.0 * self.highest_w_cm2
        wanted = self.power
        if on_time_s < self.low_s:
            wanted += step
        elif on_time_s > self.high_s:
            wanted -= step
        # A power out of range is ignored, not clipped.
        if 0 <= wanted <= self.highest_w_cm2:
            self.power = wanted
        return self.power


_SETTLE, _MEAN, _SKIP = 5, 7, 1


@dataclass(slots=True)
class AlicaLaw:
    """Self-tuning PI of ALICA (Stefko et al., Opt. Express 26, 30882 (2018); MStefko/ALICA).

    Its signal is the spot count per 100 um². 5 ticks dark, the mean of 7, a step of 2 mW, one
    tick skipped, the mean of 7; then P = 0.3 step/response and I = 0.03 step Ts/response.
    """

    target: float
    """Spots per 100 um²."""
    tick_s: float = 1.0
    highest_w_cm2: float = 1.0
    w_cm2_per_mw: float = 0.01
    step_mw: float = 2.0
    tuned: bool = False
    _p: float = 0.0
    _i: float = 0.0
    _stored: float = 0.0
    _power_mw: float = 0.0
    _seen: deque[float] = field(default_factory=deque)

    @property
    def power(self) -> float:
        """Irradiance in force in W/cm²."""
        return self._power_mw * self.w_cm2_per_mw

    def decide(self, spots: float) -> float:
        """Return the irradiance in W/cm² for the next tick; NaN holds it."""
        if math.isnan(spots):
            return self.power
        self._power_mw = self._control(spots) if self.tuned else self._tune(spots)
        return self.power

    def _tune(self, spots: float) -> float:
        self._seen.append(spots)
        if len(self._seen) < _SETTLE + _MEAN:
            return 0.0
        if len(self._seen) < _SETTLE + 2 * _MEAN + _SKIP:
            return self.step_mw
        seen = list(self._seen)
        response = sum(seen[-_MEAN:]) / _MEAN - sum(seen[_SETTLE : _SETTLE + _MEAN]) / _MEAN
        if response > 0:
            self._p = 0.3 * self.step_mw / response
            self._i = 0.03 * self.step_mw * self.tick_s / response
        self.tuned = True
        return self._control(spots)

    def _control(self, spots: float) -> float:
        error = self.target - spots
        most = self.highest_w_cm2 / self.w_cm2_per_mw
        self._stored += self._i * self.tick_s * error
        self._stored = min(max(self._stored, -self._p * error), most - self._p * error)
        return min(max(self._p * error + self._stored, 0.0), most)
