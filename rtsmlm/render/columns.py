"""Columns of the tables that are drawn, and compiled: what a row's values mean for drawing.

Editing these does not renew what numba has cached for `splat`: delete its files.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.localizations import F32

X, Y, STD_X, STD_Y, Z, PHOTONS, PROBABILITY, FRAME, CHANNEL, STD_Z = range(10)
COLUMNS = 10
"""Of the tables that are drawn: float32, shape (COLUMNS, n); lengths in nm."""


@njit(inline="always")
def passes(table: F32, k: int, bounded: NDArray[np.int64], bounds: F32) -> bool:
    """Return whether a row lies within all bounds; where the lower is above the upper, outside."""
    inside = True
    for j in range(len(bounded)):
        value, low, high = table[np.uint64(bounded[j]), k], bounds[j, 0], bounds[j, 1]
        # Written so that NaN does not pass.
        if low <= high:
            inside = inside and value >= low and value <= high
        else:
            inside = inside and (value >= low or value <= high)
    return inside


@njit(inline="always")
def factor_of(table: F32, k: int, plane: int, planes: int, source: int, palette: F32) -> np.float32:
    """Return what the weight of a row is multiplied by in a plane other than the first."""
    factor: np.float32 = table[source, k]
    if planes > 2:
        factor = palette[int(factor) % len(palette), plane - 1]
    return factor


@njit(cache=True, nogil=True, error_model="numpy")
def set_factors(factors: F32, table: F32, k: int, source: int, palette: F32) -> None:
    """Set what the weight is multiplied by in each plane."""
    for plane in range(1, len(factors)):
        factors[plane] = factor_of(table, k, plane, len(factors), source, palette)
