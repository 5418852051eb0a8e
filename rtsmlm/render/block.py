"""Compiled: Gaussians as square blocks of pixels, quicker than pixel by pixel.

Editing these does not renew what numba has cached for `splat`: delete its files.

A block has one of a few sides, whatever the width of the Gaussian in it; pixels out of its reach
get exactly 0. Loops of a fixed length without a choice inside are what processors do 8 or 16 at a
time. The share left of a pixel's edge is a polynomial, without a table to look up.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import ndtr

from rtsmlm.localizations import F32
from rtsmlm.render.columns import STD_X, STD_Y, X, Y, passes, set_factors
from rtsmlm.render.stamp import Ends, Limits, Size, stamp
from rtsmlm.render.weights import GAUSS_REACH, drawn_std_nm

SIDES = (8, 16, 32)
"""Of blocks, in pixels."""
MOST_HALF_PX = 15.49
"""Half width of the widest Gaussian that has a block: of 2 h + 1 pixels at most."""

_DEGREE = 6
"""Terms beyond the line; six are right to 1e-5."""


def _polynomial() -> F32:
    """Return the coefficients that fit the share of a cut Gaussian best, see `_share_left`."""
    nodes = np.cos(np.pi * (np.arange(500) + 0.5) / 1000)
    share = (ndtr(GAUSS_REACH * nodes) - 0.5) / (1 - 2 * ndtr(-GAUSS_REACH))
    # At the ends of the reach the terms are 0, hence nothing is lost there.
    terms = [nodes * (1 - nodes**2) * nodes ** (2 * k) for k in range(_DEGREE)]
    found = np.linalg.lstsq(np.stack(terms, axis=1), share - nodes / 2, rcond=None)[0]
    coefficients: F32 = found.astype(np.float32)
    return coefficients


_P0, _P1, _P2, _P3, _P4, _P5 = _polynomial()
_ONE, _HALF = np.float32(1.0), np.float32(0.5)

# For each side: pixel within the block and whether it is of a column or a row; both axes are
# weighed in one loop, columns first.
_LANES = np.zeros((len(SIDES), 3, 2 * SIDES[-1]), np.float32)
for _k, _side in enumerate(SIDES):
    _LANES[_k, 0, : 2 * _side] = np.arange(2 * _side) % _side
    _LANES[_k, 1, :_side] = 1.0
    _LANES[_k, 2, _side : 2 * _side] = 1.0


@njit(inline="always")
def _share_left(at: np.float32) -> np.float32:
    """Return the share of a cut Gaussian left of a point, less a half; the reach is 1."""
    t = min(max(at, -_ONE), _ONE)
    s = t * t
    p = _P0 + s * (_P1 + s * (_P2 + s * (_P3 + s * (_P4 + s * _P5))))
    share: np.float32 = t * (_HALF + (_ONE - s) * p)
    return share


# Not all of fast mathematics: a standard deviation may be NaN.
_FAST = {"contract", "reassoc", "arcp", "nsz"}


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def draw_blocks(
    flat: F32, size: Size, slots: NDArray[np.int64], window: Size, limits: Limits,
    grid: NDArray[np.float64], field: NDArray[np.int64], table: F32, run: Ends,
    bounded: NDArray[np.int64], bounds: F32, source: int, palette: F32, factors: F32,
    weights: F32, left: NDArray[np.int32],
) -> int:  # fmt: skip
    """Draw the rows of a run that have a block inside the field; see `splat.draw`.

    Returns
    -------
    :
        How many rows are left; `left` begins with their numbers.
    """
    planes, height, width = size
    bits = window[0]
    x0_nm, y0_nm, per_nm = grid[0], grid[1], grid[2]
    first_v, last_v, first_u, last_u = field[0], field[1], field[2], field[3]
    n_left = 0
    for k in range(np.uint64(run[0]), np.uint64(run[1])):
        u, v = (table[X, k] - x0_nm) * per_nm, (table[Y, k] - y0_nm) * per_nm
        half_u = np.float32(GAUSS_REACH * drawn_std_nm(table[STD_X, k]) * per_nm)
        half_v = np.float32(GAUSS_REACH * drawn_std_nm(table[STD_Y, k]) * per_nm)
        if (
            v + half_v < limits[0] or v - half_v > limits[1] + 1
            or u + half_u < limits[2] or u - half_u > limits[3] + 1
        ):  # fmt: skip
            continue
        half = max(half_u, half_v)
        kind = 0 if half < 3.49 else 1 if half < 7.49 else 2
        side = 8 << kind
        row, column = math.floor(v - half_v), math.floor(u - half_u)
        if (
            half >= MOST_HALF_PX
            or row < first_v or row + side > last_v + 1
            or column < first_u or column + side > last_u + 1
        ):  # fmt: skip
            # Too wide, or at the field's edge, where what falls outside has to go inside.
            left[n_left] = k
            n_left += 1
            continue
        if len(bounded) and not passes(table, k, bounded, bounds):
            continue
        if planes > 1:
            set_factors(factors, table, k, source, palette)
        step_u, step_v = _ONE / half_u, _ONE / half_v
        start_u, start_v = np.float32(column - u) * step_u, np.float32(row - v) * step_v
        for j in range(np.uint64(2 * side)):
            step = step_u * _LANES[kind, 1, j] + step_v * _LANES[kind, 2, j]
            start = start_u * _LANES[kind, 1, j] + start_v * _LANES[kind, 2, j]
            edge = start + _LANES[kind, 0, j] * step
            weights[j] = _share_left(edge + step) - _share_left(edge)
        y, x = (row >> bits) - window[1], (column >> bits) - window[2]
        top, start_column = row - ((row >> bits) << bits), column - ((column >> bits) << bits)
        if (
            y < 0 or x < 0 or y >= slots.shape[0] or x >= slots.shape[1]
            or top + side > height or start_column + side > width
        ):  # fmt: skip
            rows, columns = (row, row + side - 1), (column, column + side - 1)
            stamp(flat, size, slots, window, rows, columns, weights[side:], weights, factors)
            continue
        slot = slots[np.uint64(y), np.uint64(x)]
        if slot < 0:
            continue
        for plane in range(planes):
            place = ((slot * planes + plane) * height + top) * width + start_column
            at, factor = np.uint64(place), factors[np.uint64(plane)]
            for r in range(np.uint64(side)):
                share = factor * weights[np.uint64(side) + r]
                for c in range(np.uint64(side)):
                    flat[at + c] += share * weights[c]
                at += np.uint64(width)
    return n_left
