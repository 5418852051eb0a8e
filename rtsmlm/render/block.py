"""Compiled: Gaussians as square blocks of pixels, quicker than pixel by pixel.

Editing these does not renew what numba has cached for `splat`: delete its files, or edit it.

A block has one of a few sides, whatever the width of the Gaussian in it; pixels out of its reach
get exactly 0. Loops of a fixed length without a choice inside are what processors do 8 or 16 at a
time. The share left of a pixel's edge is a polynomial, without a look-up table.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import ndtr

from rtsmlm.localizations import F32
from rtsmlm.render.columns import STD_X, STD_Y, X, Y, factor_of, passes, set_factors
from rtsmlm.render.stamp import Ends, Limits, Size, stamp
from rtsmlm.render.weights import GAUSS_REACH, drawn_std_nm

SIDES = (8, 16, 32)
"""Of blocks, in pixels."""
MOST_HALF_PX = np.float32(15.49)
"""Half width of the widest Gaussian that has a block: of 2 h + 1 pixels at most."""

MARGIN_PX = SIDES[-1]
"""A block at this distance from the edge of the drawing never crosses it."""

_TERMS = 7
"""Beyond the line; with them it is right to 1e-6."""


def _polynomial() -> F32:
    """Return the coefficients that fit the share of a cut Gaussian best, see `_share_left`."""
    nodes = np.cos(np.pi * (np.arange(500) + 0.5) / 1000)
    share = (ndtr(GAUSS_REACH * nodes) - 0.5) / (1 - 2 * ndtr(-GAUSS_REACH))
    # At the ends of the reach the terms are 0, hence nothing is lost there.
    terms = [nodes * (1 - nodes**2) * nodes ** (2 * k) for k in range(_TERMS)]
    found = np.linalg.lstsq(np.stack(terms, axis=1), share - nodes / 2, rcond=None)[0]
    coefficients: F32 = found.astype(np.float32)
    return coefficients


_P0, _P1, _P2, _P3, _P4, _P5, _P6 = _polynomial()
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
    p = _P0 + s * (_P1 + s * (_P2 + s * (_P3 + s * (_P4 + s * (_P5 + s * _P6)))))
    share: np.float32 = t * (_HALF + (_ONE - s) * p)
    return share


# Not all of fast mathematics: a standard deviation may be NaN.
_FAST = {"contract", "reassoc", "arcp", "nsz"}


@njit(inline="always")
def _weigh(
    from_u: float, from_v: float, half_u: np.float32, half_v: np.float32, kind: int, weights: F32
) -> None:
    """Fill the weights of a block's columns, then of its rows, from its corner and half widths."""
    step_u, step_v = _ONE / half_u, _ONE / half_v
    start_u, start_v = np.float32(from_u) * step_u, np.float32(from_v) * step_v
    for j in range(np.uint64(16 << kind)):
        step = step_u * _LANES[kind, 1, j] + step_v * _LANES[kind, 2, j]
        start = start_u * _LANES[kind, 1, j] + start_v * _LANES[kind, 2, j]
        edge = start + _LANES[kind, 0, j] * step
        weights[j] = _share_left(edge + step) - _share_left(edge)


@njit(inline="always")
def _kind(half_px: np.float32) -> int:
    """Return the place in `SIDES` of the least block for a half width."""
    # In pixels, 2 h + 1 at most have to fit.
    return int(half_px >= np.float32(3.49)) + int(half_px >= np.float32(7.49))


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def draw_blocks(
    flat: F32, size: Size, slots: NDArray[np.int64], window: Size, limits: Limits,
    grid: NDArray[np.float64], field: NDArray[np.int64], table: F32, run: Ends,
    bounded: NDArray[np.int64], bounds: F32, source: int, palette: F32,
    weights: F32, left: NDArray[np.int32],
) -> tuple[int, int]:  # fmt: skip
    """Draw the rows of a run that have a block inside the field and a tile; see `splat.draw`.

    Nothing is called in the loop, which would take half as long again.

    Returns
    -------
    :
        How many rows are left, whose numbers `left` begins with; and how many have a block that
        meets more than one tile, whose numbers `left` ends with.
    """
    planes, height, width = size
    bits = window[0]
    x0_nm, y0_nm, per_nm = grid[0], grid[1], grid[2]
    first_v, last_v, first_u, last_u = field[0], field[1], field[2], field[3]
    n_left = n_across = 0
    for k in range(np.uint64(run[0]), np.uint64(run[1])):
        u, v = (table[X, k] - x0_nm) * per_nm, (table[Y, k] - y0_nm) * per_nm
        half_u = np.float32(GAUSS_REACH * drawn_std_nm(table[STD_X, k]) * per_nm)
        half_v = np.float32(GAUSS_REACH * drawn_std_nm(table[STD_Y, k]) * per_nm)
        row, column = math.floor(v - half_v), math.floor(u - half_u)
        if (
            row > limits[1] or column > limits[3]
            or v + half_v < limits[0] or u + half_u < limits[2]
        ):  # fmt: skip
            continue
        if len(bounded) and not passes(table, k, bounded, bounds):
            continue
        half = max(half_u, half_v)
        kind = _kind(half)
        side = 8 << kind
        if (
            half >= MOST_HALF_PX
            or row < first_v or row + side > last_v + 1
            or column < first_u or column + side > last_u + 1
        ):  # fmt: skip
            # Too wide, or at the field's edge, where what falls outside has to go inside.
            left[n_left] = k
            n_left += 1
            continue
        tile_row, tile_column = row >> bits, column >> bits
        y, x = tile_row - window[1], tile_column - window[2]
        top, start = row - (tile_row << bits), column - (tile_column << bits)
        if y < 0 or x < 0 or top + side > height or start + side > width:
            n_across += 1
            left[len(left) - n_across] = k
            continue
        slot = slots[np.uint64(y), np.uint64(x)]
        if slot < 0:
            continue
        _weigh(column - u, row - v, half_u, half_v, kind, weights)
        for plane in range(planes):
            at = np.uint64(((slot * planes + plane) * height + top) * width + start)
            factor = _ONE
            if plane > 0:
                factor = factor_of(table, k, plane, planes, source, palette)
            for r in range(np.uint64(side)):
                share = factor * weights[np.uint64(side) + r]
                for c in range(np.uint64(side)):
                    flat[at + c] += share * weights[c]
                at += np.uint64(width)
    return n_left, n_across


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def draw_across(
    flat: F32, size: Size, slots: NDArray[np.int64], window: Size,
    grid: NDArray[np.float64], table: F32, chosen: NDArray[np.int32],
    source: int, palette: F32, factors: F32, weights: F32,
) -> None:  # fmt: skip
    """Draw rows whose blocks meet more than one tile, or the end of what is drawn."""
    x0_nm, y0_nm, per_nm = grid[0], grid[1], grid[2]
    for k in chosen:
        u, v = (table[X, k] - x0_nm) * per_nm, (table[Y, k] - y0_nm) * per_nm
        half_u = np.float32(GAUSS_REACH * drawn_std_nm(table[STD_X, k]) * per_nm)
        half_v = np.float32(GAUSS_REACH * drawn_std_nm(table[STD_Y, k]) * per_nm)
        kind = _kind(max(half_u, half_v))
        row, column = math.floor(v - half_v), math.floor(u - half_u)
        _weigh(column - u, row - v, half_u, half_v, kind, weights)
        if size[0] > 1:
            set_factors(factors, table, k, source, palette)
        last = (8 << kind) - 1
        rows, columns = (row, row + last), (column, column + last)
        stamp(flat, size, slots, window, rows, columns, weights[last + 1 :], weights, factors)
