"""Zernike polynomials: aberrations and phase masks as sums of few shapes over the pupil."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def zernike(n: int, m: int, rho: F64, phi: F64) -> F64:
    """Return a Zernike polynomial of unit root mean square over the pupil.

    Parameters
    ----------
    n, m
        Radial and azimuthal order; negative m takes the sine.
    rho, phi
        Polar coordinates in the pupil, the radius from 0 to 1.
    """
    order = abs(m)
    radial = np.zeros_like(rho)
    for k in range((n - order) // 2 + 1):
        term = (-1) ** k * math.factorial(n - k)
        term //= math.factorial(k)
        term //= math.factorial((n + order) // 2 - k)
        term //= math.factorial((n - order) // 2 - k)
        radial += term * rho ** (n - 2 * k)
    scale = math.sqrt((2 if m else 1) * (n + 1))
    return np.asarray(scale * radial * (np.cos(m * phi) if m >= 0 else np.sin(order * phi)))
