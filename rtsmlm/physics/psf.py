"""Images of point emitters: Gaussian, astigmatic, or a table computed from a pupil.

All render into an image in place, integrate over pixels, and keep the photon sum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from rtsmlm.localizations import F32
from rtsmlm.physics.gaussian import RENDER_REACH_SIGMA, pixel_integrals

F64 = NDArray[np.float64]


class Psf(Protocol):
    """What a simulator asks of a PSF."""

    def render(self, image: F32, x_px: F64, y_px: F64, z_nm: F64, photons: F64) -> None:
        """Add emitters to an image of expected photons per pixel."""
        ...


@dataclass(frozen=True, slots=True)
class GaussianPsf:
    """A Gaussian of one width at every depth: for two-dimensional tests."""

    sigma_px: float

    def render(self, image: F32, x_px: F64, y_px: F64, z_nm: F64, photons: F64) -> None:
        """Add emitters to an image of expected photons per pixel.

        Parameters
        ----------
        image
            Expected photons, float32, shape (height, width), added to.
        x_px, y_px
            Centres in pixels, shape (n,).
        z_nm
            Depth, shape (n,); has no effect here.
        photons
            Expected photons of each, shape (n,).
        """
        sigma = np.full(len(x_px), self.sigma_px)
        _add_gaussians(image, x_px, y_px, photons, sigma, sigma)


@dataclass(frozen=True, slots=True, kw_only=True)
class AstigmaticPsf:
    """A Gaussian whose widths along x and y depend on depth.

    sigma(z) = sigma0 sqrt(1 + u² + A u³ + B u⁴) with u = (z - c)/d and c of opposite signs for x
    and y (Huang et al., Science 319, 810 (2008)).
    """

    pixel_nm: float
    sigma0_nm: float = 130.0
    c_nm: float = 220.0
    d_nm: float = 400.0
    a: float = 0.0
    b: float = 0.1

    def sigmas_nm(self, z_nm: ArrayLike) -> tuple[F64, F64]:
        """Return the widths along x and y in nm, same shape as `z_nm`."""
        z = np.asarray(z_nm, dtype=np.float64)

        def width(c_nm: float) -> F64:
            u = (z - c_nm) / self.d_nm
            return np.asarray(self.sigma0_nm * np.sqrt(1 + u**2 + self.a * u**3 + self.b * u**4))

        return width(self.c_nm), width(-self.c_nm)

    def render(self, image: F32, x_px: F64, y_px: F64, z_nm: F64, photons: F64) -> None:
        """Add emitters to an image of expected photons per pixel; see `GaussianPsf.render`."""
        sigma_x, sigma_y = self.sigmas_nm(z_nm)
        _add_gaussians(image, x_px, y_px, photons, sigma_x / self.pixel_nm, sigma_y / self.pixel_nm)


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePsf:
    """A PSF given as planes of running sums, on a grid finer than the pixels.

    A pixel holds the difference of the running sum at its corners, so it is integrated exactly
    over the fine grid and no photon is lost, wherever the emitter lies in its pixel.
    """

    sums: F32
    """Sum over all y below and x left of a corner, shape (planes, n + 1, n + 1)."""
    fine_per_px: float
    """Fine grid points per pixel."""
    z_first_nm: float
    z_step_nm: float

    def render(self, image: F32, x_px: F64, y_px: F64, z_nm: F64, photons: F64) -> None:
        """Add emitters to an image; depths beyond the table take its last plane."""
        plane = (z_nm - self.z_first_nm) / self.z_step_nm
        plane = np.clip(plane, 0.0, len(self.sums) - 1.0)
        add_from_table(image, x_px, y_px, photons, plane, self.sums, self.fine_per_px)


def table_from_planes(
    planes: F64, *, fine_per_px: float, z_first_nm: float, z_step_nm: float
) -> TablePsf:
    """Return a table PSF from intensities on a fine grid; each plane is scaled to sum to 1.

    Parameters
    ----------
    planes
        Intensity, shape (planes, n, n), the emitter in the middle between the points.
    fine_per_px
        Fine grid points per camera pixel.
    z_first_nm, z_step_nm
        Depth of the first plane and distance of planes.
    """
    unit = planes / planes.sum(axis=(1, 2), keepdims=True)
    sums = np.zeros((len(unit), unit.shape[1] + 1, unit.shape[2] + 1))
    sums[:, 1:, 1:] = unit.cumsum(axis=1).cumsum(axis=2)
    return TablePsf(
        sums=sums.astype(np.float32),
        fine_per_px=fine_per_px,
        z_first_nm=z_first_nm,
        z_step_nm=z_step_nm,
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _add_gaussians(
    image: F32, x_px: F64, y_px: F64, photons: F64, sigma_x_px: F64, sigma_y_px: F64
) -> None:
    height, width = image.shape
    for i in range(len(x_px)):
        reach_x = math.ceil(RENDER_REACH_SIGMA * sigma_x_px[i]) + 1
        reach_y = math.ceil(RENDER_REACH_SIGMA * sigma_y_px[i]) + 1
        x_first = max(round(x_px[i]) - reach_x, 0)
        x_last = min(round(x_px[i]) + reach_x, width - 1)
        y_first = max(round(y_px[i]) - reach_y, 0)
        y_last = min(round(y_px[i]) + reach_y, height - 1)
        if x_last < x_first or y_last < y_first:
            continue
        along_x = np.empty((3, x_last - x_first + 1))
        along_y = np.empty((3, y_last - y_first + 1))
        pixel_integrals(x_px[i] - x_first, sigma_x_px[i], along_x)
        pixel_integrals(y_px[i] - y_first, sigma_y_px[i], along_y)
        for row in range(y_last - y_first + 1):
            weight = photons[i] * along_y[0, row]
            for column in range(x_last - x_first + 1):
                image[y_first + row, x_first + column] += weight * along_x[0, column]


@njit(cache=True, nogil=True, error_model="numpy")
def _sum_at(plane: F32, y: float, x: float) -> float:
    """Return the running sum at a place of the fine grid; it ends in 0 and in its total."""
    n = plane.shape[0] - 1
    x, y = min(max(x, 0.0), float(n)), min(max(y, 0.0), float(n))
    column, row = min(int(x), n - 1), min(int(y), n - 1)
    u, v = x - column, y - row
    upper = plane[row, column] * (1.0 - u) + plane[row, column + 1] * u
    lower = plane[row + 1, column] * (1.0 - u) + plane[row + 1, column + 1] * u
    return float(upper * (1.0 - v) + lower * v)


@njit(cache=True, nogil=True, error_model="numpy")
def add_from_table(
    image: F32, x_px: F64, y_px: F64, photons: F64, plane: F64, sums: F32, fine_per_px: float
) -> None:
    """Add emitters to an image; compiled part of `TablePsf.render`.

    `plane` is the place between the planes of the table, within them.
    """
    height, width = image.shape
    middle = 0.5 * (sums.shape[1] - 1)
    reach = math.ceil(middle / fine_per_px) + 1
    corners = np.empty((2, 2 * reach + 2))
    for i in range(len(x_px)):
        low = min(int(plane[i]), sums.shape[0] - 1)
        high = min(low + 1, sums.shape[0] - 1)
        mix = plane[i] - low
        x_mid, y_mid = round(x_px[i]), round(y_px[i])
        for row in range(-reach, reach + 2):
            y = middle + (y_mid + row - 0.5 - y_px[i]) * fine_per_px
            now = (row + reach) % 2
            for column in range(-reach, reach + 2):
                x = middle + (x_mid + column - 0.5 - x_px[i]) * fine_per_px
                near = _sum_at(sums[low], y, x)
                corners[now, column + reach] = near + mix * (_sum_at(sums[high], y, x) - near)
            y_px_now = y_mid + row - 1
            if row == -reach or y_px_now < 0 or y_px_now >= height:
                continue
            for column in range(2 * reach + 1):
                x_px_now = x_mid + column - reach
                if 0 <= x_px_now < width:
                    share = corners[now, column + 1] - corners[now, column]
                    share -= corners[1 - now, column + 1] - corners[1 - now, column]
                    image[y_px_now, x_px_now] += photons[i] * share
