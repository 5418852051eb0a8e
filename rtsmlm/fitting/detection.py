"""Emitter candidates: maxima of the filtered frame, judged against its own noise.

The noise of the filtered image is known: the variance of every pixel goes through the squared
kernel. A noisy sCMOS pixel thereby raises the threshold around itself instead of becoming an
emitter.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.fitting.filtering import Filter, Scratch, filter_frame
from rtsmlm.fitting.noise import MIN_BACKGROUND, background_at, measure_background
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32
from rtsmlm.physics.gaussian import FAST

I32 = NDArray[np.int32]


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
    strength: F32
    """Height of the maximum in standard deviations of the noise of the filtered frame; the skew of
    photon noise is allowed for, so that the threshold lies at the same number everywhere."""

    def part(self, which: slice | NDArray[np.int64] | NDArray[np.bool_]) -> Candidates:
        """Return some rows; a slice of them as views."""
        return Candidates._make(column[which] for column in self)


def make_candidates(capacity: int) -> Candidates:
    """Allocate memory for a number of candidates."""
    frame, y, x = np.zeros((3, capacity), dtype=np.int32)
    start_y, start_x, extra_variance, strength = np.zeros((4, capacity), dtype=np.float32)
    return Candidates(frame, y, x, start_y, start_x, extra_variance, strength)


@njit(cache=True, nogil=True, error_model="numpy")
def _is_maximum(image: F32, y: int, x: int, radius: int) -> bool:
    """Return whether no pixel within the radius is higher; of equals the first in raster order."""
    height, width = image.shape
    value = image[y, x]
    for v in range(max(y - radius, 0), min(y + radius + 1, height)):
        for u in range(max(x - radius, 0), min(x + radius + 1, width)):
            other = image[v, u]
            if other > value or (other == value and (v < y or (v == y and u < x))):
                return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _peak_offset(left: float, middle: float, right: float) -> float:
    """Return where the parabola through three neighbours has its top, from the middle one."""
    bend = left - 2.0 * middle + right
    if bend >= 0.0:
        return 0.0
    return min(max(0.5 * (left - right) / bend, -0.5), 0.5)


@njit(cache=True, nogil=True, error_model="numpy")
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
    return float(z * math.sqrt(variance) + (z * z - 1.0) / 6.0 * third / variance)


@njit(cache=True, nogil=True, error_model="numpy")
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
    filter_frame(photons, plan, scratch)
    extra = measure_background(photons, plan.tile_variance, plan.excess_noise, scratch.background)
    image = scratch.filtered
    n = first
    edge = plan.edge_px
    for y in range(edge, height - edge):
        # At the edge of the frame a pixel is its own neighbour.
        upper, lower = image[max(y - 1, 0)], image[min(y + 1, height - 1)]
        here = image[y]
        for x in range(edge, width - edge):
            value = here[x]
            if value <= 0.0 or value < upper[x] or value < lower[x]:
                continue
            before, after = here[max(x - 1, 0)], here[min(x + 1, width - 1)]
            if value < before or value < after:
                continue
            background = background_at(scratch.background, height, width, y, x)
            limit = _threshold_at(plan, background, extra, y, x)
            if value < limit or not _is_maximum(image, y, x, plan.radius_px):
                continue
            if n == len(found.x):
                return -1
            found.frame[n] = frame
            found.y[n] = y
            found.x[n] = x
            found.start_y[n] = y + _peak_offset(upper[x], value, lower[x])
            found.start_x[n] = x + _peak_offset(before, value, after)
            found.extra_variance[n] = extra
            found.strength[n] = plan.threshold * value / limit
            n += 1
    return n


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
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
        Number of rows taken, and the frame to continue with.
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
