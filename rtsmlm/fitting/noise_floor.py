"""Read noise from the frames themselves, for a camera whose read noise is not stated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibration import CameraCalibration

PATCH_PX = 16
QUANTILE = 0.25
"""Of pixels in a patch and of patches in the frames: emitters scatter more than that."""
NORMAL_QUARTILE = 0.31864
"""The quartile of the absolute value of a standard normal number."""
QUIET = 0.80
"""Lower quartile of the variance estimated from a patch of white noise, over the true one."""
TOO_MUCH = 5.0
"""Variance that exceeds what is expected by less than this may as well be a gain that is a bit off,
or the light of a crowd: at 6 emitters per µm² it reaches 3.4."""

LIT = 2.0
"""Shot noise over read noise, as variances, above which light explains the scatter."""


def measured_read_noise_e(calibration: CameraCalibration, pixels: NDArray[np.uint16]) -> float:
    """Return the read noise that the frames show, or 0 where the calibration explains them.

    Parameters
    ----------
    calibration
        Camera calibration with the read noise that is assumed.
    pixels
        Frames, uint16 ADU, shape (n, height, width).

    Returns
    -------
    :
        RMS read noise in electrons before the EM gain is divided out.

    Notes
    -----
    The kernel of Immerkaer (Comput. Vis. Image Underst. 64, 300 (1996)) leaves next to nothing of
    what is smooth within three pixels, and 36 times the variance of white noise.
    """
    photons = calibration.to_photons(pixels).astype(np.float64)
    if min(photons.shape[1:]) < PATCH_PX + 2:
        return 0.0
    variance = _variance(photons)
    mean = np.maximum(_patches(photons[:, 1:-1, 1:-1]).mean(axis=1), 0.0)
    shot = calibration.excess_noise * mean
    read = float(np.median(calibration.read_variance()))
    ratio = float(np.quantile(variance / np.maximum(shot + read, 0.05), QUANTILE)) / QUIET
    if not ratio > TOO_MUCH:
        return 0.0
    left = float(np.quantile(variance, QUANTILE)) / QUIET - float(np.quantile(shot, QUANTILE))
    return float(np.sqrt(max(left, read))) * calibration.em_gain


def scatter_ratio(calibration: CameraCalibration, pixels: NDArray[np.uint16]) -> float:
    """Return the variance of the quietest places over what their light and read noise explain.

    Parameters
    ----------
    calibration, pixels
        As for `measured_read_noise_e`.

    Returns
    -------
    :
        About 1 where the calibration is right, more where emitters are dense; NaN for frames that
        are too small, or so dark that most of their noise is that of the read-out.
    """
    photons = calibration.to_photons(pixels).astype(np.float64)
    if min(photons.shape[1:]) < PATCH_PX + 2:
        return float("nan")
    # Not the mean: emitters raise that, and leave the quiet pixels between them as they are.
    low = np.quantile(_patches(photons[:, 1:-1, 1:-1]), QUANTILE, axis=1)
    shot = calibration.excess_noise * np.maximum(low, 0.0)
    read = float(np.median(calibration.read_variance()))
    if float(np.quantile(shot, QUANTILE)) < LIT * max(read, 0.05):
        return float("nan")
    return float(np.quantile(_variance(photons) / (shot + read), QUANTILE)) / QUIET


def _variance(photons: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the variance of the quiet pixels of each patch in photons², shape (m,)."""
    bend = np.diff(np.diff(photons, n=2, axis=1), n=2, axis=2)
    quartile = np.quantile(np.abs(_patches(bend)), QUANTILE, axis=1)
    return np.asarray(np.square(quartile / (6.0 * NORMAL_QUARTILE)))


def _patches(images: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return squares of all images as rows, shape (m, PATCH_PX²)."""
    n, height, width = images.shape
    rows, columns = height // PATCH_PX, width // PATCH_PX
    cut = images[:, : rows * PATCH_PX, : columns * PATCH_PX]
    split = cut.reshape(n, rows, PATCH_PX, columns, PATCH_PX).transpose(0, 1, 3, 2, 4)
    return split.reshape(-1, PATCH_PX**2)
