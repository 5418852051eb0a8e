"""Compiled loops that add localizations to an image.

Every localization inside the image adds exactly 1, also at the edges, where what would fall
outside goes to the pixels inside. Coordinates become image pixels from the outer corner. Columns
must be contiguous and writable, or numba compiles each loop once more for those that are not.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.localizations import F32

TILE_BITS = 9
TILE_PX = 1 << TILE_BITS
"""Side of the tiles whose changes are tracked."""

GAUSS_REACH = 3.0
"""Half width of a splat in standard deviations."""

MOST_STD_PX = 64.0
"""Widest splat; a wider one would be mist, at the cost of thousands of sharp ones."""

_BUFFER = 2 * int(GAUSS_REACH * MOST_STD_PX) + 3


@njit(inline="always")
def _touch(
    tiles: NDArray[np.int64], version: int, upper: int, lower: int, left: int, right: int
) -> None:
    """Mark the tiles of four corners; a splat is narrower than a tile and meets no others."""
    tiles[upper >> TILE_BITS, left >> TILE_BITS] = version
    tiles[upper >> TILE_BITS, right >> TILE_BITS] = version
    tiles[lower >> TILE_BITS, left >> TILE_BITS] = version
    tiles[lower >> TILE_BITS, right >> TILE_BITS] = version


@njit(inline="always")
def _profile(centre: float, std: float, first: int, last: int, weights: F32) -> None:
    """Fill `weights` with a Gaussian of sum 1 over the pixels `first` to `last`."""
    # g(d + 1) = g(d) * step, step *= ratio: three exponentials instead of one per pixel.
    scale = 1.0 / (2.0 * std * std)
    distance = first + 0.5 - centre
    value = math.exp(-distance * distance * scale)
    step = math.exp(-(2.0 * distance + 1.0) * scale)
    ratio = math.exp(-2.0 * scale)
    total = 0.0
    for k in range(last - first + 1):
        weights[k] = value
        total += value
        value *= step
        step *= ratio
    for k in range(last - first + 1):
        weights[k] /= total


@njit(cache=True, nogil=True)
def add_bilinear(
    image: F32,
    tiles: NDArray[np.int64],
    version: int,
    x_nm: F32,
    y_nm: F32,
    pixel_nm: float,
    corner_nm: float,
) -> int:
    """Share each localization among the four nearest pixel centres; return how many lay inside."""
    height, width = image.shape
    per_nm = 1.0 / pixel_nm
    inside = 0
    for k in range(len(x_nm)):
        u = (x_nm[k] - corner_nm) * per_nm
        v = (y_nm[k] - corner_nm) * per_nm
        # Written so that NaN counts as outside.
        if not (u >= 0.0 and u < width and v >= 0.0 and v < height):
            continue
        inside += 1
        # + 0.5, since the pixel left of the first one would be truncated towards zero.
        left = int(u + 0.5) - 1
        upper = int(v + 0.5) - 1
        right_share = u - 0.5 - left
        lower_share = v - 0.5 - upper
        c0, c1 = max(left, 0), min(left + 1, width - 1)
        r0, r1 = max(upper, 0), min(upper + 1, height - 1)
        image[r0, c0] += np.float32((1.0 - lower_share) * (1.0 - right_share))
        image[r0, c1] += np.float32((1.0 - lower_share) * right_share)
        image[r1, c0] += np.float32(lower_share * (1.0 - right_share))
        image[r1, c1] += np.float32(lower_share * right_share)
        _touch(tiles, version, r0, r1, c0, c1)
    return inside


@njit(cache=True, nogil=True)
def add_gaussians(
    image: F32,
    tiles: NDArray[np.int64],
    version: int,
    x_nm: F32,
    y_nm: F32,
    std_x_nm: F32,
    std_y_nm: F32,
    pixel_nm: float,
    corner_nm: float,
    least_std_px: float,
    most_std_px: float,
    unknown_std_px: float,
) -> int:
    """Add a normalised Gaussian of its own width for each; return how many lay inside."""
    height, width = image.shape
    per_nm = 1.0 / pixel_nm
    inside = 0
    columns = np.empty(_BUFFER, np.float32)
    rows = np.empty(_BUFFER, np.float32)
    for k in range(len(x_nm)):
        u = (x_nm[k] - corner_nm) * per_nm
        v = (y_nm[k] - corner_nm) * per_nm
        if not (u >= 0.0 and u < width and v >= 0.0 and v < height):
            continue
        inside += 1
        std_u, std_v = std_x_nm[k] * per_nm, std_y_nm[k] * per_nm
        std_u = min(max(std_u, least_std_px), most_std_px) if std_u > 0.0 else unknown_std_px
        std_v = min(max(std_v, least_std_px), most_std_px) if std_v > 0.0 else unknown_std_px
        left = int(max(u - GAUSS_REACH * std_u, 0.0))
        right = min(int(u + GAUSS_REACH * std_u), width - 1)
        upper = int(max(v - GAUSS_REACH * std_v, 0.0))
        lower = min(int(v + GAUSS_REACH * std_v), height - 1)
        _profile(u, std_u, left, right, columns)
        _profile(v, std_v, upper, lower, rows)
        for j in range(lower - upper + 1):
            line = image[upper + j, left : right + 1]
            for i in range(len(line)):
                line[i] += rows[j] * columns[i]
        _touch(tiles, version, upper, lower, left, right)
    return inside
