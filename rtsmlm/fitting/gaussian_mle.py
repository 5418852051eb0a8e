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
    CONVERGED,
    ESCAPED,
    F64,
    MAX_WANDER_PX,
    NOT_CONVERGED,
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
from rtsmlm.fitting.likelihood import (
    ENOUGH,
    FIRST_DAMPING,
    MAX_DAMPING,
    MAX_STEP_PX,
    chi2_per_pixel,
    damped_step,
    evaluate,
    least_background,
)
from rtsmlm.localizations import F32
from rtsmlm.physics.gaussian import pixel_integrals


@njit(cache=True, nogil=True, error_model="numpy")
def _go(theta: F64, step: F64, floor: float, trial: F64) -> None:
    """Write where the step leads, not further than the model can be trusted."""
    trial[4] = theta[4]
    for i in range(len(step)):
        trial[i] = theta[i] + step[i]
    for i in range(2):
        trial[i] = theta[i] + min(max(step[i], -MAX_STEP_PX), MAX_STEP_PX)
    trial[2] = max(trial[2], 0.1 * theta[2])
    trial[3] = max(trial[3], floor)
    trial[4] = min(max(trial[4], 0.7 * theta[4]), 1.4 * theta[4])


@njit(cache=True, nogil=True, error_model="numpy")
def _fit_spot(
    photons: F32,
    variance: F32,
    theta: F64,
    n_parameters: int,
    max_iterations: int,
    tables: F64,
    information: F64,
) -> float:
    """Move `theta` to the maximum of the likelihood and return the status."""
    p = n_parameters
    along_x, along_y = tables[0], tables[1]
    trial = np.empty(5)
    gradient, trial_gradient, step = np.empty(5), np.empty(5), np.empty(p)
    trial_information, damped = np.empty((5, 5)), np.empty((p, p))
    floor = least_background(variance)
    theta[3] = max(theta[3], floor)
    start_x, start_y = theta[0], theta[1]
    pixel_integrals(theta[0], theta[4], along_x)
    pixel_integrals(theta[1], theta[4], along_y)
    deviance = evaluate(photons, variance, theta, along_x, along_y, gradient, information)
    damping = FIRST_DAMPING
    for _ in range(max_iterations):
        gain = damped_step(theta, gradient, information, step, damped, damping, floor)
        if gain < 0.0:
            damping *= 10.0
            if damping > MAX_DAMPING:
                return SINGULAR
            continue
        _go(theta, step, floor, trial)
        moved = max(abs(trial[0] - start_x), abs(trial[1] - start_y))
        if not moved <= MAX_WANDER_PX:
            return ESCAPED
        pixel_integrals(trial[0], trial[4], along_x)
        pixel_integrals(trial[1], trial[4], along_y)
        trial_deviance = evaluate(
            photons, variance, trial, along_x, along_y, trial_gradient, trial_information
        )
        if trial_deviance <= deviance + 1e-9 * abs(deviance):
            for i in range(5):
                theta[i] = trial[i]
                gradient[i] = trial_gradient[i]
                for j in range(5):
                    information[i, j] = trial_information[i, j]
            deviance = trial_deviance
            damping *= 0.1
            if gain < ENOUGH:
                return CONVERGED
        else:
            damping = 10.0 * max(damping, 1e-3)
            if damping > MAX_DAMPING:
                return NOT_CONVERGED
    return NOT_CONVERGED


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
    box = photons.shape[1]
    p = 5 if fit_sigma else 4
    theta = np.empty(5)
    tables = np.empty((2, 3, box))
    information = np.empty((5, 5))
    fitted, covariance = np.empty((p, p)), np.empty((p, p))
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
        status = _fit_spot(photons[i], shifted, theta, p, max_iterations, tables, information)
        rows[i, X], rows[i, Y] = theta[0], theta[1]
        rows[i, PHOTONS], rows[i, BACKGROUND], rows[i, SIGMA] = theta[2], theta[3], theta[4]
        pixel_integrals(theta[0], theta[4], tables[0])
        pixel_integrals(theta[1], theta[4], tables[1])
        chi2 = chi2_per_pixel(photons[i], shifted, theta, tables[0, 0], tables[1, 0])
        rows[i, CHI2] = chi2 / excess_noise
        for j in range(p):
            for k in range(j + 1):
                fitted[j, k] = information[j, k]
        if not invert(fitted, covariance):
            status = SINGULAR
        rows[i, STD_X] = math.sqrt(covariance[0, 0] * excess_noise)
        rows[i, STD_Y] = math.sqrt(covariance[1, 1] * excess_noise)
        rows[i, STD_PHOTONS] = math.sqrt(covariance[2, 2] * excess_noise)
        rows[i, STATUS] = status
