"""Splits an effective power into a power level and a pulse length per frame.

A laser has a least power that may still be far too much for activation. Pulses go further down:
the effective power is the power times the part of the frame that it is on (the duty).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

LEAST_DUTY, MOST_DUTY = 0.05, 0.9
"""Shorter pulses are not exact, longer ones leave a rolling shutter no gap."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """What the laser and its trigger are set to."""

    power: float
    """Power while it is on, in the unit of the laser."""
    length_us: float
    """How long it is on per frame."""


@dataclass(frozen=True, slots=True)
class PulseSplit:
    """The rule of the split.

    The power level stays as long as the duty it takes lies within 0.05 to 0.9. When it does
    not, the level moves to where the duty is in the middle of these (on a logarithmic scale),
    so that the next move is a factor of four away, either way. Where the level cannot move any
    further the duty alone does the rest, down to the shortest pulse.

    Parameters
    ----------
    power
        Least and most power; equal for a laser whose power is fixed.
    length_us
        Shortest and longest pulse; equal where the length is fixed, then the power alone moves.
    frame_us
        Time from frame to frame.
    """

    power: tuple[float, float]
    length_us: tuple[float, float]
    frame_us: float

    def __post_init__(self) -> None:
        """Check that there is something to split.

        Raises
        ------
        ValueError
            If a range is empty or not positive.
        """
        for name, (low, high) in (("power", self.power), ("length_us", self.length_us)):
            if not (0 <= low <= high < math.inf and high > 0):
                raise ValueError(f"{name} is {low:g} to {high:g}; it must rise from 0 or more")
        if not (0 < self.frame_us < math.inf and self._lengths[0] <= self._lengths[1]):
            raise ValueError(
                f"a frame of {self.frame_us:g} us has no room for a pulse of "
                f"{self.length_us[0]:g} us"
            )

    @property
    def _lengths(self) -> tuple[float, float]:
        low, high = self.length_us
        if low == high:
            fixed = min(high, self.frame_us)
            return fixed, fixed
        # Below 1 us no trigger is exact.
        return max(low, 1.0), min(high, MOST_DUTY * self.frame_us)

    @property
    def _duties(self) -> tuple[float, float]:
        short, long = self._lengths
        least, most = short / self.frame_us, min(MOST_DUTY, long / self.frame_us)
        return (LEAST_DUTY if least <= LEAST_DUTY <= most else least), most

    def limits(self) -> tuple[float, float]:
        """Return the least and the most effective power, in the unit of the laser."""
        (low, high), (short, long) = self.power, self._lengths
        return low * short / self.frame_us, high * long / self.frame_us

    def effective(self, pulse: Pulse) -> float:
        """Return the effective power of a pulse, in the unit of the laser."""
        return pulse.power * min(pulse.length_us / self.frame_us, 1.0)

    def split(self, effective: float, level: float | None = None) -> Pulse:
        """Return the pulse of an effective power.

        Parameters
        ----------
        effective
            Wanted effective power, in the unit of the laser; one outside the limits is clipped.
        level
            Power level that is set now; kept if it will do. None if none is set.
        """
        low, high = self.limits()
        effective = min(max(effective, low), high)
        short, long = self._lengths
        if short == long:
            return Pulse(self._level(effective * self.frame_us / short), short)
        if level is None or not self._fits(effective, level):
            level = self._level(effective / math.sqrt(math.prod(self._duties)))
        if level == 0:
            return Pulse(0.0, short)
        return Pulse(level, min(max(effective * self.frame_us / level, short), long))

    def _fits(self, effective: float, level: float) -> bool:
        low, high = self.power
        if not (low <= level <= high and level > 0):
            return False
        duty = effective / level
        least, most = self._duties
        # An edge that was just computed must not fall on the other side for its last bit.
        is_short = duty < least * (1 - 1e-9) and level > low
        return not is_short and duty <= most * (1 + 1e-9)

    def _level(self, wanted: float) -> float:
        return min(max(wanted, self.power[0]), self.power[1])
