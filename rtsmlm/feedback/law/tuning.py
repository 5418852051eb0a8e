"""Gain and dead time of the plant from a short experiment near the target, and the gain of the law.

Both experiments work on logarithms, where plant gain is 1 once activation by light outweighs
thermal activation, whatever dye, pool and laser.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

_STEP = 0.4
_STEP_TICKS = 6
_STEP_SKIP = 3
_RELAY = 0.3
_RELAY_BAND = 0.05
_RELAY_SWITCHES = 8
_RELAY_TICKS = 40
_LEAST_GAIN, _MOST_GAIN = 0.2, 1.5
"""Plant gains outside are not believed: the law would get too fierce or too slow."""


@dataclass(frozen=True, slots=True)
class Plant:
    """What an experiment found."""

    gain: float
    """Change of ln(density) per change of ln(power)."""
    dead_ticks: float
    """Ticks from a command until it shows, beyond the next one."""


class Experiment(Protocol):
    """Small changes of the power around where it was, and what they bring."""

    def step(self, log_density: float, log_error: float) -> float | None:
        """Return how far ln(power) is to lie from where it was, or None when done."""
        ...

    def result(self) -> Plant | None:
        """Return what was found, or None where noise outweighs it."""
        ...


def law_gain(plant: Plant, smoothing: float) -> float:
    """Return the part of the error to correct per tick for a fast approach without overshoot.

    Critical damping of an integrator with d ticks of dead time is d^d / (d + 1)^(d + 1) (double
    root of z^(d+1) (z - 1) + g z = 0); a running mean of weight w counts as (1 - w) / w ticks.
    """
    d = plant.dead_ticks + (1 - smoothing) / smoothing
    damped = float(d**d / (d + 1) ** (d + 1))
    believed = min(max(plant.gain, _LEAST_GAIN), _MOST_GAIN)
    # Light activation may take over from thermal later, with a gain of 1: keep half of the way
    # to the limit of stability there.
    limit = math.sin(math.pi / (2 * (2 * d + 1)))
    return min(max(damped / believed, 0.02), limit)


@dataclass(slots=True)
class StepTest:
    """Densities before and after one step of the power, down unless there is room above."""

    _seen: list[float] = field(default_factory=list)
    _errors: list[float] = field(default_factory=list)
    _step: float = -_STEP

    def step(self, log_density: float, log_error: float) -> float | None:
        self._seen.append(log_density)
        self._errors.append(log_error)
        if len(self._seen) < _STEP_TICKS:
            return 0.0
        if len(self._seen) == _STEP_TICKS and sum(self._errors) / _STEP_TICKS > _STEP / 2:
            self._step = _STEP
        return self._step if len(self._seen) < 2 * _STEP_TICKS + _STEP_SKIP else None

    def result(self) -> Plant | None:
        before = self._seen[:_STEP_TICKS]
        late = self._seen[_STEP_TICKS + _STEP_SKIP :]
        base, top = sum(before) / len(before), sum(late) / len(late)
        noise = math.sqrt(sum((x - base) ** 2 for x in before) / (len(before) - 1))
        gain = (top - base) / self._step
        if abs(top - base) < 3 * noise / math.sqrt(len(before) / 2) or gain <= 0:
            return None
        early = self._seen[_STEP_TICKS : _STEP_TICKS + _STEP_SKIP]
        # Area between the step and the answer, over its height, is the time it comes late.
        late_ticks = sum(top - x for x in early) / (top - base)
        return Plant(gain, min(max(late_ticks, 0.0), float(_STEP_SKIP)))


@dataclass(slots=True)
class RelayTest:
    """Power up while the density is below target, down while above: the loop swings by itself.

    With a plant much faster than a tick it swings with a period of 2 (d + 1) ticks for d ticks
    of dead time (Astrom and Hagglund, Automatica 20, 645 (1984), for the idea).
    """

    _up: bool | None = None
    _ticks: int = 0
    _switches: list[int] = field(default_factory=list)
    _pairs: list[tuple[bool, float]] = field(default_factory=list)

    def step(self, log_density: float, log_error: float) -> float | None:
        self._ticks += 1
        if self._up is None:
            self._up = log_error > 0
            return _RELAY if self._up else -_RELAY
        self._pairs.append((self._up, log_density))
        wrong = log_error < -_RELAY_BAND if self._up else log_error > _RELAY_BAND
        if wrong:
            self._up = not self._up
            self._switches.append(self._ticks)
        if len(self._switches) == _RELAY_SWITCHES or self._ticks == _RELAY_TICKS:
            return None
        return _RELAY if self._up else -_RELAY

    def result(self) -> Plant | None:
        if len(self._switches) < _RELAY_SWITCHES:
            return None
        half_period = (self._switches[-1] - self._switches[0]) / (len(self._switches) - 1)
        dead = max(half_period - 1.0, 0.0)
        late = round(dead)
        shifted = [
            (up, y) for (up, _), (_, y) in zip(self._pairs, self._pairs[late:], strict=False)
        ]
        high = [y for up, y in shifted if up]
        low = [y for up, y in shifted if not up]
        if not high or not low:
            return None
        swing = sum(high) / len(high) - sum(low) / len(low)
        return Plant(swing / (2 * _RELAY), dead) if swing > 0 else None
