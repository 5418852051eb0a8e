"""Does the sample answer to the laser at all? DNA-PAINT does not, nor does a closed shutter."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from rtsmlm.feedback.law.reading import Reading

_CLIMB = 1.0
"""So much rise of the logarithm of the power must show."""
_ANSWER = 0.1
"""Change of the logarithm of the density over the climb that counts as none, or within noise."""
_GAIN = 0.25
"""The gain must lie below this with two standard errors on top: noise alone proves nothing."""
_SERVED_TICKS = 20
_POINTS = 40


@dataclass(slots=True)
class ResponseWatch:
    """Straight line through the densities of one climb of the power.

    A sample that has once answered is taken at its word: near the end of its pool more and more
    light brings no more emitters either, and that is exhaustion.
    """

    answered: bool = False
    _on_target: int = 0
    _points: deque[tuple[float, float, float]] = field(
        default_factory=lambda: deque(maxlen=_POINTS)
    )

    def note(self, log_power: float, reading: Reading) -> None:
        """Add a density and the logarithm of the power under which it was seen."""
        noise = reading.std / (reading.density + 0.5 / reading.exposure_um2)
        self._points.append((log_power, reading.log_density(), min(noise, 1.0)))

    def forget(self, *, on_target: bool) -> None:
        """Start anew; a density that is held for long counts as an answer."""
        self._points.clear()
        self._on_target = self._on_target + 1 if on_target else 0
        self.answered = self.answered or self._on_target >= _SERVED_TICKS

    def none(self) -> bool:
        """Return whether the climb so far shows that there is no response."""
        if self.answered or len(self._points) < 3:
            return False
        powers = [p[0] for p in self._points]
        climb = max(powers) - min(powers)
        if climb <= _CLIMB:
            return False
        gain, error = self._line()
        if gain - 3 * error > _GAIN:
            self.answered = True
        nothing = abs(gain) < max(_ANSWER / climb, 2 * error)
        return nothing and gain + 2 * error < _GAIN

    def _line(self) -> tuple[float, float]:
        """Return slope and standard error of a straight line (Bevington, chapter 6)."""
        n = len(self._points)
        mean_u = sum(p[0] for p in self._points) / n
        mean_y = sum(p[1] for p in self._points) / n
        spread = sum((p[0] - mean_u) ** 2 for p in self._points)
        gain = sum((p[0] - mean_u) * (p[1] - mean_y) for p in self._points) / spread
        noise = math.sqrt(sum(p[2] ** 2 for p in self._points) / n)
        return gain, noise / math.sqrt(spread)
