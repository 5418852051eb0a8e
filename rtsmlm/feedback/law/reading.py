"""What the law reads off an estimate: the density it holds, its noise, and the limits on it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rtsmlm.feedback.records import DensityEstimate
from rtsmlm.settings.feedback import FeedbackSettings

_HALF_A_COUNT = 0.5
"""Stands in target and estimate alike: bounds the error at zero, and leaves no bias at none."""

_NOT_ZERO = 1e-100
"""Others divide by the standard deviation, which an absurd area would make 0."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A usable estimate, in terms of the density that is held."""

    density: float
    """Emitters per frame and um2."""
    std: float
    """Its standard deviation from counting, same unit."""
    target: float
    """What it should be, same unit."""
    exposure_um2: float
    """Field area times frames: density times this is a count."""
    crowded: bool
    log_limit: float
    """Logarithm of how many times denser the crowded tiles may get; negative: too dense."""

    def log_density(self, density: float | None = None) -> float:
        """Return the logarithm of a density, by default that read, bounded at none."""
        value = self.density if density is None else density
        return math.log(value + _HALF_A_COUNT / self.exposure_um2)

    def log_error(self, density: float) -> float:
        """Return ln(target / density): positive where more light is wanted."""
        return min(self.log_density(self.target) - self.log_density(density), self.log_limit)


def read(
    estimate: DensityEstimate | None, settings: FeedbackSettings, target_per_um2: float
) -> Reading | None:
    """Return what an estimate says, or None where it says nothing."""
    if estimate is None:
        return None
    density = _signal(estimate, settings)
    exposure_um2 = estimate.area_um2 * estimate.n_frames
    good = (math.isfinite(x) for x in (density, exposure_um2, estimate.mean_per_um2))
    if not all(good) or density < 0 or estimate.mean_per_um2 < 0 or exposure_um2 <= 0:
        return None
    # Counting noise alone, should the estimate not know its own.
    least = math.sqrt((density + _HALF_A_COUNT / exposure_um2) / exposure_um2) + _NOT_ZERO
    std = estimate.std_per_um2
    return Reading(
        density=density,
        std=max(std, least) if math.isfinite(std) else least,
        target=target_per_um2,
        exposure_um2=exposure_um2,
        crowded=estimate.crowded,
        log_limit=_log_limit(estimate, settings),
    )


def _signal(estimate: DensityEstimate, settings: FeedbackSettings) -> float:
    if settings.signal == "mean":
        return estimate.mean_per_um2
    if settings.signal == "new":
        return estimate.new_per_um2
    local = estimate.local_per_um2
    # No tile is occupied: that is a density of none, not an unknown one.
    return 0.0 if math.isnan(local) else local


def _log_limit(estimate: DensityEstimate, settings: FeedbackSettings) -> float:
    """Return the logarithm of limit over crowded part: that of the settings, or the localizer's."""
    local, most = estimate.local_per_um2, settings.max_local_per_um2
    if most is None:
        most = estimate.max_local_per_um2
    if not (local > 0 and most < math.inf):
        return math.inf
    return math.log(most / local) if local < math.inf else -math.inf
