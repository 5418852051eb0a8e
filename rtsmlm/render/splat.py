"""Compiled loops that add localizations to an image of any place, scale and tiling.

Every localization inside the field adds exactly 1, also at the field's edges, where what would
fall outside goes to the pixels inside. A Gaussian is integrated over each pixel, hence a coarse
image is the sum of a fine one. Columns must be contiguous and writable, or numba compiles the
loops once more for those that are not.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.localizations import F32
from rtsmlm.render.block import SIDES, draw_across, draw_blocks
from rtsmlm.render.columns import STD_X, STD_Y, X, Y, passes, set_factors
from rtsmlm.render.stamp import Ends, Limits, Size, stamp
from rtsmlm.render.weights import (
    GAUSS_REACH,
    MOST_STD_NM,
    drawn_std_nm,
    gauss_weights,
    linear_weights,
)

Mode: TypeAlias = Literal["histogram", "gaussian", "shifted-histogram"]
MODES: tuple[Mode, ...] = ("histogram", "gaussian", "shifted-histogram")
HISTOGRAM, GAUSSIAN, SHIFTED = range(3)

ONE_TILE_BITS = 30
"""For an image that is not tiled: a step of the tile grid larger than any image."""


@njit(inline="always")
def _ends(centre: float, half: float, low: int, high: int) -> Ends:
    """Return the first and the last pixel that something reaches, within limits of 0 or more."""
    if centre + half < low:
        return low, low - 1
    return int(max(centre - half, float(low))), min(int(centre + half), high)


@njit(inline="always")
def _within(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


@njit(cache=True, nogil=True, error_model="numpy")
def _draw_points(
    flat: F32, size: Size, slots: NDArray[np.int64], window: Size, limits: Limits,
    grid: NDArray[np.float64], field: NDArray[np.int64], table: F32, run: Ends,
    bounded: NDArray[np.int64], bounds: F32, source: int, palette: F32, factors: F32,
) -> None:  # fmt: skip
    """Count each row of a run in the pixel where it is."""
    planes, height, width = size
    bits = window[0]
    # In variables: the compiler cannot know that adding to the image leaves arrays alone.
    x0_nm, y0_nm, per_nm = grid[0], grid[1], grid[2]
    # On the field's edge a row may be rounded out of it.
    least_v, most_v = float(field[0]), field[1] + 0.999
    least_u, most_u = float(field[2]), field[3] + 0.999
    for k in range(np.uint64(run[0]), np.uint64(run[1])):
        u = _within((table[X, k] - x0_nm) * per_nm, least_u, most_u)
        v = _within((table[Y, k] - y0_nm) * per_nm, least_v, most_v)
        if u < limits[2] or v < limits[0]:
            continue
        row, column = int(v), int(u)
        if row > limits[1] or column > limits[3]:
            continue
        tile_row, tile_column = row >> bits, column >> bits
        slot = slots[np.uint64(tile_row - window[1]), np.uint64(tile_column - window[2])]
        if slot < 0 or (len(bounded) and not passes(table, k, bounded, bounds)):
            continue
        if planes > 1:
            set_factors(factors, table, k, source, palette)
        row, column = row - (tile_row << bits), column - (tile_column << bits)
        for plane in range(planes):
            place = ((slot * planes + plane) * height + row) * width + column
            flat[np.uint64(place)] += factors[np.uint64(plane)]


@njit(cache=True, nogil=True, error_model="numpy")
def _draw_spread(
    flat: F32, size: Size, slots: NDArray[np.int64], window: Size, limits: Limits,
    grid: NDArray[np.float64], field: NDArray[np.int64], table: F32, run: Ends,
    chosen: NDArray[np.int32], bounded: NDArray[np.int64], bounds: F32, source: int,
    palette: F32, factors: F32, row_weights: F32, column_weights: F32, is_gaussian: bool,
) -> None:  # fmt: skip
    """Share each row of a run among the pixels around it; of Gaussians, the chosen rows."""
    x0_nm, y0_nm, per_nm = grid[0], grid[1], grid[2]
    field_rows, field_columns = (field[0], field[1]), (field[2], field[3])
    least_v, most_v = float(field[0]), field[1] + 0.999
    least_u, most_u = float(field[2]), field[3] + 0.999
    std_u = std_v = 0.0
    half_u = half_v = 0.5
    for j in range(np.uint64(run[0]), np.uint64(run[1])):
        # Unsigned: numba would handle negative indices.
        k: int = np.uint64(chosen[j] if is_gaussian else j)  # type: ignore[assignment]
        u = _within((table[X, k] - x0_nm) * per_nm, least_u, most_u)
        v = _within((table[Y, k] - y0_nm) * per_nm, least_v, most_v)
        if is_gaussian:
            std_u = drawn_std_nm(table[STD_X, k]) * per_nm
            std_v = drawn_std_nm(table[STD_Y, k]) * per_nm
            half_u, half_v = GAUSS_REACH * std_u, GAUSS_REACH * std_v
        columns = _ends(u, half_u, limits[2], limits[3])
        rows = _ends(v, half_v, limits[0], limits[1])
        if columns[0] > columns[1] or rows[0] > rows[1]:
            continue
        if len(bounded) and not passes(table, k, bounded, bounds):
            continue
        if size[0] > 1:
            set_factors(factors, table, k, source, palette)
        if is_gaussian:
            gauss_weights(u, std_u, columns, field_columns, column_weights)
            gauss_weights(v, std_v, rows, field_rows, row_weights)
        else:
            linear_weights(u, columns, field_columns, column_weights)
            linear_weights(v, rows, field_rows, row_weights)
        tile_row, tile_column = rows[0] >> window[0], columns[0] >> window[0]
        if (
            size[0] > 1
            or tile_row != rows[1] >> window[0]
            or tile_column != columns[1] >> window[0]
        ):
            stamp(flat, size, slots, window, rows, columns, row_weights, column_weights, factors)
            continue
        # Nearly all are of this simple kind: one plane, one tile.
        slot = slots[np.uint64(tile_row - window[1]), np.uint64(tile_column - window[2])]
        if slot < 0:
            continue
        start = (slot * size[1] + rows[0] - (tile_row << window[0])) * size[2]
        at = np.uint64(start + columns[0] - (tile_column << window[0]))
        n_columns = np.uint64(columns[1] - columns[0] + 1)
        for row in range(np.uint64(rows[1] - rows[0] + 1)):
            share = row_weights[row]
            for column in range(n_columns):
                flat[at + column] += share * column_weights[column]
            at += np.uint64(size[2])


@njit(cache=True, nogil=True, error_model="numpy")
def draw(
    tiles: F32, slots: NDArray[np.int64], window: NDArray[np.int64], grid: NDArray[np.float64],
    field: NDArray[np.int64], tables: F32, starts: NDArray[np.int64], cells: NDArray[np.int64],
    bounded: NDArray[np.int64], bounds: F32, source: int, palette: F32, mode: int, margin: int,
) -> None:  # fmt: skip
    """Add rows of tables to the tiles they fall into.

    Parameters
    ----------
    tiles
        Shape (n, planes, height, width): plane 0 gets the weight; 1 gets weight times value, or
        1 to 3 get weight times colour.
    slots
        Shape (rows, columns) of a part of the tile grid: where each tile is in `tiles`; below 0
        it is not drawn.
    window
        Binary logarithm of the tile grid's step in pixels; row and column of `slots[0, 0]` in it.
    grid
        x and y of the outer corner of pixel (0, 0) in nm, and pixels per nm.
    field
        First row, last row, first and last column inside the field.
    tables
        Shape (m, COLUMNS, n); all positions are finite and inside the field.
    starts
        Shape (m, cells + 1): first row of each cell in each table.
    cells
        First and last row, first and last column of cells that are drawn, and cells in a row.
    bounded, bounds
        Columns that are filtered, and the least and greatest value of each, (n, 2); see `passes`.
    source
        Column that gives the value, where there is more than one plane.
    palette
        Colour of each channel, (n, 3), where there are four planes.
    mode
        Place in `MODES`.
    margin
        Pixels around the window that only receive what is drawn across its edge: what is in them
        alone is not drawn, and they are not right.
    """
    # What is neither in the field nor in the window need not be weighed.
    bits = window[0]
    bottom = ((window[1] + slots.shape[0] - 1) << bits) + tiles.shape[2] - 1
    right = ((window[2] + slots.shape[1] - 1) << bits) + tiles.shape[3] - 1
    limits = (
        max(field[0], (window[1] << bits) + margin), min(field[1], bottom - margin),
        max(field[2], (window[2] << bits) + margin), min(field[3], right - margin),
    )  # fmt: skip
    most = 2 * int(GAUSS_REACH * MOST_STD_NM * grid[2]) + 4
    row_weights = np.ones(max(min(most, limits[1] - limits[0] + 1), 1), np.float32)
    column_weights = np.ones(max(min(most, limits[3] - limits[2] + 1), 1), np.float32)
    factors, block = np.ones(tiles.shape[1], np.float32), np.zeros(2 * SIDES[-1], np.float32)
    left = np.empty(tables.shape[2] if mode == GAUSSIAN else 0, np.int32)
    # Made once: numba counts references to every array made on the way.
    flat, size, place = tiles.reshape(-1), tiles.shape[1:], (bits, window[1], window[2])
    for m in range(len(tables)):
        table = tables[m]
        for row in range(cells[0], cells[1] + 1):
            first = row * cells[4]
            run = int(starts[m, first + cells[2]]), int(starts[m, first + cells[3] + 1])
            if mode == HISTOGRAM:
                _draw_points(
                    flat, size, slots, place, limits, grid, field, table, run, bounded, bounds,
                    source, palette, factors,
                )  # fmt: skip
                continue
            if mode == GAUSSIAN:
                n_left, n_across = draw_blocks(
                    flat, size, slots, place, limits, grid, field, table, run, bounded, bounds,
                    source, palette, block, left,
                )  # fmt: skip
                draw_across(
                    flat, size, slots, place, grid, table, left[len(left) - n_across :], source,
                    palette, factors, block,
                )  # fmt: skip
                run = 0, n_left
            _draw_spread(
                flat, size, slots, place, limits, grid, field, table, run, left, bounded, bounds,
                source, palette, factors, row_weights, column_weights, mode == GAUSSIAN,
            )  # fmt: skip
