"""Laser beams in the sample plane: power to irradiance."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

FOUR_LN2 = 4.0 * math.log(2.0)


def peak_irradiance_w_cm2(power_mw: float, fwhm_um: float) -> float:
    """Return the irradiance in the centre of a Gaussian beam: 4 ln2 P / (pi FWHM²).

    Parameters
    ----------
    power_mw
        Power that reaches the sample.
    fwhm_um
        Full width of the beam at half maximum, in the sample plane.
    """
    fwhm_cm = fwhm_um * 1e-4
    return FOUR_LN2 * power_mw * 1e-3 / (math.pi * fwhm_cm * fwhm_cm)


def beam_profile(
    x_nm: ArrayLike, y_nm: ArrayLike, center_nm: tuple[float, float], fwhm_um: float
) -> NDArray[np.float64]:
    """Return the irradiance of a Gaussian beam relative to its centre, same shape as `x_nm`."""
    x, y = np.asarray(x_nm, dtype=np.float64), np.asarray(y_nm, dtype=np.float64)
    distance2 = (x - center_nm[0]) ** 2 + (y - center_nm[1]) ** 2
    return np.exp(-FOUR_LN2 * distance2 / (fwhm_um * 1e3) ** 2)
