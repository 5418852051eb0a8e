"""Figures of super-resolved images against the true emitters, and the peaks of such images."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rtsmlm.bench.accuracy.figures import Figures
from rtsmlm.localizations import F32, Localizations

BLUR_NM = 25.0
"""Both images are blurred so much: finer than any structure, coarser than the grids."""
CORRELATION, SSIM, PSNR = "correlation", "SSIM", "PSNR, dB"
SSIM_SIGMA_PX = 1.5
PEAK_REACH_PX = 1
"""Pixels around a peak whose centre of gravity is its place."""
F64 = NDArray[np.float64]


def histogram(rows: Localizations, shape: tuple[int, int], fine: int, pixel_nm: float) -> F32:
    """Return the number of rows in each fine pixel.

    Parameters
    ----------
    rows
        Emitters or localizations; those outside are left out.
    shape
        Height and width in camera pixels.
    fine
        Fine pixels along the side of a camera pixel.
    pixel_nm
        Camera pixel.
    """
    edges = [np.arange(n * fine + 1) * pixel_nm / fine - pixel_nm / 2 for n in shape]
    counts, _, _ = np.histogram2d(rows.y_nm, rows.x_nm, bins=edges)
    return np.asarray(counts, dtype=np.float32)


def image_figures(image: F32, truth: F32, fine_nm: float) -> Figures:
    """Compare two images of the same grid, whatever the unit of the first.

    Parameters
    ----------
    image
        As found, in any unit: it is scaled to be as near as possible.
    truth
        Emitters in each fine pixel.
    fine_nm
        Side of a fine pixel.
    """
    sigma = BLUR_NM / fine_nm
    found, true = (
        ndimage.gaussian_filter(part.astype(np.float64), sigma) for part in (image, truth)
    )
    power = float((found**2).sum())
    if power == 0.0 or not true.any():
        return {CORRELATION: math.nan, SSIM: math.nan, PSNR: math.nan}
    found = found * float((found * true).sum()) / power
    error = float(np.mean((found - true) ** 2))
    return {
        CORRELATION: float(np.corrcoef(found.ravel(), true.ravel())[0, 1]),
        SSIM: _ssim(found, true),
        PSNR: 10.0 * math.log10(float(true.max()) ** 2 / error) if error else math.inf,
    }


def _ssim(a: F64, b: F64) -> float:
    """Return the mean structural similarity (Wang et al., IEEE TIP 13, 600 (2004))."""

    def local(image: F64) -> F64:
        return np.asarray(ndimage.gaussian_filter(image, SSIM_SIGMA_PX))

    low, high = (0.01 * float(b.max())) ** 2, (0.03 * float(b.max())) ** 2
    mean_a, mean_b = local(a), local(b)
    variance_a, variance_b = local(a * a) - mean_a**2, local(b * b) - mean_b**2
    covariance = local(a * b) - mean_a * mean_b
    top = (2 * mean_a * mean_b + low) * (2 * covariance + high)
    return float(np.mean(top / ((mean_a**2 + mean_b**2 + low) * (variance_a + variance_b + high))))


def peaks(
    images: Iterable[F32], frame: NDArray[np.int64], fine: int, pixel_nm: float, least: float
) -> Localizations:
    """Return the peaks of images as rows.

    Parameters
    ----------
    images
        One of each frame.
    frame
        Numbers of the frames.
    fine
        Fine pixels along the side of a camera pixel.
    pixel_nm
        Camera pixel.
    least
        Height of the lowest peak.
    """
    columns: list[F64] = []
    for number, image in zip(frame, images, strict=True):
        top = ndimage.maximum_filter(image, size=2 * PEAK_REACH_PX + 1)
        y, x = np.nonzero((image == top) & (image > max(least, 0.0)))
        inside = (y >= PEAK_REACH_PX) & (y < image.shape[0] - PEAK_REACH_PX)
        inside &= (x >= PEAK_REACH_PX) & (x < image.shape[1] - PEAK_REACH_PX)
        y, x = y[inside], x[inside]
        shift_y, shift_x = _gravity(np.maximum(image, 0.0), y, x)
        columns.append(np.stack([np.full(len(x), float(number)), x + shift_x, y + shift_y]))
    table = np.concatenate(columns, axis=1)
    # The first fine pixel begins where the first camera pixel does, which is centred at 0.
    x_nm, y_nm = ((place + 0.5) * pixel_nm / fine - pixel_nm / 2 for place in table[1:])
    return Localizations.from_columns(
        {"frame": table[0].astype(np.int64), "x_nm": x_nm, "y_nm": y_nm}
    )


def _gravity(image: F32, y: NDArray[np.int64], x: NDArray[np.int64]) -> tuple[F64, F64]:
    """Return how far the light around peaks lies below and right of them, in fine pixels."""
    side = np.arange(-PEAK_REACH_PX, PEAK_REACH_PX + 1)
    around = image[y[:, None, None] + side[:, None], x[:, None, None] + side].astype(np.float64)
    total = around.sum(axis=(1, 2))
    return (around.sum(axis=2) @ side) / total, (around.sum(axis=1) @ side) / total
