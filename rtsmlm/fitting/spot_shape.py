"""Whether a spot that was fitted has the shape of one emitter.

Two emitters nearer to each other than the width of the PSF make one spot, a little wider along one
direction. A goodness of fit over all pixels hardly sees it; the second moments of what the fit has
left do. Along them the likelihood rises where there are two: the score test (Rao, Proc. Camb. Phil.
Soc. 44, 50 (1948)) tells by how much, without a fit of two.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from rtsmlm.fitting.boxes import BACKGROUND, F64, PHOTONS, X, Y, factorize
from rtsmlm.localizations import F32
from rtsmlm.physics.gaussian import pixel_integrals

_FITTED, ALL_MOMENTS = 4, 7
"""Parameters of the fit, and those together with the three second moments."""


@njit(cache=True, nogil=True, error_model="numpy")
def shape_misfits(
    photons: F32,
    variance: F32,
    rows: F64,
    widths_px: tuple[float, float],
    excess_noise: float,
    misfits: F64,
    moments: F64,
) -> None:
    """Write how far the second moments of each spot are from those of one emitter.

    Parameters
    ----------
    photons, variance
        Light and read variance of the boxes in photons and photons², float32, (n, box, box).
    rows
        Fits with positions in pixels of the box, as `rtsmlm.fitting.boxes.fit_table`.
    widths_px
        Standard deviations of the PSF along x and y in pixels.
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    misfits
        Written, (n,): distributed as chi² with three degrees of freedom for one emitter; infinite
        where the box does not tell.
    moments
        Written, (n, 3): by how much the variance along x, that along y and the covariance are
        larger than those of the PSF, in pixels². Of two equal emitters the variance along the
        line between them is larger by the square of half their distance.
    """
    box, sigma_px = photons.shape[1], np.sqrt(widths_px[0] * widths_px[1])
    along_x, along_y = np.empty((3, box)), np.empty((3, box))
    information, score, slope = (
        np.empty((ALL_MOMENTS, ALL_MOMENTS)),
        np.empty(ALL_MOMENTS),
        np.empty(ALL_MOMENTS),
    )
    for i in range(len(photons)):
        light, background = rows[i, PHOTONS], rows[i, BACKGROUND]
        pixel_integrals(rows[i, X], widths_px[0], along_x)
        pixel_integrals(rows[i, Y], widths_px[1], along_y)
        information[:] = 0.0
        score[:] = 0.0
        for row in range(box):
            for column in range(box):
                add_shape(
                    photons[i, row, column], variance[i, row, column], light, background,
                    along_x[:, column], along_y[:, row], excess_noise, slope, score, information,
                )  # fmt: skip
        misfits[i] = beyond_fitted(information, score)
        solve_moments(information, score, sigma_px, moments[i])


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def add_shape(
    photons: float,
    variance: float,
    light: float,
    background: float,
    along_x: F64,
    along_y: F64,
    excess_noise: float,
    slope: F64,
    score: F64,
    information: F64,
) -> None:
    """Add a pixel to the slopes of the likelihood by fit and second moments.

    Parameters
    ----------
    photons, variance
        What was measured there, and its read variance.
    light, background
        Photons of the emitter, and all other light of the pixel.
    along_x, along_y
        `pixel_integrals` at the pixel, (3,) both.
    excess_noise
        Squared excess noise factor.
    slope
        Scratch, (`ALL_MOMENTS`,).
    score, information
        Sums, (`ALL_MOMENTS`,) and its lower triangle.
    """
    e_x, d_x, s_x = along_x
    e_y, d_y, s_y = along_y
    mean = light * e_x * e_y + background
    weight = 1.0 / max(excess_noise * mean + variance, 1e-3)
    slope[0], slope[1] = light * d_x * e_y, light * e_x * d_y
    slope[2], slope[3] = e_x * e_y, 1.0
    # The slope by the width is the second derivative by the place, times the width.
    slope[4], slope[5], slope[6] = light * s_x * e_y, light * e_x * s_y, light * d_x * d_y
    residual = (photons - mean) * weight
    for j in range(ALL_MOMENTS):
        score[j] += slope[j] * residual
        for k in range(j + 1):
            information[j, k] += slope[j] * slope[k] * weight


@njit(cache=True, nogil=True, error_model="numpy")
def beyond_fitted(information: F64, score: F64) -> float:
    """Return the part of the score test that the parameters of the fit do not take up."""
    if not factorize(information, ALL_MOMENTS):
        return np.inf
    total = 0.0
    for i in range(ALL_MOMENTS):
        for j in range(i):
            score[i] -= information[i, j] * score[j]
        score[i] /= information[i, i]
        if i >= _FITTED:
            total += score[i] * score[i]
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def solve_moments(factor: F64, score: F64, sigma_px: float, moments: F64) -> None:
    """Write the step of the last three parameters, from what `beyond_fitted` has left."""
    for i in range(ALL_MOMENTS - 1, _FITTED - 1, -1):
        value = score[i]
        for j in range(i + 1, ALL_MOMENTS):
            value -= factor[j, i] * moments[j - _FITTED]
        moments[i - _FITTED] = value / factor[i, i]
    for k in range(2):  # from widths to variances
        moments[k] *= 2.0 * sigma_px
