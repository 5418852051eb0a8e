"""What maximum likelihood fits of one spot share: likelihood, ascent, goodness of fit.

A PSF has at most one parameter of shape: the width, or z. A fit hands its PSF to `maximizer` as
compiled functions; where it is separable its likelihood is `evaluate`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar, cast

import numpy as np
from numba import njit

from rtsmlm.fitting.boxes import (
    CONVERGED,
    ESCAPED,
    F64,
    NOT_CONVERGED,
    SINGULAR,
    solve_in_place,
)
from rtsmlm.localizations import F32
from rtsmlm.physics.gaussian import FAST

# Fisher scoring stops once a step would raise the log-likelihood by less: a hundredth of a
# standard deviation, and the step is taken nevertheless.
ENOUGH = 1e-4
FIRST_DAMPING = 1e-3
MAX_DAMPING = 1e9
MAX_STEP_PX = 1.0
MIN_MEAN = 1e-3

S = TypeVar("S")
"""What a PSF needs besides the five parameters; the same for all boxes."""
W = TypeVar("W")
"""Memory that it works in."""


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def evaluate(
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

    Parameters
    ----------
    photons, variance
        One box: light in photons and read variance in photons², float32, shape (box, box).
    theta
        x, y, photons, background and the parameter of shape, float64, shape (5,).
    along_x, along_y
        Pixel integrals of the PSF and their derivatives by the centre and by the parameter of
        shape, float64, shape (3, box).
    gradient, information
        Written, float64, shapes (5,) and (5, 5); of the information its lower triangle.
    """
    box = photons.shape[0]
    n, b = theta[2], theta[3]
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
def damped_step(
    theta: F64,
    gradient: F64,
    information: F64,
    step: F64,
    p: int,
    damped: F64,
    damping: float,
    floor: float,
) -> float:
    """Write a damped step of Fisher scoring; return its expected gain, or -1 if there is none.

    Parameters
    ----------
    theta, gradient, information
        As `evaluate` takes and writes them.
    step
        Written, float64: that of the first p parameters; only they are free.
    p
        How many.
    damped
        Scratch, float64, shape (p, p) or larger.
    damping
        Of Levenberg and Marquardt, relative to the diagonal.
    floor
        Least background in photons per pixel.
    """
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
    if not solve_in_place(damped, step, p):
        return -1.0
    gain = 0.0
    for i in range(p):
        gain += step[i] * gradient[i]
    return gain


def separable(
    integrate: Callable[[F64, S, F64, F64], None],
) -> Callable[[S, F32, F32, F64, F64, F64, F64], float]:
    """Return the likelihood of a separable PSF, for `maximizer`.

    Parameters
    ----------
    integrate
        (theta, shape, along_x, along_y): writes pixel integrals and derivatives as `evaluate`
        takes them, into its memory of shape (2, 3, box).
    """

    @njit(nogil=True, error_model="numpy")
    def evaluate_at(
        shape: S,
        photons: F32,
        variance: F32,
        theta: F64,
        tables: F64,
        gradient: F64,
        information: F64,
    ) -> float:
        integrate(theta, shape, tables[0], tables[1])
        deviance: float = evaluate(
            photons, variance, theta, tables[0], tables[1], gradient, information
        )
        return deviance

    return cast("Callable[[S, F32, F32, F64, F64, F64, F64], float]", evaluate_at)


def maximizer(
    evaluate_at: Callable[[S, F32, F32, F64, W, F64, F64], float],
    count_free: Callable[[F64, F64, S], int],
    advance: Callable[[F64, F64, int, float, S, F64], None],
    *,
    careful: bool,
) -> Callable[[S, F32, F32, F64, int, W, F64, float], float]:
    """Return the compiled ascent for one PSF, to be called from compiled fits.

    The functions of the PSF are compiled in, not passed: numba keeps no compiled fit on disk that
    holds the address of a function.

    Parameters
    ----------
    evaluate_at
        (shape, photons, variance, theta, memory, gradient, information): returns half the deviance
        and writes gradient and information, as `evaluate` does; `separable` makes one of pixel
        integrals. `shape` is what the PSF needs besides theta.
    count_free
        (theta, gradient, shape): how many of the parameters move in the next step.
    advance
        (theta, step, p, floor, shape, trial): writes where the step of the first p parameters
        leads, not further than the model can be trusted; `floor` is the least background.
    careful
        Damp more where a step climbs much less than expected: it went too far.

    Returns
    -------
    :
        (shape, photons, variance, theta, max_iterations, memory, information, wander_px): moves
        theta to the maximum of the likelihood, along x and y no further than `wander_px`, and
        returns the status. `information` is written, its lower triangle; others as of `evaluate`.
    """

    @njit(nogil=True, error_model="numpy")
    def maximize(
        shape: S,
        photons: F32,
        variance: F32,
        theta: F64,
        max_iterations: int,
        memory: W,
        information: F64,
        wander_px: float,
    ) -> float:
        trial = np.empty(5)
        gradient, trial_gradient, step = np.empty(5), np.empty(5), np.empty(5)
        trial_information, damped = np.empty((5, 5)), np.empty((5, 5))
        floor = least_background(variance)
        theta[3] = max(theta[3], floor)
        start_x, start_y = theta[0], theta[1]
        deviance = evaluate_at(shape, photons, variance, theta, memory, gradient, information)
        damping = FIRST_DAMPING
        for _ in range(max_iterations):
            p = count_free(theta, gradient, shape)
            gain = damped_step(theta, gradient, information, step, p, damped, damping, floor)
            if gain < 0.0:
                damping *= 10.0
                if damping > MAX_DAMPING:
                    return SINGULAR
                continue
            advance(theta, step, p, floor, shape, trial)
            moved = max(abs(trial[0] - start_x), abs(trial[1] - start_y))
            if not moved <= wander_px:
                return ESCAPED
            trial_deviance = evaluate_at(
                shape, photons, variance, trial, memory, trial_gradient, trial_information
            )
            if trial_deviance <= deviance + 1e-9 * abs(deviance):
                theta[:] = trial
                gradient[:] = trial_gradient
                information[:] = trial_information
                climbed = deviance - trial_deviance
                too_far = careful and climbed <= 0.25 * gain
                damping = max(4.0 * damping, 0.3) if too_far else 0.1 * damping
                deviance = trial_deviance
                if gain < ENOUGH:
                    return CONVERGED
            else:
                damping = 10.0 * max(damping, 1e-3)
                if damping > MAX_DAMPING:
                    return NOT_CONVERGED
        return NOT_CONVERGED

    return cast("Callable[[S, F32, F32, F64, int, W, F64, float], float]", maximize)


@njit(cache=True, nogil=True, error_model="numpy")
def least_background(variance: F32) -> float:
    """Return the least background at which the mean stays positive in every pixel.

    Read noise lets the background go below zero.

    Parameters
    ----------
    variance
        Read variance of one box in photons², float32, shape (box, box).
    """
    least = variance[0, 0]
    for row in range(len(variance)):
        for column in range(len(variance)):
            least = min(least, variance[row, column])
    return float(MIN_MEAN - 0.5 * least)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def chi2_per_pixel(photons: F32, variance: F32, theta: F64, along_x: F64, along_y: F64) -> float:
    """Return the mean squared residual over its variance; arguments as of `evaluate`."""
    total = 0.0
    box = photons.shape[0]
    for row in range(box):
        for column in range(box):
            light = theta[2] * along_y[row] * along_x[column] + theta[3]
            residual = photons[row, column] - light
            total += residual * residual / (light + variance[row, column])
    return float(total / (box * box))
