"""One number for the verdict of the validity meter: whether one model fits better than another."""

from __future__ import annotations

import math

from rtsmlm.analysis.validity import (
    MAX_CHI2,
    MAX_GRIDDING,
    MAX_NOISE_ERROR,
    MAX_REPEAT_STD,
    MAX_WIDTH_ERROR,
)
from rtsmlm.analysis.validity_verdict import Verdict


def excess(verdict: Verdict) -> float:
    """Return how far the figures are from those of a perfect model, each in units of its limit.

    A figure that could not be measured counts as nothing: two verdicts on the same frames lack the
    same ones.
    """
    away = (
        abs(verdict.width_ratio - 1.0) / MAX_WIDTH_ERROR,
        max(verdict.chi2 - 1.0, 0.0) / (MAX_CHI2 - 1.0),
        abs(verdict.noise_ratio - 1.0) / MAX_NOISE_ERROR,
        # Two localizations of one emitter may lie nearer than stated: see the meter's notes.
        max(verdict.repeat_std - 1.0, 0.0) / (MAX_REPEAT_STD - 1.0),
        verdict.gridding / MAX_GRIDDING,
    )
    return sum(value for value in away if math.isfinite(value))
