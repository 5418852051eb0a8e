"""The square of pixels around each candidate, and the table that every fit fills.

All fits take boxes and give rows of the same columns, so that the localizer does not care which
of them it runs.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32
from rtsmlm.physics.astigmatism import WidthCurves

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

# Columns of a fit table; positions are in pixels from the centre of the box's first pixel, z in nm.
X, Y, PHOTONS, BACKGROUND, SIGMA, STD_X, STD_Y, STD_PHOTONS, CHI2, STATUS, Z, STD_Z = range(12)
N_COLUMNS = 12

# What `STATUS` holds.
CONVERGED = 0.0
NOT_CONVERGED = 1.0
ESCAPED = 2.0
SINGULAR = 3.0
SPIKE = 4.0
OUT_OF_RANGE = 5.0

# A fit that wanders further from the maximum than this has found something else.
MAX_WANDER_PX = 2.0


def default_box_px(sigma_px: float) -> int:
    """Return the side of the fitted box: three sigma to each side, odd, at least 7 pixels."""
    return max(7, 2 * math.ceil(3.0 * sigma_px) + 1)


def astigmatic_box_px(curves: WidthCurves, pixel_nm: float) -> int:
    """Return the side of the fitted box of an astigmatic spot, odd, 7 to 31 pixels.

    2.2 of the widest sigma, at an end of the range, to each side: a larger box would hold more
    neighbours, one of 1.9 costs a fifth of the precision along z there.
    """
    reach_px = max(2.2 * curves.widest_nm(), 3.0 * curves.mean_nm()) / pixel_nm
    return min(max(7, 2 * math.ceil(reach_px) + 1), 31)


def fit_table(n: int) -> F64:
    """Return an empty table for the fits of `n` boxes; fits without z leave it 0, its std NaN."""
    rows = np.zeros((n, N_COLUMNS), dtype=np.float64)
    rows[:, STD_Z] = np.nan
    return rows


@njit(cache=True, nogil=True, error_model="numpy")
def cut_boxes(
    pixels: Pixels,
    offset_adu: F32,
    photons_per_adu: F32,
    read_variance: F32,
    extra_variance: F32,
    frame: I32,
    top: I32,
    left: I32,
    photons: F32,
    variance: F32,
) -> None:
    """Cut boxes out of raw frames and convert them to photons.

    Parameters
    ----------
    pixels
        Raw frames in ADU, uint16, shape (n, height, width).
    offset_adu, photons_per_adu
        Camera calibration, float32, shape (height, width).
    read_variance
        Variance of the read noise in photons², float32, shape (height, width).
    extra_variance
        Variance to add in photons², per box, float32, shape (m,).
    frame, top, left
        Frame of the batch, first row and first column per box, int32, shape (m,). Beyond the edge
        of a frame its last pixels repeat.
    photons, variance
        Written: light and read variance, float32, shape (m, box, box).
    """
    box = photons.shape[1]
    height, width = offset_adu.shape
    for i in range(len(frame)):
        for row in range(box):
            y = min(max(top[i] + row, 0), height - 1)
            for column in range(box):
                x = min(max(left[i] + column, 0), width - 1)
                light = np.float32(pixels[frame[i], y, x]) - offset_adu[y, x]
                photons[i, row, column] = light * photons_per_adu[y, x]
                variance[i, row, column] = read_variance[y, x] + extra_variance[i]


@njit(cache=True, nogil=True, error_model="numpy")
def invert(matrix: F64, inverse: F64) -> bool:
    """Write the inverse of a positive definite matrix; False if it is not one.

    Parameters
    ----------
    matrix
        Symmetric, shape (p, p); its lower triangle is overwritten by its Cholesky factor.
    inverse
        Written, shape (p, p).
    """
    p = len(matrix)
    if not factorize(matrix, p):
        return False
    for k in range(p):
        for i in range(p):
            inverse[k, i] = 1.0 if i == k else 0.0
        _substitute(matrix, inverse[k], p)
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def solve_in_place(matrix: F64, vector: F64, p: int) -> bool:
    """Solve a positive definite system; False if it is not one.

    Parameters
    ----------
    matrix
        Symmetric, shape (p, p); its lower triangle is overwritten by its Cholesky factor.
    vector
        Right side, overwritten by the solution, shape (p,).
    p
        How many equations; both may be larger.
    """
    if not factorize(matrix, p):
        return False
    _substitute(matrix, vector, p)
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _substitute(factor: F64, vector: F64, p: int) -> None:
    for i in range(p):
        for j in range(i):
            vector[i] -= factor[i, j] * vector[j]
        vector[i] /= factor[i, i]
    for i in range(p - 1, -1, -1):
        for j in range(i + 1, p):
            vector[i] -= factor[j, i] * vector[j]
        vector[i] /= factor[i, i]


@njit(cache=True, nogil=True, error_model="numpy")
def factorize(matrix: F64, p: int) -> bool:
    """Overwrite the lower triangle by its Cholesky factor; False if it is not positive definite.

    Parameters
    ----------
    matrix
        Symmetric, at least (p, p).
    p
        How many rows count.
    """
    for i in range(p):
        for j in range(i + 1):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            if i == j:
                if not total > 0.0:
                    return False
                matrix[i, i] = math.sqrt(total)
            else:
                matrix[i, j] = total / matrix[j, j]
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def start_light(photons: F32, along_x: F64, along_y: F64) -> tuple[float, float]:
    """Return photons and background of a spot of known shape by linear least squares.

    Parameters
    ----------
    photons
        One box in photons, float32, shape (box, box).
    along_x, along_y
        Pixel integrals of the PSF, float64, shape (box,).
    """
    box = photons.shape[0]
    n = float(box * box)
    e, ee, d, ed = 0.0, 0.0, 0.0, 0.0
    for row in range(box):
        for column in range(box):
            share = along_y[row] * along_x[column]
            e += share
            ee += share * share
            d += photons[row, column]
            ed += share * photons[row, column]
    light = (n * ed - e * d) / (n * ee - e * e)
    return light, (d - light * e) / n
