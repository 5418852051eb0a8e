"""Compiled: tiles to the pixels of a screen, each getting the share of every pixel it covers."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.localizations import F32


@njit(cache=True, nogil=True, error_model="numpy")
def resample(
    tiles: F32,
    plane: int,
    slots: NDArray[np.int64],
    window: NDArray[np.int64],
    place: NDArray[np.float64],
    out: F32,
    rows: tuple[int, int],
) -> None:
    """Fill rows of a screen; the sum of what lies inside the tiles is kept.

    Parameters
    ----------
    tiles
        Shape (n, planes, height, width).
    plane
        Plane to show.
    slots
        Shape (rows, columns) of a part of the tile grid: where each tile is in `tiles`; below 0
        it is empty.
    window
        Binary logarithm of a tile's side; row and column of `slots[0, 0]` in the tile grid.
    place
        Place of the screen's corner in tile pixels, u and v, and tile pixels per screen pixel.
    out
        Screen, shape (height, width).
    rows
        First and past-the-end row to fill.
    """
    bits = window[0]
    side = 1 << bits
    n_rows, n_columns = slots.shape[0] << bits, slots.shape[1] << bits
    per_px = place[2]
    u0, v0 = place[0] - (window[2] << bits), place[1] - (window[1] << bits)
    # Rows of tiles are added up first, since whole lines are quick, and then cut into pixels.
    line = np.zeros(n_columns + 1, np.float32)
    c_low = min(max(math.floor(u0), 0), n_columns)
    c_high = min(max(math.ceil(u0 + out.shape[1] * per_px), 0), n_columns)
    for row in range(rows[0], rows[1]):
        top, bottom = v0 + row * per_px, v0 + (row + 1) * per_px
        line[c_low:c_high] = 0
        for r in range(max(math.floor(top), 0), min(math.ceil(bottom), n_rows)):
            share = np.float32(min(bottom, r + 1.0) - max(top, float(r)))
            for t in range(c_low >> bits, (c_high + side - 1) >> bits):
                slot = slots[r >> bits, t]
                if slot < 0:
                    continue
                first, last = max(c_low, t << bits), min(c_high, (t + 1) << bits)
                source = tiles[slot, plane, r & (side - 1), first - (t << bits) :]
                target = line[first:last]
                for c in range(len(target)):
                    target[c] += share * source[c]
        _cut(line, n_columns, u0, per_px, out[row])


@njit(inline="always")
def _cut(line: F32, n: int, u0: float, per_px: float, out: F32) -> None:
    for column in range(len(out)):
        left = min(max(u0 + column * per_px, 0.0), float(n))
        right = min(max(u0 + (column + 1) * per_px, 0.0), float(n))
        first, last = np.uint64(left), np.uint64(right)
        if last == first:
            out[column] = np.float32(right - left) * line[first]
            continue
        total = np.float32(first + 1.0 - left) * line[first]
        for c in range(first + np.uint64(1), last):
            total += line[c]
        # The line has one more entry, 0, for what ends with it.
        out[column] = total + np.float32(right - last) * line[last]


@njit(cache=True, nogil=True, error_model="numpy")
def halve(tiles: F32, sources: NDArray[np.int64], target: int) -> None:
    """Fill a tile with the sums of 2 x 2 pixels of the four finer tiles that it covers.

    Parameters
    ----------
    tiles
        Shape (n, planes, side, side).
    sources
        Slots of the finer tiles, shape (2, 2); what is below 0 is outside the field.
    target
        Slot of the coarser one.
    """
    half = tiles.shape[2] // 2
    for plane in range(tiles.shape[1]):
        for i in range(2):
            for j in range(2):
                out = tiles[target, plane, i * half : (i + 1) * half, j * half : (j + 1) * half]
                if sources[i, j] < 0:
                    out[:] = 0
                    continue
                fine = tiles[sources[i, j], plane]
                for r in range(half):
                    for c in range(half):
                        upper = fine[2 * r, 2 * c] + fine[2 * r, 2 * c + 1]
                        lower = fine[2 * r + 1, 2 * c] + fine[2 * r + 1, 2 * c + 1]
                        out[r, c] = upper + lower


@njit(cache=True, nogil=True, error_model="numpy")
def enlarge(tiles: F32, source: int, corner: tuple[int, int], bits: int, target: int) -> None:
    """Fill a tile with a part of a coarser one, each pixel shared among those it covers.

    Parameters
    ----------
    tiles
        Shape (n, planes, side, side).
    source
        Slot of the coarser tile.
    corner
        Row and column of the part in it.
    bits
        Binary logarithm of the fine pixels along one coarse pixel.
    target
        Slot of the finer one.
    """
    share = np.float32(1.0 / (1 << (2 * bits)))
    for plane in range(tiles.shape[1]):
        for row in range(tiles.shape[2] >> bits):
            coarse = tiles[source, plane, corner[0] + row, corner[1] :]
            first = tiles[target, plane, row << bits]
            for c in range(np.uint64(len(first))):
                first[c] = share * coarse[c >> np.uint64(bits)]
            for r in range((row << bits) + 1, (row + 1) << bits):
                tiles[target, plane, r] = first
