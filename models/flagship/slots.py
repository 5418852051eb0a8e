"""Compiled: the slots of a network's maps that hold emitters, as rows of `rtsmlm.models.rows`."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.localizations import F32
from rtsmlm.models.flagship.maps import (
    AXIAL_BACKGROUND_CHANNEL,
    BACKGROUND_SCALE,
    LOG_BACKGROUND_LEAST,
    LOG_BACKGROUND_MOST,
    LOG_PHOTONS_LIMIT,
    PHOTONS_UNIT,
    RAW_STD_LEAST,
    RAW_STD_MOST,
    STD_BIAS,
    Z_REACH,
    Map,
)
from rtsmlm.models.rows import Row

# Compiled code takes plain numbers for what is an enumeration elsewhere.
_LOGIT, _DX, _DY, _PHOTONS, _STD_X, _STD_Y, _STD_PHOTONS, _Z, _STD_Z = (int(m) for m in Map)
_ROW_X, _ROW_Y, _ROW_PHOTONS, _ROW_BACKGROUND = (
    int(column) for column in (Row.X, Row.Y, Row.PHOTONS, Row.BACKGROUND)
)
_ROW_STD_X, _ROW_STD_Y, _ROW_STD_PHOTONS = (
    int(column) for column in (Row.STD_X, Row.STD_Y, Row.STD_PHOTONS)
)
_ROW_PROBABILITY, _ROW_CROWD, _ROW_Z, _ROW_STD_Z = (
    int(column) for column in (Row.PROBABILITY, Row.CROWD, Row.Z, Row.STD_Z)
)
CROWD_REACH_PX = 4
"""Neighbours are counted in a square of 9 pixels around an emitter."""
MERGE_REACH_PX = 2
"""Rows closer than a pixel belong to pixels at most so far apart."""
MERGE_ROUNDS = 4
"""Chains of rows, each too close to the next, are sorted out over so many links."""
SHARING_LOGIT = -4.0
"""Slots around an emitter's own that are more probable than this have a part of it."""
SHARING_PX = 0.7
"""What they state must lie so near to what its own slot states: other emitters lie further."""
_OPEN, _KEPT, _DROPPED = range(3)


@njit(inline="always", error_model="numpy")
def _slot(maps: F32, k: int, attribute: int, row: int, column: int) -> float:
    channel = 4 * attribute + 2 * (row & 1) + (column & 1)
    return np.float64(maps[k, channel, row >> 1, column >> 1])


@njit(cache=True, nogil=True, error_model="numpy")
def _is_maximum(maps: F32, k: int, row: int, column: int, logit: float) -> bool:
    """Tell whether no neighbour is higher; of equal ones the first in reading order wins."""
    height, width = 2 * maps.shape[2], 2 * maps.shape[3]
    for r in range(max(row - 1, 0), min(row + 2, height)):
        for c in range(max(column - 1, 0), min(column + 2, width)):
            other = _slot(maps, k, _LOGIT, r, c)
            earlier = r < row or (r == row and c < column)
            if other > logit or (earlier and other == logit):
                return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _expected_emitters(maps: F32, k: int, row: int, column: int, reach: int) -> float:
    """Return the sum of probabilities in a square around a pixel."""
    height, width = 2 * maps.shape[2], 2 * maps.shape[3]
    total = 0.0
    for r in range(max(row - reach, 0), min(row + reach + 1, height)):
        for c in range(max(column - reach, 0), min(column + reach + 1, width)):
            logit = _slot(maps, k, _LOGIT, r, c)
            if logit > -12.0:
                total += 1.0 / (1.0 + math.exp(-logit))
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _std(raw: float) -> float:
    return math.exp(min(max(raw, RAW_STD_LEAST), RAW_STD_MOST) - STD_BIAS)


@njit(cache=True, nogil=True, error_model="numpy")
def _write_place(maps: F32, k: int, row: int, column: int, split_logit: float, out: F32) -> None:
    """Write where an emitter is, and how sure that is.

    Beside the border of two pixels both state it, each with the part of the places that is
    nearer to its centre: one of them alone would draw rows to the middle of pixels. What is
    written is mean and standard deviation of the mixture of all that state it.
    """
    height, width = 2 * maps.shape[2], 2 * maps.shape[3]
    x0 = column + math.tanh(_slot(maps, k, _DX, row, column))
    y0 = row + math.tanh(_slot(maps, k, _DY, row, column))
    total = sum_x = sum_y = 0.0
    square_x = square_y = 0.0
    for r in range(max(row - 1, 0), min(row + 2, height)):
        for c in range(max(column - 1, 0), min(column + 2, width)):
            logit = _slot(maps, k, _LOGIT, r, c)
            is_own = r == row and c == column
            if not is_own and (not logit > SHARING_LOGIT or logit > split_logit):
                continue
            dx = c + math.tanh(_slot(maps, k, _DX, r, c)) - x0
            dy = r + math.tanh(_slot(maps, k, _DY, r, c)) - y0
            if dx * dx + dy * dy > SHARING_PX * SHARING_PX:
                continue
            weight = 1.0 / (1.0 + math.exp(-logit))
            std_x = _std(_slot(maps, k, _STD_X, r, c))
            std_y = _std(_slot(maps, k, _STD_Y, r, c))
            total += weight
            sum_x += weight * dx
            sum_y += weight * dy
            square_x += weight * (std_x * std_x + dx * dx)
            square_y += weight * (std_y * std_y + dy * dy)
    mean_x, mean_y = sum_x / total, sum_y / total
    # Within a pixel of its own one, as what a slot states: duplicates are looked for so far.
    out[_ROW_X] = min(max(x0 + mean_x, column - 1.0), column + 1.0)
    out[_ROW_Y] = min(max(y0 + mean_y, row - 1.0), row + 1.0)
    out[_ROW_STD_X] = math.sqrt(square_x / total - mean_x * mean_x)
    out[_ROW_STD_Y] = math.sqrt(square_y / total - mean_y * mean_y)


@njit(cache=True, nogil=True, error_model="numpy")
def _write_row(
    maps: F32,
    k: int,
    row: int,
    column: int,
    probability: float,
    background_channel: int,
    split_logit: float,
    out: F32,
) -> None:
    log_photons = _slot(maps, k, _PHOTONS, row, column)
    log_photons = min(max(log_photons, -LOG_PHOTONS_LIMIT), LOG_PHOTONS_LIMIT)
    photons = PHOTONS_UNIT * math.exp(log_photons)
    _write_place(maps, k, row, column, split_logit, out)
    out[_ROW_PHOTONS] = photons
    log_background = BACKGROUND_SCALE * np.float64(
        maps[k, background_channel, row >> 1, column >> 1]
    )
    out[_ROW_BACKGROUND] = math.exp(
        min(max(log_background, LOG_BACKGROUND_LEAST), LOG_BACKGROUND_MOST)
    )
    out[_ROW_STD_PHOTONS] = photons * _std(_slot(maps, k, _STD_PHOTONS, row, column))
    out[_ROW_PROBABILITY] = probability
    around = _expected_emitters(maps, k, row, column, CROWD_REACH_PX)
    out[_ROW_CROWD] = max(around - _expected_emitters(maps, k, row, column, 1), 0.0)
    if background_channel == AXIAL_BACKGROUND_CHANNEL:
        out[_ROW_Z] = Z_REACH * math.tanh(_slot(maps, k, _Z, row, column))
        out[_ROW_STD_Z] = _std(_slot(maps, k, _STD_Z, row, column))


@njit(cache=True, nogil=True, error_model="numpy")
def find_rows(
    maps: F32,
    k: int,
    height: int,
    width: int,
    candidate_logit: float,
    split_logit: float,
    min_probability: float,
    merge_px: float,
    background_channel: int,
    rows: F32,
) -> int:
    """Write the rows of one frame; return how many, or how many there may be if too many."""
    capacity = len(rows)
    n = int(np.int64(0))  # of a literal 0 what follows would be compiled twice
    for row in range(height):
        for column in range(width):
            logit = _slot(maps, k, _LOGIT, row, column)
            # Written so that NaN is no candidate.
            if not logit > candidate_logit:
                continue
            if _is_maximum(maps, k, row, column, logit):
                # An emitter at a corner is shared by four pixels: their sum is what counts.
                probability = min(_expected_emitters(maps, k, row, column, 1), 1.0)
            elif logit > split_logit:
                probability = 1.0 / (1.0 + math.exp(-logit))
            else:
                continue
            if not probability > min_probability:
                continue
            if n < capacity:
                _write_row(
                    maps, k, row, column, probability, background_channel, split_logit, rows[n]
                )
            n += 1
    if n > capacity:
        return n
    return _drop_duplicates(rows, n, merge_px)


@njit(cache=True, nogil=True, error_model="numpy")
def _drop_duplicates(rows: F32, n: int, merge_px: float) -> int:
    """Keep the most probable of rows closer than the limit; return how many stay.

    A row goes if a better one that stays is too close, so that the order of looking at them does
    not matter and a GPU finds the same; of equal ones the first is better.
    """
    first, second = _close_pairs(rows, n, merge_px)
    if not len(first):
        return n
    state = np.zeros(n, np.uint8)
    for _ in range(MERGE_ROUNDS):
        beaten, waiting = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
        for k in range(len(first)):
            better, worse = first[k], second[k]
            if rows[worse, _ROW_PROBABILITY] > rows[better, _ROW_PROBABILITY]:
                better, worse = worse, better
            beaten[worse] |= state[better] == _KEPT
            waiting[worse] |= state[better] == _OPEN
        for i in range(n):
            if state[i] == _OPEN and beaten[i]:
                state[i] = _DROPPED
            elif state[i] == _OPEN and not waiting[i]:
                state[i] = _KEPT
    kept = 0
    for i in range(n):
        if state[i] != _DROPPED:
            for column in range(rows.shape[1]):
                rows[kept, column] = rows[i, column]
            kept += 1
    return kept


@njit(cache=True, nogil=True, error_model="numpy")
def _twice_as_long(values: NDArray[np.int64]) -> NDArray[np.int64]:
    longer = np.empty(2 * len(values), np.int64)
    for i in range(len(values)):
        longer[i] = values[i]
    return longer


@njit(cache=True, nogil=True, error_model="numpy")
def _close_pairs(rows: F32, n: int, merge_px: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of all pairs that are closer than the limit, the first first."""
    first, second = np.empty(n, np.int64), np.empty(n, np.int64)
    n_pairs = 0
    # Rows are in reading order of their pixels and lie within a pixel of those.
    reach = merge_px + 2.0
    for i in range(n):
        for j in range(i + 1, n):
            dx, dy = rows[j, _ROW_X] - rows[i, _ROW_X], rows[j, _ROW_Y] - rows[i, _ROW_Y]
            if dy > reach:
                break
            if dx * dx + dy * dy < merge_px * merge_px:
                if n_pairs == len(first):
                    first, second = _twice_as_long(first), _twice_as_long(second)
                first[n_pairs], second[n_pairs] = i, j
                n_pairs += 1
    return first[:n_pairs], second[:n_pairs]
