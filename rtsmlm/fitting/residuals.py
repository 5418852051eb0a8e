"""How well a fitted Gaussian explains its box: what it leaves, and what noise alone would leave."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from rtsmlm.fitting.boxes import F64, invert
from rtsmlm.localizations import F32
from rtsmlm.physics.gaussian import pixel_integrals

# Columns of a table of residuals.
CHI2, SQUARES, EXPECTED = range(3)
N_COLUMNS = 3


@njit(cache=True, nogil=True, error_model="numpy")
def _slopes(
    light: float, along_x: F64, along_y: F64, row: int, column: int, bend: F64, slope: F64
) -> None:
    """Write the slopes of the mean by x, y, photons, background and the parameter of shape."""
    e_x, e_y = along_x[0, column], along_y[0, row]
    slope[0] = light * along_x[1, column] * e_y
    slope[1] = light * e_x * along_y[1, row]
    slope[2] = e_x * e_y
    slope[3] = 1.0
    slope[4] = light * (bend[0] * along_x[2, column] * e_y + bend[1] * e_x * along_y[2, row])


@njit(cache=True, nogil=True, error_model="numpy")
def judge_spots(
    photons: F32,
    variance: F32,
    theta: F64,
    sigma_px: F64,
    bends: F64,
    excess_noise: float,
    table: F64,
) -> None:
    """Compare fitted spots with their boxes.

    Parameters
    ----------
    photons, variance
        Boxes in photons and their read variance in photons², float32, shape (n, box, box).
    theta
        Fitted x and y in pixels, photons and background, shape (n, 4).
    sigma_px
        Fitted widths along x and y in pixels, shape (n, 2).
    bends
        Slopes of both widths by the parameter of shape that was fitted, too: 1 where it is the
        width itself, pixels per nm where it is z, 0 where there was none; shape (n, 2).
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    table
        Written, shape (n, N_COLUMNS): chi² per degree of freedom; sum of the squared residuals, and
        what noise alone leaves of it, in photons². NaN where the fit has no information.

    Notes
    -----
    A fit follows the noise where its parameters matter: of the variance of a pixel it leaves one
    minus its leverage. All expectations count with that.
    """
    n, box = photons.shape[0], photons.shape[1]
    along_x, along_y = np.empty((3, box)), np.empty((3, box))
    slope, information, covariance = np.empty(5), np.empty((5, 5)), np.empty((5, 5))
    for i in range(n):
        pixel_integrals(theta[i, 0], sigma_px[i, 0], along_x)
        pixel_integrals(theta[i, 1], sigma_px[i, 1], along_y)
        light, background = theta[i, 2], theta[i, 3]
        p = 5 if bends[i, 0] != 0.0 or bends[i, 1] != 0.0 else 4
        information[:] = 0.0
        for row in range(box):
            for column in range(box):
                _slopes(light, along_x, along_y, row, column, bends[i], slope)
                mean = light * slope[2] + background
                weight = 1.0 / max(excess_noise * mean + variance[i, row, column], 1e-6)
                for j in range(p):
                    for k in range(j + 1):
                        information[j, k] += weight * slope[j] * slope[k]
        if not invert(information[:p, :p], covariance[:p, :p]):
            table[i] = math.nan
            continue
        squares, expected, chi2, freedom = 0.0, 0.0, 0.0, 1e-9
        for row in range(box):
            for column in range(box):
                _slopes(light, along_x, along_y, row, column, bends[i], slope)
                mean = light * slope[2] + background
                noise = max(excess_noise * mean + variance[i, row, column], 1e-6)
                leverage = 0.0
                for j in range(p):
                    for k in range(p):
                        leverage += slope[j] * covariance[j, k] * slope[k]
                left = max(1.0 - leverage / noise, 0.0)
                residual = (photons[i, row, column] - mean) ** 2
                squares += residual
                expected += noise * left
                chi2 += residual / noise
                freedom += left
        table[i, CHI2] = chi2 / freedom
        table[i, SQUARES], table[i, EXPECTED] = squares, expected
