"""Astigmatic curves of `rtsmlm.physics.astigmatism` through measured widths."""

from __future__ import annotations

import numpy as np
from scipy.optimize import least_squares

from rtsmlm.fitting.widths import F64
from rtsmlm.physics.astigmatism import WidthCurve

# Relative misfit from which on a width counts less.
MISFIT = 0.03


def fit_curve(z_nm: F64, sigma_nm: F64, *, skew: bool) -> WidthCurve:
    """Return the curve nearest to widths, outliers counting little.

    Parameters
    ----------
    z_nm, sigma_nm
        Shape (n,); NaN widths are left out.
    skew
        Whether the cubic term is fitted too; without it both sides of the focus are alike.
    """
    known = np.isfinite(sigma_nm) & np.isfinite(z_nm)
    z, sigma = z_nm[known], sigma_nm[known]
    focus, width = _start(z, sigma)
    span = max(float(np.ptp(z)), 1.0)

    def curve(p: F64) -> WidthCurve:
        return WidthCurve(
            sigma0_nm=float(p[0] * width),
            focus_nm=float(focus + p[1] * span),
            depth_nm=float(np.exp(p[2]) * span),
            cubic=float(p[4]) if skew else 0.0,
            quartic=float(p[3]),
        )

    def misfit(p: F64) -> F64:
        return np.asarray(curve(p).sigma_nm(z) / sigma - 1.0)

    start = [1.0, 0.0, np.log(0.3), 0.1, 0.0][: 5 if skew else 4]
    low = [0.3, -1.0, np.log(0.02), 0.0, -5.0][: len(start)]
    high = [1.5, 1.0, np.log(5.0), 10.0, 5.0][: len(start)]
    found = least_squares(misfit, start, bounds=(low, high), loss="soft_l1", f_scale=MISFIT)
    return curve(found.x)


def _start(z: F64, sigma: F64) -> tuple[float, float]:
    """Return where the widths are least, and how wide they are there."""
    order = np.argsort(sigma)[: max(len(sigma) // 10, 3)]
    return float(np.median(z[order])), float(np.median(sigma[order]))
