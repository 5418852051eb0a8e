"""The scale on which the law moves: the logarithm of the power, with its ends and a way to dark."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rtsmlm.errors import ConfigError

_RELIGHT = 2.0
"""Light comes back at so many times the least power: without the gap it would flicker there."""


@dataclass(frozen=True, slots=True)
class PowerScale:
    """Least and highest power of a laser, in its own unit, and what lies between.

    Raises
    ------
    ConfigError
        The least power is not above 0 and below the highest.
    """

    least: float
    highest: float

    def __post_init__(self) -> None:
        if not 0 < self.least < self.highest < math.inf:
            raise ConfigError(
                f"the laser's least power is {self.least:g} and its cap {self.highest:g}; the loop "
                "steers the logarithm of the power, so give 0 < min_power < max_power"
            )

    @property
    def relight(self) -> float:
        """Power at which light comes back after dark, in the unit of the laser."""
        return min(_RELIGHT * self.least, self.highest)

    def nearest(self, power: float) -> float:
        """Return the power that can be had: 0 where none is asked for, else between the ends."""
        return 0.0 if not power > 0 else min(max(power, self.least), self.highest)

    def log(self, power: float) -> float:
        """Return the logarithm of a power; that of the least power for darkness."""
        return math.log(min(max(power, self.least), self.highest))

    def move(self, power: float, log_power: float, change: float) -> tuple[float, float]:
        """Move by `change` in the logarithm; return the new power and its new logarithm.

        In the dark (`power` 0) the logarithm moves on but nothing shines until it reaches
        `relight`. It never passes an end, so that nothing is stored there that would have to be
        undone: this is the anti-windup.
        """
        wanted = log_power + change
        lit = wanted >= self.log(self.least) if power > 0 else wanted >= self.log(self.relight)
        held = min(max(wanted, self.log(self.least)), self.log(self.highest))
        return (self.nearest(math.exp(held)) if lit else 0.0), held

    def at_cap(self, power: float) -> bool:
        """Return whether no more power can be had."""
        return power >= self.highest * (1 - 1e-9)
