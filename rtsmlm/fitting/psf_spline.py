"""A measured PSF as a smooth function of x, y and z: cubic B-splines through its table.

The table integrates over pixels, so that a spline through it gives the light of a pixel and its
slopes without an integral. All pixels of a box lie at the same place between the points of the
table, so that the sum over 4 x 4 x 4 coefficients falls apart into three sums of four: along z,
then y, then x (Babcock and Zhuang, Sci. Rep. 7, 552 (2017), has the fit; de Boor, A Practical Guide
to Splines (1978), the splines).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from rtsmlm.fitting.boxes import F64
from rtsmlm.localizations import F32
from rtsmlm.physics.gaussian import FAST
from rtsmlm.physics.psf import TablePsf

PER_PX = 2
"""Points of the table per pixel: at one, spots of a width of one pixel are off by a percent."""
BEYOND = 3
"""Points that a sum of four needs beyond the last place, on either side of it."""
START_SPACING_NM = 150.0
"""Of the depths that a fit may begin at: less than half a depth of focus."""
BY_X, BY_Y, VALUE, BY_Z = range(4)
"""Images that `write_images` writes: in the order of the parameters of a group."""


class PsfSpline(NamedTuple):
    """Coefficients of a spline, for compiled code."""

    coefficients: F32
    """Of planes, rows and columns, float32, (planes + 2 BEYOND, n, n)."""
    middle: float
    """Row and column of the emitter's place."""
    reach_px: float
    """Pixels further from the emitter are dark."""
    z_first_nm: float
    """z of the first plane of the table."""
    z_step_nm: float
    widths_px: F64
    """Width of each plane of the table: of the Gaussian that is as concentrated, (planes,)."""
    start_nm: F64
    """Depths that a fit may begin at, (starts,)."""
    starts: F32
    """Light of pixels there, at the places of the coefficients, float32, (starts, n, n)."""

    @property
    def z_nm(self) -> F64:
        """Z of the planes of the table, (planes,)."""
        place = np.arange(len(self.widths_px), dtype=np.float64)
        return np.asarray(self.z_first_nm + self.z_step_nm * place, dtype=np.float64)


def spline_of(table: TablePsf) -> PsfSpline:
    """Return the spline through a table."""
    from scipy.ndimage import spline_filter1d  # needed where there is a table alone

    planes = _pixel_images(table)
    reach_px = planes.shape[1] // 2 / PER_PX
    planes = np.pad(planes, ((0, 0), (BEYOND, BEYOND), (BEYOND, BEYOND)))
    coefficients = planes
    for axis in range(3):
        if coefficients.shape[axis] > 1:
            coefficients = spline_filter1d(coefficients, axis=axis, mode="mirror")
    ends = ((BEYOND, BEYOND), (0, 0), (0, 0))
    if len(planes) > BEYOND:
        coefficients = np.pad(coefficients, ends, mode="reflect")
    else:
        coefficients = np.pad(coefficients, ends, mode="edge")
    middle = planes.shape[1] // 2
    n_starts = math.ceil(table.z_step_nm * (len(planes) - 1) / START_SPACING_NM) + 1
    at = np.unique(np.rint(np.linspace(0, len(planes) - 1, n_starts)).astype(np.int64))
    return PsfSpline(
        coefficients=np.ascontiguousarray(coefficients, dtype=np.float32),
        middle=float(middle),
        reach_px=reach_px,
        z_first_nm=float(table.z_first_nm),
        z_step_nm=float(table.z_step_nm),
        widths_px=_widths_px(planes),
        start_nm=table.z_first_nm + table.z_step_nm * at.astype(np.float64),
        starts=np.ascontiguousarray(planes[at], dtype=np.float32),
    )


def _widths_px(planes: F64) -> F64:
    first = planes.shape[1] // 2 % PER_PX
    whole_px = planes[:, first::PER_PX, first::PER_PX]
    return np.asarray(np.sqrt(1.0 / (4.0 * np.pi * np.sum(whole_px**2, axis=(1, 2)))))


def _pixel_images(table: TablePsf) -> F64:
    """Return the light of pixels at steps of a part of a pixel around the emitter."""
    sums = np.asarray(table.sums, dtype=np.float64)
    middle = 0.5 * (sums.shape[1] - 1)
    half = int(middle / table.fine_per_px) * PER_PX
    place = np.arange(-half, half + 1) / PER_PX
    fine = np.arange(sums.shape[1], dtype=np.float64)
    low, high = (
        np.clip(middle + (place + side) * table.fine_per_px, 0.0, fine[-1]) for side in (-0.5, 0.5)
    )
    # Running sums are taken linearly between their points, as the table does.
    matrix = np.stack(
        [np.interp(high, fine, row) - np.interp(low, fine, row) for row in np.eye(len(fine))]
    )
    return np.asarray(np.einsum("zyx,yr,xc->zrc", sums, matrix, matrix, optimize=True))


@njit(cache=True, nogil=True, error_model="numpy")
def _weights(t: float, out: F64) -> None:
    """Write the four weights of a cubic B-spline and their slopes, shape (2, 4); t in 0..1."""
    u = 1.0 - t
    out[0, 0] = u * u * u / 6.0
    out[0, 1] = (4.0 + t * t * (3.0 * t - 6.0)) / 6.0
    out[0, 2] = (4.0 + u * u * (3.0 * u - 6.0)) / 6.0
    out[0, 3] = t * t * t / 6.0
    out[1, 0] = -0.5 * u * u
    out[1, 1] = t * (1.5 * t - 2.0)
    out[1, 2] = -u * (1.5 * u - 2.0)
    out[1, 3] = 0.5 * t * t


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def write_images(
    spline: PsfSpline,
    x_px: float,
    y_px: float,
    z_nm: float,
    height: int,
    width: int,
    scratch: F64,
    images: F64,
) -> None:
    """Write the image of an emitter of one photon, and its slopes.

    Parameters
    ----------
    spline
        The PSF.
    x_px, y_px
        Place in pixels of the box, inside or not.
    z_nm
        Depth; beyond the table it is that of its last plane.
    height, width
        Of the box.
    scratch
        From `make_scratch`, for the longer side.
    images
        Written, at least (4, height, width): light of each pixel, and its slopes by x, y (per
        pixel) and z (per nm).
    """
    top, bottom = max(math.ceil(y_px - spline.reach_px), 0), math.floor(y_px + spline.reach_px) + 1
    left, right = max(math.ceil(x_px - spline.reach_px), 0), math.floor(x_px + spline.reach_px) + 1
    bottom, right = min(bottom, height), min(right, width)
    if bottom - top < height or right - left < width:
        images[:, :height, :width] = 0.0
        if bottom <= top or right <= left:
            return
    coefficients = spline.coefficients
    last = coefficients.shape[0] - 2 * BEYOND - 1
    plane = min(max((z_nm - spline.z_first_nm) / spline.z_step_nm, 0.0), float(last))
    weights = np.empty((3, 2, 4))
    p = min(int(plane), max(last - 1, 0))
    _weights(plane - p, weights[0])
    row_place = spline.middle - PER_PX * (y_px - top)
    column_place = spline.middle - PER_PX * (x_px - left)
    row, column = int(np.floor(row_place)), int(np.floor(column_place))
    _weights(row_place - row, weights[1])
    _weights(column_place - column, weights[2])
    n_rows, n_columns = PER_PX * (bottom - top - 1) + 4, PER_PX * (right - left - 1) + 4
    z, dz = weights[0, 0], weights[0, 1] / spline.z_step_nm
    y, dy = weights[1, 0], -PER_PX * weights[1, 1]
    x, dx = weights[2, 0], -PER_PX * weights[2, 1]
    first = p + BEYOND - 1
    for i in range(n_rows):
        for j in range(n_columns):
            a = coefficients[first, row - 1 + i, column - 1 + j]
            b = coefficients[first + 1, row - 1 + i, column - 1 + j]
            c = coefficients[first + 2, row - 1 + i, column - 1 + j]
            d = coefficients[first + 3, row - 1 + i, column - 1 + j]
            scratch[0, i, j] = z[0] * a + z[1] * b + z[2] * c + z[3] * d
            scratch[1, i, j] = dz[0] * a + dz[1] * b + dz[2] * c + dz[3] * d
    for r in range(bottom - top):
        k = PER_PX * r
        for j in range(n_columns):
            a, b = scratch[0, k, j], scratch[0, k + 1, j]
            c, d = scratch[0, k + 2, j], scratch[0, k + 3, j]
            scratch[2, 0, j] = y[0] * a + y[1] * b + y[2] * c + y[3] * d
            scratch[2, 1, j] = dy[0] * a + dy[1] * b + dy[2] * c + dy[3] * d
            a, b = scratch[1, k, j], scratch[1, k + 1, j]
            c, d = scratch[1, k + 2, j], scratch[1, k + 3, j]
            scratch[2, 2, j] = y[0] * a + y[1] * b + y[2] * c + y[3] * d
        for q in range(right - left):
            m = PER_PX * q
            value, by_x, by_y, by_z = 0.0, 0.0, 0.0, 0.0
            for i in range(4):
                light = scratch[2, 0, m + i]
                value += x[i] * light
                by_x += dx[i] * light
                by_y += x[i] * scratch[2, 1, m + i]
                by_z += x[i] * scratch[2, 2, m + i]
            images[VALUE, top + r, left + q] = value
            images[BY_X, top + r, left + q] = by_x
            images[BY_Y, top + r, left + q] = by_y
            images[BY_Z, top + r, left + q] = by_z


@njit(cache=True, nogil=True, error_model="numpy")
def make_scratch(box_px: int) -> F64:
    """Return memory for `write_images` of boxes of this side."""
    n = PER_PX * (box_px - 1) + 4
    return np.empty((3, n, n))
