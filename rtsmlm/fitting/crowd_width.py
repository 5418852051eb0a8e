"""The width of the PSF as spots of a frame have it, where that is surely another than stated."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from rtsmlm.fitting.boxes import F64
from rtsmlm.fitting.order_statistics import median_of

MOST_MEASURED, LEAST_MEASURED = 24, 8
"""Spots of each frame whose width is measured first: with less the one that is stated counts."""
SURE_STDS = 2.5
"""By so many of its own standard deviations a width must be another one than stated."""
LEAST_EXCESS, MOST_NARROWER, MOST_WIDER = 0.02, -0.3, 0.4
"""Variance of spots beyond that of the PSF, over it, that is taken for that of the PSF."""


@njit(cache=True, nogil=True, error_model="numpy")
def measured_width(sigma: tuple[float, float], measured: F64) -> tuple[float, float]:
    """Return the width that spots of a frame have, which is that stated unless they deny it.

    Parameters
    ----------
    sigma
        Standard deviations of the PSF along x and y in pixels.
    measured
        How many spots were measured, then by how much the variance of each exceeds that of the PSF,
        in pixels², (1 + n or more,).
    """
    n = int(measured[0])
    if n < LEAST_MEASURED:
        return sigma
    values = np.empty(n)
    for i in range(n):
        values[i] = measured[1 + i]
    middle = median_of(values)
    for i in range(n):
        values[i] = abs(measured[1 + i] - middle)
    std = 1.25 * 1.4826 * median_of(values) / math.sqrt(n)
    part = middle / (sigma[0] * sigma[1])
    if abs(middle) < SURE_STDS * std or abs(part) < LEAST_EXCESS:
        return sigma
    scale = math.sqrt(1.0 + min(max(part, MOST_NARROWER), MOST_WIDER))
    return scale * sigma[0], scale * sigma[1]
