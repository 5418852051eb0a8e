"""Maximum likelihood fit of an astigmatic Gaussian: x, y, z, photons and background.

The widths along x and y follow z by the two curves of `rtsmlm.physics.astigmatism`, so that z is a
parameter of the fit like the others and its stated precision is a CRLB, too. Noise and steps are
those of `rtsmlm.fitting.gaussian_mle`. The likelihood can have a second maximum at the other side
of focus: the fit begins at the z of the least squares of a coarse search.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numba import njit

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
from rtsmlm.fitting.likelihood import MAX_STEP_PX, chi2_per_pixel, maximizer, separable
from rtsmlm.localizations import F32
from rtsmlm.physics.astigmatism import LEAST_SQUARE, WidthCurves
from rtsmlm.physics.gaussian import pixel_integrals

# z may leave the curves by this margin: emitters at their ends scatter to both sides.
MARGIN_NM = 100.0
# 150 nm apart in a usual range of 1.2 µm with its margins, less than half a depth of focus.
N_STARTS = 9
# Longest step along z, in depths of focus: beyond it the curves bend away.
MAX_STEP_DEPTH = 0.5
MAX_WANDER_SIGMA, LONE_WANDER_SIGMA = 0.5, 0.75
"""From the maximum of a wide spot, which noise moves along its length, a fit may go so many of its
widths: with two pixels a tenth of the spots at the ends of the range were lost. Further where no
other maximum is near: in crowds more than half a width takes neighbours for one emitter."""

Shape: TypeAlias = tuple[F64, F64, float]
"""Both curves, the limits of z, and the longest step along it in nm."""


@njit(cache=True, nogil=True, error_model="numpy")
def width_px(curve: F64, z_nm: float) -> tuple[float, float]:
    """Return the width in pixels and its slope in pixels per nm: `WidthCurve` in pixels."""
    u = (z_nm - curve[1]) / curve[2]
    square = 1.0 + u * u * (1.0 + u * (curve[3] + u * curve[4]))
    if square <= LEAST_SQUARE:
        return curve[0] * math.sqrt(LEAST_SQUARE), 0.0
    root = math.sqrt(square)
    growth = u * (2.0 + u * (3.0 * curve[3] + u * 4.0 * curve[4]))
    return curve[0] * root, 0.5 * curve[0] / curve[2] * growth / root


@njit(cache=True, nogil=True, error_model="numpy")
def _integrate(theta: F64, shape: Shape, along_x: F64, along_y: F64) -> None:
    """Write pixel integrals and their derivatives by the centre and by z."""
    curves = shape[0]
    sigma_x, slope_x = width_px(curves[0], theta[4])
    sigma_y, slope_y = width_px(curves[1], theta[4])
    pixel_integrals(theta[0], sigma_x, along_x)
    pixel_integrals(theta[1], sigma_y, along_y)
    for k in range(along_x.shape[1]):
        along_x[2, k] *= slope_x
        along_y[2, k] *= slope_y


@njit(cache=True, nogil=True, error_model="numpy")
def _start(photons: F32, theta: F64, shape: Shape, tables: F64) -> None:
    """Write photons and background into `theta`, and z where it is NaN.

    Of a coarse search along z, the z of which a spot and a flat background explain most of the
    scatter of the pixels.
    """
    box = photons.shape[0]
    n = float(box * box)
    along_x, along_y = tables[0], tables[1]
    limits_nm = shape[1]
    is_known = not math.isnan(theta[4])
    first = theta[4] if is_known else limits_nm[0]
    spacing = 0.0 if is_known else (limits_nm[1] - limits_nm[0]) / (N_STARTS - 1)
    best, best_z = -1.0, first
    for k in range(1 if is_known else N_STARTS):
        theta[4] = first + k * spacing
        _integrate(theta, shape, along_x, along_y)
        e_x, ee_x, e_y, ee_y, d, ed = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for i in range(box):
            e_x += along_x[0, i]
            ee_x += along_x[0, i] * along_x[0, i]
            e_y += along_y[0, i]
            ee_y += along_y[0, i] * along_y[0, i]
        for row in range(box):
            light, spot = 0.0, 0.0
            for column in range(box):
                light += photons[row, column]
                spot += along_x[0, column] * photons[row, column]
            d += light
            ed += along_y[0, row] * spot
        covariance = ed - e_x * e_y * d / n
        spread = ee_x * ee_y - (e_x * e_y) ** 2 / n
        explained = covariance * covariance / spread if covariance > 0.0 else 0.0
        if explained > best:
            best, best_z = explained, theta[4]
            theta[2] = max(covariance / spread, 1.0)
            theta[3] = (d - theta[2] * e_x * e_y) / n
    theta[4] = best_z


@njit(cache=True, nogil=True, error_model="numpy")
def count_free(theta: F64, gradient: F64, limits_nm: F64) -> int:
    """Return how many parameters move: at an end of the range and on its way out, z stays."""
    leaves_low = theta[4] <= limits_nm[0] and gradient[4] < 0.0
    leaves_high = theta[4] >= limits_nm[1] and gradient[4] > 0.0
    return 4 if leaves_low or leaves_high else 5


@njit(cache=True, nogil=True, error_model="numpy")
def advance(
    theta: F64, step: F64, p: int, floor: float, limits_nm: F64, max_step_nm: float, trial: F64
) -> None:
    """Write where the step leads, not further than the model can be trusted.

    Parameters
    ----------
    theta, step, p, floor
        As of `rtsmlm.fitting.likelihood.damped_step`.
    limits_nm
        Least and largest z, (2,).
    max_step_nm
        Longest step along z.
    trial
        Written, (5,).
    """
    for i in range(2):
        trial[i] = theta[i] + min(max(step[i], -MAX_STEP_PX), MAX_STEP_PX)
    trial[2] = max(theta[2] + step[2], 0.1 * theta[2])
    trial[3] = max(theta[3] + step[3], floor)
    trial[4] = theta[4]
    if p == 5:
        z_nm = theta[4] + min(max(step[4], -max_step_nm), max_step_nm)
        trial[4] = min(max(z_nm, limits_nm[0]), limits_nm[1])


@njit(cache=True, nogil=True, error_model="numpy")
def _count_free(theta: F64, gradient: F64, shape: Shape) -> int:
    return count_free(theta, gradient, shape[1])


@njit(cache=True, nogil=True, error_model="numpy")
def _advance(theta: F64, step: F64, p: int, floor: float, shape: Shape, trial: F64) -> None:
    advance(theta, step, p, floor, shape[1], shape[2], trial)


# In focus of one axis the likelihood bends more than its expectation and steps go too far, to the
# other side of the maximum: hence careful.
_maximize = maximizer(separable(_integrate), _count_free, _advance, careful=True)


@njit(cache=True, nogil=True, error_model="numpy")
def _wandered(theta: F64, curves: F64, start_x: float, start_y: float, wander_sigma: float) -> bool:
    """Return whether a fit has gone further than a maximum of its spot can lie."""
    most_x = max(MAX_WANDER_PX, wander_sigma * width_px(curves[0], theta[4])[0])
    most_y = max(MAX_WANDER_PX, wander_sigma * width_px(curves[1], theta[4])[0])
    return bool(abs(theta[0] - start_x) > most_x or abs(theta[1] - start_y) > most_y)


@njit(cache=True, nogil=True, error_model="numpy")
def _write_row(
    row: F64, theta: F64, curves: F64, covariance: F64, excess_noise: float, status: float
) -> None:
    row[X], row[Y], row[Z] = theta[0], theta[1], theta[4]
    row[PHOTONS], row[BACKGROUND] = theta[2], theta[3]
    sigma_x, _ = width_px(curves[0], theta[4])
    sigma_y, _ = width_px(curves[1], theta[4])
    row[SIGMA] = math.sqrt(sigma_x * sigma_y)
    row[STD_X] = math.sqrt(covariance[0, 0] * excess_noise)
    row[STD_Y] = math.sqrt(covariance[1, 1] * excess_noise)
    row[STD_PHOTONS] = math.sqrt(covariance[2, 2] * excess_noise)
    row[STD_Z] = math.sqrt(covariance[4, 4] * excess_noise)
    row[STATUS] = status


@njit(cache=True, nogil=True, error_model="numpy")
def fit_astigmatic_mle(
    photons: F32,
    variance: F32,
    start_x: F32,
    start_y: F32,
    start_z_nm: F32,
    curves: F64,
    limits_nm: F64,
    excess_noise: float,
    max_iterations: int,
    wander_sigma: float,
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
    start_z_nm
        z to begin at, float32, shape (n,); NaN searches the whole range.
    curves
        From `WidthCurves.as_array`, shape (2, 5).
    limits_nm
        Least and largest z, shape (2,): see `z_limits_nm`. A fit that ends there is out of range.
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    max_iterations
        Most steps per fit.
    wander_sigma
        How far a fit may go from its start, in widths of its spot, if that is more than two pixels.
    rows
        Written: the columns of `rtsmlm.fitting.boxes`, float64, shape (n, N_COLUMNS); as width the
        geometric mean of both.
    """
    box = photons.shape[1]
    theta = np.empty(5)
    tables = np.empty((2, 3, box))
    information, covariance = np.empty((5, 5)), np.empty((5, 5))
    shifted = np.empty((box, box), dtype=np.float32)
    inverse_excess = np.float32(1.0 / excess_noise)
    wander_px = MAX_WANDER_PX
    for end in range(2):
        for axis in range(2):
            width = width_px(curves[axis], limits_nm[end])[0]
            wander_px = max(wander_px, wander_sigma * width)
    shape = (curves, limits_nm, MAX_STEP_DEPTH * min(curves[0, 2], curves[1, 2]))
    for i in range(len(photons)):
        for row in range(box):
            for column in range(box):
                shifted[row, column] = variance[i, row, column] * inverse_excess
        theta[0], theta[1] = start_x[i], start_y[i]
        theta[4] = min(max(start_z_nm[i], limits_nm[0]), limits_nm[1])
        if math.isnan(start_z_nm[i]):
            theta[4] = math.nan
        _start(photons[i], theta, shape, tables)
        status = _maximize(
            shape, photons[i], shifted, theta, max_iterations, tables, information, wander_px
        )
        if status == CONVERGED and not limits_nm[0] < theta[4] < limits_nm[1]:
            status = OUT_OF_RANGE
        if status == CONVERGED and _wandered(theta, curves, start_x[i], start_y[i], wander_sigma):
            status = ESCAPED
        _integrate(theta, shape, tables[0], tables[1])
        chi2 = chi2_per_pixel(photons[i], shifted, theta, tables[0, 0], tables[1, 0])
        if not invert(information, covariance):
            status = SINGULAR
        _write_row(rows[i], theta, curves, covariance, excess_noise, status)
        rows[i, CHI2] = chi2 / excess_noise


def z_limits_nm(curves: WidthCurves) -> F64:
    """Return the least and the largest z that a fit may take, shape (2,)."""
    return np.array([curves.z_min_nm - MARGIN_NM, curves.z_max_nm + MARGIN_NM])
