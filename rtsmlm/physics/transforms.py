"""Transforms of the image plane: affine or of the second order, with slopes and inverse.

Between two views of one sample lie a shift, a rotation, a magnification that differs between
colours, and a distortion by lenses: polynomials of the second order hold all of these to a few
hundredths of a pixel over a field of view.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

F64: TypeAlias = NDArray[np.float64]

N_TERMS = {1: 3, 2: 6}
"""Number of coefficients along each axis, by the degree."""
CLOSE_PX = 1e-10
MAX_STEPS = 20


@dataclass(frozen=True, slots=True)
class PlaneTransform:
    """x' and y' as polynomials of x and y, all in pixels.

    Coefficients of 1, x, y and, of the second order, of x², x y, y².
    """

    x: tuple[float, ...] = (0.0, 1.0, 0.0)
    y: tuple[float, ...] = (0.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y) or len(self.x) not in N_TERMS.values():
            raise ValueError(
                f"a transform has 3 (affine) or 6 (second order) coefficients along both axes; "
                f"there are {len(self.x)} along x and {len(self.y)} along y"
            )

    @property
    def degree(self) -> int:
        """1 where it is affine, else 2."""
        return 1 if len(self.x) == N_TERMS[1] else 2

    @property
    def is_mirror(self) -> bool:
        """True if it exchanges left and right, or top and bottom, but not both."""
        return self.x[1] * self.y[2] - self.x[2] * self.y[1] < 0.0

    def __call__(self, places_px: F64) -> F64:
        """Return where places lie behind the transform.

        Parameters
        ----------
        places_px
            x and y, shape (n, 2).
        """
        powers = terms(places_px, self.degree)
        return np.stack([powers @ np.array(self.x), powers @ np.array(self.y)], axis=1)

    def slopes(self, places_px: F64) -> F64:
        """Return d(x', y') / d(x, y) at places of shape (n, 2), shape (n, 2, 2)."""
        px, py = places_px[:, 0], places_px[:, 1]
        found = np.empty((len(places_px), 2, 2))
        for axis, c in enumerate((self.x, self.y)):
            found[:, axis, 0], found[:, axis, 1] = c[1], c[2]
            if self.degree == 2:
                found[:, axis, 0] += 2.0 * c[3] * px + c[4] * py
                found[:, axis, 1] += c[4] * px + 2.0 * c[5] * py
        return found

    def inverse(self, places_px: F64) -> F64:
        """Return the places that the transform moves to the given ones, shape (n, 2).

        By Newton's method from the affine part on; NaN where there is no such place nearby.
        """
        wanted = np.asarray(places_px, dtype=np.float64).reshape(-1, 2)
        linear = np.array([self.x[1:3], self.y[1:3]])
        found = np.linalg.solve(linear, (wanted - (self.x[0], self.y[0])).T).T
        for _ in range(MAX_STEPS if self.degree == 2 else 0):
            off = wanted - self(found)
            if not np.any(np.abs(off) > CLOSE_PX):
                return np.asarray(found)
            found = found + np.linalg.solve(self.slopes(found), off[..., None])[..., 0]
        if self.degree == 2:
            missed = np.abs(wanted - self(found)).max(axis=1) > 1e-6
            found[missed] = np.nan
        return np.asarray(found)


IDENTITY = PlaneTransform()


def terms(places_px: F64, degree: int) -> F64:
    """Return 1, x, y and, for degree 2, x², x y, y² of places of shape (n, 2), as columns."""
    x, y = places_px[:, 0], places_px[:, 1]
    columns = [np.ones(len(places_px)), x, y]
    if degree == 2:
        columns += [x * x, x * y, y * y]
    return np.stack(columns, axis=1)
