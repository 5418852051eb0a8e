"""Figures of named dyes: mistakes, molecules that can be used, honest probabilities."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.bench.accuracy.figures import Figures

F64: TypeAlias = NDArray[np.float64]
Dyes: TypeAlias = NDArray[np.int64]

RIGHT = "right dye, %"
ALLOWED, KNOWN = "right dye that the photons allow, %", "right dye with all else known, %"
WRONG_SURE, USE = "wrong of the surest 90 %, %", "used with 1 % wrong, %"
HONEST = "probability less part that is right"
DEPTH, DEPTH_BOUND = "z: RMSE, upper half, nm", "z: CRLB, upper half, nm"
CENTROID, WHOLE = ", centroid", ", centroid of the whole spectrum"
EQUAL_USE, FEW_MISTAKES = 0.9, 0.01
BINS = 10


def class_figures(dye: Dyes, surety: F64, truth: Dyes) -> Figures:
    """Return the figures of named dyes.

    Parameters
    ----------
    dye
        The most probable one, (n,).
    surety
        How sure each answer is, in any unit, (n,).
    truth
        True dyes, (n,).
    """
    order = np.argsort(-surety, kind="stable")
    wrong = (dye != truth)[order]
    n = len(wrong)
    so_far = np.cumsum(wrong) / np.arange(1, n + 1)
    few = np.flatnonzero(so_far <= FEW_MISTAKES)
    return {
        RIGHT: 100.0 * (1.0 - float(wrong.mean())),
        WRONG_SURE: 100.0 * float(so_far[round(EQUAL_USE * n) - 1]),
        USE: 100.0 * (float(few[-1] + 1) / n if len(few) else 0.0),
    }


def honesty(dye: Dyes, probability: F64, truth: Dyes) -> float:
    """Return how far stated probabilities are from the part that is right, mean over rows."""
    which = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
    off = 0.0
    for k in range(BINS):
        inside = which == k
        if inside.any():
            right = float(np.mean(dye[inside] == truth[inside]))
            off += abs(float(probability[inside].mean()) - right) * float(inside.mean())
    return off


def rms(values: F64) -> float:
    """Return the root mean square; NaN of nothing."""
    return float(np.sqrt(np.mean(values**2))) if len(values) else math.nan
