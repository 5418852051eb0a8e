"""Emitter candidates: maxima of a difference of Gaussians, judged against its own noise.

The frame is filtered with G(s) - G(2 s), s being the PSF width. The first Gaussian is the matched
filter, the second takes the local background away. The noise of the filtered image is known: the
variance of every pixel goes through the squared kernel. A noisy sCMOS pixel thereby raises the
threshold around itself instead of becoming an emitter.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import convolve1d

from rtsmlm.errors import LocalizerError
from rtsmlm.fitting.noise import (
    FAST,
    MIN_BACKGROUND,
    background_at,
    measure_background,
    tile_means,
)
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32

I32 = NDArray[np.int32]

WIDE_RATIO = 2.0
TILE_PX = 16
# Maxima in the outermost pixels have too little of their spot inside the frame.
EDGE_PX = 1


class Filter(NamedTuple):
    """What detection needs and does not change from frame to frame."""

    narrow: F32
    """Half of the kernel G(s), from its centre outwards."""
    wide: F32
    """Half of the kernel G(2 s), from its centre outwards."""
    norm_y: F32
    """One over the kernel weight inside the frame, narrow and wide, (2, height)."""
    norm_x: F32
    """The same along x, (2, width)."""
    shot_gain: F32
    """Variance of the filtered image per photon² of pixel variance, (height, width)."""
    read_noise: F32
    """Variance of the filtered image from read noise, photons², (height, width)."""
    tile_variance: F32
    """Mean read variance per tile, photons², (tile rows, tile columns)."""
    cubes: float
    """Sum of the cubed kernel: third cumulant of the filtered image per photon."""
    excess_noise: float
    """Squared excess noise factor: 2 for an EMCCD, else 1."""
    threshold: float
    """In standard deviations of the filtered noise."""
    radius_px: int
    """A maximum is the highest within so many pixels."""


class Scratch(NamedTuple):
    """Memory that one thread uses again for every frame."""

    photons: F32
    filtered: F32
    narrow: F32
    """Row-filtered frame with empty rows above and below, (height + 2 r, width)."""
    wide: F32
    row: F32
    """One row with empty pixels left and right, (width + 2 r,)."""
    background: F32
    """Photons per pixel of each tile, (tile rows, tile columns)."""


class Candidates(NamedTuple):
    """Maxima of the filtered frames, all of shape (n,)."""

    frame: I32
    """Position of the frame in its batch."""
    y: I32
    x: I32
    start_y: F32
    """Sub-pixel position of the maximum in pixels."""
    start_x: F32
    extra_variance: F32
    """Variance per pixel in photons² that the calibration does not explain."""


def make_filter(
    read_variance: F32,
    sigma_px: float,
    *,
    threshold: float,
    excess_noise: float = 1.0,
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
    reach = max(len(narrow), len(wide)) - 1
    kernels = [_whole(half, reach) for half in (narrow, wide)]
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
        tile_variance=tile_means(read_variance, tiles),
        cubes=float(((plane[0] - plane[1]) ** 3).sum()),
        excess_noise=float(excess_noise),
        threshold=float(threshold),
        radius_px=max(2, round(2.0 * sigma_px)),
    )


def make_scratch(plan: Filter) -> Scratch:
    """Allocate the memory that one thread needs to detect with `plan`."""
    height, width = plan.shot_gain.shape
    reach = max(len(plan.narrow), len(plan.wide)) - 1
    return Scratch(
        photons=np.zeros((height, width), dtype=np.float32),
        filtered=np.zeros((height, width), dtype=np.float32),
        narrow=np.zeros((height + 2 * reach, width), dtype=np.float32),
        wide=np.zeros((height + 2 * reach, width), dtype=np.float32),
        row=np.zeros(width + 2 * reach, dtype=np.float32),
        background=np.zeros_like(plan.tile_variance),
    )


def make_candidates(capacity: int) -> Candidates:
    """Allocate room for so many candidates."""
    whole = [np.zeros(capacity, dtype=np.int32) for _ in range(3)]
    real = [np.zeros(capacity, dtype=np.float32) for _ in range(3)]
    return Candidates(*whole, *real)


@njit(cache=True, nogil=True, fastmath=FAST)
def _filter_frame(photons: F32, plan: Filter, scratch: Scratch) -> None:
    """Write the difference of Gaussians of a frame into `scratch.filtered`."""
    height, width = photons.shape
    reach = (len(scratch.row) - width) // 2
    for y in range(height):
        for x in range(width):
            scratch.row[reach + x] = photons[y, x]
        for half, target in ((plan.narrow, scratch.narrow), (plan.wide, scratch.wide)):
            out = target[y + reach]
            middle = scratch.row[reach : reach + width]
            for x in range(width):
                out[x] = half[0] * middle[x]
            for t in range(1, len(half)):
                left = scratch.row[reach - t : reach - t + width]
                right = scratch.row[reach + t : reach + t + width]
                weight = half[t]
                for x in range(width):
                    out[x] += weight * (left[x] + right[x])
    fine = np.empty(width, dtype=np.float32)
    for y in range(height):
        for i, half, source in ((0, plan.narrow, scratch.narrow), (1, plan.wide, scratch.wide)):
            middle = source[y + reach]
            for x in range(width):
                fine[x] = half[0] * middle[x]
            for t in range(1, len(half)):
                upper = source[y + reach - t]
                lower = source[y + reach + t]
                weight = half[t]
                for x in range(width):
                    fine[x] += weight * (upper[x] + lower[x])
            out = scratch.filtered[y]
            norm_x = plan.norm_x[i]
            if i == 0:
                norm = plan.norm_y[i, y]
                for x in range(width):
                    out[x] = norm * norm_x[x] * fine[x]
            else:
                norm = plan.norm_y[i, y]
                for x in range(width):
                    out[x] -= norm * norm_x[x] * fine[x]


@njit(cache=True, nogil=True)
def _is_maximum(image: F32, y: int, x: int, radius: int) -> bool:
    """True where no pixel within the radius is higher; of equals the first in raster order."""
    height, width = image.shape
    value = image[y, x]
    for v in range(max(y - radius, 0), min(y + radius + 1, height)):
        for u in range(max(x - radius, 0), min(x + radius + 1, width)):
            other = image[v, u]
            if other > value or (other == value and (v < y or (v == y and u < x))):
                return False
    return True


@njit(cache=True, nogil=True)
def _peak_offset(left: float, middle: float, right: float) -> float:
    """Return where the parabola through three neighbours has its top, from the middle one."""
    bend = left - 2.0 * middle + right
    if bend >= 0.0:
        return 0.0
    return min(max(0.5 * (left - right) / bend, -0.5), 0.5)


@njit(cache=True, nogil=True)
def _threshold_at(plan: Filter, background: float, extra: float, y: int, x: int) -> float:
    """Return the detection limit of the filtered image at a pixel.

    Photon noise is skewed where there are few photons. The first term of the expansion of Cornish
    and Fisher raises the limit so that false detections stay as rare as in normal noise.
    """
    light = max(background, MIN_BACKGROUND)
    shot = plan.excess_noise * light + extra
    variance = shot * plan.shot_gain[y, x] + plan.read_noise[y, x]
    # Third cumulant of a photon: 1, and 6 behind a gain register (exponential gain).
    third = (6.0 if plan.excess_noise > 1.0 else 1.0) * light * plan.cubes
    z = plan.threshold
    return z * math.sqrt(variance) + (z * z - 1.0) / 6.0 * third / variance


@njit(cache=True, nogil=True)
def detect_in_frame(
    photons: F32, frame: int, plan: Filter, scratch: Scratch, found: Candidates, first: int
) -> int:
    """Append the candidates of one frame.

    Parameters
    ----------
    photons
        One frame in photons, float32, shape (height, width).
    frame
        What to write into the column `frame`.
    plan, scratch
        From `make_filter` and `make_scratch` for this shape.
    found
        Written from row `first` on.
    first
        Number of rows that are taken already.

    Returns
    -------
    :
        Number of rows taken now; -1 if there was not enough room.
    """
    height, width = photons.shape
    _filter_frame(photons, plan, scratch)
    extra = measure_background(
        photons, plan.tile_variance, plan.excess_noise, scratch.background
    )
    image = scratch.filtered
    n = first
    for y in range(EDGE_PX, height - EDGE_PX):
        for x in range(EDGE_PX, width - EDGE_PX):
            value = image[y, x]
            if value <= image[y, x - 1] or value < image[y, x + 1] or value <= 0.0:
                continue
            if value <= image[y - 1, x] or value < image[y + 1, x]:
                continue
            background = background_at(scratch.background, height, width, y, x)
            if value < _threshold_at(plan, background, extra, y, x):
                continue
            if not _is_maximum(image, y, x, plan.radius_px):
                continue
            if n == len(found.x):
                return -1
            found.frame[n] = frame
            found.y[n] = y
            found.x[n] = x
            found.start_y[n] = y + _peak_offset(image[y - 1, x], value, image[y + 1, x])
            found.start_x[n] = x + _peak_offset(image[y, x - 1], value, image[y, x + 1])
            found.extra_variance[n] = extra
            n += 1
    return n


@njit(cache=True, nogil=True, fastmath=FAST)
def detect_in_batch(
    pixels: Pixels,
    offset_adu: F32,
    photons_per_adu: F32,
    plan: Filter,
    scratch: Scratch,
    found: Candidates,
    first_frame: int,
) -> tuple[int, int]:
    """Detect in raw frames from `first_frame` on, until there is no room for a frame's rows.

    Parameters
    ----------
    pixels
        Raw frames in ADU, uint16, shape (n, height, width).
    offset_adu, photons_per_adu
        Camera calibration, float32, shape (height, width).
    plan, scratch
        From `make_filter` and `make_scratch` for this shape.
    found
        Written from row 0 on, in the order of frames.
    first_frame
        Where in the batch to begin.

    Returns
    -------
    :
        Number of rows taken, and the frame to go on with.
    """
    n = 0
    height, width = offset_adu.shape
    for frame in range(first_frame, len(pixels)):
        for y in range(height):
            raw = pixels[frame, y]
            dark = offset_adu[y]
            gain = photons_per_adu[y]
            out = scratch.photons[y]
            for x in range(width):
                out[x] = (np.float32(raw[x]) - dark[x]) * gain[x]
        after = detect_in_frame(scratch.photons, frame, plan, scratch, found, n)
        if after < 0:
            return n, frame
        n = after
    return n, len(pixels)


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
