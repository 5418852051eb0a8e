"""Maximum likelihood fit of a measured PSF: x, y, z, photons and background.

As `rtsmlm.fitting.astigmatic_mle`, with the image of beads in place of a Gaussian: what is found
has no bias that belongs to the PSF, and the stated precision is the CRLB of the true PSF.
"""

from __future__ import annotations

import math
from typing import TypeAlias

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
from rtsmlm.fitting.likelihood import MIN_MEAN, maximizer
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

Shape: TypeAlias = tuple[PsfSpline, F64]
"""The PSF, and the limits of z."""
Memory: TypeAlias = tuple[F64, F64, F64, F64]
"""For `write_images`, its images, their place, (3,), and rows for `_evaluate`, (8, box)."""


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
    n, box, side = photons.size, photons.shape[0], spline.starts.shape[1]
    row_first = int(spline.middle - round(PER_PX * theta[1]))
    column_first = int(spline.middle - round(PER_PX * theta[0]))
    # Beyond the table it is dark.
    top, left = max(-(row_first // PER_PX), 0), max(-(column_first // PER_PX), 0)
    bottom = min((side - 1 - row_first) // PER_PX + 1, box)
    right = min((side - 1 - column_first) // PER_PX + 1, box)
    best, theta[4] = -1.0, 0.5 * (limits_nm[0] + limits_nm[1])
    for k in range(len(spline.start_nm)):
        if not limits_nm[0] <= spline.start_nm[k] <= limits_nm[1]:
            continue
        e, ee, ed = 0.0, 0.0, 0.0
        for row in range(top, bottom):
            for column in range(left, right):
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
def _evaluate_at(
    shape: Shape,
    photons: F32,
    variance: F32,
    theta: F64,
    memory: Memory,
    gradient: F64,
    information: F64,
) -> float:
    _draw(shape[0], theta, memory)
    return _evaluate(photons, variance, theta, memory[1], memory[3], gradient, information)


@njit(cache=True, nogil=True, error_model="numpy")
def _draw(spline: PsfSpline, theta: F64, memory: Memory) -> None:
    """Write the images at x, y and z, unless they are those that were written last."""
    scratch, images, place, _ = memory
    if place[0] == theta[0] and place[1] == theta[1] and place[2] == theta[4]:
        return
    place[0], place[1], place[2] = theta[0], theta[1], theta[4]
    box = images.shape[1]
    write_images(spline, theta[0], theta[1], theta[4], box, box, scratch, images)


@njit(cache=True, nogil=True, error_model="numpy")
def _count_free(theta: F64, gradient: F64, shape: Shape) -> int:
    return count_free(theta, gradient, shape[1])


@njit(cache=True, nogil=True, error_model="numpy")
def _advance(theta: F64, step: F64, p: int, floor: float, shape: Shape, trial: F64) -> None:
    advance(theta, step, p, floor, shape[1], MAX_STEP_NM, trial)


# Where one axis is in focus the likelihood bends more than its expectation.
_maximize = maximizer(_evaluate_at, _count_free, _advance, careful=True)


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
        The PSF.
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
    memory = (scratch, images, np.full(3, math.nan), np.empty((8, box)))
    shape = (spline, limits_nm)
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
        _draw(spline, theta, memory)
        _start_light(photons[i], theta, images)
        status = _maximize(
            shape, photons[i], shifted, theta, max_iterations, memory, information,
            max(MAX_WANDER_PX, widest),
        )  # fmt: skip
        if status == CONVERGED and not limits_nm[0] < theta[4] < limits_nm[1]:
            status = OUT_OF_RANGE
        width_px = _width_px(spline, theta[4])
        most = max(MAX_WANDER_PX, wander_sigma * width_px)
        away = max(abs(theta[0] - start_x[i]), abs(theta[1] - start_y[i]))
        if status == CONVERGED and away > most:
            status = ESCAPED
        _draw(spline, theta, memory)
        chi2 = _chi2_per_pixel(photons[i], shifted, theta, images, core_px)
        rows[i, CHI2] = chi2 / excess_noise
        if not invert(information, covariance):
            status = SINGULAR
        rows[i, X], rows[i, Y], rows[i, Z] = theta[0], theta[1], theta[4]
        rows[i, PHOTONS], rows[i, BACKGROUND], rows[i, SIGMA] = theta[2], theta[3], width_px
        for column, k in ((STD_X, 0), (STD_Y, 1), (STD_PHOTONS, 2), (STD_Z, 4)):
            rows[i, column] = math.sqrt(covariance[k, k] * excess_noise)
        rows[i, STATUS] = status
