"""Maximum likelihood fit of a measured PSF: x, y, z, photons and background.

As `rtsmlm.fitting.astigmatic_mle`, with the image of beads in place of a Gaussian: what is found
has no bias that belongs to the PSF, and the stated precision is the CRLB of the true PSF.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from rtsmlm.fitting.astigmatic_mle import advance, count_free
from rtsmlm.fitting.boxes import (
    BACKGROUND,
    CHI2,
    CONVERGED,
    ESCAPED,
    F64,
    MAX_WANDER_PX,
    NOT_CONVERGED,
    OUT_OF_RANGE,
    PHOTONS,
    SIGMA,
    SINGULAR,
    STATUS,
    STD_PHOTONS,
    STD_X,
    STD_Y,
    STD_Z,
    X,
    Y,
    Z,
    invert,
)
from rtsmlm.fitting.likelihood import (
    ENOUGH,
    FIRST_DAMPING,
    MAX_DAMPING,
    MIN_MEAN,
    damped_step,
    least_background,
)
from rtsmlm.fitting.psf_spline import (
    BY_X,
    BY_Y,
    BY_Z,
    PER_PX,
    VALUE,
    PsfSpline,
    make_scratch,
    write_images,
)
from rtsmlm.localizations import F32
from rtsmlm.physics.gaussian import FAST

MAX_STEP_NM = 100.0


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _evaluate(
    photons: F32,
    variance: F32,
    theta: F64,
    images: F64,
    slopes: F64,
    gradient: F64,
    information: F64,
) -> float:
    """Return half the deviance; write its slope (uphill) and the Fisher information.

    `slopes` is scratch, (8, box): slopes of a row by the parameters, mean, weight and residual.
    """
    box = photons.shape[0]
    n, b = theta[2], theta[3]
    mean, weight, residual = slopes[5], slopes[6], slopes[7]
    gradient[:] = 0.0
    information[:] = 0.0
    slopes[3, :] = 1.0
    deviance = 0.0
    for row in range(box):
        for c in range(box):
            share, read = images[VALUE, row, c], variance[row, c]
            # A spline may dip below zero where there is no light.
            mean[c] = max(n * share + b + read, MIN_MEAN)
            weight[c] = 1.0 / mean[c]
            residual[c] = (photons[row, c] + read) * weight[c] - 1.0
            slopes[0, c], slopes[1, c] = n * images[BY_X, row, c], n * images[BY_Y, row, c]
            slopes[2, c], slopes[4, c] = share, n * images[BY_Z, row, c]
        for c in range(box):
            deviance += mean[c] - (photons[row, c] + variance[row, c]) * math.log(mean[c])
        for i in range(5):
            pull = 0.0
            for c in range(box):
                pull += residual[c] * slopes[i, c]
            gradient[i] += pull
            for j in range(i + 1):
                total = 0.0
                for c in range(box):
                    total += weight[c] * slopes[i, c] * slopes[j, c]
                information[i, j] += total
    return deviance


@njit(cache=True, nogil=True, error_model="numpy")
def _start(photons: F32, theta: F64, spline: PsfSpline, limits_nm: F64) -> None:
    """Write z where it is NaN: that of which a spot and a flat background explain most.

    The spots are those of the table at the nearest of its places.
    """
    if not math.isnan(theta[4]):
        return
    total = float(photons.sum())
    n = photons.size
    row_first = int(spline.middle - round(PER_PX * theta[1]))
    column_first = int(spline.middle - round(PER_PX * theta[0]))
    best, theta[4] = -1.0, 0.5 * (limits_nm[0] + limits_nm[1])
    for k in range(len(spline.start_nm)):
        if not limits_nm[0] <= spline.start_nm[k] <= limits_nm[1]:
            continue
        e, ee, ed = 0.0, 0.0, 0.0
        for row in range(photons.shape[0]):
            for column in range(photons.shape[1]):
                share = spline.starts[k, row_first + PER_PX * row, column_first + PER_PX * column]
                e += share
                ee += share * share
                ed += share * photons[row, column]
        covariance = ed - e * total / n
        spread = ee - e * e / n
        explained = covariance * covariance / spread if covariance > 0.0 else 0.0
        if explained > best:
            best, theta[4] = explained, spline.start_nm[k]


@njit(cache=True, nogil=True, error_model="numpy")
def _start_light(photons: F32, theta: F64, images: F64) -> None:
    """Write photons and background that explain a box best by least squares."""
    n = photons.size
    e, ee, d, ed = 0.0, 0.0, 0.0, 0.0
    for row in range(photons.shape[0]):
        for column in range(photons.shape[1]):
            share = images[VALUE, row, column]
            e += share
            ee += share * share
            d += photons[row, column]
            ed += share * photons[row, column]
    theta[2] = max((n * ed - e * d) / (n * ee - e * e), 1.0)
    theta[3] = (d - theta[2] * e) / n


@njit(cache=True, nogil=True, error_model="numpy")
def _maximize(
    photons: F32,
    variance: F32,
    theta: F64,
    spline: PsfSpline,
    limits_nm: F64,
    max_iterations: int,
    wander_px: float,
    scratch: F64,
    images: F64,
    information: F64,
) -> float:
    """Move theta to the maximum of the likelihood; return the status."""
    trial, gradient, trial_gradient, step = np.empty((4, 5))
    trial_information, damped = np.empty((2, 5, 5))
    slopes = np.empty((8, photons.shape[0]))
    floor = least_background(variance)
    start_x, start_y = theta[0], theta[1]
    write_images(spline, theta[0], theta[1], theta[4], scratch, images)
    _start_light(photons, theta, images)
    theta[3] = max(theta[3], floor)
    deviance = _evaluate(photons, variance, theta, images, slopes, gradient, information)
    damping = FIRST_DAMPING
    for _ in range(max_iterations):
        p = count_free(theta, gradient, limits_nm)
        gain = damped_step(theta, gradient, information, step, p, damped, damping, floor)
        if gain < 0.0:
            damping *= 10.0
            if damping > MAX_DAMPING:
                return SINGULAR
            continue
        advance(theta, step, p, floor, limits_nm, MAX_STEP_NM, trial)
        if not max(abs(trial[0] - start_x), abs(trial[1] - start_y)) <= wander_px:
            return ESCAPED
        write_images(spline, trial[0], trial[1], trial[4], scratch, images)
        trial_deviance = _evaluate(
            photons, variance, trial, images, slopes, trial_gradient, trial_information
        )
        if trial_deviance <= deviance + 1e-9 * abs(deviance):
            # Where one axis is in focus the likelihood bends more than its expectation.
            too_far = deviance - trial_deviance <= 0.25 * gain
            theta[:] = trial
            gradient[:] = trial_gradient
            information[:] = trial_information
            deviance = trial_deviance
            damping = max(4.0 * damping, 0.3) if too_far else 0.1 * damping
            if gain < ENOUGH:
                return CONVERGED
        else:
            damping = 10.0 * max(damping, 1e-3)
            if damping > MAX_DAMPING:
                return NOT_CONVERGED
    return NOT_CONVERGED


@njit(cache=True, nogil=True, error_model="numpy")
def _width_px(spline: PsfSpline, z_nm: float) -> float:
    """Return the width at a depth, from that of the nearest plane."""
    plane = round((z_nm - spline.z_first_nm) / spline.z_step_nm)
    return float(spline.widths_px[min(max(plane, 0), len(spline.widths_px) - 1)])


@njit(cache=True, nogil=True, error_model="numpy")
def _chi2_per_pixel(photons: F32, variance: F32, theta: F64, images: F64, core_px: int) -> float:
    """Return the mean squared residual over its variance in the pixels around the emitter."""
    box = photons.shape[0]
    half = core_px // 2
    total, n = 0.0, 0
    for row in range(box):
        for column in range(box):
            if abs(row - theta[1]) > half + 0.5 or abs(column - theta[0]) > half + 0.5:
                continue
            light = theta[2] * images[VALUE, row, column] + theta[3]
            residual = photons[row, column] - light
            total += residual * residual / max(light + variance[row, column], MIN_MEAN)
            n += 1
    return total / max(n, 1)


@njit(cache=True, nogil=True, error_model="numpy")
def fit_spline_mle(
    photons: F32,
    variance: F32,
    start_x: F32,
    start_y: F32,
    start_z_nm: F32,
    spline: PsfSpline,
    limits_nm: F64,
    excess_noise: float,
    max_iterations: int,
    wander_sigma: float,
    core_px: int,
    rows: F64,
) -> None:
    """Fit every box by itself.

    Parameters
    ----------
    photons, variance
        Boxes in photons, and variance of the read noise in photons², float32, (n, box, box).
    start_x, start_y
        Where to begin, in pixels from the centre of the first pixel, float32, (n,).
    start_z_nm
        z to begin at, float32, (n,); NaN searches the whole range.
    spline
        The PSF; its reach holds the whole box and `wander_px` beyond.
    limits_nm
        Least and largest z, (2,). A fit that ends there is out of range.
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    max_iterations
        Most steps per fit.
    wander_sigma
        How far a fit may go from its start, in widths of its spot, if that is more than two pixels.
    core_px
        Side of the square around the emitter in which the fit has to be good: what is wrong there
        would be lost in a larger one.
    rows
        Written: the columns of `rtsmlm.fitting.boxes`, float64, (n, N_COLUMNS).
    """
    box = photons.shape[1]
    theta, images, scratch = np.empty(5), np.empty((4, box, box)), make_scratch(box)
    information, covariance = np.empty((2, 5, 5))
    shifted = np.empty((box, box), dtype=np.float32)
    widest = wander_sigma * spline.widths_px.max()
    for i in range(len(photons)):
        for row in range(box):
            for column in range(box):
                shifted[row, column] = variance[i, row, column] / excess_noise
        theta[0], theta[1], theta[4] = start_x[i], start_y[i], start_z_nm[i]
        if not math.isnan(theta[4]):
            theta[4] = min(max(theta[4], limits_nm[0]), limits_nm[1])
        _start(photons[i], theta, spline, limits_nm)
        status = _maximize(
            photons[i], shifted, theta, spline, limits_nm, max_iterations,
            max(MAX_WANDER_PX, widest), scratch, images, information,
        )  # fmt: skip
        if status == CONVERGED and not limits_nm[0] < theta[4] < limits_nm[1]:
            status = OUT_OF_RANGE
        width_px = _width_px(spline, theta[4])
        most = max(MAX_WANDER_PX, wander_sigma * width_px)
        away = max(abs(theta[0] - start_x[i]), abs(theta[1] - start_y[i]))
        if status == CONVERGED and away > most:
            status = ESCAPED
        write_images(spline, theta[0], theta[1], theta[4], scratch, images)
        chi2 = _chi2_per_pixel(photons[i], shifted, theta, images, core_px)
        rows[i, CHI2] = chi2 / excess_noise
        if not invert(information, covariance):
            status = SINGULAR
        rows[i, X], rows[i, Y], rows[i, Z] = theta[0], theta[1], theta[4]
        rows[i, PHOTONS], rows[i, BACKGROUND], rows[i, SIGMA] = theta[2], theta[3], width_px
        for column, k in ((STD_X, 0), (STD_Y, 1), (STD_PHOTONS, 2), (STD_Z, 4)):
            rows[i, column] = math.sqrt(covariance[k, k] * excess_noise)
        rows[i, STATUS] = status
