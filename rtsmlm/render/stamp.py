"""Compiled: weights of a row and a column added to the tiles that they meet.

Editing these does not renew what numba has cached for `splat`: delete its files.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.localizations import F32

Ends: TypeAlias = tuple[int, int]
"""First and last of something."""
Size: TypeAlias = tuple[int, int, int]
Limits: TypeAlias = tuple[int, int, int, int]


@njit(inline="always")
def _stamp_tile(
    flat: F32, size: Size, corner: Size, rows: Ends,
    columns: Ends, row_weights: F32, column_weights: F32, factors: F32,
) -> None:  # fmt: skip
    """Add weights to a slot, given with its first row and column."""
    planes, height, width = size
    first_row, last_row = max(rows[0], corner[1]), min(rows[1], corner[1] + height - 1)
    first, last = max(columns[0], corner[2]), min(columns[1], corner[2] + width - 1)
    if last < first:
        return
    n = np.uint64(last - first + 1)
    skipped, skipped_rows = np.uint64(first - columns[0]), np.uint64(first_row - rows[0])
    n_rows = np.uint64(last_row - first_row + 1)
    for plane in range(planes):
        place = ((corner[0] * planes + plane) * height + first_row - corner[1]) * width
        start = np.uint64(place + first - corner[2])
        for row in range(n_rows):
            factor = factors[np.uint64(plane)] * row_weights[skipped_rows + row]
            for c in range(n):
                flat[start + c] += factor * column_weights[skipped + c]
            start += np.uint64(width)


@njit(cache=True, nogil=True, error_model="numpy")
def stamp(
    flat: F32, size: Size, slots: NDArray[np.int64], window: Size,
    rows: Ends, columns: Ends, row_weights: F32, column_weights: F32,
    factors: F32,
) -> None:  # fmt: skip
    """Add weights to all planes of the tiles that a splat meets."""
    bits = window[0]
    top, bottom = max(rows[0] >> bits, window[1]), (rows[1] >> bits) - window[1]
    left, right = max(columns[0] >> bits, window[2]), (columns[1] >> bits) - window[2]
    for tile_row in range(top, window[1] + min(bottom + 1, slots.shape[0])):
        for tile_column in range(left, window[2] + min(right + 1, slots.shape[1])):
            slot = slots[np.uint64(tile_row - window[1]), np.uint64(tile_column - window[2])]
            if slot >= 0:
                _stamp_tile(
                    flat, size, (slot, tile_row << bits, tile_column << bits), rows, columns,
                    row_weights, column_weights, factors,
                )  # fmt: skip
