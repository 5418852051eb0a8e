"""The Gaussian PSF, integrated over pixels, with its derivatives.

A photon falls into pixel k of a row with probability

    E_k = 1/2 [erf((k + 1/2 - x) / (sqrt(2) sigma)) - erf((k - 1/2 - x) / (sqrt(2) sigma))]

and a spot of N photons on a background of b photons per pixel has the mean N E_k E_l + b
(Smith et al., Nat. Methods 7, 373 (2010)). Pixel k reaches from k - 1/2 to k + 1/2.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

# Sums may be reordered, so that they are vectorized; NaN and infinity keep their meaning.
FAST = {"reassoc", "contract", "arcp", "nsz"}
SQRT_HALF = math.sqrt(0.5)
INV_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)
# Beyond six sigma a spot of a million photons has lost less than one hundredth of a photon.
RENDER_REACH_SIGMA = 6.0


@njit(cache=True, nogil=True, error_model="numpy")
def pixel_integrals(center_px: float, sigma_px: float, table: F64) -> None:
    """Integrate a unit Gaussian over each pixel of a row, for use from compiled code.

    Parameters
    ----------
    center_px
        Centre of the Gaussian in pixels; pixel k is centred at k.
    sigma_px
        Standard deviation in pixels, above 0.
    table
        Written: integral, its derivative by `center_px`, its derivative by `sigma_px`,
        each for pixels 0..n-1, float64, shape (3, n).
    """
    n = table.shape[1]
    inv_sigma = 1.0 / sigma_px
    u = (-0.5 - center_px) * inv_sigma
    left_erf = math.erf(u * SQRT_HALF)
    left_density = INV_SQRT_2PI * inv_sigma * math.exp(-0.5 * u * u)
    left_moment = left_density * u
    for k in range(n):
        u = (k + 0.5 - center_px) * inv_sigma
        right_erf = math.erf(u * SQRT_HALF)
        right_density = INV_SQRT_2PI * inv_sigma * math.exp(-0.5 * u * u)
        right_moment = right_density * u
        table[0, k] = 0.5 * (right_erf - left_erf)
        table[1, k] = left_density - right_density
        table[2, k] = left_moment - right_moment
        left_erf = right_erf
        left_density = right_density
        left_moment = right_moment


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def spot_shares(center_px: float, sigma_px: float, edges: F64, shares: F32, slopes: F32) -> None:
    """Integrate a unit Gaussian over each pixel of a row, to 2e-7, for use from compiled code.

    Three times as fast as `pixel_integrals`: the density goes from edge to edge by
    multiplication, and the distribution is that of Abramowitz and Stegun, 26.2.17.

    Parameters
    ----------
    center_px
        Centre of the Gaussian in pixels; pixel k is centred at k.
    sigma_px
        Standard deviation in pixels, above 0.
    edges
        Scratch, float64, shape (2, n + 1).
    shares, slopes
        Written: integral, 0 or more, and its derivative by `center_px`, float32, shape (n,).
    """
    n = len(shares)
    density, below = edges[0], edges[1]
    width = 1.0 / sigma_px
    nearest = min(max(math.floor(center_px + 1.0), 0), n)
    u = (nearest - 0.5 - center_px) * width
    peak = INV_SQRT_2PI * math.exp(-0.5 * u * u)
    # From an edge to the next the density changes by a factor that itself changes by one factor.
    bend = math.exp(-width * width)
    upwards = math.exp(-width * (u + 0.5 * width))
    value, factor = peak, upwards
    for k in range(nearest, n + 1):
        density[k] = value
        value *= factor
        factor *= bend
    value, factor = peak, bend / upwards
    for k in range(nearest - 1, -1, -1):
        value *= factor
        factor *= bend
        density[k] = value
    for k in range(n + 1):
        u = (k - 0.5 - center_px) * width
        t = 1.0 / (1.0 + 0.2316419 * abs(u))
        series = 1.781477937 + t * (-1.821255978 + t * 1.330274429)
        tail = density[k] * t * (0.319381530 + t * (-0.356563782 + t * series))
        below[k] = tail if u < 0.0 else 1.0 - tail
    for k in range(n):
        shares[k] = max(below[k + 1] - below[k], 0.0)
        slopes[k] = (density[k] - density[k + 1]) * width


@njit(cache=True, nogil=True, error_model="numpy")
def _add_spots(image: F64, x_px: F64, y_px: F64, photons: F64, sigma_px: F64) -> None:
    height, width = image.shape
    for i in range(len(x_px)):
        reach = math.ceil(RENDER_REACH_SIGMA * sigma_px[i]) + 1
        x_near, y_near = math.floor(x_px[i]), math.floor(y_px[i])
        x_first, x_last = max(x_near - reach, 0), min(x_near + reach, width - 1)
        y_first, y_last = max(y_near - reach, 0), min(y_near + reach, height - 1)
        if x_last < x_first or y_last < y_first:
            continue
        along_x = np.empty((3, x_last - x_first + 1))
        along_y = np.empty((3, y_last - y_first + 1))
        pixel_integrals(x_px[i] - x_first, sigma_px[i], along_x)
        pixel_integrals(y_px[i] - y_first, sigma_px[i], along_y)
        for row in range(y_last - y_first + 1):
            weight = photons[i] * along_y[0, row]
            for column in range(x_last - x_first + 1):
                image[y_first + row, x_first + column] += weight * along_x[0, column]


def render_spots(
    shape: tuple[int, int],
    x_px: ArrayLike,
    y_px: ArrayLike,
    photons: ArrayLike,
    sigma_px: ArrayLike,
    background: float | F64 = 0.0,
) -> F64:
    """Return the mean image of Gaussian spots, in photons per pixel.

    Parameters
    ----------
    shape
        Height and width of the image in pixels.
    x_px, y_px
        Centres in pixels, number or shape (n,); spots may lie outside the image.
    photons
        Photons per spot, number or shape (n,).
    sigma_px
        Standard deviation of the PSF in pixels, number or shape (n,).
    background
        Photons per pixel, number or shape (height, width).

    Returns
    -------
    :
        Mean photons per pixel, float64, shape (height, width).
    """
    image = np.zeros(shape, dtype=np.float64)
    image += background
    columns = np.broadcast_arrays(*(np.atleast_1d(c) for c in (x_px, y_px, photons, sigma_px)))
    _add_spots(image, *(np.array(c, dtype=np.float64) for c in columns))
    return image
