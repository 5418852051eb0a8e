"""Compiled: the slots of a network's maps that hold emitters, as rows of numbers.

Maps have half the resolution of the frames: channel 4a + 2r + c of a cell is attribute a of the
pixel in row r, column c of that cell. Attributes are, in this order: logit of the probability;
dx and dy, whose tanh is the offset from the pixel's centre in pixels; log(photons / 1000);
log(std) + 2 of x, y and log(photons); with an astigmatic PSF, z, whose tanh times 1.25 is the
height in halves of its range, and log(std) + 2 of that. One more channel holds
log(background) / 3 of the cell.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.localizations import F32

LOGIT, DX, DY, LIGHT, STD_X, STD_Y, STD_LIGHT, HEIGHT, STD_HEIGHT = range(9)
PLANAR_ATTRIBUTES, AXIAL_ATTRIBUTES = 7, 9
BACKGROUND_CHANNEL = 4 * PLANAR_ATTRIBUTES
AXIAL_BACKGROUND_CHANNEL = 4 * AXIAL_ATTRIBUTES
PHOTONS_UNIT = 1000.0
BACKGROUND_SCALE = 3.0
STD_BIAS = 2.0
Z_REACH = 1.25
"""Half ranges of z that a network can state."""
COLUMNS = 11
"""Of a row: positions and their standard deviations in pixels, z in half ranges, light in
photons."""
X, Y, PHOTONS, BACKGROUND, OUT_STD_X, OUT_STD_Y, OUT_STD_PHOTONS = range(7)
PROBABILITY, CROWD, Z, OUT_STD_Z = range(7, COLUMNS)
CROWD_REACH_PX = 4
"""Neighbours are counted in a square of 9 pixels around an emitter."""
MERGE_REACH_PX = 2
"""Rows closer than a pixel belong to pixels at most so far apart."""
MERGE_ROUNDS = 4
"""Chains of rows, each too close to the next, are sorted out over so many links."""
_OPEN, _KEPT, _DROPPED = range(3)


@njit(cache=True, nogil=True, error_model="numpy")
def _slot(maps: F32, k: int, attribute: int, row: int, column: int) -> float:
    channel = 4 * attribute + 2 * (row & 1) + (column & 1)
    return np.float64(maps[k, channel, row >> 1, column >> 1])


@njit(cache=True, nogil=True, error_model="numpy")
def _is_maximum(maps: F32, k: int, row: int, column: int, logit: float) -> bool:
    """Tell whether no neighbour is higher; of equal ones the first in reading order wins."""
    height, width = 2 * maps.shape[2], 2 * maps.shape[3]
    for r in range(max(row - 1, 0), min(row + 2, height)):
        for c in range(max(column - 1, 0), min(column + 2, width)):
            other = _slot(maps, k, LOGIT, r, c)
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
            logit = _slot(maps, k, LOGIT, r, c)
            if logit > -12.0:
                total += 1.0 / (1.0 + math.exp(-logit))
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _std(raw: float) -> float:
    return math.exp(min(max(raw, -4.0), 3.0) - STD_BIAS)


@njit(cache=True, nogil=True, error_model="numpy")
def _write_row(
    maps: F32,
    k: int,
    row: int,
    column: int,
    probability: float,
    background_channel: int,
    out: F32,
) -> None:
    photons = PHOTONS_UNIT * math.exp(min(max(_slot(maps, k, LIGHT, row, column), -5.0), 5.0))
    out[X] = column + math.tanh(_slot(maps, k, DX, row, column))
    out[Y] = row + math.tanh(_slot(maps, k, DY, row, column))
    out[PHOTONS] = photons
    log_background = BACKGROUND_SCALE * np.float64(
        maps[k, background_channel, row >> 1, column >> 1]
    )
    out[BACKGROUND] = math.exp(min(max(log_background, -10.0), 12.0))
    out[OUT_STD_X] = _std(_slot(maps, k, STD_X, row, column))
    out[OUT_STD_Y] = _std(_slot(maps, k, STD_Y, row, column))
    out[OUT_STD_PHOTONS] = photons * _std(_slot(maps, k, STD_LIGHT, row, column))
    out[PROBABILITY] = probability
    around = _expected_emitters(maps, k, row, column, CROWD_REACH_PX)
    out[CROWD] = max(around - _expected_emitters(maps, k, row, column, 1), 0.0)
    if background_channel == AXIAL_BACKGROUND_CHANNEL:
        out[Z] = Z_REACH * math.tanh(_slot(maps, k, HEIGHT, row, column))
        out[OUT_STD_Z] = _std(_slot(maps, k, STD_HEIGHT, row, column))


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
    n = 0
    for row in range(height):
        for column in range(width):
            logit = _slot(maps, k, LOGIT, row, column)
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
                _write_row(maps, k, row, column, probability, background_channel, rows[n])
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
        for a, b in zip(first, second):  # noqa: B905  # numba knows no strict
            better, worse = (b, a) if rows[b, PROBABILITY] > rows[a, PROBABILITY] else (a, b)
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
            rows[kept] = rows[i]
            kept += 1
    return kept


@njit(cache=True, nogil=True, error_model="numpy")
def _close_pairs(rows: F32, n: int, merge_px: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of all pairs that are closer than the limit, the first first."""
    first, second = np.empty(n, np.int64), np.empty(n, np.int64)
    n_pairs = 0
    # Rows are in reading order of their pixels and lie within a pixel of those.
    reach = merge_px + 2.0
    for i in range(n):
        for j in range(i + 1, n):
            dx, dy = rows[j, X] - rows[i, X], rows[j, Y] - rows[i, Y]
            if dy > reach:
                break
            if dx * dx + dy * dy < merge_px * merge_px:
                if n_pairs == len(first):
                    first = np.concatenate((first, np.empty_like(first)))
                    second = np.concatenate((second, np.empty_like(second)))
                first[n_pairs], second[n_pairs] = i, j
                n_pairs += 1
    return first[:n_pairs], second[:n_pairs]
