"""The likelihood of a group of emitters on a place of a frame, and its maximum, for compiled code.

A place is first and last row and column of its pixels (exclusive); parameters are x, y and photons
of each member, then the background. `rtsmlm.fitting.group_fit` says what for.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from rtsmlm.fitting.boxes import CONVERGED, ESCAPED, F64, NOT_CONVERGED, SINGULAR, solve_in_place
from rtsmlm.fitting.likelihood import FIRST_DAMPING, MAX_DAMPING, MAX_STEP_PX
from rtsmlm.physics.gaussian import FAST, pixel_integrals

MOST = 4
"""Emitters of a group; what is more crowded is not fitted."""
FREE = 3 * MOST + 1
"""Parameters of the largest group."""
ENOUGH = 1e-1
"""A step that would raise the log-likelihood by less, a third of a standard deviation, is the last:
what is left behind it is a hundredth."""


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def evaluate_group(
    count: int,
    place: tuple[int, int, int, int],
    data: F64,
    read: F64,
    known: F64,
    inside: F64,
    theta: F64,
    tables: F64,
    gradient: F64,
    information: F64,
) -> float:
    """Return half the deviance; write its slope (uphill) and the Fisher information.

    The slopes of a separable PSF are products of a row and a column factor, as in
    `rtsmlm.fitting.likelihood`: sums over columns are taken once for each row and pair of factors,
    the integrals and derivatives along x of all members, and 1.
    """
    height, width = place[1] - place[0], place[3] - place[2]
    p, n_factors = 3 * count + 1, 2 * count + 1
    factors = np.ones((2 * MOST + 1, width))
    for k in range(count):
        factors[2 * k, :] = tables[0, k, 0, :width]
        factors[2 * k + 1, :] = tables[0, k, 1, :width]
    mean, weight, residual, weighted = np.empty((4, width))
    sums, pulls = np.empty((2 * MOST + 1, 2 * MOST + 1)), np.empty(2 * MOST + 1)
    which, scale = np.empty(FREE, np.int64), np.empty(FREE)
    gradient[:p] = 0.0
    information[:p, :p] = 0.0
    deviance = 0.0
    for r in range(height):
        mean[:] = theta[p - 1]
        for k in range(count):
            light = theta[3 * k + 2] * tables[1, k, 0, r]
            for c in range(width):
                mean[c] += light * factors[2 * k, c]
        for c in range(width):
            mean[c] += known[r, c] + read[r, c]
            weight[c] = inside[r, c] / mean[c]
            residual[c] = data[r, c] * weight[c] - inside[r, c]
        for c in range(width):
            if inside[r, c] > 0.0:
                deviance += mean[c] - data[r, c] * math.log(mean[c])
        for a in range(n_factors):
            pull = 0.0
            for c in range(width):
                weighted[c] = weight[c] * factors[a, c]
                pull += residual[c] * factors[a, c]
            pulls[a] = pull
            for b in range(a + 1):
                total = 0.0
                for c in range(width):
                    total += weighted[c] * factors[b, c]
                sums[a, b] = total
                sums[b, a] = total
        for k in range(count):
            light = theta[3 * k + 2]
            which[3 * k], scale[3 * k] = 2 * k + 1, light * tables[1, k, 0, r]
            which[3 * k + 1], scale[3 * k + 1] = 2 * k, light * tables[1, k, 1, r]
            which[3 * k + 2], scale[3 * k + 2] = 2 * k, tables[1, k, 0, r]
        which[p - 1], scale[p - 1] = 2 * count, 1.0
        for i in range(p):
            gradient[i] += scale[i] * pulls[which[i]]
            for j in range(i + 1):
                information[i, j] += scale[i] * scale[j] * sums[which[i], which[j]]
    return deviance


@njit(cache=True, nogil=True, error_model="numpy")
def integrate_group(
    count: int, place: tuple[int, int, int, int], theta: F64, sigma_px: float, tables: F64
) -> None:
    """Write the pixel integrals of each member and their derivatives, as `pixel_integrals`."""
    height, width = place[1] - place[0], place[3] - place[2]
    for k in range(count):
        pixel_integrals(theta[3 * k], sigma_px, tables[0, k, :, :width])
        pixel_integrals(theta[3 * k + 1], sigma_px, tables[1, k, :, :height])


@njit(cache=True, nogil=True, error_model="numpy")
def maximize_group(
    count: int,
    place: tuple[int, int, int, int],
    data: F64,
    read: F64,
    known: F64,
    inside: F64,
    sigma_px: float,
    floor: float,
    max_iterations: int,
    tables: F64,
    theta: F64,
    trial: F64,
    gradient: F64,
    trial_gradient: F64,
    step: F64,
    information: F64,
    trial_information: F64,
    damped: F64,
) -> float:
    """Move theta to the maximum of the likelihood; return the status."""
    p = 3 * count + 1
    start = theta[:p].copy()
    integrate_group(count, place, theta, sigma_px, tables)
    deviance = evaluate_group(
        count, place, data, read, known, inside, theta, tables, gradient, information
    )
    damping = FIRST_DAMPING
    for _ in range(max_iterations):
        gain = 0.0
        for i in range(p):
            step[i] = gradient[i]
            for j in range(i + 1):
                damped[i, j] = information[i, j]
            damped[i, i] *= 1.0 + damping
        if not solve_in_place(damped, step, p):
            damping *= 10.0
            if damping > MAX_DAMPING:
                return SINGULAR
            continue
        for i in range(p):
            gain += step[i] * gradient[i]
            trial[i] = theta[i] + step[i]
        for k in range(count):
            for i in (3 * k, 3 * k + 1):
                trial[i] = theta[i] + min(max(step[i], -MAX_STEP_PX), MAX_STEP_PX)
                if not abs(trial[i] - start[i]) <= sigma_px:
                    return ESCAPED
            trial[3 * k + 2] = max(trial[3 * k + 2], 0.1 * theta[3 * k + 2])
        trial[p - 1] = max(trial[p - 1], floor)
        integrate_group(count, place, trial, sigma_px, tables)
        trial_deviance = evaluate_group(
            count, place, data, read, known, inside, trial, tables, trial_gradient,
            trial_information,
        )  # fmt: skip
        if trial_deviance <= deviance + 1e-9 * abs(deviance):
            theta[:p] = trial[:p]
            gradient[:p] = trial_gradient[:p]
            information[:p, :p] = trial_information[:p, :p]
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
def group_chi2(
    count: int,
    place: tuple[int, int, int, int],
    data: F64,
    read: F64,
    known: F64,
    inside: F64,
    theta: F64,
    tables: F64,
) -> float:
    """Return the mean squared residual over its variance, of the pixels inside."""
    total, n = 0.0, 0
    for r in range(place[1] - place[0]):
        for c in range(place[3] - place[2]):
            if inside[r, c] > 0.0:
                mean = theta[3 * count] + known[r, c] + read[r, c]
                for k in range(count):
                    mean += theta[3 * k + 2] * tables[0, k, 0, c] * tables[1, k, 0, r]
                total += (data[r, c] - mean) ** 2 / mean
                n += 1
    return total / max(n, 1)
