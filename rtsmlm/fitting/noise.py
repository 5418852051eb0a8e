"""Background and noise of a frame, robust against the emitters in it.

The noise of a pixel follows from its background and the camera calibration. Where the pixels
scatter far more than that, the calibration is wrong or missing, and the excess is measured, so
that detection and fit stay sound: a false gain must not turn noise into emitters.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

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


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _mean_below(values: F32, limit: float) -> float:
    """Return the mean of the values below a limit; 0 where there is none."""
    cut = np.float32(limit)
    total = np.float32(0.0)
    count = np.float32(0.0)
    for i in range(len(values)):
        inside = np.float32(1.0) if values[i] < cut else np.float32(0.0)
        total += inside * values[i]
        count += inside
    return float(total / max(count, np.float32(1.0)))


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _laplacian_variance(photons: F32, y0: int, y1: int, x0: int, x1: int, buffer: F32) -> float:
    """Return the pixel variance of a tile, insensitive to anything smooth over three pixels.

    Mean square of the difference of two Laplacians, after Immerkær, Comput. Vis. Image Underst.
    64, 300 (1996), with outliers clipped. Every other row is enough.
    """
    two = np.float32(2.0)
    width = x1 - x0 - 2
    n = 0
    for y in range(y0 + 1, y1 - 1, 2):
        above = photons[y - 1, x0:x1]
        here = photons[y, x0:x1]
        below = photons[y + 1, x0:x1]
        out = buffer[n : n + width]
        for i in range(width):
            left = above[i] - two * here[i] + below[i]
            middle = above[i + 1] - two * here[i + 1] + below[i + 1]
            right = above[i + 2] - two * here[i + 2] + below[i + 2]
            bend = left - two * middle + right
            out[i] = bend * bend
        n += width
    variance = _mean_below(buffer[:n], np.inf)
    for _ in range(CLIP_ROUNDS):
        variance = _mean_below(buffer[:n], CLIP_SQUARED * variance)
    return variance / (36.0 * CLIP_SETTLES_AT)


@njit(cache=True, nogil=True, error_model="numpy")
def _tile_background(values: F32, excess_noise: float, other_variance: float) -> float:
    """Return the mean of the pixels that lie within the noise of the background.

    Bright pixels are clipped at two standard deviations of the noise that the background itself
    would have, not at those of the tile: emitters widen the latter.
    """
    background = _mean_below(values, np.inf)
    for _ in range(CLIP_ROUNDS):
        variance = excess_noise * max(background, MIN_BACKGROUND) + other_variance
        background = _mean_below(values, background + 2.0 * math.sqrt(variance))
    return background


@njit(cache=True, nogil=True, error_model="numpy")
def measure_background(
    photons: F32, read_variance: F32, excess_noise: float, background: F32
) -> float:
    """Estimate the background per tile, and the noise that the calibration does not explain.

    Parameters
    ----------
    photons
        One frame in photons, float32, shape (height, width).
    read_variance
        Mean variance of the read noise per tile in photons², float32, shape of `background`.
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    background
        Written: photons per pixel of each tile, float32, shape (tile rows, tile columns).

    Returns
    -------
    :
        Variance per pixel in photons² beyond that of the calibration; 0 where there is none.
    """
    height, width = photons.shape
    rows, columns = background.shape
    buffer = np.empty((height // rows + 1) * (width // columns + 1), dtype=np.float32)
    unexplained = np.empty(rows * columns)
    explained = np.empty(rows * columns)
    for i in range(rows):
        y0, y1 = i * height // rows, (i + 1) * height // rows
        for j in range(columns):
            x0, x1 = j * width // columns, (j + 1) * width // columns
            seen = _laplacian_variance(photons, y0, y1, x0, x1, buffer)
            n = 0
            for y in range(y0, y1):
                for x in range(x0, x1):
                    buffer[n] = photons[y, x]
                    n += 1
            level = _tile_background(buffer[:n], excess_noise, max(read_variance[i, j], 0.5 * seen))
            background[i, j] = level
            expected = excess_noise * max(level, MIN_BACKGROUND) + read_variance[i, j]
            unexplained[i * columns + j] = seen - expected
            explained[i * columns + j] = expected
    # Missing read noise weighs most, and emitters least, in the darkest quarter of the frame.
    dark = np.argsort(explained)[: max(1, len(explained) // 4)]
    beyond = np.median(unexplained[dark])
    if beyond < (EXCESS_RATIO - 1.0) * np.median(explained[dark]):
        return 0.0
    return float(beyond)


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


def tile_means(values: NDArray[np.floating], tiles: tuple[int, int]) -> F32:
    """Return the mean of a map over each tile, float32, shape `tiles`.

    Parameters
    ----------
    values
        Map of shape (height, width).
    tiles
        Rows and columns of tiles.
    """
    height, width = values.shape
    rows, columns = tiles
    return np.array(
        [
            [
                values[
                    i * height // rows : (i + 1) * height // rows,
                    j * width // columns : (j + 1) * width // columns,
                ].mean()
                for j in range(columns)
            ]
            for i in range(rows)
        ],
        dtype=np.float32,
    )
