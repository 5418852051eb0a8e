"""Fisher information and the Cramér-Rao lower bound (CRLB).

For independent pixels with mean mu_k, I_ab = sum_k (d_a mu_k)(d_b mu_k) / v_k, where v_k is mu_k
for Poisson noise, mu_k plus the variance of the read noise for an sCMOS pixel (Huang et al.,
Nat. Methods 10, 653 (2013)), and all of that times the squared excess noise factor for an EMCCD
(Mortensen et al., Nat. Methods 7, 377 (2010)). The CRLB of a parameter is the root of the diagonal
of the inverse: a standard deviation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf

from rtsmlm.errors import LocalizerError
from rtsmlm.physics.astigmatism import WidthCurves

F64 = NDArray[np.float64]
Integrals: TypeAlias = tuple[F64, F64, F64]
"""Pixel integrals along one axis with their derivatives by centre and width, each (n, box)."""


def fisher_information(
    model: Callable[[F64], F64],
    theta: ArrayLike,
    steps: ArrayLike,
    *,
    read_variance: float | NDArray[np.floating] = 0.0,
    excess_noise: float = 1.0,
) -> F64:
    """Return the Fisher information of any PSF model, by central differences.

    Parameters
    ----------
    model
        Parameters of shape (p,) to the mean image in photons, of any shape.
    theta
        Where to evaluate, shape (p,).
    steps
        Step of the difference per parameter, shape (p,): 1e-3 px, 1 nm along z, 1 photon and
        0.01 photons per pixel are adequate.
    read_variance
        Variance of the read noise in photons², number or the shape of the image.
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.

    Returns
    -------
    :
        Information matrix, shape (p, p).
    """
    center = np.asarray(theta, dtype=np.float64)
    offsets = np.diag(np.asarray(steps, dtype=np.float64))
    slopes = np.array(
        [
            (model(center + step) - model(center - step)).ravel() / (2.0 * step.sum())
            for step in offsets
        ]
    )
    variance = np.ravel(excess_noise * model(center) + read_variance)
    return np.asarray((slopes / variance) @ slopes.T, dtype=np.float64)


def crlb(information: F64) -> F64:
    """Return the standard deviations that the Cramér-Rao bound allows.

    Parameters
    ----------
    information
        Fisher information, shape (..., p, p).

    Returns
    -------
    :
        Standard deviation per parameter, shape (..., p), in the units of the parameters.

    Raises
    ------
    LocalizerError
        If the information is singular: the pixels do not distinguish two parameters.
    """
    try:
        covariance = np.linalg.inv(information)
    except np.linalg.LinAlgError as error:
        raise LocalizerError(
            "the Fisher information is singular, so that some parameters cannot be distinguished; "
            "use a larger box or fit fewer parameters"
        ) from error
    return np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))


@dataclass(frozen=True, slots=True, kw_only=True)
class GaussianCrlb:
    """Smallest standard deviations of a Gaussian spot, all of shape (n,)."""

    x_px: F64
    y_px: F64
    photons: F64
    background: F64
    """In photons per pixel."""
    sigma_px: F64
    """NaN where the PSF width is not fitted."""


def gaussian_crlb(
    photons: ArrayLike,
    background: ArrayLike,
    sigma_px: ArrayLike,
    *,
    box_px: int,
    x_px: ArrayLike | None = None,
    y_px: ArrayLike | None = None,
    fit_sigma: bool = False,
    read_variance: float | NDArray[np.floating] = 0.0,
    excess_noise: float = 1.0,
) -> GaussianCrlb:
    """Return the CRLB of integrated Gaussian spots, from analytic derivatives.

    Parameters
    ----------
    photons
        Detected photons per spot, number or shape (n,).
    background
        Photons per pixel, number or shape (n,).
    sigma_px
        Standard deviation of the PSF in pixels, number or shape (n,).
    box_px
        Side of the square of pixels used.
    x_px, y_px
        Centre in pixels from the centre of the box's first pixel, number or shape (n,); not
        given takes the centre of the box.
    fit_sigma
        Whether the PSF width is unknown too.
    read_variance
        Variance of the read noise in photons², number, (box, box) or (n, box, box).
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    """
    n, b, s, x, y = _columns(photons, background, sigma_px, x_px, y_px, box_px)
    along_x, along_y = _row_integrals(x, s, box_px), _row_integrals(y, s, box_px)
    slopes, mean = _slopes(n, b, along_x, along_y)
    if fit_sigma:
        slopes.append(_width_slope(n, along_x, along_y))
    std = _bounds(slopes, mean, read_variance, excess_noise)
    return GaussianCrlb(
        x_px=std[:, 0],
        y_px=std[:, 1],
        photons=std[:, 2],
        background=std[:, 3],
        sigma_px=std[:, 4] if fit_sigma else np.full(len(n), np.nan),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AstigmaticCrlb:
    """Smallest standard deviations of an astigmatic Gaussian spot, all of shape (n,)."""

    x_px: F64
    y_px: F64
    z_nm: F64
    photons: F64
    background: F64
    """In photons per pixel."""


def astigmatic_crlb(
    photons: ArrayLike,
    background: ArrayLike,
    z_nm: ArrayLike,
    curves: WidthCurves,
    *,
    pixel_nm: float,
    box_px: int,
    x_px: ArrayLike | None = None,
    y_px: ArrayLike | None = None,
    read_variance: float | NDArray[np.floating] = 0.0,
    excess_noise: float = 1.0,
) -> AstigmaticCrlb:
    """Return the CRLB of integrated Gaussian spots whose widths encode z.

    Parameters
    ----------
    photons
        Detected photons per spot, number or shape (n,).
    background
        Photons per pixel, number or shape (n,).
    z_nm
        z of each emitter, number or shape (n,).
    curves
        Widths along x and y against z.
    pixel_nm
        Camera pixel in the sample plane.
    box_px, x_px, y_px, read_variance, excess_noise
        As `gaussian_crlb` takes them.
    """
    n, b, z, x, y = _columns(photons, background, z_nm, x_px, y_px, box_px)
    along_x = _row_integrals(x, curves.x.sigma_nm(z) / pixel_nm, box_px)
    along_y = _row_integrals(y, curves.y.sigma_nm(z) / pixel_nm, box_px)
    slopes, mean = _slopes(n, b, along_x, along_y)
    along_x = (*along_x[:2], along_x[2] * (curves.x.slope(z) / pixel_nm)[:, None])
    along_y = (*along_y[:2], along_y[2] * (curves.y.slope(z) / pixel_nm)[:, None])
    slopes.insert(2, _width_slope(n, along_x, along_y))
    std = _bounds(slopes, mean, read_variance, excess_noise)
    names = ("x_px", "y_px", "z_nm", "photons", "background")
    return AstigmaticCrlb(**dict(zip(names, std.T, strict=True)))


def _columns(
    photons: ArrayLike,
    background: ArrayLike,
    shape: ArrayLike,
    x_px: ArrayLike | None,
    y_px: ArrayLike | None,
    box_px: int,
) -> list[F64]:
    """Return all of shape (n,); a centre that is not given is that of the box."""
    middle = 0.5 * (box_px - 1)
    parts = (
        photons,
        background,
        shape,
        middle if x_px is None else x_px,
        middle if y_px is None else y_px,
    )
    return [
        np.asarray(part, dtype=np.float64)
        for part in np.broadcast_arrays(*map(np.atleast_1d, parts))
    ]


def _slopes(
    photons: F64, background: F64, along_x: Integrals, along_y: Integrals
) -> tuple[list[F64], F64]:
    """Return the slopes of the mean by x, y, photons and background, and the mean itself."""
    (ex, dex, _), (ey, dey, _) = along_x, along_y
    light = photons[:, None, None]
    spot = ey[:, :, None] * ex[:, None, :]
    slopes = [
        light * ey[:, :, None] * dex[:, None, :],
        light * dey[:, :, None] * ex[:, None, :],
        spot,
        np.ones_like(spot),
    ]
    return slopes, light * spot + background[:, None, None]


def _width_slope(photons: F64, along_x: Integrals, along_y: Integrals) -> F64:
    """Return the slope of the mean by what changes both widths."""
    (ex, _, sex), (ey, _, sey) = along_x, along_y
    light = photons[:, None, None]
    return light * (ey[:, :, None] * sex[:, None, :] + sey[:, :, None] * ex[:, None, :])


def _bounds(
    slopes: list[F64],
    mean: F64,
    read_variance: float | NDArray[np.floating],
    excess_noise: float,
) -> F64:
    """CRLB of each parameter, shape (n, p), from p derivatives of the mean, each (n, box, box)."""
    jacobian = np.stack(slopes, axis=1).reshape(len(mean), len(slopes), -1)
    variance = np.broadcast_to(excess_noise * mean + read_variance, mean.shape)
    weighted = jacobian / variance.reshape(len(mean), 1, -1)
    return crlb(weighted @ jacobian.transpose(0, 2, 1))


def _row_integrals(center_px: F64, sigma_px: F64, n_px: int) -> Integrals:
    sigma = sigma_px[:, None]
    u = (np.arange(n_px + 1) - 0.5 - center_px[:, None]) / sigma
    cumulative = 0.5 * erf(u * math.sqrt(0.5))
    density = np.exp(-0.5 * u * u) / (math.sqrt(2.0 * math.pi) * sigma)
    return np.diff(cumulative), -np.diff(density), -np.diff(density * u)


def mortensen_std_px(photons: ArrayLike, background: ArrayLike, sigma_px: ArrayLike) -> F64:
    """Return the lateral precision of maximum likelihood in an unbounded box, in pixels.

    Parameters
    ----------
    photons
        Detected photons per spot, number or shape (n,).
    background
        Photons per pixel, number or shape (n,).
    sigma_px
        Standard deviation of the PSF in pixels, number or shape (n,).

    Notes
    -----
    The closed form that Rieger and Stallinga (ChemPhysChem 15, 664 (2014)) give for the integral
    of Mortensen et al. (2010); within two percent of it. Multiply by the square root of 2 for an
    EMCCD.
    """
    n = np.asarray(photons, dtype=np.float64)
    area = np.asarray(sigma_px, dtype=np.float64) ** 2 + 1.0 / 12.0
    tau = 2.0 * math.pi * area * np.asarray(background, dtype=np.float64) / n
    spread = 1.0 + 4.0 * tau + np.sqrt(2.0 * tau / (1.0 + 4.0 * tau))
    return np.asarray(np.sqrt(area / n * spread), dtype=np.float64)
