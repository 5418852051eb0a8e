"""The Cramér-Rao bound of emitters behind any PSF, one by itself or several together."""

from __future__ import annotations

import numpy as np

from rtsmlm.physics.fisher import F64, crlb, fisher_information
from rtsmlm.physics.psf import Psf

STEP_PX, STEP_NM, STEP_SHARE = 0.05, 5.0, 0.01
"""Of the differences: coarse enough for tables of single precision."""
DRAWN_PHOTONS = 1e4


def psf_crlb(
    psf: Psf,
    x_px: F64,
    y_px: F64,
    z_nm: F64,
    photons: float,
    background: float,
    *,
    box_px: int,
    read_variance: float = 0.0,
    excess_noise: float = 1.0,
) -> F64:
    """Return the bound of x, y and z of emitters on one background, fitted together.

    Parameters
    ----------
    psf
        Their image.
    x_px, y_px, z_nm
        Places in a square of pixels, shape (n,).
    photons
        Of each.
    background
        Photons per pixel.
    box_px
        Side of the square.
    read_variance
        Variance of the read noise in photons².
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.

    Returns
    -------
    :
        Standard deviations of x and y in pixels and of z in nm, shape (n, 3).
    """
    n = len(x_px)

    def image(theta: F64) -> F64:
        mean = np.full((box_px, box_px), theta[-1])
        for x, y, z, light in theta[:-1].reshape(n, 4):
            spot = np.zeros((box_px, box_px), dtype=np.float32)
            place = (np.array([x]), np.array([y]), np.array([z]))
            psf.render(spot, *place, np.array([DRAWN_PHOTONS]))
            mean += spot.astype(np.float64) * (light / DRAWN_PHOTONS)
        return mean

    theta = np.column_stack([x_px, y_px, z_nm, np.full(n, photons)]).ravel()
    steps = np.tile([STEP_PX, STEP_PX, STEP_NM, STEP_SHARE * photons], n)
    information = fisher_information(
        image,
        np.append(theta, background),
        np.append(steps, STEP_SHARE * (background + 1.0)),
        read_variance=read_variance,
        excess_noise=excess_noise,
    )
    return np.asarray(crlb(information)[:-1].reshape(n, 4)[:, :3], dtype=np.float64)
