"""A PSF table of measured width curves: the Gaussian of both widths at every depth."""

from __future__ import annotations

import numpy as np

from rtsmlm.physics.astigmatism import WidthCurves
from rtsmlm.physics.psf import TablePsf, table_from_planes

FINE_PER_PX = 4
STEP_NM = 25.0


def psf_of_curves(curves: WidthCurves, pixel_nm: float, box_px: int) -> TablePsf:
    """Return the PSF over the whole range of curves.

    Parameters
    ----------
    curves
        Widths against z.
    pixel_nm
        Camera pixel in the sample plane.
    box_px
        Side of the table; light outside is folded into it by scaling.
    """
    n = box_px * FINE_PER_PX
    at_px = (np.arange(n) - (n - 1) / 2) / FINE_PER_PX
    steps = max(round((curves.z_max_nm - curves.z_min_nm) / STEP_NM), 1)
    z_nm = np.linspace(curves.z_min_nm, curves.z_max_nm, steps + 1)
    along = [
        np.exp(-0.5 * (at_px / (curve.sigma_nm(z_nm)[:, None] / pixel_nm)) ** 2)
        for curve in (curves.x, curves.y)
    ]
    return table_from_planes(
        along[1][:, :, None] * along[0][:, None, :],
        fine_per_px=FINE_PER_PX,
        z_first_nm=float(z_nm[0]),
        z_step_nm=float(z_nm[1] - z_nm[0]),
    )
