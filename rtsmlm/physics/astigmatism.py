"""Astigmatic PSF: widths against z, and z from widths.

Each width follows ``sigma(z) = sigma0 sqrt(1 + u² + a u³ + b u⁴)``, ``u = (z - focus) / depth``,
and z is where the square roots of both widths are nearest to the curves
(Huang et al., Science 319, 810 (2008)).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

F64 = NDArray[np.float64]
GRID_NM = 2.0
AT_ONCE = 4096
# The root must stay real, whatever a fit tries on its way.
LEAST_SQUARE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class WidthCurve:
    """Width along one axis against z."""

    sigma0_nm: float
    """Width in focus."""
    focus_nm: float
    """z of the focus of this axis."""
    depth_nm: float
    """Distance from focus at which the width has grown by the square root of two."""
    cubic: float = 0.0
    quartic: float = 0.0

    def sigma_nm(self, z_nm: ArrayLike) -> F64:
        """Return the width at each z."""
        u = (np.asarray(z_nm) - self.focus_nm) / self.depth_nm
        square = 1 + u**2 + self.cubic * u**3 + self.quartic * u**4
        return np.asarray(self.sigma0_nm * np.sqrt(np.maximum(square, LEAST_SQUARE)))

    def slope(self, z_nm: ArrayLike) -> F64:
        """Return how much the width grows along z at each z, in nm per nm."""
        u = (np.asarray(z_nm) - self.focus_nm) / self.depth_nm
        square = 1 + u**2 + self.cubic * u**3 + self.quartic * u**4
        growth = 2 * u + 3 * self.cubic * u**2 + 4 * self.quartic * u**3
        root = np.sqrt(np.maximum(square, LEAST_SQUARE))
        slope = 0.5 * self.sigma0_nm / self.depth_nm * growth / root
        return np.asarray(np.where(square > LEAST_SQUARE, slope, 0.0))

    def moved(self, by_nm: float) -> WidthCurve:
        """Return the same curve further along z."""
        return replace(self, focus_nm=self.focus_nm + by_nm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wobble:
    """What a Gaussian of the curves finds of a real spot beside its true place, against z.

    Coma and a cylindrical lens that is not quite centred shift a spot while z changes, and no
    curve follows the widths of a real spot exactly.
    """

    z_nm: tuple[float, ...]
    """z as found, ascending; beyond the ends the values there hold."""
    x_nm: tuple[float, ...]
    """How far from its place a spot is found along x; 0 where both widths are equal."""
    y_nm: tuple[float, ...]
    along_z_nm: tuple[float, ...]
    """How far from its z it is found."""
    std_x: tuple[float, ...]
    """How many times the error that the fit states its error is: 1 for a Gaussian."""
    std_y: tuple[float, ...]
    std_z: tuple[float, ...]

    def at(self, z_nm: ArrayLike) -> tuple[F64, F64, F64]:
        """Return how far off x, y and z are that were found at each z."""
        z = np.asarray(z_nm, dtype=np.float64)
        x, y, along_z = (
            np.asarray(np.interp(z, self.z_nm, values))
            for values in (self.x_nm, self.y_nm, self.along_z_nm)
        )
        return x, y, along_z

    def std_factors(self, z_nm: ArrayLike) -> tuple[F64, F64, F64]:
        """Return the factors on stated errors of x, y and z that were found at each z."""
        z = np.asarray(z_nm, dtype=np.float64)
        x, y, along_z = (
            np.asarray(np.interp(z, self.z_nm, values))
            for values in (self.std_x, self.std_y, self.std_z)
        )
        return x, y, along_z

    def slope(self, z_nm: ArrayLike) -> F64:
        """Return how much the error along z grows with z as found, in nm per nm."""
        z = np.asarray(z_nm, dtype=np.float64)
        slopes = np.gradient(np.asarray(self.along_z_nm), np.asarray(self.z_nm))
        return np.asarray(np.interp(z, self.z_nm, slopes))

    def moved(self, by_nm: float) -> Wobble:
        """Return the same further along z."""
        return replace(self, z_nm=tuple(z + by_nm for z in self.z_nm))


@dataclass(frozen=True, slots=True, kw_only=True)
class WidthCurves:
    """Both curves and where they hold."""

    x: WidthCurve
    y: WidthCurve
    z_min_nm: float
    z_max_nm: float
    wobble: Wobble | None = None
    """What is found beside the true places; None where it was not measured."""

    @property
    def middle_nm(self) -> float:
        """Middle of the range of z."""
        return 0.5 * (self.z_min_nm + self.z_max_nm)

    @property
    def half_range_nm(self) -> float:
        """Half of the range of z."""
        return 0.5 * (self.z_max_nm - self.z_min_nm)

    def z_nm(self, sigma_x_nm: F64, sigma_y_nm: F64) -> tuple[F64, F64]:
        """Return z of each pair of widths, and how far it lies from the curves.

        Parameters
        ----------
        sigma_x_nm, sigma_y_nm
            Widths, shape (n,); NaN stays NaN.

        Returns
        -------
        :
            z in nm within the range, and the distance in square roots of nm, shape (n,) each.
        """
        grid = np.arange(self.z_min_nm, self.z_max_nm + GRID_NM, GRID_NM)
        root_x, root_y = np.sqrt(self.x.sigma_nm(grid)), np.sqrt(self.y.sigma_nm(grid))
        x, y = np.sqrt(sigma_x_nm), np.sqrt(sigma_y_nm)
        z, distance = np.full((2, len(x)), np.nan)
        known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        for first in range(0, len(known), AT_ONCE):
            rows = known[first : first + AT_ONCE]
            square = (x[rows, None] - root_x) ** 2 + (y[rows, None] - root_y) ** 2
            z[rows], distance[rows] = _least(grid, square)
        return z, distance

    def mean_nm(self) -> float:
        """Return the geometric mean of both widths that is typical of the range of z."""
        return float(np.median(np.sqrt(np.prod(self._widths_nm(), axis=0))))

    def wider_nm(self) -> float:
        """Return the larger of both widths that is typical of the range of z."""
        return float(np.median(self._widths_nm().max(axis=0)))

    def widest_nm(self) -> float:
        """Return the largest width in the range of z."""
        return float(self._widths_nm().max())

    def _widths_nm(self) -> F64:
        z = np.arange(self.z_min_nm, self.z_max_nm + GRID_NM, GRID_NM)
        return np.stack([self.x.sigma_nm(z), self.y.sigma_nm(z)])

    def as_array(self, pixel_nm: float) -> F64:
        """Return the curves for compiled code.

        Parameters
        ----------
        pixel_nm
            Camera pixel in the sample plane.

        Returns
        -------
        :
            sigma0 in pixels, focus and depth in nm, cubic, quartic; of x, then of y; shape (2, 5).
        """
        rows = [
            (c.sigma0_nm / pixel_nm, c.focus_nm, c.depth_nm, c.cubic, c.quartic)
            for c in (self.x, self.y)
        ]
        return np.array(rows, dtype=np.float64)

    def moved(self, by_nm: float) -> WidthCurves:
        """Return the same curves further along z."""
        return WidthCurves(
            x=self.x.moved(by_nm),
            y=self.y.moved(by_nm),
            z_min_nm=self.z_min_nm + by_nm,
            z_max_nm=self.z_max_nm + by_nm,
            wobble=self.wobble and self.wobble.moved(by_nm),
        )

    def crossing_nm(self) -> float:
        """Return z where both widths are equal, nearest to the middle between the foci."""
        z = np.arange(self.z_min_nm, self.z_max_nm, 1.0)
        ratio = np.log(self.x.sigma_nm(z) / self.y.sigma_nm(z))
        crossings = np.flatnonzero(np.diff(np.signbit(ratio)))
        middle = 0.5 * (self.x.focus_nm + self.y.focus_nm)
        if len(crossings) == 0:
            return middle
        at = z[crossings] - ratio[crossings] / (ratio[crossings + 1] - ratio[crossings])
        return float(at[np.argmin(np.abs(at - middle))])


def _least(grid: F64, square: F64) -> tuple[F64, F64]:
    """Return where each row has its least value, between the points of the grid, and its root."""
    best = np.argmin(square, axis=1)
    rows = np.arange(len(best))
    inner = np.clip(best, 1, len(grid) - 2)
    left, middle, right = (square[rows, inner + k] for k in (-1, 0, 1))
    bend = left - 2 * middle + right
    shift = np.divide(0.5 * (left - right), bend, out=np.zeros(len(best)), where=bend > 0)
    return grid[inner] + GRID_NM * np.clip(shift, -1, 1), np.sqrt(square[rows, best])
