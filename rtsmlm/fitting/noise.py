"""Background and noise of a frame, robust against the emitters in it.

The noise of a pixel follows from its background and the camera calibration. Where the pixels
scatter far more than that, the calibration is wrong or missing, and the excess is measured, so
that detection and fit stay sound: a false gain must not turn noise into emitters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.fitting.order_statistics import median_of, value_at_rank
from rtsmlm.localizations import F32
from rtsmlm.physics.gaussian import FAST

CLIP_ROUNDS = 4
# Squared clip limit in variances; the clipped variance of a normal distribution settles at 0.76.
CLIP_SQUARED = 5.0
CLIP_SETTLES_AT = 0.76
# The variance of a tile of 256 pixels is known to about 15 %: this is no accident.
EXCESS_RATIO = 1.5
# Photons per pixel below which a background cannot be distinguished from none.
MIN_BACKGROUND = 0.1


class Tiles(NamedTuple):
    """What a frame shines and scatters, by tiles, and memory to find it."""

    background: F32
    """Photons per pixel, (tile rows, tile columns)."""
    unexplained: F32
    """Variance per pixel beyond that of light and camera in photons², same shape."""
    explained: F32
    """Variance per pixel of light and camera, same shape."""
    bend: F32
    """Second difference of a row along y, (width,)."""
    bends: F32
    """Squared differences of Laplacians of every other row of tiles, (n, width)."""
    values: F32
    """Pixels of one tile, (m,)."""


def make_tiles(tiles: tuple[int, ...], shape: tuple[int, int]) -> Tiles:
    """Allocate memory for the tiles of frames of one shape; `tiles` are their rows and columns."""
    height, width = (math.ceil(side / n) for side, n in zip(shape, tiles, strict=True))
    background, unexplained, explained = np.zeros((3, *tiles), dtype=np.float32)
    return Tiles(
        background=background,
        unexplained=unexplained,
        explained=explained,
        bend=np.zeros(shape[1], dtype=np.float32),
        bends=np.zeros((height // 2 + 1, shape[1]), dtype=np.float32),
        values=np.zeros(height * width, dtype=np.float32),
    )


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _sum_below(values: F32, n: int, limit: float) -> tuple[float, float]:
    """Return the sum of those of the first n values below a limit, and how many they are."""
    cut = np.float32(limit)
    total = np.float32(0.0)
    count = np.float32(0.0)
    for i in range(n):
        inside = np.float32(1.0) if values[i] < cut else np.float32(0.0)
        total += inside * values[i]
        count += inside
    return np.float64(total), np.float64(count)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _square_bends(rows: F32, width: int, bend: F32, bends: F32) -> int:
    """Write squared differences of Laplacians of every other row; return how many rows.

    They are insensitive to anything smooth over three pixels: Immerkær, Comput. Vis. Image
    Underst. 64, 300 (1996).
    """
    two = np.float32(2.0)
    n = 0
    for y in range(1, len(rows) - 1, 2):
        for x in range(width):
            bend[x] = rows[y - 1, x] - two * rows[y, x] + rows[y + 1, x]
        for x in range(1, width - 1):
            difference = bend[x - 1] - two * bend[x] + bend[x + 1]
            bends[n, x] = difference * difference
        n += 1
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def _gather(rows: F32, n: int, first: int, end: int, values: F32) -> int:
    """Write some columns of the first n rows, one after the other; return how many pixels."""
    # Unsigned: no index can count from the end, which the compiler would have to ask for each.
    left, width, at = np.uint64(first), np.uint64(end - first), np.uint64(0)
    for i in range(n):
        for x in range(width):
            values[at + x] = rows[i, left + x]
        at += width
    return n * (end - first)


@njit(cache=True, nogil=True, error_model="numpy")
def _variance(squares: F32, n: int) -> float:
    """Return the pixel variance from squared differences of Laplacians, outliers clipped."""
    total, count = _sum_below(squares, n, np.inf)
    for _ in range(CLIP_ROUNDS):
        before = count
        total, count = _sum_below(squares, n, CLIP_SQUARED * total / max(before, 1.0))
        if count == before:  # the same values as in the round before
            break
    return total / max(count, 1.0) / (36.0 * CLIP_SETTLES_AT)


@njit(cache=True, nogil=True, error_model="numpy")
def _level(values: F32, n: int, excess_noise: float, other_variance: float) -> float:
    """Return the mean of the pixels that lie within the noise of the background.

    Bright pixels are clipped at two standard deviations of the noise that the background itself
    would have, not at those of the tile: emitters widen the latter.
    """
    total, count = _sum_below(values, n, np.inf)
    background = total / max(count, 1.0)
    for _ in range(CLIP_ROUNDS):
        before = count
        variance = excess_noise * max(background, MIN_BACKGROUND) + other_variance
        total, count = _sum_below(values, n, background + 2.0 * math.sqrt(variance))
        background = total / max(count, 1.0)
        if count == before:
            break
    return background


@njit(cache=True, nogil=True, error_model="numpy")
def measure_tiles(
    rows: F32, width: int, i: int, read_variance: F32, excess_noise: float, tiles: Tiles
) -> None:
    """Measure background and noise of one row of tiles.

    Parameters
    ----------
    rows
        The rows of the frame that belong to it, in photons, float32, shape (n, width or more).
    width
        Of the frame.
    i
        Number of the row of tiles.
    read_variance
        Mean variance of the read noise per tile in photons², float32, shape of the tiles.
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    tiles
        Row i of its columns is written.
    """
    columns = read_variance.shape[1]
    values = tiles.values
    bends = _square_bends(rows, width, tiles.bend, tiles.bends)
    for j in range(columns):
        x0, x1 = j * width // columns, (j + 1) * width // columns
        read = float(read_variance[i, j])
        n = _gather(tiles.bends, bends, x0 + 1, x1 - 1, values)
        seen = _variance(values, n)
        n = _gather(rows, len(rows), x0, x1, values)
        level = _level(values, n, excess_noise, max(read, 0.5 * seen))
        expected = excess_noise * max(level, MIN_BACKGROUND) + read
        tiles.background[i, j] = level
        tiles.explained[i, j] = expected
        tiles.unexplained[i, j] = seen - expected


@njit(cache=True, nogil=True, error_model="numpy")
def variance_beyond(tiles: Tiles) -> float:
    """Return the variance per pixel in photons² that the calibration does not explain.

    Parameters
    ----------
    tiles
        All rows measured.

    Returns
    -------
    :
        0 where there is none.
    """
    explained, unexplained = tiles.explained.ravel(), tiles.unexplained.ravel()
    n = len(explained)
    values, beyond = np.empty(n, np.float32), np.empty(n, np.float32)
    for i in range(n):
        values[i] = explained[i]
    # Missing read noise weighs most, and emitters least, in the darkest quarter of the frame.
    darkest = value_at_rank(values, max(1, n // 4) - 1)
    count = 0
    for i in range(n):
        if explained[i] <= darkest:
            values[count], beyond[count] = explained[i], unexplained[i]
            count += 1
    middle = median_of(beyond[:count])
    return 0.0 if middle < (EXCESS_RATIO - 1.0) * median_of(values[:count]) else middle


@njit(cache=True, nogil=True, error_model="numpy")
def tile_above(y: int, height: int, rows: int) -> int:
    """Return which row of tiles has its middle at a row of the frame or next above it."""
    return int(min(max((y + 0.5) * rows / height - 0.5, 0.0), rows - 1.0))


@njit(cache=True, nogil=True, error_model="numpy")
def background_at(background: F32, height: int, width: int, y: int, x: int) -> float:
    """Return the background at a pixel, bilinear between the centres of the tiles."""
    rows, columns = background.shape
    v = min(max((y + 0.5) * rows / height - 0.5, 0.0), rows - 1.0)
    u = min(max((x + 0.5) * columns / width - 0.5, 0.0), columns - 1.0)
    i, j = int(v), int(u)
    i1, j1 = min(i + 1, rows - 1), min(j + 1, columns - 1)
    v, u = v - i, u - j
    upper = background[i, j] * (1.0 - u) + background[i, j1] * u
    lower = background[i1, j] * (1.0 - u) + background[i1, j1] * u
    return float(upper * (1.0 - v) + lower * v)


def over_tiles(
    values: NDArray[np.floating],
    tiles: tuple[int, int],
    reduce: Callable[[NDArray[np.floating]], np.floating],
) -> F32:
    """Return one number for each tile of a map, float32, shape `tiles`.

    Parameters
    ----------
    values
        Map of shape (height, width).
    tiles
        Rows and columns of tiles.
    reduce
        The number of the pixels of a tile, as `np.mean`.
    """
    height, width = values.shape
    rows, columns = tiles
    found = np.empty(tiles, dtype=np.float32)
    for i, j in np.ndindex(tiles):
        y = slice(i * height // rows, (i + 1) * height // rows)
        x = slice(j * width // columns, (j + 1) * width // columns)
        found[i, j] = reduce(values[y, x])
    return found
