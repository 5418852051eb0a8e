"""Reference of a drift estimate: where the structure lies, on a grid of bounded size.

A block of rows is compared with the rows of all other blocks by the likelihood of its places under
their density, as a function of a common shift. Correlation and counts of intersections (AIM, Ma et
al. 2024, doi:10.1126/sciadv.adm7765) are sums over the same grid; the logarithm gives a row the
weight that a likelihood gives it, so that one bright bead or one dense spot does not decide alone.

The field is folded into the grid: places a whole grid apart share a bin. A shift of all rows stays
a shift, at the price of some background, and the memory does not depend on the field.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

UNIFORM = 0.2
"""Part of the rows that may lie anywhere: emitters that no other block has, and false ones."""
_TAPS = 2
"""Bins on each side that a row is spread over, by a Gaussian of one bin."""
_PEAK = 2
"""Bins on each side of the maximum that the paraboloid is fitted to."""
_LEAST_CURVATURE = 1e-12


@njit(cache=True, nogil=True, error_model="numpy")
def spread_2d(grid: F32, x: F64, y: F64, weight: float) -> None:
    """Add rows to the grid, each as a Gaussian of one bin; a negative weight takes them away.

    Parameters
    ----------
    grid
        Density, (n, n), n a power of 2.
    x, y
        Places in bins, shape (rows,); bin 0 has its centre at 0.
    weight
        Sum of what each row adds.
    """
    mask = grid.shape[0] - 1
    size = 2 * _TAPS + 1
    wx, wy = np.empty(size), np.empty(size)
    for i in range(len(x)):
        column, row = int(np.rint(x[i])), int(np.rint(y[i]))
        sum_x = sum_y = 0.0
        for k in range(size):
            wx[k] = math.exp(-0.5 * (column + k - _TAPS - x[i]) ** 2)
            wy[k] = math.exp(-0.5 * (row + k - _TAPS - y[i]) ** 2)
            sum_x += wx[k]
            sum_y += wy[k]
        scale = weight / (sum_x * sum_y)
        for r in range(size):
            w = wy[r] * scale
            for c in range(size):
                grid[(row + r - _TAPS) & mask, (column + c - _TAPS) & mask] += w * wx[c]


@njit(cache=True, nogil=True, error_model="numpy")
def scores_2d(grid: F32, x: F64, y: F64, floor: float, half: int, step: int) -> F64:
    """Return the log-likelihood of places for each shift that is taken off them.

    Parameters
    ----------
    grid
        Density of the other rows.
    x, y
        Places in bins, shape (rows,).
    floor
        Density of rows that may lie anywhere, in the unit of the grid.
    half, step
        Shifts from -half to half times `step`, in bins.

    Returns
    -------
    :
        Shape (2 half + 1, 2 half + 1), by shift in y and x.
    """
    mask = grid.shape[0] - 1
    n = 2 * half + 1
    total = np.zeros((n, n))
    for i in range(len(x)):
        column, row = int(np.rint(x[i])), int(np.rint(y[i]))
        for r in range(n):
            line = grid[(row - (r - half) * step) & mask]
            for c in range(n):
                total[r, c] += math.log(floor + max(line[(column - (c - half) * step) & mask], 0))
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def spread_3d(grid: F32, x: F64, y: F64, z: F64, weight: float) -> None:
    """Add rows to a grid (n, n, depth): their bin in x and y, a Gaussian of one bin in z."""
    mask, deep = grid.shape[0] - 1, grid.shape[2] - 1
    size = 2 * _TAPS + 1
    wz = np.empty(size)
    for i in range(len(x)):
        column, row, layer = int(np.rint(x[i])), int(np.rint(y[i])), int(np.rint(z[i]))
        total = 0.0
        for k in range(size):
            wz[k] = math.exp(-0.5 * (layer + k - _TAPS - z[i]) ** 2)
            total += wz[k]
        line = grid[row & mask, column & mask]
        for k in range(size):
            line[(layer + k - _TAPS) & deep] += weight * wz[k] / total


@njit(cache=True, nogil=True, error_model="numpy")
def scores_z(grid: F32, x: F64, y: F64, z: F64, floor: float, half: int, step: int) -> F64:
    """Return the log-likelihood for each shift in z, as `scores_2d`; shape (2 half + 1,).

    A row is compared with the other rows at its place in x and y: what is bright in one place
    says nothing on depth, so each column of the grid counts as a distribution of its own.
    """
    mask, deep = grid.shape[0] - 1, grid.shape[2] - 1
    n = 2 * half + 1
    total = np.zeros(n)
    for i in range(len(x)):
        column, row, layer = int(np.rint(x[i])), int(np.rint(y[i])), int(np.rint(z[i]))
        line = grid[row & mask, column & mask]
        here = 0.0
        for k in range(len(line)):
            here += max(line[k], 0)
        if here < 2:
            continue
        least = UNIFORM * here / len(line) + floor
        for k in range(n):
            total[k] += math.log(least + max(line[(layer - (k - half) * step) & deep], 0))
    return total


def peak_2d(scores: F64) -> tuple[F64, F64, bool]:
    """Return the shift of the maximum in steps, the variance it has, and whether it is inside.

    Parameters
    ----------
    scores
        As of `scores_2d`, (n, n).

    Returns
    -------
    :
        Shift in x and y from the middle; the covariance that the curvature of the likelihood
        states, (2, 2), in steps²; False where the maximum lies on the border.
    """
    n = len(scores)
    row, column = divmod(int(scores.argmax()), n)
    reach = min(row, column, n - 1 - row, n - 1 - column, _PEAK)
    middle = np.array([column - n // 2, row - n // 2], np.float64)
    if reach < 1:
        return middle, np.eye(2), False
    near = scores[row - reach : row + reach + 1, column - reach : column + reach + 1]
    offset = np.arange(-reach, reach + 1, dtype=np.float64)
    x, y = (axis.ravel() for axis in np.meshgrid(offset, offset))
    terms = np.column_stack([np.ones_like(x), x, y, x * x / 2, x * y, y * y / 2])
    _, gx, gy, hxx, hxy, hyy = np.linalg.lstsq(terms, near.ravel(), rcond=None)[0]
    hessian = -np.array([[hxx, hxy], [hxy, hyy]])
    if np.linalg.eigvalsh(hessian)[0] < _LEAST_CURVATURE:
        return middle, np.eye(2), False
    covariance = np.linalg.inv(hessian)
    step = np.clip(covariance @ np.array([gx, gy]), -reach, reach)
    return middle + step, covariance, True


def peak_1d(scores: F64) -> tuple[float, float, bool]:
    """Return shift, variance and whether the maximum is inside, as `peak_2d` for one axis."""
    n = len(scores)
    at = int(scores.argmax())
    reach = min(at, n - 1 - at, _PEAK)
    if reach < 1:
        return float(at - n // 2), 1.0, False
    offset = np.arange(-reach, reach + 1, dtype=np.float64)
    curve, slope, _ = np.polyfit(offset, scores[at - reach : at + reach + 1], 2)
    if -2 * curve < _LEAST_CURVATURE:
        return float(at - n // 2), 1.0, False
    step = float(np.clip(-slope / (2 * curve), -reach, reach))
    return at - n // 2 + step, float(-1 / (2 * curve)), True
