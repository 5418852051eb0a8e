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
    solve_in_place,
    start_light,
)
from rtsmlm.localizations import F32
from rtsmlm.physics.gaussian import FAST, pixel_integrals

# Fisher scoring stops once a step would raise the log-likelihood by less: a hundredth of a
# standard deviation, and the step is taken nevertheless.
ENOUGH = 1e-4
FIRST_DAMPING = 1e-3
MAX_DAMPING = 1e9
MAX_STEP_PX = 1.0
MIN_MEAN = 1e-3


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _evaluate(
    photons: F32,
    variance: F32,
    theta: F64,
    along_x: F64,
    along_y: F64,
    gradient: F64,
    information: F64,
) -> float:
    """Return half the deviance; write its slope (uphill) and the Fisher information.

    The slopes of a separable PSF are products of a row and a column factor. The sums over columns
    are therefore taken once per row, over four factors: the integral, its two derivatives, and 1.
    """
    box = photons.shape[0]
    n, b = theta[2], theta[3]
    pixel_integrals(theta[0], theta[4], along_x)
    pixel_integrals(theta[1], theta[4], along_y)
    for i in range(5):
        gradient[i] = 0.0
        for j in range(5):
            information[i, j] = 0.0
    deviance = 0.0
    for row in range(box):
        e_y, d_y, s_y = along_y[0, row], along_y[1, row], along_y[2, row]
        r, r_e, r_d, r_s = 0.0, 0.0, 0.0, 0.0
        w, w_e, w_d, w_s = 0.0, 0.0, 0.0, 0.0
        w_ee, w_ed, w_dd, w_es, w_ds, w_ss = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for column in range(box):
            e, d, s = along_x[0, column], along_x[1, column], along_x[2, column]
            read = variance[row, column]
            mean = n * e_y * e + b + read
            data = photons[row, column] + read
            weight = 1.0 / mean
            residual = data * weight - 1.0
            deviance += mean - data * math.log(mean)
            r += residual
            r_e += residual * e
            r_d += residual * d
            r_s += residual * s
            w += weight
            w_e += weight * e
            w_d += weight * d
            w_s += weight * s
            w_ee += weight * e * e
            w_ed += weight * e * d
            w_dd += weight * d * d
            w_es += weight * e * s
            w_ds += weight * d * s
            w_ss += weight * s * s
        ne, nd, ns = n * e_y, n * d_y, n * s_y
        gradient[0] += ne * r_d
        gradient[1] += nd * r_e
        gradient[2] += e_y * r_e
        gradient[3] += r
        gradient[4] += ne * r_s + ns * r_e
        information[0, 0] += ne * ne * w_dd
        information[1, 0] += ne * nd * w_ed
        information[1, 1] += nd * nd * w_ee
        information[2, 0] += ne * e_y * w_ed
        information[2, 1] += nd * e_y * w_ee
        information[2, 2] += e_y * e_y * w_ee
        information[3, 0] += ne * w_d
        information[3, 1] += nd * w_e
        information[3, 2] += e_y * w_e
        information[3, 3] += w
        information[4, 0] += ne * (ne * w_ds + ns * w_ed)
        information[4, 1] += nd * (ne * w_es + ns * w_ee)
        information[4, 2] += e_y * (ne * w_es + ns * w_ee)
        information[4, 3] += ne * w_s + ns * w_e
        information[4, 4] += ne * ne * w_ss + 2.0 * ne * ns * w_es + ns * ns * w_ee
    return deviance


@njit(cache=True, nogil=True, error_model="numpy")
def _step(
    theta: F64,
    trial: F64,
    gradient: F64,
    information: F64,
    step: F64,
    damped: F64,
    damping: float,
    floor: float,
) -> float:
    """Write a damped step into `trial`; return its expected gain, or -1 if there is none."""
    p = len(step)
    for i in range(p):
        step[i] = gradient[i]
        for j in range(i + 1):
            damped[i, j] = information[i, j]
        damped[i, i] *= 1.0 + damping
    if theta[3] <= floor and gradient[3] < 0.0:
        # The background stands at its limit and would go below: hold it, move the others.
        for i in range(p):
            damped[max(i, 3), min(i, 3)] = 0.0
        damped[3, 3] = 1.0
        step[3] = 0.0
    if not solve_in_place(damped, step):
        return -1.0
    gain = 0.0
    for i in range(p):
        gain += step[i] * gradient[i]
    trial[4] = theta[4]
    for i in range(p):
        trial[i] = theta[i] + step[i]
    for i in range(2):
        trial[i] = theta[i] + min(max(step[i], -MAX_STEP_PX), MAX_STEP_PX)
    trial[2] = max(trial[2], 0.1 * theta[2])
    trial[3] = max(trial[3], floor)
    trial[4] = min(max(trial[4], 0.7 * theta[4]), 1.4 * theta[4])
    return gain


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
    # The mean must stay positive in every pixel; read noise lets the background go below zero.
    least = variance[0, 0]
    for row in range(len(variance)):
        for column in range(len(variance)):
            least = min(least, variance[row, column])
    floor = MIN_MEAN - 0.5 * least
    theta[3] = max(theta[3], floor)
    start_x, start_y = theta[0], theta[1]
    deviance = _evaluate(photons, variance, theta, along_x, along_y, gradient, information)
    damping = FIRST_DAMPING
    for _ in range(max_iterations):
        gain = _step(theta, trial, gradient, information, step, damped, damping, floor)
        if gain < 0.0:
            damping *= 10.0
            if damping > MAX_DAMPING:
                return SINGULAR
            continue
        moved = max(abs(trial[0] - start_x), abs(trial[1] - start_y))
        if not moved <= MAX_WANDER_PX:
            return ESCAPED
        trial_deviance = _evaluate(
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


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _chi2_per_pixel(photons: F32, variance: F32, theta: F64, along_x: F64, along_y: F64) -> float:
    total = 0.0
    box = photons.shape[0]
    for row in range(box):
        for column in range(box):
            light = theta[2] * along_y[row] * along_x[column] + theta[3]
            residual = photons[row, column] - light
            total += residual * residual / (light + variance[row, column])
    return float(total / (box * box))


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
        chi2 = _chi2_per_pixel(photons[i], shifted, theta, tables[0, 0], tables[1, 0])
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
