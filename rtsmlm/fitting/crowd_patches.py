"""Images of emitters on small squares of pixels, and sums over them, as crowds are fitted with.

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

from rtsmlm.fitting.boxes import F64
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
SUMS = 4
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


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def write_own(
    excess: F32,
    weight: F32,
    top: int,
    left: int,
    side: int,
    photons: float,
    patch: F32,
    sums: F32,
    slope: F64,
    light: F64,
    block: F64,
) -> None:
    """Write what the pixels of its square say of one emitter's x, y and photons.

    Parameters
    ----------
    excess, weight
        Data over mean less 1, and 1 over mean, with margins.
    top, left, side
        Where the square lies.
    photons
        Of the emitter.
    patch
        Its light along both axes, (`PARTS`, `LANES`).
    sums
        Memory, (`SUMS`, `LANES`).
    slope
        Written: slope of the log-likelihood, (3,).
    light
        Written: the information shared with a background that is the same everywhere, (3,).
    block
        Written: the Fisher information, (3, 3).
    """
    along, across = patch[VALUE_X], patch[SLOPE_X]
    square, both, steep = sums[0], sums[1], sums[2]
    for c in range(LANES):
        v, d = along[c], across[c]
        square[c], both[c], steep[c] = v * v, v * d, d * d
    s0 = s1 = s2 = l0 = l1 = l2 = np.float32(0.0)
    xx = xy = yy = xn = yn = nn = np.float32(0.0)
    for r in range(side):
        excesses = excess[top + r, left : left + LANES]
        weights = weight[top + r, left : left + LANES]
        ev = ed = wv = wd = vv = vd = dd = np.float32(0.0)
        for c in range(LANES):
            e, w = excesses[c], weights[c]
            ev += e * along[c]
            ed += e * across[c]
            wv += w * along[c]
            wd += w * across[c]
            vv += w * square[c]
            vd += w * both[c]
            dd += w * steep[c]
        a, b = patch[VALUE_Y, r], patch[SLOPE_Y, r]
        s0 += a * ed
        s1 += b * ev
        s2 += a * ev
        l0 += a * wd
        l1 += b * wv
        l2 += a * wv
        xx += a * a * dd
        xy += a * b * vd
        yy += b * b * vv
        xn += a * a * vd
        yn += a * b * vv
        nn += a * a * vv
    n = photons
    slope[0], slope[1], slope[2] = n * s0, n * s1, s2
    light[0], light[1], light[2] = n * l0, n * l1, l2
    block[0, 0], block[1, 1], block[2, 2] = n * n * xx, n * n * yy, nn
    block[0, 1] = block[1, 0] = n * n * xy
    block[0, 2] = block[2, 0] = n * xn
    block[1, 2] = block[2, 1] = n * yn


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def write_pair_block(
    weight: F32,
    origin: I32,
    photons: F64,
    patches: F32,
    i: int,
    j: int,
    side: int,
    sums: F32,
    block: F64,
) -> None:
    """Write the Fisher information that two emitters share, rows of the first, (3, 3)."""
    down, right = origin[j, 0] - origin[i, 0], origin[j, 1] - origin[i, 1]
    sums[:4] = 0.0
    vw, ve, dw, de = sums[0], sums[1], sums[2], sums[3]
    for c in range(max(right, 0), min(LANES, LANES + right)):
        v, d = patches[i, VALUE_X, c], patches[i, SLOPE_X, c]
        value, slope = patches[j, VALUE_X, c - right], patches[j, SLOPE_X, c - right]
        vw[c], ve[c], dw[c], de[c] = v * value, v * slope, d * value, d * slope
    top, left = origin[i, 0], origin[i, 1]
    xx = xy = xn = yx = yy = yn = nx = ny = nn = np.float32(0.0)
    for r in range(max(down, 0), min(side, side + down)):
        row = weight[top + r, left : left + LANES]
        s0 = s1 = s2 = s3 = np.float32(0.0)
        for c in range(LANES):
            w = row[c]
            s0 += w * vw[c]
            s1 += w * ve[c]
            s2 += w * dw[c]
            s3 += w * de[c]
        a, b = patches[i, VALUE_Y, r], patches[i, SLOPE_Y, r]
        e, f = patches[j, VALUE_Y, r - down], patches[j, SLOPE_Y, r - down]
        xx += a * e * s3
        xy += a * f * s2
        xn += a * e * s2
        yx += b * e * s1
        yy += b * f * s0
        yn += b * e * s0
        nx += a * e * s1
        ny += a * f * s0
        nn += a * e * s0
    n, m = photons[i], photons[j]
    block[0, 0], block[0, 1], block[0, 2] = n * m * xx, n * m * xy, n * xn
    block[1, 0], block[1, 1], block[1, 2] = n * m * yx, n * m * yy, n * yn
    block[2, 0], block[2, 1], block[2, 2] = m * nx, m * ny, nn


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def bend_score(
    excess: F32, top: int, left: int, side: int, photons: float, patch: F32, bend_x: F32,
    bend_y: F32, steepness: float, variance: float,
) -> float:  # fmt: skip
    """Return chi² of the shape of a spot if all else were known.

    The information on its moments is that of a Gaussian on an even background: three eighths, for
    the mixed one half, of that on its place, over its variance.

    Parameters
    ----------
    excess, top, left, side, photons, patch
        As for `write_own`.
    bend_x, bend_y
        From `write_bend`, (`LANES`,).
    steepness
        Information on the place along one axis.
    variance
        Of the PSF, in pixels².
    """
    xx = yy = xy = np.float32(0.0)
    along, across = patch[VALUE_X], patch[SLOPE_X]
    for r in range(side):
        row = excess[top + r, left : left + LANES]
        s0 = s1 = s2 = np.float32(0.0)
        for c in range(LANES):
            s0 += row[c] * bend_x[c]
            s1 += row[c] * along[c]
            s2 += row[c] * across[c]
        xx += patch[VALUE_Y, r] * s0
        yy += bend_y[r] * s1
        xy += patch[SLOPE_Y, r] * s2
    scale = photons * photons * variance / steepness
    return float(scale * ((xx * xx + yy * yy) * (2.0 / 3.0) + 2.0 * xy * xy))
