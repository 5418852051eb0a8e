"""The start: from a test pulse work out how much light is needed, and jump there.

Emitters per frame are N = N_thermal + a P. Two bounds on the slope hold whatever N_thermal is: a is
at most N/P, and it is (N - N_first) / (P - P_first) within counting noise. Each jump takes the
smaller of the two with a standard deviation on top, so that it falls short rather than beyond,
and each adds a point from further up. With no thermal activation the first bound is
u = ln P_test + ln(N_target / N).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from rtsmlm.feedback.law.power_scale import PowerScale
from rtsmlm.feedback.law.reading import Reading

_MOST_JUMPS = 5
_LARGEST_JUMP = 10.0
_NOT_WORTH_IT = 1.25
"""A jump by less than this is left to the law."""
_CLOSE = 0.85
"""Part of the target from which on the law takes over."""
_SIGMAS = 1.0


@dataclass(slots=True)
class FeedForward:
    """A few jumps of the power, each after one tick to settle and one to measure.

    Parameters
    ----------
    scale
        What the laser can do.
    power
        Power of the first test pulse, in the unit of the laser; 0 measures the dark first.
    """

    scale: PowerScale
    power: float
    _settling: bool = True
    _jumps: int = 0
    _first: tuple[float, float, float] | None = field(default=None)

    def step(self, reading: Reading) -> tuple[float | None, bool]:
        """Return the power for the next tick, None when done, and whether this one was measured."""
        if self._settling:
            self._settling = False
            return self.power, False
        power = self._target_power(reading)
        if self._first is None:
            self._first = (self.power, reading.density, reading.std)
        enough = reading.density >= _CLOSE * reading.target
        if enough or self._jumps == _MOST_JUMPS or power < _NOT_WORTH_IT * self.power:
            return None, True
        self.power = power
        self._jumps += 1
        self._settling = True
        return power, True

    def _target_power(self, reading: Reading) -> float:
        """Return the power that reaches the target even if the slope is as large as it may be."""
        if self.power <= 0:
            return self.scale.relight
        wanted = [self.power * reading.target / (reading.density + _SIGMAS * reading.std)]
        if self._first is not None:
            power, density, std = self._first
            rise = max(reading.density - density, 0.0) + _SIGMAS * math.hypot(std, reading.std)
            slope = rise / (self.power - power)
            wanted.append(power + (reading.target - density) / slope)
        return self.scale.nearest(min(max(wanted), _LARGEST_JUMP * self.power))
