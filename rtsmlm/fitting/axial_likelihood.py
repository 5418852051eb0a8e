"""The likelihood of a group of astigmatic emitters on a place of a frame, and its maximum.

A place is first and last row and column of its pixels (exclusive); parameters are x, y in pixels, z
in nm and photons of each member, then the background. `rtsmlm.fitting.axial_groups` says what for.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from rtsmlm.fitting.astigmatic_mle import width_px
from rtsmlm.fitting.boxes import CONVERGED, ESCAPED, F64, NOT_CONVERGED, SINGULAR, solve_in_place
from rtsmlm.fitting.group_likelihood import MOST
from rtsmlm.fitting.likelihood import FIRST_DAMPING, MAX_DAMPING, MAX_STEP_PX, MIN_MEAN
from rtsmlm.physics.gaussian import FAST, pixel_integrals

PER_MEMBER = 4
FREE = PER_MEMBER * MOST + 1
"""Parameters of the largest group."""
ENOUGH = 1e-1
"""A step that would raise the log-likelihood by less, a third of a standard deviation, is the last:
what is left behind it is a hundredth."""
ESCAPE_PX, ESCAPE_SIGMA = 2.0, 1.0
"""A member goes no further from its start, in pixels or widths, whichever is more."""


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def evaluate_axial(
    count: int,
    place: tuple[int, int, int, int],
    data: F64,
    read: F64,
    known: F64,
    inside: F64,
    theta: F64,
    curves: F64,
    tables: F64,
    gradient: F64,
    information: F64,
) -> float:
    """Return half the deviance; write its slope (uphill) and the Fisher information.

    Parameters
    ----------
    count
        Members of the group.
    place
        Rows and columns.
    data, read, known, inside
        Light and read variance together, read variance, light of other groups, and which pixels
        count, each (rows, columns) at the least.
    theta, curves
        Parameters; curves as `WidthCurves.as_array`.
    tables
        As `integrate_axial` writes them.
    gradient, information
        Written, (FREE,) and (FREE, FREE), the lower triangle.
    """
    height, width = place[1] - place[0], place[3] - place[2]
    p = PER_MEMBER * count + 1
    slopes = np.empty((FREE, width))
    mean, weight, residual, weighted = np.empty((4, width))
    gradient[:p] = 0.0
    information[:p, :p] = 0.0
    deviance = 0.0
    slopes[p - 1, :] = 1.0
    for r in range(height):
        for c in range(width):
            mean[c] = theta[p - 1] + known[r, c] + read[r, c]
        for k in range(count):
            first, light = PER_MEMBER * k, theta[PER_MEMBER * k + 3]
            e_y, d_y, s_y = tables[1, k, 0, r], tables[1, k, 1, r], tables[1, k, 2, r]
            for c in range(width):
                e_x, d_x, s_x = tables[0, k, 0, c], tables[0, k, 1, c], tables[0, k, 2, c]
                slopes[first, c] = light * d_x * e_y
                slopes[first + 1, c] = light * e_x * d_y
                slopes[first + 2, c] = light * (s_x * e_y + e_x * s_y)
                slopes[first + 3, c] = e_x * e_y
                mean[c] += light * e_x * e_y
        for c in range(width):
            weight[c] = inside[r, c] / mean[c]
            residual[c] = data[r, c] * weight[c] - inside[r, c]
        for c in range(width):
            if inside[r, c] > 0.0:
                deviance += mean[c] - data[r, c] * math.log(mean[c])
        for i in range(p):
            pull = 0.0
            for c in range(width):
                weighted[c] = weight[c] * slopes[i, c]
                pull += residual[c] * slopes[i, c]
            gradient[i] += pull
            for j in range(i + 1):
                total = 0.0
                for c in range(width):
                    total += weighted[c] * slopes[j, c]
                information[i, j] += total
    return deviance


@njit(cache=True, nogil=True, error_model="numpy")
def integrate_axial(
    count: int, place: tuple[int, int, int, int], theta: F64, curves: F64, tables: F64
) -> None:
    """Write pixel integrals of each member and their derivatives by place and by z."""
    height, width = place[1] - place[0], place[3] - place[2]
    for k in range(count):
        z = theta[PER_MEMBER * k + 2]
        for axis, n in ((0, width), (1, height)):
            sigma, slope = width_px(curves[axis], z)
            pixel_integrals(theta[PER_MEMBER * k + axis], sigma, tables[axis, k, :, :n])
            for i in range(n):
                tables[axis, k, 2, i] *= slope


@njit(cache=True, nogil=True, error_model="numpy")
def _advance(
    count: int,
    theta: F64,
    start: F64,
    step: F64,
    curves: F64,
    limits_nm: F64,
    max_step_nm: float,
    trial: F64,
) -> bool:
    """Write where the step leads; False where a member leaves its place."""
    for k in range(count):
        first = PER_MEMBER * k
        z = theta[first + 2] + min(max(step[first + 2], -max_step_nm), max_step_nm)
        trial[first + 2] = min(max(z, limits_nm[0]), limits_nm[1])
        for axis in range(2):
            i = first + axis
            trial[i] = theta[i] + min(max(step[i], -MAX_STEP_PX), MAX_STEP_PX)
            far = max(ESCAPE_PX, ESCAPE_SIGMA * width_px(curves[axis], trial[first + 2])[0])
            if not abs(trial[i] - start[i]) <= far:
                return False
        trial[first + 3] = max(theta[first + 3] + step[first + 3], 0.1 * theta[first + 3])
    last = PER_MEMBER * count
    trial[last] = max(theta[last] + step[last], MIN_MEAN)
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def maximize_axial(
    count: int,
    place: tuple[int, int, int, int],
    data: F64,
    read: F64,
    known: F64,
    inside: F64,
    curves: F64,
    limits_nm: F64,
    max_step_nm: float,
    max_iterations: int,
    tables: F64,
    theta: F64,
) -> float:
    """Move theta to the maximum of the likelihood; return the status."""
    p = PER_MEMBER * count + 1
    start = theta[:p].copy()
    trial, step = np.empty(FREE), np.empty(FREE)
    gradient, trial_gradient = np.empty(FREE), np.empty(FREE)
    information, damped = np.empty((FREE, FREE)), np.empty((FREE, FREE))
    trial_information = np.empty((FREE, FREE))
    integrate_axial(count, place, theta, curves, tables)
    deviance = evaluate_axial(
        count, place, data, read, known, inside, theta, curves, tables, gradient, information
    )
    damping = FIRST_DAMPING
    for _ in range(max_iterations):
        for i in range(p):
            step[i] = gradient[i]
            for j in range(i + 1):
                damped[i, j] = information[i, j]
            damped[i, i] *= 1.0 + damping
        for k in range(count):
            i = PER_MEMBER * k + 2
            low, high = theta[i] <= limits_nm[0], theta[i] >= limits_nm[1]
            if (low and gradient[i] < 0.0) or (high and gradient[i] > 0.0):
                for j in range(p):  # held at the end of the range
                    damped[max(i, j), min(i, j)] = 1.0 if i == j else 0.0
                step[i] = 0.0
        if not solve_in_place(damped, step, p):
            damping *= 10.0
            if damping > MAX_DAMPING:
                return SINGULAR
            continue
        gain = 0.0
        for i in range(p):
            gain += step[i] * gradient[i]
        if not _advance(count, theta, start, step, curves, limits_nm, max_step_nm, trial):
            return ESCAPED
        integrate_axial(count, place, trial, curves, tables)
        trial_deviance = evaluate_axial(
            count, place, data, read, known, inside, trial, curves, tables, trial_gradient,
            trial_information,
        )  # fmt: skip
        if trial_deviance <= deviance + 1e-9 * abs(deviance):
            climbed = deviance - trial_deviance
            theta[:p] = trial[:p]
            gradient[:p] = trial_gradient[:p]
            information[:p, :p] = trial_information[:p, :p]
            deviance = trial_deviance
            # Near the focus of an axis the likelihood bends more than expected: see
            # `rtsmlm.fitting.astigmatic_mle`.
            damping = max(4.0 * damping, 0.3) if climbed <= 0.25 * gain else 0.1 * damping
            if gain < ENOUGH:
                return CONVERGED
        else:
            damping = 10.0 * max(damping, 1e-3)
            if damping > MAX_DAMPING:
                return NOT_CONVERGED
    return NOT_CONVERGED
