"""Weighted least squares fit of a rotated elliptical Gaussian, sampled at the pixel centres.

    I(x, y) = I0 exp(-1/2 [(x'/s1)^2 + (y'/s2)^2]) + b
    x' = (x - x0) cos phi - (y - y0) sin phi,  y' = (x - x0) sin phi + (y - y0) cos phi

is fitted as I0 exp(-1/2 [A dx^2 + 2 B dx dy + C dy^2]) + b. Both are equivalent, but phi has no
meaning for a round spot, which would leave the seven equations singular just where most spots
are. The widths hold the pixel: s^2 = sigma^2 + 1/12 in pixels. The spot has 2 pi I0 s1 s2 photons.

Weights are one over the variance of a pixel under the fitted model, renewed as it changes.
Weights from the noisy data themselves would pull photons and background down.
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
    solve_in_place,
    start_light,
)
from rtsmlm.localizations import F32
from rtsmlm.physics.gaussian import FAST, pixel_integrals

# Parameters in the order of the equations: x0, y0, I0, b, A, B, C.
N_PARAMETERS = 7
# Chi² that a step is expected to gain: below the first the fit has converged, above the second the
# model has changed enough for new weights.
ENOUGH = 1e-4
RENEW = 1e-2
FIRST_DAMPING = 1e-2
MAX_DAMPING = 1e9
MAX_STEP_PX = 1.0
# The widths may change from the start by this factor, each way.
MAX_WIDTH_RATIO = 3.0
MIN_VARIANCE = 1e-2


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _weigh(photons: F32, variance: F32, theta: F64, weights: F64) -> None:
    """Write one over the variance of each pixel under the model."""
    box = photons.shape[0]
    for row in range(box):
        dy = row - theta[1]
        for column in range(box):
            dx = column - theta[0]
            form = theta[4] * dx * dx + 2.0 * theta[5] * dx * dy + theta[6] * dy * dy
            mean = theta[2] * math.exp(-0.5 * form) + max(theta[3], 0.0)
            weights[row, column] = 1.0 / max(mean + variance[row, column], MIN_VARIANCE)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _evaluate(photons: F32, weights: F64, theta: F64, gradient: F64, information: F64) -> float:
    """Return chi² and write half its negative slope and half its curvature."""
    box = photons.shape[0]
    for i in range(N_PARAMETERS):
        gradient[i] = 0.0
        for j in range(N_PARAMETERS):
            information[i, j] = 0.0
    slopes = np.empty(N_PARAMETERS)
    a, b, c = theta[4], theta[5], theta[6]
    chi2 = 0.0
    for row in range(box):
        dy = row - theta[1]
        for column in range(box):
            dx = column - theta[0]
            shape = math.exp(-0.5 * (a * dx * dx + 2.0 * b * dx * dy + c * dy * dy))
            light = theta[2] * shape
            slopes[0] = light * (a * dx + b * dy)
            slopes[1] = light * (b * dx + c * dy)
            slopes[2] = shape
            slopes[3] = 1.0
            slopes[4] = -0.5 * light * dx * dx
            slopes[5] = -light * dx * dy
            slopes[6] = -0.5 * light * dy * dy
            residual = photons[row, column] - light - theta[3]
            weight = weights[row, column]
            chi2 += weight * residual * residual
            for i in range(N_PARAMETERS):
                scaled = weight * slopes[i]
                gradient[i] += scaled * residual
                for j in range(i + 1):
                    information[i, j] += scaled * slopes[j]
    return chi2


@njit(cache=True, nogil=True, error_model="numpy")
def _step(theta: F64, trial: F64, gradient: F64, information: F64, damping: float) -> float:
    """Write a damped step into `trial`; return its expected gain, or -1 if there is none."""
    damped = np.empty((N_PARAMETERS, N_PARAMETERS))
    step = np.empty(N_PARAMETERS)
    for i in range(N_PARAMETERS):
        step[i] = gradient[i]
        for j in range(i + 1):
            damped[i, j] = information[i, j]
        damped[i, i] *= 1.0 + damping
    if not solve_in_place(damped, step, N_PARAMETERS):
        return -1.0
    gain = 0.0
    for i in range(N_PARAMETERS):
        if i < 2:
            step[i] = min(max(step[i], -MAX_STEP_PX), MAX_STEP_PX)
        gain += step[i] * gradient[i]
        trial[i] = theta[i] + step[i]
    # The form must stay an ellipse, and no step may change it beyond recognition.
    determinant = trial[4] * trial[6] - trial[5] * trial[5]
    before = theta[4] * theta[6] - theta[5] * theta[5]
    if trial[4] <= 0.0 or trial[6] <= 0.0 or not 0.1 * before < determinant < 10.0 * before:
        return -1.0
    return max(gain, 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _fit_spot(
    photons: F32,
    variance: F32,
    theta: F64,
    max_iterations: int,
    weights: F64,
    information: F64,
) -> float:
    """Move `theta` to the least weighted squares and return the status."""
    trial = np.empty(N_PARAMETERS)
    gradient, trial_gradient = np.empty(N_PARAMETERS), np.empty(N_PARAMETERS)
    trial_information = np.empty((N_PARAMETERS, N_PARAMETERS))
    start_x, start_y = theta[0], theta[1]
    damping = FIRST_DAMPING
    _weigh(photons, variance, theta, weights)
    chi2 = _evaluate(photons, weights, theta, gradient, information)
    for _ in range(max_iterations):
        gain = _step(theta, trial, gradient, information, damping)
        trial_chi2 = np.inf
        if gain >= 0.0:
            moved = max(abs(trial[0] - start_x), abs(trial[1] - start_y))
            if not moved <= MAX_WANDER_PX:
                return ESCAPED
            trial_chi2 = _evaluate(photons, weights, trial, trial_gradient, trial_information)
        if not trial_chi2 <= chi2 * (1.0 + 1e-9):
            damping = 10.0 * max(damping, 1e-3)
            if damping > MAX_DAMPING:
                return NOT_CONVERGED
            continue
        damping *= 0.1
        chi2 = trial_chi2
        for i in range(N_PARAMETERS):
            theta[i] = trial[i]
            gradient[i] = trial_gradient[i]
            for j in range(N_PARAMETERS):
                information[i, j] = trial_information[i, j]
        if gain > RENEW:
            _weigh(photons, variance, theta, weights)
            chi2 = _evaluate(photons, weights, theta, gradient, information)
        elif gain < ENOUGH:
            return CONVERGED
    return NOT_CONVERGED


@njit(cache=True, nogil=True, error_model="numpy")
def _write_row(theta: F64, covariance: F64, excess_noise: float, row: F64) -> None:
    """Turn the quadratic form into photons and a mean width, errors included."""
    determinant = theta[4] * theta[6] - theta[5] * theta[5]
    area = 2.0 * math.pi / math.sqrt(max(determinant, 1e-12))
    photons = theta[2] * area
    # Slope of the photons by I0, A, B and C.
    slope = np.zeros(N_PARAMETERS)
    slope[2] = area
    slope[4] = -0.5 * photons * theta[6] / determinant
    slope[5] = photons * theta[5] / determinant
    slope[6] = -0.5 * photons * theta[4] / determinant
    variance = 0.0
    for i in range(N_PARAMETERS):
        for j in range(N_PARAMETERS):
            variance += slope[i] * covariance[i, j] * slope[j]
    row[X], row[Y], row[PHOTONS], row[BACKGROUND] = theta[0], theta[1], photons, theta[3]
    row[SIGMA] = math.sqrt(max(area / (2.0 * math.pi) - 1.0 / 12.0, 0.0))
    row[STD_X] = math.sqrt(excess_noise * covariance[0, 0])
    row[STD_Y] = math.sqrt(excess_noise * covariance[1, 1])
    row[STD_PHOTONS] = math.sqrt(excess_noise * variance)


@njit(cache=True, nogil=True, error_model="numpy")
def fit_elliptical_lsq(
    photons: F32,
    variance: F32,
    start_x: F32,
    start_y: F32,
    sigma_px: float,
    excess_noise: float,
    max_iterations: int,
    rows: F64,
) -> None:
    """Fit every box by itself; `SIGMA` becomes the geometric mean of both widths.

    Parameters
    ----------
    photons
        Boxes in photons, float32, shape (n, box, box).
    variance
        Variance of the read noise in photons², float32, shape (n, box, box).
    start_x, start_y
        Where to begin, in pixels from the centre of the first pixel, float32, shape (n,).
    sigma_px
        Standard deviation of the PSF in pixels, where the widths begin.
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    max_iterations
        Most steps per fit.
    rows
        Written: the columns of `rtsmlm.fitting.boxes`, float64, shape (n, N_COLUMNS).
    """
    box = photons.shape[1]
    theta = np.empty(N_PARAMETERS)
    tables = np.empty((2, 3, box))
    weights = np.empty((box, box))
    information = np.empty((N_PARAMETERS, N_PARAMETERS))
    covariance = np.empty((N_PARAMETERS, N_PARAMETERS))
    shifted = np.empty((box, box), dtype=np.float32)
    width2 = sigma_px * sigma_px + 1.0 / 12.0
    for i in range(len(photons)):
        for row in range(box):
            for column in range(box):
                shifted[row, column] = variance[i, row, column] / excess_noise
        theta[0], theta[1] = start_x[i], start_y[i]
        pixel_integrals(theta[0], sigma_px, tables[0])
        pixel_integrals(theta[1], sigma_px, tables[1])
        light, background = start_light(photons[i], tables[0, 0], tables[1, 0])
        theta[2], theta[3] = max(light, 1.0) / (2.0 * math.pi * width2), background
        theta[4], theta[5], theta[6] = 1.0 / width2, 0.0, 1.0 / width2
        status = _fit_spot(photons[i], shifted, theta, max_iterations, weights, information)
        chi2 = 0.0
        for row in range(box):
            for column in range(box):
                dx, dy = column - theta[0], row - theta[1]
                form = theta[4] * dx * dx + 2.0 * theta[5] * dx * dy + theta[6] * dy * dy
                light = theta[2] * math.exp(-0.5 * form) + theta[3]
                chi2 += weights[row, column] * (photons[i, row, column] - light) ** 2
        rows[i, CHI2] = chi2 / (excess_noise * box * box)
        ratio = math.sqrt(max(theta[4] * theta[6] - theta[5] * theta[5], 0.0)) * width2
        if not MAX_WIDTH_RATIO**-2 < ratio < MAX_WIDTH_RATIO**2:
            status = ESCAPED
        if invert(information, covariance):
            _write_row(theta, covariance, excess_noise, rows[i])
        else:
            status = SINGULAR
        rows[i, STATUS] = status
