"""Widths along x and y of many spots at once: an elliptical integrated Gaussian, axis-aligned.

Fisher scoring with the damping of Levenberg and Marquardt; its fixed point is the maximum of the
Poisson likelihood whatever the scale of the data, as a scale moves all weights alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from rtsmlm.localizations import F32

F64 = NDArray[np.float64]

# Columns of the parameters.
X, Y, LIGHT, BACKGROUND, SIGMA_X, SIGMA_Y = range(6)
N_PARAMETERS = 6

MIN_SIGMA_PX = 0.3
MIN_MEAN = 1e-3
ENOUGH = 1e-3
MAX_ITERATIONS = 60
MAX_DAMPING = 1e7
# Fitted at once: 256 boxes of 25 pixels need 20 MB of slopes.
FITS_AT_ONCE = 256
_SQRT_HALF = np.sqrt(0.5)
_INV_SQRT_2PI = 1.0 / np.sqrt(2.0 * np.pi)


def fit_widths(
    photons: NDArray[np.floating], read_variance: F32 | float = 0.0
) -> tuple[F64, NDArray[np.bool_]]:
    """Fit position, light, background and both widths of each spot.

    Parameters
    ----------
    photons
        Boxes in photons with a spot near their centre, shape (n, box, box).
    read_variance
        Variance of the read noise in photons², number or shape (n, box, box).

    Returns
    -------
    :
        Parameters, shape (n, 6): x and y in pixels from the centre of the box's first pixel,
        photons, photons per pixel, standard deviations along x and y in pixels; and which
        fits have converged on a spot, shape (n,).

    Notes
    -----
    The model is that of `rtsmlm.physics.gaussian` with a width for each axis.
    """
    data = np.asarray(photons, dtype=np.float64)
    variance = np.broadcast_to(np.asarray(read_variance, dtype=np.float64), data.shape)
    theta = np.empty((len(data), N_PARAMETERS))
    good = np.zeros(len(data), dtype=np.bool_)
    for first in range(0, len(data), FITS_AT_ONCE):
        part = slice(first, first + FITS_AT_ONCE)
        theta[part], good[part] = _fit(data[part], variance[part])
    return theta, good


def _fit(data: F64, variance: F64) -> tuple[F64, NDArray[np.bool_]]:
    box = data.shape[1]
    theta = _start(data)
    damping = np.full(len(data), 1e-2)
    deviance, gradient, information = _evaluate(data, variance, theta)
    done = np.zeros(len(data), dtype=np.bool_)
    diagonal = np.arange(N_PARAMETERS)
    for _ in range(MAX_ITERATIONS):
        rows = np.flatnonzero(~done & (damping < MAX_DAMPING))
        if len(rows) == 0:
            break
        damped = information[rows]
        damped[:, diagonal, diagonal] *= 1.0 + damping[rows, None]
        damped[:, diagonal, diagonal] += 1e-12
        step = np.linalg.solve(damped, gradient[rows][..., None])[..., 0]
        gain = (step * gradient[rows]).sum(axis=1)
        trial = _limited(theta[rows] + step, theta[rows], box)
        result = _evaluate(data[rows], variance[rows], trial)
        slack = 1e-12 * np.abs(deviance[rows]) + 1e-9
        better = result[0] <= deviance[rows] + slack
        taken = rows[better]
        theta[taken], deviance[taken] = trial[better], result[0][better]
        gradient[taken], information[taken] = result[1][better], result[2][better]
        damping[rows] = np.where(better, 0.1 * damping[rows], 10 * np.maximum(damping[rows], 1e-3))
        # A step may be cut short by a limit; only the remaining gain decides the end.
        done[rows] = better & (gain < ENOUGH)
    inside = np.all((theta[:, :2] >= 0) & (theta[:, :2] <= box - 1), axis=1)
    widths = theta[:, [SIGMA_X, SIGMA_Y]]
    sensible = np.all((widths > 1.05 * MIN_SIGMA_PX) & (widths < 0.45 * box), axis=1)
    return theta, done & inside & sensible & (theta[:, LIGHT] > 0)


def _start(data: F64) -> F64:
    """Return parameters from the moments of each box."""
    n, box = data.shape[:2]
    rim = np.concatenate([data[:, 0], data[:, -1], data[:, :, 0], data[:, :, -1]], axis=1)
    background = np.median(rim, axis=1)
    light = data - background[:, None, None]
    # Below a tenth of the peak there is more background than spot.
    light = np.where(light > 0.1 * light.max(axis=(1, 2), keepdims=True), light, 0.0)
    total = np.maximum(light.sum(axis=(1, 2)), 1e-6)
    place = np.arange(box)
    theta = np.empty((n, N_PARAMETERS))
    for axis, (position, width) in enumerate(((X, SIGMA_X), (Y, SIGMA_Y))):
        profile = light.sum(axis=1 + axis)
        theta[:, position] = profile @ place / total
        spread = (profile * (place - theta[:, position, None]) ** 2).sum(axis=1) / total
        theta[:, width] = np.clip(np.sqrt(np.maximum(spread, 0.0)), 0.7, 0.3 * box)
    theta[:, LIGHT], theta[:, BACKGROUND] = total, background
    return theta


def _limited(trial: F64, before: F64, box: int) -> F64:
    """Return a step that changes no spot beyond recognition."""
    out = trial.copy()
    out[:, :2] = np.clip(trial[:, :2], before[:, :2] - 1.0, before[:, :2] + 1.0)
    out[:, LIGHT] = np.maximum(trial[:, LIGHT], 0.1 * before[:, LIGHT])
    widths = slice(SIGMA_X, SIGMA_Y + 1)
    out[:, widths] = np.clip(trial[:, widths], 0.7 * before[:, widths], 1.4 * before[:, widths])
    out[:, widths] = np.clip(out[:, widths], MIN_SIGMA_PX, box)
    return out


def integrals(center: F64, sigma: F64, box: int) -> tuple[F64, F64, F64]:
    """Return the integral over each pixel and its slopes by centre and width, (n, box) each."""
    u = (np.arange(box + 1) - 0.5 - center[:, None]) / sigma[:, None]
    density = _INV_SQRT_2PI * np.exp(-0.5 * u * u) / sigma[:, None]
    return (
        np.diff(0.5 * erf(u * _SQRT_HALF), axis=1),
        -np.diff(density, axis=1),
        -np.diff(density * u, axis=1),
    )


def _evaluate(data: F64, variance: F64, theta: F64) -> tuple[F64, F64, F64]:
    """Return half the deviance, its downhill slope and the Fisher information of each spot."""
    n, box = data.shape[:2]
    e_x, d_x, s_x = integrals(theta[:, X], theta[:, SIGMA_X], box)
    e_y, d_y, s_y = integrals(theta[:, Y], theta[:, SIGMA_Y], box)

    def outer(along_y: F64, along_x: F64) -> F64:
        return (along_y[:, :, None] * along_x[:, None, :]).reshape(n, -1)

    light = theta[:, LIGHT, None]
    shape = outer(e_y, e_x)
    slopes = np.empty((n, N_PARAMETERS, box * box))
    slopes[:, X], slopes[:, Y] = light * outer(e_y, d_x), light * outer(d_y, e_x)
    slopes[:, LIGHT], slopes[:, BACKGROUND] = shape, 1.0
    slopes[:, SIGMA_X], slopes[:, SIGMA_Y] = light * outer(e_y, s_x), light * outer(s_y, e_x)
    read = variance.reshape(n, -1)
    mean = np.maximum(light * shape + theta[:, BACKGROUND, None] + read, MIN_MEAN)
    seen = data.reshape(n, -1) + read
    deviance = (mean - seen * np.log(mean)).sum(axis=1)
    gradient = np.einsum("nip,np->ni", slopes, seen / mean - 1.0)
    information = (slopes / mean[:, None, :]) @ slopes.transpose(0, 2, 1)
    return deviance, gradient, information


def widths_covariance(photons: NDArray[np.floating], read_variance: F32 | float, theta: F64) -> F64:
    """Return the covariance of both widths of each spot, by the Fisher information of its fit.

    Parameters
    ----------
    photons, read_variance
        As given to `fit_widths`.
    theta
        As it has returned them.

    Returns
    -------
    :
        In pixels², shape (n, 2, 2).
    """
    data = np.asarray(photons, dtype=np.float64)
    variance = np.broadcast_to(np.asarray(read_variance, dtype=np.float64), data.shape)
    found = np.empty((len(data), 2, 2))
    widths = slice(SIGMA_X, SIGMA_Y + 1)
    for first in range(0, len(data), FITS_AT_ONCE):
        part = slice(first, first + FITS_AT_ONCE)
        _, _, information = _evaluate(data[part], variance[part], theta[part])
        found[part] = np.linalg.inv(information + 1e-12 * np.eye(N_PARAMETERS))[:, widths, widths]
    return found
