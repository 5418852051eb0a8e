"""Images of emitters on small squares of pixels, as crowds are fitted with.

A square is `LANES` pixels wide whatever the PSF, of which it fills the first ones: loops of a known
length are what a processor does many of at once. Images have a margin of `MARGIN` pixels, so that
squares may hang over the edge of the frame. The PSF is a Gaussian integrated over pixels, which is
the product of a function of x and one of y.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.localizations import F32

LANES = 16
"""Pixels along a side of a square."""
MARGIN = LANES
"""Pixels around the frame that are part of images and hold nothing."""
REACH_SIGMA = 3.5
MAX_REACH_PX = (LANES - 1) // 2
VALUE_X, SLOPE_X, VALUE_Y, SLOPE_Y = range(4)
"""What is known of each row and column of a square: light, and its change with the place."""
PARTS = 4
SQRT_2PI = math.sqrt(2.0 * math.pi)
I32 = NDArray[np.int32]


def reach_of(sigma_px: float) -> int:
    """Return how far the square of an emitter reaches to each side of its pixel."""
    return min(math.ceil(REACH_SIGMA * sigma_px), MAX_REACH_PX)


@njit(cache=True, nogil=True, error_model="numpy")
def write_axis(place: float, first: int, side: int, sigma: float, value: F32, slope: F32) -> None:
    """Write the light of an emitter in pixels along one axis, as part of all, and its slope.

    The error function is formula 7.1.26 of Abramowitz & Stegun, right to 1.5e-7.

    Parameters
    ----------
    place
        Of the emitter in pixels.
    first, side
        First pixel, and how many.
    sigma
        Standard deviation of the PSF in pixels.
    value, slope
        Written, (`LANES`,).
    """
    per = 1.0 / sigma
    edge = (first - 0.5 - place) * per
    # Gaussians at equal steps: each is the one before times a factor that falls by another.
    gauss = math.exp(-0.5 * edge * edge)
    factor = math.exp(-edge * per - 0.5 * per * per)
    fall = math.exp(-per * per)
    last_gauss = gauss
    last_share = _share_below(edge, gauss)
    for c in range(LANES):
        if c < side:
            gauss *= factor
            factor *= fall
            edge += per
            share = _share_below(edge, gauss)
            value[c] = share - last_share
            slope[c] = (last_gauss - gauss) * per / SQRT_2PI
            last_gauss, last_share = gauss, share
        else:
            value[c] = 0.0
            slope[c] = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _share_below(edge: float, gauss: float) -> float:
    """Return the normal distribution function; `gauss` is exp(-edge² / 2)."""
    t = 1.0 / (1.0 + 0.3275911 * 0.7071067811865476 * abs(edge))
    tail = t * (
        0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))
    )
    half = 0.5 * tail * gauss
    return half if edge < 0.0 else 1.0 - half


@njit(cache=True, nogil=True, error_model="numpy")
def write_bend(place: float, first: int, side: int, sigma: float, slope: F32, bend: F32) -> None:
    """Write the second derivative, by the place, of the light in pixels along one axis.

    Parameters
    ----------
    place, first, side, sigma, slope
        As for `write_axis`; the slope tells the Gaussian from edge to edge.
    bend
        Written, (`LANES`,).
    """
    edge = (first - 0.5 - place) / sigma
    density = math.exp(-0.5 * edge * edge) / (sigma * SQRT_2PI)
    last = edge * density
    for c in range(LANES):
        edge += 1.0 / sigma
        density -= slope[c]
        now = edge * density
        bend[c] = (last - now) / sigma if c < side else 0.0
        last = now


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def add_square(image: F32, top: int, left: int, side: int, photons: float, patch: F32) -> None:
    """Add the light of an emitter to an image with margins."""
    n, along = np.float32(photons), patch[VALUE_X]
    for r in range(side):
        light = n * patch[VALUE_Y, r]
        row = image[top + r, left : left + LANES]
        for c in range(LANES):
            row[c] += light * along[c]
