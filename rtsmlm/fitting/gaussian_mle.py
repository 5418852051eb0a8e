"""Maximum likelihood fit of an integrated Gaussian: x, y, photons, background, and the width.

Photon noise is Poisson, read noise normal. Their sum is treated as Huang et al., Nat. Methods 10,
653 (2013) do: data plus read variance follow a Poisson law of mean plus read variance. An EMCCD
scales every variance by its squared excess noise factor, which leaves the place of the maximum
alone and widens the bounds. The steps are those of Fisher scoring with the damping of Levenberg
and Marquardt; the stated precision is the CRLB at the fitted parameters.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from rtsmlm.fitting.boxes import (
    BACKGROUND,
    CHI2,
    F64,
    MAX_WANDER_PX,
    PHOTONS,
    SIGMA,
    SINGULAR,
    STATUS,
    STD_PHOTONS,
    STD_X,
    STD_Y,
    X,
    Y,
    invert,
    start_light,
)
from rtsmlm.fitting.four import factorize_four, variances_of_four
from rtsmlm.fitting.likelihood import MAX_STEP_PX, MIN_MEAN, chi2_per_pixel, maximizer, separable
from rtsmlm.fitting.place_mle import fit_place, make_place_work
from rtsmlm.localizations import F32
from rtsmlm.physics.gaussian import pixel_integrals


@njit(cache=True, nogil=True, error_model="numpy")
def _integrate(theta: F64, shape: tuple[int], along_x: F64, along_y: F64) -> None:
    """Write pixel integrals and their derivatives by the centre and by the width."""
    pixel_integrals(theta[0], theta[4], along_x)
    pixel_integrals(theta[1], theta[4], along_y)


@njit(cache=True, nogil=True, error_model="numpy")
def _count_free(theta: F64, gradient: F64, shape: tuple[int]) -> int:
    """Return 5 where the width is fitted, too, else 4."""
    return shape[0]


@njit(cache=True, nogil=True, error_model="numpy")
def _advance(theta: F64, step: F64, p: int, floor: float, shape: tuple[int], trial: F64) -> None:
    """Write where the step leads, not further than the model can be trusted."""
    trial[4] = theta[4]
    for i in range(p):
        trial[i] = theta[i] + step[i]
    for i in range(2):
        trial[i] = theta[i] + min(max(step[i], -MAX_STEP_PX), MAX_STEP_PX)
    trial[2] = max(trial[2], 0.1 * theta[2])
    trial[3] = max(trial[3], floor)
    trial[4] = min(max(trial[4], 0.7 * theta[4]), 1.4 * theta[4])


_maximize = maximizer(separable(_integrate), _count_free, _advance, careful=False)


@njit(cache=True, nogil=True, error_model="numpy")
def fit_gaussian_mle(
    photons: F32,
    variance: F32,
    start_x: F32,
    start_y: F32,
    sigma_px: float,
    fit_sigma: bool,
    excess_noise: float,
    max_iterations: int,
    rows: F64,
) -> None:
    """Fit every box by itself.

    Parameters
    ----------
    photons
        Boxes in photons, float32, shape (n, box, box).
    variance
        Variance of the read noise in photons², float32, shape (n, box, box).
    start_x, start_y
        Where to begin, in pixels from the centre of the first pixel, float32, shape (n,).
    sigma_px
        Standard deviation of the PSF in pixels, or its start.
    fit_sigma
        Whether the width of every spot is fitted too.
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    max_iterations
        Most steps per fit.
    rows
        Written: the columns of `rtsmlm.fitting.boxes`, float64, shape (n, N_COLUMNS).
    """
    if fit_sigma:
        _fit_widths(
            photons, variance, start_x, start_y, sigma_px, excess_noise, max_iterations, rows
        )
    else:
        widths_px = (sigma_px, sigma_px)
        fit_places(
            photons, variance, start_x, start_y, widths_px, excess_noise, max_iterations, rows
        )


@njit(cache=True, nogil=True, error_model="numpy")
def fit_places(
    photons: F32,
    variance: F32,
    start_x: F32,
    start_y: F32,
    widths_px: tuple[float, float],
    excess_noise: float,
    max_iterations: int,
    rows: F64,
) -> None:
    """Fit every box by itself, with a width along x and one along y that are known.

    Parameters
    ----------
    photons, variance, start_x, start_y, excess_noise, max_iterations
        As for `fit_gaussian_mle`.
    widths_px
        Standard deviations of the PSF along x and y in pixels.
    rows
        Written; its width is the geometric mean of both.
    """
    box = photons.shape[1]
    n = box * box
    work = make_place_work(box)
    inverse_excess = np.float32(1.0 / excess_noise)
    for i in range(len(photons)):
        # Boxes may be any part of an array.
        light = np.ascontiguousarray(photons[i]).reshape(n)
        noise = np.ascontiguousarray(variance[i]).reshape(n)
        least = noise[0]
        for k in range(n):
            work.read[k] = noise[k] * inverse_excess
            least = min(least, noise[k])
        floor = MIN_MEAN - 0.5 * least * inverse_excess
        start = np.float64(start_x[i]), np.float64(start_y[i])
        status, theta, chi2, information = fit_place(
            light, start, widths_px, floor, max_iterations, work
        )
        positive, factor = factorize_four(information)
        variances = variances_of_four(factor)
        rows[i, X], rows[i, Y], rows[i, PHOTONS], rows[i, BACKGROUND] = theta
        rows[i, SIGMA] = math.sqrt(widths_px[0] * widths_px[1])
        rows[i, CHI2] = chi2 / (n * excess_noise)
        rows[i, STD_X] = math.sqrt(variances[0] * excess_noise)
        rows[i, STD_Y] = math.sqrt(variances[1] * excess_noise)
        rows[i, STD_PHOTONS] = math.sqrt(variances[2] * excess_noise)
        rows[i, STATUS] = status if positive else SINGULAR


@njit(cache=True, nogil=True, error_model="numpy")
def _fit_widths(
    photons: F32,
    variance: F32,
    start_x: F32,
    start_y: F32,
    sigma_px: float,
    excess_noise: float,
    max_iterations: int,
    rows: F64,
) -> None:
    box = photons.shape[1]
    theta = np.empty(5)
    tables = np.empty((2, 3, box))
    information, covariance = np.empty((5, 5)), np.empty((5, 5))
    shifted = np.empty((box, box), dtype=np.float32)
    inverse_excess = np.float32(1.0 / excess_noise)
    for i in range(len(photons)):
        for row in range(box):
            for column in range(box):
                shifted[row, column] = variance[i, row, column] * inverse_excess
        theta[0], theta[1], theta[4] = start_x[i], start_y[i], sigma_px
        pixel_integrals(theta[0], sigma_px, tables[0])
        pixel_integrals(theta[1], sigma_px, tables[1])
        light, background = start_light(photons[i], tables[0, 0], tables[1, 0])
        theta[2], theta[3] = max(light, 1.0), background
        status = _maximize(
            (5,), photons[i], shifted, theta, max_iterations, tables, information, MAX_WANDER_PX
        )
        rows[i, X], rows[i, Y] = theta[0], theta[1]
        rows[i, PHOTONS], rows[i, BACKGROUND], rows[i, SIGMA] = theta[2], theta[3], theta[4]
        pixel_integrals(theta[0], theta[4], tables[0])
        pixel_integrals(theta[1], theta[4], tables[1])
        chi2 = chi2_per_pixel(photons[i], shifted, theta, tables[0, 0], tables[1, 0])
        rows[i, CHI2] = chi2 / excess_noise
        if not invert(information, covariance):
            status = SINGULAR
        rows[i, STD_X] = math.sqrt(covariance[0, 0] * excess_noise)
        rows[i, STD_Y] = math.sqrt(covariance[1, 1] * excess_noise)
        rows[i, STD_PHOTONS] = math.sqrt(covariance[2, 2] * excess_noise)
        rows[i, STATUS] = status
