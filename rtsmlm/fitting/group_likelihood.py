"""The likelihood of a group of emitters on a place of a frame, and its maximum, for compiled code.

A place is first and last row and column of its pixels (exclusive). Parameters are x and y in
pixels, photons and z in nm of each member; after all members one background.
`rtsmlm.fitting.group_fit` says what for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar, cast

import numpy as np
from numba import njit

from rtsmlm.fitting.boxes import CONVERGED, ESCAPED, F64, NOT_CONVERGED, SINGULAR, solve_in_place
from rtsmlm.fitting.likelihood import FIRST_DAMPING, MAX_DAMPING, MAX_STEP_PX, MIN_MEAN

MOST = 6
"""Emitters of a group; what is more crowded is not fitted."""
MEMBER_LIGHT, MEMBER_Z = 2, 3
"""Of the parameters of a member: photons and z."""
DEEP = 4
"""Parameters of a member."""
FREE = DEEP * MOST + 1
"""Parameters of the largest group."""
ENOUGH = 1e-1
"""A step that would raise the log-likelihood by less, a third of a standard deviation, is the last:
what is left behind it is a hundredth."""

P = TypeVar("P")
"""What a PSF needs to be drawn; the same for all groups."""
W = TypeVar("W")
"""Memory that it draws in."""


class Light(NamedTuple):
    """Pixels of a place, each at least (rows, columns)."""

    data: F64
    """Light and read variance together, in photons."""
    read: F64
    """Read variance in photons²."""
    known: F64
    """Light of other groups."""
    inside: F64
    """1 where a pixel counts, else 0."""
    mean: F64
    """Written: what is expected of `data`."""


Evaluate = Callable[[P, int, int, int, Light, F64, W, F64, F64], float]
"""(psf, members, rows, columns, light, theta, memory, gradient, information): returns half the
deviance; writes its slope (uphill), and of the Fisher information the lower triangle."""
Widths = Callable[[P, float], tuple[float, float]]
"""(psf, z): widths along x and y in pixels."""


def group_ascent(
    evaluate: Evaluate[P, W], widths: Widths[P], *, escape_px: float
) -> Callable[..., float]:
    """Return the compiled ascent for one PSF, to be called from compiled fits.

    Fisher scoring with the damping of Levenberg and Marquardt. As in
    `rtsmlm.fitting.likelihood.maximizer` the functions of the PSF are compiled in.

    Parameters
    ----------
    evaluate, widths
        The PSF.
    escape_px
        A member goes no further from its start than a width of its spot, or than this.

    Returns
    -------
    :
        (psf, count, height, width, light, memory, limits_nm, max_step_nm, max_iterations, theta,
        information): moves theta to the maximum of the likelihood, and returns the status;
        `information` is written, its lower triangle.
    """

    @njit(nogil=True, error_model="numpy")
    def advance(
        psf: P, count: int, theta: F64, start: F64, step: F64, limits_nm: F64, max_step_nm: float,
        trial: F64,
    ) -> bool:  # fmt: skip
        """Write where the step leads; False where a member leaves its place."""
        for k in range(count):
            first = DEEP * k
            z = theta[first + MEMBER_Z]
            z += min(max(step[first + MEMBER_Z], -max_step_nm), max_step_nm)
            z = min(max(z, limits_nm[0]), limits_nm[1])
            trial[first + MEMBER_Z] = z
            wide = widths(psf, z)
            for axis in range(2):
                i = first + axis
                trial[i] = theta[i] + min(max(step[i], -MAX_STEP_PX), MAX_STEP_PX)
                if not abs(trial[i] - start[i]) <= max(escape_px, wide[axis]):
                    return False
            i = first + MEMBER_LIGHT
            trial[i] = max(theta[i] + step[i], 0.1 * theta[i])
        last = DEEP * count
        trial[last] = max(theta[last] + step[last], MIN_MEAN)
        return True

    @njit(nogil=True, error_model="numpy")
    def hold(count: int, theta: F64, gradient: F64, limits_nm: F64, damped: F64, step: F64) -> None:
        """Leave z where it is at an end of the range and on its way out."""
        for k in range(count):
            i = DEEP * k + MEMBER_Z
            low, high = theta[i] <= limits_nm[0], theta[i] >= limits_nm[1]
            if (low and gradient[i] < 0.0) or (high and gradient[i] > 0.0):
                for j in range(DEEP * count + 1):
                    damped[max(i, j), min(i, j)] = 1.0 if i == j else 0.0
                step[i] = 0.0

    @njit(nogil=True, error_model="numpy")
    def maximize(
        psf: P,
        count: int,
        height: int,
        width: int,
        light: Light,
        memory: W,
        limits_nm: F64,
        max_step_nm: float,
        max_iterations: int,
        theta: F64,
        information: F64,
    ) -> float:
        p = DEEP * count + 1
        start = theta[:p].copy()
        trial, step, gradient, trial_gradient = np.empty((4, FREE))
        damped, trial_information = np.empty((2, FREE, FREE))
        deviance = evaluate(psf, count, height, width, light, theta, memory, gradient, information)
        damping = FIRST_DAMPING
        for _ in range(max_iterations):
            for i in range(p):
                step[i] = gradient[i]
                for j in range(i + 1):
                    damped[i, j] = information[i, j]
                damped[i, i] *= 1.0 + damping
            hold(count, theta, gradient, limits_nm, damped, step)
            if not solve_in_place(damped, step, p):
                damping *= 10.0
                if damping > MAX_DAMPING:
                    return SINGULAR
                continue
            gain = 0.0
            for i in range(p):
                gain += step[i] * gradient[i]
            if not advance(psf, count, theta, start, step, limits_nm, max_step_nm, trial):
                return ESCAPED
            trial_deviance = evaluate(
                psf, count, height, width, light, trial, memory, trial_gradient, trial_information
            )
            if trial_deviance <= deviance + 1e-9 * abs(deviance):
                # Near the focus of an axis the likelihood bends more than expected: see
                # `rtsmlm.fitting.astigmatic_mle`.
                too_far = deviance - trial_deviance <= 0.25 * gain
                theta[:p] = trial[:p]
                gradient[:p] = trial_gradient[:p]
                information[:p, :p] = trial_information[:p, :p]
                deviance = trial_deviance
                damping = max(4.0 * damping, 0.3) if too_far else 0.1 * damping
                if gain < ENOUGH:
                    return CONVERGED
            else:
                damping = 10.0 * max(damping, 1e-3)
                if damping > MAX_DAMPING:
                    return NOT_CONVERGED
        return NOT_CONVERGED

    return cast("Callable[..., float]", maximize)


@njit(cache=True, nogil=True, error_model="numpy")
def group_chi2(height: int, width: int, light: Light) -> float:
    """Return the mean squared residual over its variance, of the pixels inside."""
    total, n = 0.0, 0
    data, inside, mean = light.data, light.inside, light.mean
    for r in range(height):
        for c in range(width):
            if inside[r, c] > 0.0:
                total += (data[r, c] - mean[r, c]) ** 2 / mean[r, c]
                n += 1
    return total / max(n, 1)
