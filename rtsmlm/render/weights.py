"""Compiled: which share of a localization falls into each pixel of a row or a column.

Editing these does not renew what numba has cached for `splat`: delete its files.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from scipy.special import ndtr

from rtsmlm.localizations import F32

LEAST_STD_NM = 2.0
"""No localization is drawn sharper: stated precisions below are not realistic."""

MOST_STD_NM = 100.0
"""Wider ones add nothing visible, at the cost of thousands of sharp ones."""

UNKNOWN_STD_NM = 15.0
"""Width of a Gaussian where the method states none: a typical precision."""

GAUSS_REACH = 3.0
"""Half width of a splat in standard deviations."""

_STEPS = 1024
# The share of a Gaussian, cut off at its reach, that lies left of a point; linear between entries
# it is right to 1e-6. A table is several times as fast as the error function.
_CUT = ndtr(np.linspace(-GAUSS_REACH, GAUSS_REACH, _STEPS + 1))
_SHARE_LEFT = np.append((_CUT - _CUT[0]) / (_CUT[-1] - _CUT[0]), 1.0).astype(np.float32)
_PER_SIGMA = _STEPS / (2.0 * GAUSS_REACH)


@njit(inline="always")
def _share_left(place: float | np.float32) -> np.float32:
    """Return the share of a cut Gaussian left of a place in the table."""
    at = min(max(np.float32(place), np.float32(0.0)), np.float32(_STEPS))
    # Unsigned: numba would handle negative indices at each access.
    k = np.uint32(at)
    low = _SHARE_LEFT[k]
    share: np.float32 = low + (at - np.float32(k)) * (_SHARE_LEFT[k + np.uint32(1)] - low)
    return share


@njit(inline="always")
def gauss_weights(
    centre: float, std: float, ends: tuple[int, int], field: tuple[int, int], weights: F32
) -> None:
    """Fill `weights` with the shares of the pixels from `ends[0]` to `ends[1]`."""
    step = np.float32(_PER_SIGMA / std)
    place = np.float32((ends[0] - centre + GAUSS_REACH * std) * step)
    # Where nothing is cut, the first edge has nothing to its left and the last one everything.
    before, after = np.float32(0.0), np.float32(1.0)
    if place > 0.0 and ends[0] > field[0]:
        before = _share_left(place)
    last = ends[1] - ends[0]
    for k in range(np.uint64(last)):
        place += step
        share = _share_left(place)
        weights[k] = share - before
        before = share
    if place + step < _STEPS and ends[1] < field[1]:
        after = _share_left(place + step)
    weights[last] = after - before


@njit(inline="always")
def linear_weights(
    centre: float, ends: tuple[int, int], field: tuple[int, int], weights: F32
) -> None:
    """Fill `weights` with the shares of the two pixel centres beside a point."""
    lower = math.floor(centre - 0.5)
    share = centre - 0.5 - lower
    for k in range(ends[1] - ends[0] + 1):
        pixel = ends[0] + k
        weight = 0.0
        if pixel == lower or (pixel == field[0] and lower < pixel):
            weight += 1.0 - share
        if pixel == lower + 1 or (pixel == field[1] and lower >= pixel):
            weight += share
        weights[k] = np.float32(weight)


@njit(inline="always")
def drawn_std_nm(stated_nm: float) -> float:
    """Return the standard deviation that is drawn for one stated."""
    if not stated_nm > 0.0:
        return UNKNOWN_STD_NM
    return min(max(stated_nm, LEAST_STD_NM), MOST_STD_NM)
