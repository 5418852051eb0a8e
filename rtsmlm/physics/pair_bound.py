"""The Cramér-Rao bound of two emitters whose spots overlap."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from rtsmlm.physics.fisher import crlb, fisher_information

F64: TypeAlias = NDArray[np.float64]


def pair_crlb(
    photons: float,
    background: float,
    sigma_px: float,
    distance_px: float,
    *,
    box_px: int,
    n_angles: int = 16,
) -> float:
    """Return the bound on places of two equal emitters whose spots overlap, fitted together.

    Parameters
    ----------
    photons
        Detected photons of each.
    background
        Photons per pixel.
    sigma_px
        Standard deviation of the PSF in pixels.
    distance_px
        Distance of the two.
    box_px
        Side of the square of pixels used, around the middle between both.
    n_angles
        Directions of the pair, evenly spread over half a turn, each at another place of the pixel.

    Returns
    -------
    :
        Root mean square over emitters, axes and directions, in pixels.
    """
    middle = 0.5 * (box_px - 1)
    steps = np.array([1e-3, 1e-3, 1.0, 1e-3, 1e-3, 1.0, 0.01])

    def image(theta: F64) -> F64:
        both = theta[:6].reshape(2, 3)
        along_x, along_y = (_integrals(both[:, k], sigma_px, box_px) for k in range(2))
        return np.asarray(np.einsum("k,ky,kx->yx", both[:, 2], along_y, along_x) + theta[6])

    squares = []
    for k in range(n_angles):
        angle = math.pi * k / n_angles
        # A sequence of low discrepancy.
        x, y = middle + (0.7549 * k) % 1.0 - 0.5, middle + (0.5698 * k) % 1.0 - 0.5
        dx, dy = 0.5 * distance_px * math.cos(angle), 0.5 * distance_px * math.sin(angle)
        theta = np.array([x - dx, y - dy, photons, x + dx, y + dy, photons, background])
        std = crlb(fisher_information(image, theta, steps))
        squares.append(std[[0, 1, 3, 4]] ** 2)
    return float(np.sqrt(np.mean(squares)))


def _integrals(center_px: F64, sigma_px: float, n_px: int) -> F64:
    """Return the light of unit Gaussians in each pixel of a row, (n, n_px)."""
    edges = np.arange(n_px + 1) - 0.5 - center_px[:, None]
    return np.asarray(0.5 * np.diff(erf(edges / (math.sqrt(2.0) * sigma_px)), axis=1))
