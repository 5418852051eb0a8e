"""Emitter tracks: rows followed from frame to frame; new emitters, and how counts scatter."""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.localizations import F32

F64: TypeAlias = NDArray[np.float64]
I64: TypeAlias = NDArray[np.int64]

RIM_SIGMA = 3.0
FINE_SIGMA = 4.0
"""Side of a fine tile."""
GAP_FRAMES = 2
"""An emitter that is missed in one frame is the same one in the next."""
MOST_TRACKS = 32_768
MOST_CELLS = 256
"""Along an axis, to find near tracks by."""
FIDUCIAL_TICKS = 5
"""What stays on for longer counts, but adds nothing to the scatter and to the crowded part."""

# Sums over a tick.
COUNT, NEW, NEW_FRAMES, SQUARES = range(4)
N_SUMS = 4


class Tracks(NamedTuple):
    """Emitters that are on, the first n[0] of each array."""

    n: I64
    x_px: F64
    y_px: F64
    last_frame: I64
    weight: F64
    """Sum of probabilities in this tick."""
    ticks: I64
    """Ticks that have ended since it came."""
    first: I64
    """Number of a track by cell, -1 for none."""
    following: I64
    """Number of the next track in the cell."""
    row: I64
    """Row of this frame that is nearest to it and has no nearer track, -1 for none."""
    square_px2: F64
    """Square of its distance."""


class Field(NamedTuple):
    """Where to count, in pixels."""

    top: float
    left: float
    bottom: float
    right: float
    tile_rows: int
    tile_columns: int
    radius_px: float
    """A row nearer to the last place of an emitter than this is that emitter."""
    cell_px: float
    fine_rows: int
    fine_columns: int
    """Tiles of a few PSF widths, over which a structure is nearly even."""


def no_tracks() -> Tracks:
    """Return room for emitters, with none there."""
    x, y, weight, square = np.zeros((4, MOST_TRACKS))
    last, ticks, following, row = np.zeros((4, MOST_TRACKS), dtype=np.int64)
    first, n = np.zeros(MOST_CELLS**2, dtype=np.int64), np.zeros(1, dtype=np.int64)
    return Tracks(n, x, y, last, weight, ticks, first, following, row, square)


def make_field(shape: tuple[int, int], sigma_px: float, tile_px: float) -> Field:
    """Return the field without its rim.

    Parameters
    ----------
    shape
        Height and width of a frame in pixels.
    sigma_px, tile_px
        Width of the PSF, and side of a tile.
    """
    rim = math.ceil(RIM_SIGMA * sigma_px)
    rim = rim if min(shape) > 4 * rim else 0
    height, width = shape[0] - 2 * rim, shape[1] - 2 * rim
    return Field(
        top=rim - 0.5,
        left=rim - 0.5,
        bottom=rim - 0.5 + height,
        right=rim - 0.5 + width,
        tile_rows=max(1, round(height / tile_px)),
        tile_columns=max(1, round(width / tile_px)),
        radius_px=sigma_px,
        cell_px=max(sigma_px, (max(height, width) + 1) / MOST_CELLS),
        fine_rows=max(1, round(height / (FINE_SIGMA * sigma_px))),
        fine_columns=max(1, round(width / (FINE_SIGMA * sigma_px))),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _tile(x: float, y: float, field: Field, rows: int, columns: int) -> int:
    row = int((y - field.top) / (field.bottom - field.top) * rows)
    column = int((x - field.left) / (field.right - field.left) * columns)
    return min(row, rows - 1) * columns + min(column, columns - 1)


@njit(cache=True, nogil=True, error_model="numpy")
def _add(
    what: int, amount: float, x: float, y: float, ticks: int, field: Field, tiles: F64, fine: F64
) -> None:
    """Add to both kinds of tiles; to the fine ones, which remember, only of what is new.

    An emitter that stays would be a dense place there for long after it is known to stay.
    """
    tiles[what, _tile(x, y, field, field.tile_rows, field.tile_columns)] += amount
    if ticks == 0:
        fine[what, _tile(x, y, field, field.fine_rows, field.fine_columns)] += amount


@njit(cache=True, nogil=True, error_model="numpy")
def _book(i: int, tracks: Tracks, field: Field, tiles: F64, fine: F64, sums: F64) -> None:
    """Book how much a track has added to the scatter of the count in this tick."""
    if tracks.ticks[i] < FIDUCIAL_TICKS:
        square = tracks.weight[i] ** 2
        sums[SQUARES] += square
        _add(1, square, tracks.x_px[i], tracks.y_px[i], tracks.ticks[i], field, tiles, fine)
    tracks.weight[i] = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _sort_tracks(
    frame: int, tracks: Tracks, field: Field, tiles: F64, fine: F64, sums: F64
) -> None:
    """Drop the tracks that have ended and put the others into cells."""
    kept = 0
    tracks.first[:] = -1
    for i in range(tracks.n[0]):
        if not 0 < frame - tracks.last_frame[i] <= GAP_FRAMES:
            _book(i, tracks, field, tiles, fine, sums)
            continue
        tracks.x_px[kept], tracks.y_px[kept] = tracks.x_px[i], tracks.y_px[i]
        tracks.last_frame[kept], tracks.ticks[kept] = tracks.last_frame[i], tracks.ticks[i]
        tracks.weight[kept] = tracks.weight[i]
        row = int((tracks.y_px[kept] - field.top) / field.cell_px)
        cell = row * MOST_CELLS + int((tracks.x_px[kept] - field.left) / field.cell_px)
        tracks.following[kept], tracks.first[cell] = tracks.first[cell], kept
        tracks.row[kept] = -1
        kept += 1
    tracks.n[0] = kept


@njit(cache=True, nogil=True, error_model="numpy")
def _nearest(x: float, y: float, k: int, tracks: Tracks, field: Field) -> tuple[int, float]:
    """Return the nearest track that is row k's or free, or -1, and its squared distance.

    Old ones count as nearer, so that a fiducial is not lost to an emitter that comes beside it.
    """
    best, least = -1, math.inf
    row, column = int((y - field.top) / field.cell_px), int((x - field.left) / field.cell_px)
    for r in range(max(row - 1, 0), min(row + 2, MOST_CELLS)):
        for c in range(max(column - 1, 0), min(column + 2, MOST_CELLS)):
            i = tracks.first[r * MOST_CELLS + c]
            while i >= 0:
                square = (tracks.x_px[i] - x) ** 2 + (tracks.y_px[i] - y) ** 2
                near = square < field.radius_px**2 and square / (1 + tracks.ticks[i]) < least
                if near and (k < 0 or tracks.row[i] == k or tracks.row[i] < 0):
                    best, least = i, square / (1 + tracks.ticks[i])
                i = tracks.following[i]
    return best, least


@njit(cache=True, nogil=True, error_model="numpy")
def _claim(x_px: F32, y_px: F32, tracks: Tracks, field: Field) -> None:
    """Give every track the nearest of the rows that it is nearest to."""
    for k in range(len(x_px)):
        x, y = float(x_px[k]), float(y_px[k])
        if not (field.left <= x < field.right and field.top <= y < field.bottom):
            continue
        i, square = _nearest(x, y, -1, tracks, field)
        if i >= 0 and (tracks.row[i] < 0 or square < tracks.square_px2[i]):
            tracks.row[i], tracks.square_px2[i] = k, square


@njit(cache=True, nogil=True, error_model="numpy")
def count_frame(
    frame: int,
    follows: bool,
    x_px: F32,
    y_px: F32,
    probability: F32,
    tracks: Tracks,
    field: Field,
    tiles: F64,
    fine: F64,
    sums: F64,
) -> None:
    """Count the rows of a frame; rows that are not finite are none.

    `follows` tells that the frame before was seen. `tiles` and `fine` get counts and what
    they scatter, shape (2, tiles).
    """
    _sort_tracks(frame, tracks, field, tiles, fine, sums)
    _claim(x_px, y_px, tracks, field)
    sums[NEW_FRAMES] += follows
    for k in range(len(x_px)):
        x, y, p = float(x_px[k]), float(y_px[k]), float(probability[k])
        if not (field.left <= x < field.right and field.top <= y < field.bottom):
            continue
        if math.isnan(p):
            p = 1.0
        p = min(max(p, 0.0), 1.0)
        sums[COUNT] += p
        i, _ = _nearest(x, y, k, tracks, field)
        if i < 0:
            sums[NEW] += p * follows
            i = tracks.n[0]
            if i == MOST_TRACKS:
                sums[SQUARES] += p * p
                continue
            tracks.n[0] += 1
            tracks.ticks[i], tracks.weight[i] = 0, 0.0
        tracks.x_px[i], tracks.y_px[i], tracks.last_frame[i], tracks.row[i] = x, y, frame, k
        tracks.weight[i] += p
        if tracks.ticks[i] < FIDUCIAL_TICKS:
            _add(0, p, x, y, tracks.ticks[i], field, tiles, fine)


@njit(cache=True, nogil=True, error_model="numpy")
def end_tick(tracks: Tracks, field: Field, tiles: F64, fine: F64, sums: F64) -> None:
    """Book all tracks at the end of a tick."""
    for i in range(tracks.n[0]):
        _book(i, tracks, field, tiles, fine, sums)
        tracks.ticks[i] += 1
