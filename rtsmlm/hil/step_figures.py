"""Figures of a step response: how fast, how far beyond, how close; from the rows of lasers.csv."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BAND = 0.2
_SETTLE_MEAN_S = 2.0
_OVERSHOOT_MEAN_S = 5.0


@dataclass(frozen=True, slots=True)
class Course:
    """What the loop saw and did, one value per tick."""

    t_s: NDArray[np.float64]
    """Seconds since the laser was armed."""
    per_um2: NDArray[np.float64]
    """Estimated density."""
    target_per_um2: NDArray[np.float64]
    power: NDArray[np.float64]
    """Power sent to the laser, in its own unit."""

    def part(self, begin_s: float, end_s: float) -> Course:
        """Return the ticks from a time on and before another."""
        at = (self.t_s >= begin_s) & (self.t_s < end_s)
        return Course(self.t_s[at], self.per_um2[at], self.target_per_um2[at], self.power[at])

    def mean_ratio(self, seconds: float) -> NDArray[np.float64]:
        """Return density over target, as a running mean that ends at each tick."""
        ratio = self.per_um2 / self.target_per_um2
        if len(ratio) < 2:
            return ratio
        n = max(round(seconds / float(np.median(np.diff(self.t_s)))), 1)
        sums = np.concatenate([[0.0], np.cumsum(ratio)])
        first = np.maximum(np.arange(len(ratio)) - n + 1, 0)
        means = (sums[1:] - sums[first]) / (np.arange(len(ratio)) - first + 1)
        return np.asarray(means)

    def as_dict(self) -> dict[str, list[float]]:
        """Return plain data."""
        return {
            "t_s": self.t_s.round(3).tolist(),
            "per_um2": self.per_um2.tolist(),
            "target_per_um2": self.target_per_um2.tolist(),
            "power": self.power.tolist(),
        }


def course_of(rows: Iterable[Mapping[str, str]], laser: str) -> Course:
    """Return the course of a laser from the rows of lasers.csv."""
    armed_s, table = 0.0, []
    for row in rows:
        if row["actuator"] != laser:
            continue
        if row["kind"] == "arm":
            armed_s = float(row["t_s"])
        if row["kind"] in ("command", "unchanged") and row["estimate_per_um2"]:
            names = ("t_s", "estimate_per_um2", "target_per_um2", "sent")
            table.append([float(row[name]) for name in names])
    values = np.array(table, dtype=np.float64).reshape(-1, 4)
    return Course(values[:, 0] - armed_s, values[:, 1], values[:, 2], values[:, 3])


def settle_s(course: Course, begin_s: float) -> float:
    """Return when the 2-s mean came within 20 % to stay, in s from a time; inf if never."""
    ratio = course.mean_ratio(_SETTLE_MEAN_S)
    outside = np.flatnonzero(~(np.abs(ratio - 1) <= _BAND))
    if not len(ratio) or (len(outside) and outside[-1] == len(ratio) - 1):
        return math.inf
    first = outside[-1] + 1 if len(outside) else 0
    return float(course.t_s[first] - begin_s)


def overshoot(course: Course) -> float:
    """Return how far the 5-s mean goes beyond the target, as a part of it.

    Ticks from before the density first came near the target do not dilute the mean.
    """
    near = np.flatnonzero(course.per_um2 >= (1 - _BAND) * course.target_per_um2)
    if not len(near):
        return 0.0
    ratio = course.part(float(course.t_s[near[0]]), math.inf).mean_ratio(_OVERSHOOT_MEAN_S)
    whole = ratio[min(len(ratio) - 1, _ticks(course) - 1) :]
    return float(whole.max() - 1)


def _ticks(course: Course) -> int:
    if len(course.t_s) < 2:
        return 1
    return max(round(_OVERSHOOT_MEAN_S / float(np.median(np.diff(course.t_s)))), 1)


def bias(*settled: Course) -> float:
    """Return the mean deviation from the target, as a part of it; NaN where there is nothing."""
    found = [part.per_um2 / part.target_per_um2 for part in settled]
    ratios = np.concatenate([np.zeros(0), *found])
    return float(ratios.mean() - 1) if len(ratios) else math.nan
