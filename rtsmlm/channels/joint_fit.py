"""Maximum likelihood fit of one emitter in several views at once.

The place is shared, light and background are those of each view. In a view the place is that of the
first view behind a transform, which within a box is affine. Likelihood and ascent are those of
`rtsmlm.fitting.likelihood`; the stated precision is the Cramér-Rao bound at the fitted parameters.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from rtsmlm.fitting import boxes
from rtsmlm.fitting.boxes import (
    CONVERGED,
    ESCAPED,
    F64,
    MAX_WANDER_PX,
    NOT_CONVERGED,
    SINGULAR,
    invert,
    solve_in_place,
    start_light,
)
from rtsmlm.fitting.likelihood import (
    ENOUGH,
    FIRST_DAMPING,
    MAX_DAMPING,
    MAX_STEP_PX,
    chi2_per_pixel,
    evaluate,
    least_background,
)
from rtsmlm.localizations import F32
from rtsmlm.physics.gaussian import pixel_integrals

# A dye may give a view next to no light; the mean of a pixel has to stay above 0 all the same.
LEAST_PHOTONS = 0.1


@njit(cache=True, nogil=True, error_model="numpy")
def _in_view(theta: F64, start: F64, slopes: F64, k: int, sigma_px: float, local: F64) -> None:
    """Write x, y, photons, background and width of a view; x and y count from its box."""
    for axis in range(2):
        local[axis] = start[axis] + slopes[axis, 0] * theta[0] + slopes[axis, 1] * theta[1]
    local[2], local[3], local[4] = theta[2 + 2 * k], theta[3 + 2 * k], sigma_px


@njit(cache=True, nogil=True, error_model="numpy")
def _evaluate_views(
    photons: F32,
    variance: F32,
    theta: F64,
    start: F64,
    slopes: F64,
    sigma_px: F64,
    tables: F64,
    local: F64,
    local_gradient: F64,
    local_information: F64,
    gradient: F64,
    information: F64,
) -> float:
    """Return half the deviance of all views; write its slope and the Fisher information.

    `theta` is (x, y) of the first view less the start, and photons and background of each view.
    """
    n_views = len(photons)
    gradient[:] = 0.0
    information[:, :] = 0.0
    deviance = 0.0
    for k in range(n_views):
        _in_view(theta, start[k], slopes[k], k, sigma_px[k], local)
        pixel_integrals(local[0], local[4], tables[0])
        pixel_integrals(local[1], local[4], tables[1])
        deviance += evaluate(
            photons[k], variance[k], local, tables[0], tables[1], local_gradient, local_information
        )
        a, b, c, d = slopes[k, 0, 0], slopes[k, 0, 1], slopes[k, 1, 0], slopes[k, 1, 1]
        gradient[0] += a * local_gradient[0] + c * local_gradient[1]
        gradient[1] += b * local_gradient[0] + d * local_gradient[1]
        uu, uv, vv = local_information[0, 0], local_information[1, 0], local_information[1, 1]
        information[0, 0] += a * a * uu + 2.0 * a * c * uv + c * c * vv
        information[1, 0] += a * b * uu + (a * d + b * c) * uv + c * d * vv
        information[1, 1] += b * b * uu + 2.0 * b * d * uv + d * d * vv
        first = 2 + 2 * k
        for j in range(2):
            u, v = local_information[2 + j, 0], local_information[2 + j, 1]
            gradient[first + j] = local_gradient[2 + j]
            information[first + j, 0] = a * u + c * v
            information[first + j, 1] = b * u + d * v
            for i in range(j + 1):
                information[first + j, first + i] = local_information[2 + j, 2 + i]
    return deviance


@njit(cache=True, nogil=True, error_model="numpy")
def _damped_step(
    theta: F64, floor: F64, gradient: F64, information: F64, damping: float, damped: F64, step: F64
) -> float:
    """Write a damped step; return its expected gain, or -1 if there is none.

    A parameter that stands at its limit and would go below is held.
    """
    p = len(theta)
    for i in range(p):
        step[i] = gradient[i]
        for j in range(i + 1):
            damped[i, j] = information[i, j]
        damped[i, i] *= 1.0 + damping
    for held in range(2, p):
        if theta[held] <= floor[held] and gradient[held] < 0.0:
            for i in range(p):
                damped[max(i, held), min(i, held)] = 0.0
            damped[held, held] = 1.0
            step[held] = 0.0
    if not solve_in_place(damped, step, p):
        return -1.0
    gain = 0.0
    for i in range(p):
        gain += step[i] * gradient[i]
    return gain


@njit(cache=True, nogil=True, error_model="numpy")
def _maximize(
    photons: F32,
    variance: F32,
    theta: F64,
    floor: F64,
    start: F64,
    slopes: F64,
    sigma_px: F64,
    max_iterations: int,
    tables: F64,
    information: F64,
) -> float:
    """Move theta to the maximum of the likelihood and return the status."""
    p = len(theta)
    local, local_gradient, local_information = np.empty(5), np.empty(5), np.empty((5, 5))
    gradient, trial_gradient, step, trial = np.empty(p), np.empty(p), np.empty(p), np.empty(p)
    trial_information, damped = np.empty((p, p)), np.empty((p, p))
    deviance = _evaluate_views(
        photons, variance, theta, start, slopes, sigma_px, tables,
        local, local_gradient, local_information, gradient, information,
    )  # fmt: skip
    damping = FIRST_DAMPING
    for _ in range(max_iterations):
        gain = _damped_step(theta, floor, gradient, information, damping, damped, step)
        if gain < 0.0:
            damping *= 10.0
            if damping > MAX_DAMPING:
                return SINGULAR
            continue
        for i in range(2):
            trial[i] = theta[i] + min(max(step[i], -MAX_STEP_PX), MAX_STEP_PX)
        for i in range(2, p):
            trial[i] = max(theta[i] + step[i], floor[i])
            if i % 2 == 0:
                trial[i] = max(trial[i], 0.1 * theta[i])
        if not max(abs(trial[0]), abs(trial[1])) <= MAX_WANDER_PX:
            return ESCAPED
        trial_deviance = _evaluate_views(
            photons, variance, trial, start, slopes, sigma_px, tables,
            local, local_gradient, local_information, trial_gradient, trial_information,
        )  # fmt: skip
        if trial_deviance <= deviance + 1e-9 * abs(deviance):
            theta[:] = trial
            gradient[:] = trial_gradient
            information[:, :] = trial_information
            damping *= 0.1
            deviance = trial_deviance
            if gain < ENOUGH:
                return CONVERGED
        else:
            damping = 10.0 * max(damping, 1e-3)
            if damping > MAX_DAMPING:
                return NOT_CONVERGED
    return NOT_CONVERGED


@njit(cache=True, nogil=True, error_model="numpy")
def fit_views(
    photons: F32,
    variance: F32,
    start: F64,
    slopes: F64,
    sigma_px: F64,
    excess_noise: float,
    max_iterations: int,
    rows: F64,
    light: F64,
    covariance: F64,
    backgrounds: F64,
) -> None:
    """Fit every emitter by itself, in all views at once.

    Parameters
    ----------
    photons, variance
        Light in photons and read variance in photons² of the boxes, float32, shape
        (n, views, box, box).
    start
        Where the candidate is in each box, x and y in pixels from the centre of its first pixel,
        float64, shape (n, views, 2).
    slopes
        d(place in the view) / d(place in the first view), float64, shape (n, views, 2, 2).
    sigma_px
        Standard deviation of the PSF in each view, float64, shape (views,).
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    max_iterations
        Most steps per fit.
    rows
        Written: the columns of `rtsmlm.fitting.boxes`, float64, shape (n, N_COLUMNS). x and y are
        those of the first view less the candidate's; photons and background are sums of all views.
    light
        Written: photons in each view, float64, shape (n, views).
    covariance
        Written: of the photons, float64, shape (n, views, views).
    backgrounds
        Written: photons per pixel in each view, float64, shape (n, views).
    """
    n_views, box = photons.shape[1], photons.shape[2]
    p = 2 + 2 * n_views
    theta, floor = np.zeros(p), np.zeros(p)
    tables = np.empty((2, 3, box))
    information, lower, inverse = np.empty((p, p)), np.empty((p, p)), np.empty((p, p))
    local = np.empty(5)
    shifted = np.empty((n_views, box, box), dtype=np.float32)
    inverse_excess = np.float32(1.0 / excess_noise)
    for i in range(len(photons)):
        theta[0], theta[1] = 0.0, 0.0
        for k in range(n_views):
            for row in range(box):
                for column in range(box):
                    shifted[k, row, column] = variance[i, k, row, column] * inverse_excess
            pixel_integrals(start[i, k, 0], sigma_px[k], tables[0])
            pixel_integrals(start[i, k, 1], sigma_px[k], tables[1])
            first, background = start_light(photons[i, k], tables[0, 0], tables[1, 0])
            floor[2 + 2 * k] = LEAST_PHOTONS
            floor[3 + 2 * k] = least_background(shifted[k])
            theta[2 + 2 * k] = max(first, 1.0)
            theta[3 + 2 * k] = max(background, floor[3 + 2 * k])
        status = _maximize(
            photons[i], shifted, theta, floor, start[i], slopes[i], sigma_px, max_iterations,
            tables, information,
        )  # fmt: skip
        lower[:, :] = information
        if not invert(lower, inverse):
            status = SINGULAR
        chi2 = 0.0
        total, level = 0.0, 0.0
        for k in range(n_views):
            _in_view(theta, start[i, k], slopes[i, k], k, sigma_px[k], local)
            pixel_integrals(local[0], local[4], tables[0])
            pixel_integrals(local[1], local[4], tables[1])
            chi2 += chi2_per_pixel(photons[i, k], shifted[k], local, tables[0, 0], tables[1, 0])
            light[i, k], backgrounds[i, k] = local[2], local[3]
            total += local[2]
            level += local[3]
            for j in range(n_views):
                covariance[i, k, j] = inverse[2 + 2 * k, 2 + 2 * j] * excess_noise
        rows[i, boxes.X], rows[i, boxes.Y] = theta[0], theta[1]
        rows[i, boxes.PHOTONS], rows[i, boxes.BACKGROUND] = total, level
        rows[i, boxes.SIGMA] = sigma_px[0]
        rows[i, boxes.STD_X] = math.sqrt(inverse[0, 0] * excess_noise)
        rows[i, boxes.STD_Y] = math.sqrt(inverse[1, 1] * excess_noise)
        rows[i, boxes.STD_PHOTONS] = math.sqrt(covariance[i].sum())
        rows[i, boxes.CHI2] = chi2 / (n_views * excess_noise)
        rows[i, boxes.STATUS] = status
