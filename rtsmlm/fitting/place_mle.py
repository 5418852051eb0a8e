"""Maximum likelihood fit of a Gaussian of known width: x, y, photons and background.

The same ascent as that of `rtsmlm.fitting.likelihood`, for the one fit that every candidate of
every frame goes through. The pixels of a box lie one after the other in float32, so that eight of
them are added up at once; what is found of them stays in registers. No logarithm is taken where the
slopes at both ends of a step tell that it climbs.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from rtsmlm.fitting.boxes import (
    CONVERGED,
    ESCAPED,
    F64,
    MAX_WANDER_PX,
    NOT_CONVERGED,
    SINGULAR,
)
from rtsmlm.fitting.four import Four, Triangle, factorize_four, solve_four
from rtsmlm.fitting.likelihood import ENOUGH, FIRST_DAMPING, MAX_DAMPING, MAX_STEP_PX
from rtsmlm.localizations import F32
from rtsmlm.physics.gaussian import FAST, spot_shares

SURELY_UPHILL = -0.5
"""A step after which the likelihood falls less steeply than this part of its first rise climbs."""


class PlaceWork(NamedTuple):
    """Memory of the fits of one thread, for boxes of n pixels."""

    along: F32
    """Shares of the light in the pixels of a row and their slopes, along x, then y, (4, box)."""
    grid: F32
    """Share of each pixel, its derivative by x and that by y, (3, box, box)."""
    share: F32
    """The same memory pixel by pixel, (n,)."""
    slope_x: F32
    slope_y: F32
    edges: F64
    """Scratch of `spot_shares`, (2, box + 1)."""
    read: F32
    """Read variance over excess noise, (n,)."""


@njit(cache=True, nogil=True, error_model="numpy")
def make_place_work(box: int) -> PlaceWork:
    """Allocate the memory for the fits of boxes of a side."""
    n = box * box
    grid = np.zeros((3, box, box), dtype=np.float32)
    flat = grid.reshape(3, n)
    return PlaceWork(
        np.zeros((4, box), dtype=np.float32),
        grid,
        flat[0],
        flat[1],
        flat[2],
        np.zeros((2, box + 1)),
        np.zeros(n, dtype=np.float32),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _spread(along: F32, grid: F32) -> None:
    """Write share and slopes of each pixel of a box."""
    box = along.shape[1]
    for row in range(box):
        share_y, slope_y = along[2, row], along[3, row]
        for column in range(box):
            grid[0, row, column] = share_y * along[0, column]
        for column in range(box):
            grid[1, row, column] = share_y * along[1, column]
        for column in range(box):
            grid[2, row, column] = slope_y * along[0, column]


@njit(cache=True, nogil=True, error_model="numpy")
def _move(x: float, y: float, widths_px: tuple[float, float], work: PlaceWork) -> None:
    """Write the shares of the pixels for a place."""
    spot_shares(x, widths_px[0], work.edges, work.along[0], work.along[1])
    spot_shares(y, widths_px[1], work.edges, work.along[2], work.along[3])
    _spread(work.along, work.grid)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _evaluate(
    photons: F32, read: F32, share: F32, slope_x: F32, slope_y: F32, theta: Four
) -> tuple[float, Four, Triangle]:
    """Return the sum of chi² over the pixels, the slopes of the likelihood, the information."""
    light = np.float64(theta[2])
    n, b, one = np.float32(light), np.float32(theta[3]), np.float32(1.0)
    zero = np.float32(0.0)
    chi2, r, r_e, r_x, r_y = zero, zero, zero, zero, zero
    w, w_e, w_x, w_y = zero, zero, zero, zero
    w_ee, w_ex, w_ey, w_xx, w_xy, w_yy = zero, zero, zero, zero, zero, zero
    for i in range(len(share)):
        e, x, y = share[i], slope_x[i], slope_y[i]
        model = n * e + b
        weight = one / (model + read[i])
        difference = photons[i] - model
        residual = difference * weight
        chi2 += difference * residual
        r += residual
        r_e += residual * e
        r_x += residual * x
        r_y += residual * y
        weighted_e, weighted_x, weighted_y = weight * e, weight * x, weight * y
        w += weight
        w_e += weighted_e
        w_x += weighted_x
        w_y += weighted_y
        w_ee += weighted_e * e
        w_ex += weighted_e * x
        w_ey += weighted_e * y
        w_xx += weighted_x * x
        w_xy += weighted_x * y
        w_yy += weighted_y * y
    squared = light * light
    return (
        np.float64(chi2),
        (light * r_x, light * r_y, np.float64(r_e), np.float64(r)),
        (
            squared * w_xx,
            squared * w_xy,
            squared * w_yy,
            light * w_ex,
            light * w_ey,
            np.float64(w_ee),
            light * w_x,
            light * w_y,
            np.float64(w_e),
            np.float64(w),
        ),
    )


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _log_likelihood(photons: F32, read: F32, share: F32, light: float, background: float) -> float:
    total = 0.0
    for i in range(len(photons)):
        mean = light * share[i] + background + read[i]
        total += (photons[i] + read[i]) * math.log(mean) - mean
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _is_higher(
    photons: F32, widths_px: tuple[float, float], theta: Four, than: Four, work: PlaceWork
) -> bool:
    """Return whether the likelihood is; the shares are those of `theta`, and of `than` then."""
    here = _log_likelihood(photons, work.read, work.share, theta[2], theta[3])
    _move(than[0], than[1], widths_px, work)
    there = _log_likelihood(photons, work.read, work.share, than[2], than[3])
    return here >= there - 1e-9 * abs(there)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _start(photons: F32, share: F32) -> tuple[float, float]:
    """Return photons and background of a spot of known place, by linear least squares."""
    zero = np.float32(0.0)
    e, ee, d, ed = zero, zero, zero, zero
    for i in range(len(share)):
        e += share[i]
        ee += share[i] * share[i]
        d += photons[i]
        ed += share[i] * photons[i]
    n = float(len(share))
    light = (n * ed - np.float64(e) * d) / (n * ee - np.float64(e) * e)
    return max(light, 1.0), (d - light * e) / n


@njit(cache=True, nogil=True, error_model="numpy")
def _step(
    gradient: Four, information: Triangle, damping: float, is_held: bool
) -> tuple[float, Four]:
    """Return the expected gain of a damped step of Fisher scoring, and the step.

    The gain is -1 where there is no step. A background that is held stays.
    """
    a00, a10, a11, a20, a21, a22, a30, a31, a32, a33 = information
    g0, g1, g2, g3 = gradient
    more = 1.0 + damping
    if is_held:
        a30, a31, a32, a33, g3 = 0.0, 0.0, 0.0, 1.0, 0.0
    positive, factor = factorize_four(
        (more * a00, a10, more * a11, a20, a21, more * a22, a30, a31, a32, more * a33)
    )
    s0, s1, s2, s3 = solve_four(factor, (g0, g1, g2, g3))
    gain = s0 * g0 + s1 * g1 + s2 * g2 + s3 * g3
    return (gain if positive else -1.0), (s0, s1, s2, s3)


@njit(cache=True, nogil=True, error_model="numpy")
def _advance(theta: Four, step: Four, floor: float) -> Four:
    """Return where the step leads, not further than the model can be trusted."""
    return (
        theta[0] + min(max(step[0], -MAX_STEP_PX), MAX_STEP_PX),
        theta[1] + min(max(step[1], -MAX_STEP_PX), MAX_STEP_PX),
        max(theta[2] + step[2], 0.1 * theta[2]),
        max(theta[3] + step[3], floor),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _climbs(theta: Four, trial: Four, gradient: Four, trial_gradient: Four) -> bool:
    """Return whether the likelihood surely rises on the way to a trial."""
    rise, further = 0.0, 0.0
    for i in range(4):
        rise += (trial[i] - theta[i]) * gradient[i]
        further += (trial[i] - theta[i]) * trial_gradient[i]
    return rise > 0.0 and further >= SURELY_UPHILL * rise


@njit(cache=True, nogil=True, error_model="numpy")
def fit_place(
    photons: F32,
    start: tuple[float, float],
    widths_px: tuple[float, float],
    floor: float,
    max_iterations: int,
    work: PlaceWork,
) -> tuple[float, Four, float, Triangle]:
    """Fit one box.

    Parameters
    ----------
    photons
        Pixels of the box in photons, float32, shape (n,).
    start
        x and y where the fit begins, in pixels from the centre of the first pixel.
    widths_px
        Standard deviations of the PSF along x and y in pixels.
    floor
        Least background: that at which the mean stays positive in every pixel.
    max_iterations
        Most steps.
    work
        With the noise of the pixels in `read`.

    Returns
    -------
    :
        Status; x, y, photons and background; sum of chi² over the pixels, and Fisher information,
        both within a hundredth of a standard deviation of the maximum.
    """
    read, share, slope_x, slope_y = work.read, work.share, work.slope_x, work.slope_y
    _move(start[0], start[1], widths_px, work)
    light, background = _start(photons, share)
    theta = (start[0], start[1], light, max(background, floor))
    chi2, gradient, information = _evaluate(photons, read, share, slope_x, slope_y, theta)
    damping = FIRST_DAMPING
    for _ in range(max_iterations):
        # The background stands at its limit and would go below: hold it, move the others.
        is_held = theta[3] <= floor and gradient[3] < 0.0
        gain, step = _step(gradient, information, damping, is_held)
        if gain < 0.0:
            damping *= 10.0
            if damping > MAX_DAMPING:
                return SINGULAR, theta, chi2, information
            continue
        trial = _advance(theta, step, floor)
        moved = max(abs(trial[0] - start[0]), abs(trial[1] - start[1]))
        if not moved <= MAX_WANDER_PX:
            return ESCAPED, theta, chi2, information
        if gain < ENOUGH:
            return CONVERGED, trial, chi2, information
        _move(trial[0], trial[1], widths_px, work)
        then = _evaluate(photons, read, share, slope_x, slope_y, trial)
        if _climbs(theta, trial, gradient, then[1]) or _is_higher(
            photons, widths_px, trial, theta, work
        ):
            theta = trial
            chi2, gradient, information = then
            damping *= 0.1
        else:
            damping = 10.0 * max(damping, 1e-3)
            if damping > MAX_DAMPING:
                return NOT_CONVERGED, theta, chi2, information
    return NOT_CONVERGED, theta, chi2, information
