"""The difference of Gaussians of a frame, and the noise that it passes on.

The frame is filtered with G(s) - G(2 s), s being the PSF width. The first Gaussian is the matched
filter, the second takes the local background away. Both are divided by their weight inside the
frame, so that edges are no darker than the middle.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d

from rtsmlm.errors import LocalizerError
from rtsmlm.fitting.noise import over_tiles
from rtsmlm.localizations import F32

WIDE_RATIO = 2.0
EDGE_PX = 1
"""Maxima in the outermost pixels have too little of their spot inside the frame to be fitted."""
TILE_PX = 16


class Filter(NamedTuple):
    """What detection needs and does not change from frame to frame."""

    narrow: F32
    """Half of the kernel G(s), from its centre outwards."""
    wide: F32
    """Half of the kernel G(2 s), from its centre outwards, not shorter."""
    norm_y: F32
    """One over the kernel weight inside the frame, narrow and wide, (2, height)."""
    norm_x: F32
    """The same along x, (2, width)."""
    shot_gain: F32
    """Variance of the filtered image per photon² of pixel variance, (height, width)."""
    read_noise: F32
    """Variance of the filtered image from read noise, photons², (height, width)."""
    least_shot_gain: F32
    """Least `shot_gain` of each tile, (tile rows, tile columns)."""
    least_read_noise: F32
    """Least `read_noise` of each tile."""
    tile_variance: F32
    """Mean read variance per tile, photons², (tile rows, tile columns)."""
    cubes: float
    """Sum of the cubed kernel: third cumulant of the filtered image per photon."""
    excess_noise: float
    """Squared excess noise factor: 2 for an EMCCD, else 1."""
    threshold: float
    """In standard deviations of the filtered noise."""
    radius_px: int
    """A maximum is the highest pixel within this radius."""
    edge_px: int
    """Maxima nearer to the edge of the frame than this are none."""


def make_filter(
    read_variance: F32,
    sigma_px: float,
    *,
    threshold: float,
    excess_noise: float = 1.0,
    edge_px: int = EDGE_PX,
) -> Filter:
    """Prepare detection for frames of one shape.

    Parameters
    ----------
    read_variance
        Variance of the read noise in photons², float32, shape (height, width).
    sigma_px
        Standard deviation of the PSF in pixels.
    threshold
        Detection threshold in standard deviations of the filtered noise.
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    edge_px
        Maxima nearer to the edge of the frame than this are none.

    Raises
    ------
    LocalizerError
        If the frame is smaller than a spot.
    """
    height, width = read_variance.shape
    smallest = 2 * math.ceil(3.0 * sigma_px) + 1
    if min(height, width) < smallest:
        raise LocalizerError(
            f"frames of {height} x {width} pixels are smaller than the {smallest} pixels of a "
            f"spot of sigma {sigma_px:.2f} px; use a larger region of interest"
        )
    narrow, wide = _half_gaussian(sigma_px, 3.5), _half_gaussian(WIDE_RATIO * sigma_px, 2.5)
    kernels = [_whole(half, len(wide) - 1) for half in (narrow, wide)]
    norms = {n: [_weights_inside(kernel, n) for kernel in kernels] for n in (height, width)}
    squared: dict[bool, NDArray[np.float64]] = {}
    for is_read in (False, True):
        image = read_variance.astype(np.float64) if is_read else np.ones((height, width))
        squared[is_read] = np.zeros((height, width))
        for i, j, sign in ((0, 0, 1.0), (0, 1, -2.0), (1, 1, 1.0)):
            taps = kernels[i] * kernels[j]
            part = convolve1d(image, taps, axis=0, mode="constant")
            part = convolve1d(part, taps, axis=1, mode="constant")
            along_y = norms[height][i] * norms[height][j]
            along_x = norms[width][i] * norms[width][j]
            squared[is_read] += sign * part * along_y[:, None] * along_x[None, :]
    plane = [np.outer(kernel, kernel) for kernel in kernels]
    tiles = max(1, round(height / TILE_PX)), max(1, round(width / TILE_PX))
    return Filter(
        narrow=narrow,
        wide=wide,
        norm_y=np.array(norms[height], dtype=np.float32),
        norm_x=np.array(norms[width], dtype=np.float32),
        shot_gain=squared[False].astype(np.float32),
        read_noise=squared[True].astype(np.float32),
        least_shot_gain=over_tiles(squared[False], tiles, np.min),
        least_read_noise=over_tiles(squared[True], tiles, np.min),
        tile_variance=over_tiles(read_variance, tiles, np.mean),
        cubes=float(((plane[0] - plane[1]) ** 3).sum()),
        excess_noise=float(excess_noise),
        threshold=float(threshold),
        radius_px=max(2, round(2.0 * sigma_px)),
        edge_px=edge_px,
    )


def _half_gaussian(sigma_px: float, reach_sigma: float) -> F32:
    reach = math.ceil(reach_sigma * sigma_px)
    half = np.exp(-0.5 * (np.arange(reach + 1) / sigma_px) ** 2)
    return np.asarray(half / (2.0 * half.sum() - half[0]), dtype=np.float32)


def _whole(half: F32, reach: int) -> NDArray[np.float64]:
    padded = np.zeros(reach + 1)
    padded[: len(half)] = half
    return np.concatenate([padded[:0:-1], padded])


def _weights_inside(kernel: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    return np.asarray(1.0 / convolve1d(np.ones(n), kernel, mode="constant"), dtype=np.float64)
