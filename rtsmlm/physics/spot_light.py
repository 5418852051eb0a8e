"""Light of emitters whose places and PSF are known, of all of a frame together.

Non-negative least squares by coordinate descent on what is left of the frame: emitters that
overlap share the light as their spots say, and one that is not there gets none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.localizations import F32
from rtsmlm.physics.psf import TablePsf, add_from_table

F64 = NDArray[np.float64]
BLOCK_PX = 32
"""The background is level over blocks of about this side."""
SWEEPS = 40
SETTLED = 1e-3
"""Ends where no emitter's light changes by more than this part of the mean."""


@dataclass(frozen=True, slots=True)
class SpotLight:
    """Light of emitters; all but the images have shape (m,)."""

    photons: F64
    std_photons: F64
    """Standard deviation of shot noise, of the emitters alone and their background."""
    background: F64
    """Photons per pixel under each."""
    area_px2: F64
    """Pixels whose background adds to the noise of a spot: 4 pi sigma² for a Gaussian."""
    background_image: F64
    """(height, width)."""
    residual: F64
    """Frame without emitters and background, (height, width)."""


def fit_light(frame: F32, x_px: F64, y_px: F64, z_nm: F64, psf: TablePsf) -> SpotLight:
    """Return how the light of a frame is shared by emitters and a smooth background.

    Parameters
    ----------
    frame
        Photons per pixel, (height, width).
    x_px, y_px
        Centres of the emitters in pixels, (m,).
    z_nm
        Their depths, (m,); depths beyond the table take its last plane.
    psf
        The PSF on the pixels of the frame.
    """
    plane = (np.asarray(z_nm, np.float64) - psf.z_first_nm) / psf.z_step_nm
    plane = np.clip(plane, 0.0, len(psf.sums) - 1.0)
    x, y = np.asarray(x_px, np.float64), np.asarray(y_px, np.float64)
    reach = math.ceil(0.5 * (psf.sums.shape[1] - 1) / psf.fine_per_px) + 1
    spots = _unit_spots(x, y, plane, psf.sums, float(psf.fine_per_px), reach)
    left = np.rint(x).astype(np.int64) - reach
    top = np.rint(y).astype(np.int64) - reach
    residual = np.array(frame, dtype=np.float64)
    background = np.zeros_like(residual)
    squares = np.empty(len(x))
    photons = np.zeros(len(x))
    _descend(residual, background, photons, squares, spots, left, top)
    middle = (_inside(y, residual.shape[0]), _inside(x, residual.shape[1]))
    below = background[middle] if len(x) else np.empty(0)
    safe = np.maximum(squares, 1e-12)
    cubes = (spots.astype(np.float64) ** 3).sum(axis=(1, 2))
    variance = np.maximum(below, 0.0) / safe + photons * cubes / safe**2
    return SpotLight(photons, np.sqrt(variance), below, 1.0 / safe, background, residual)


def _inside(at_px: F64, size: int) -> NDArray[np.int64]:
    return np.clip(np.rint(at_px).astype(np.int64), 0, size - 1)


@njit(cache=True, nogil=True, error_model="numpy")
def _unit_spots(x_px: F64, y_px: F64, plane: F64, sums: F32, fine: float, reach: int) -> F32:
    side = 2 * reach + 1
    spots = np.zeros((len(x_px), side, side), dtype=np.float32)
    one = np.ones(1)
    for i in range(len(x_px)):
        x = np.full(1, x_px[i] - round(x_px[i]) + reach)
        y = np.full(1, y_px[i] - round(y_px[i]) + reach)
        add_from_table(spots[i], x, y, one, plane[i : i + 1], sums, fine)
    return spots


@njit(cache=True, nogil=True, error_model="numpy")
def _descend(
    residual: F64,
    background: F64,
    photons: F64,
    squares: F64,
    spots: F32,
    left: NDArray[np.int64],
    top: NDArray[np.int64],
) -> None:
    """Take light and background off the residual in turns, until they settle."""
    height, width = residual.shape
    side = spots.shape[1]
    for i in range(len(photons)):
        total = 0.0
        for row in range(max(0, -top[i]), min(side, height - top[i])):
            for column in range(max(0, -left[i]), min(side, width - left[i])):
                total += spots[i, row, column] ** 2
        squares[i] = total
    for _ in range(SWEEPS):
        _level(residual, background)
        largest, mean = 0.0, 0.0
        for i in range(len(photons)):
            if squares[i] <= 0.0:
                continue
            rows = (max(0, -top[i]), min(side, height - top[i]))
            columns = (max(0, -left[i]), min(side, width - left[i]))
            overlap = 0.0
            for row in range(rows[0], rows[1]):
                for column in range(columns[0], columns[1]):
                    share = spots[i, row, column]
                    overlap += share * residual[top[i] + row, left[i] + column]
            change = max(photons[i] + overlap / squares[i], 0.0) - photons[i]
            for row in range(rows[0], rows[1]):
                for column in range(columns[0], columns[1]):
                    share = spots[i, row, column]
                    residual[top[i] + row, left[i] + column] -= change * share
            photons[i] += change
            largest, mean = max(largest, abs(change)), mean + photons[i] / len(photons)
        if largest <= SETTLED * mean:
            break
    _level(residual, background)


@njit(cache=True, nogil=True, error_model="numpy")
def _level(residual: F64, background: F64) -> None:
    """Move the mean of each block from the residual to the background."""
    height, width = residual.shape
    down, right = max(1, round(height / BLOCK_PX)), max(1, round(width / BLOCK_PX))
    for i in range(down):
        rows = (i * height // down, (i + 1) * height // down)
        for j in range(right):
            columns = (j * width // right, (j + 1) * width // right)
            total = 0.0
            for row in range(rows[0], rows[1]):
                for column in range(columns[0], columns[1]):
                    total += residual[row, column]
            mean = total / max((rows[1] - rows[0]) * (columns[1] - columns[0]), 1)
            for row in range(rows[0], rows[1]):
                for column in range(columns[0], columns[1]):
                    residual[row, column] -= mean
                    background[row, column] += mean
