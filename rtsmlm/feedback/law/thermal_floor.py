"""Emitters come on by heat alone: below that density no laser can go.

N_min = k_thermal N_dark / (k_off + k_bleach); more readout power or time brings it down.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

_TICKS = 10
_STILL_FALLING = 0.1
"""Fall of ln(density) from the first half of the ticks to the second that is worth waiting for."""


@dataclass(slots=True)
class ThermalFloor:
    """Densities seen in the dark while they lie above the target."""

    _seen: deque[float] = field(default_factory=lambda: deque(maxlen=_TICKS))

    def stands(self, log_density: float, *, above: bool) -> bool:
        """Note a tick; return whether the density has stayed above the target without light.

        Parameters
        ----------
        log_density
            Logarithm of emitters per frame and um2.
        above
            It is dark, and the density is above the target.
        """
        if not above:
            self._seen.clear()
            return False
        self._seen.append(log_density)
        if len(self._seen) < _TICKS:
            return False
        half = _TICKS // 2
        seen = list(self._seen)
        return (sum(seen[:half]) - sum(seen[half:])) / half < _STILL_FALLING
