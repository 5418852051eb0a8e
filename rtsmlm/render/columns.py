"""Columns of the tables that are drawn, and compiled: what a row's values mean for drawing.

Editing these does not renew what numba has cached for `splat`: delete its files.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.localizations import F32

X, Y, STD_X, STD_Y, Z, PHOTONS, PROBABILITY, FRAME, CHANNEL = range(9)
COLUMNS = 9
"""Of the tables that are drawn: float32, shape (COLUMNS, n); lengths in nm."""


@njit(cache=True, nogil=True, error_model="numpy")
def passes(table: F32, k: int, bounded: NDArray[np.int64], bounds: F32) -> bool:
    """Return whether a row lies within all bounds."""
    for j in range(len(bounded)):
        value = table[bounded[j], k]
        # Written so that NaN does not pass.
        if not (value >= bounds[j, 0] and value <= bounds[j, 1]):
            return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def set_factors(factors: F32, table: F32, k: int, source: int, palette: F32) -> None:
    """Set what the weight is multiplied by in each plane."""
    if len(factors) == 2:
        factors[1] = table[source, k]
    elif len(factors) > 2:
        channel = int(table[source, k]) % len(palette)
        for plane in range(3):
            factors[plane + 1] = palette[channel, plane]
