"""How like an image of few localizations is to that of all."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rtsmlm.bench.accuracy.figures import Figures
from rtsmlm.localizations import F32

MS_SSIM, GAIN, CORRELATED = "MS-SSIM", "PSNR gain, dB", "correlation of the spread with the error"
OF_INPUT = ", of the localizations"
"""Behind the name of a figure: that of the localizations drawn as they are."""
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of five scales, each half of the one before (Wang et al., Asilomar Conference (2003))."""
SIGMA_PX = 1.5
HIGH = 99.9
"""Percentile of the whole image that is white."""
F64 = NDArray[np.float64]


def as_shown(image: F32, truth: F64) -> F64:
    """Return an image from 0 to 1, scaled to be as near to the whole image as possible."""
    power = float(np.square(image, dtype=np.float64).sum())
    scale = float((image.astype(np.float64) * truth).sum()) / power if power else 0.0
    return np.asarray(np.clip(scale * image.astype(np.float64), 0.0, 1.0))


def list_figures(predicted: F32, spread: F32, few: F32, whole: F32) -> Figures:
    """Return the figures of a predicted image, and of what it was made of.

    Parameters
    ----------
    predicted
        The answer, in any unit.
    spread
        What it states as its standard deviation, in the same unit.
    few
        The localizations that it was given, drawn.
    whole
        All of the structure, drawn in the same way.
    """
    truth = np.clip(whole / float(np.percentile(whole, HIGH)), 0.0, 1.0).astype(np.float64)
    found, given = as_shown(predicted, truth), as_shown(few, truth)
    errors = [float(np.mean((image - truth) ** 2)) for image in (found, given)]
    off = np.abs(ndimage.gaussian_filter(found - truth, 2.0))
    return {
        MS_SSIM: ms_ssim(found, truth),
        MS_SSIM + OF_INPUT: ms_ssim(given, truth),
        GAIN: 10.0 * math.log10(errors[1] / errors[0]) if errors[0] else math.inf,
        CORRELATED: float(np.corrcoef(spread.ravel(), off.ravel())[0, 1]) if spread.any() else 0.0,
    }


def ms_ssim(a: F64, b: F64) -> float:
    """Return the structural similarity at several scales of images from 0 to 1."""
    product = 1.0
    for scale, weight in enumerate(WEIGHTS):
        light, contrast = _ssim(a, b)
        last = scale == len(WEIGHTS) - 1
        product *= max(float((light * contrast if last else contrast).mean()), 0.0) ** weight
        a, b = (_half(image) for image in (a, b))
    return product


def _half(image: F64) -> F64:
    rows, columns = (side // 2 for side in image.shape)
    blocks = image[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2)
    return np.asarray(blocks.mean(axis=(1, 3)))


def _ssim(a: F64, b: F64) -> tuple[F64, F64]:
    """Return the likeness of the light and of the contrast around each pixel."""

    def local(image: F64) -> F64:
        return np.asarray(ndimage.gaussian_filter(image, SIGMA_PX, truncate=3.34))

    mean_a, mean_b = local(a), local(b)
    variance_a, variance_b = local(a * a) - mean_a**2, local(b * b) - mean_b**2
    covariance = local(a * b) - mean_a * mean_b
    light = (2 * mean_a * mean_b + 0.01**2) / (mean_a**2 + mean_b**2 + 0.01**2)
    return light, (2 * covariance + 0.03**2) / (variance_a + variance_b + 0.03**2)
