"""Losses between images: structural similarity at several scales, and the mean distance.

Wang et al., Asilomar Conference on Signals, Systems and Computers (2003); mixed with the distance
as Zhao et al., IEEE Trans. Comput. Imaging 3, 47 (2017), found best.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW_PX, WINDOW_SIGMA_PX = 11, 1.5
LUMINANCE, CONTRAST = 0.01**2, 0.03**2
"""Constants for images from 0 to 1."""
LEAST = 1e-4
"""Of the similarity at a scale: its power has a slope there."""


def ms_ssim(a: Tensor, b: Tensor) -> Tensor:
    """Return the similarity of images from 0 to 1 at as many scales as they have room for, (n,).

    Parameters
    ----------
    a, b
        (n, 1, height, width) both, in float32.
    """
    room = min(a.shape[-2:]) // WINDOW_PX
    n_scales = max(1, min(len(SCALE_WEIGHTS), room.bit_length()))
    total = sum(SCALE_WEIGHTS[:n_scales])
    similarity = a.new_ones(len(a))
    for scale, weight in enumerate(SCALE_WEIGHTS[:n_scales]):
        whole, contrast = _ssim(a, b)
        part = whole if scale == n_scales - 1 else contrast
        similarity = similarity * part.clamp(min=LEAST) ** (weight / total)
        if scale < n_scales - 1:
            a, b = functional.avg_pool2d(a, 2), functional.avg_pool2d(b, 2)
    return similarity


def mixed_loss(image: Tensor, target: Tensor, share: float = 0.84) -> dict[str, Tensor]:
    """Return the mean of both losses as `total`, and each.

    Parameters
    ----------
    image, target
        From 0 to 1, (n, 1, height, width), in float32.
    share
        Of the similarity.
    """
    unlike = (1.0 - ms_ssim(image, target)).mean()
    away = _windowed((image - target).abs()).mean()
    return {"total": share * unlike + (1.0 - share) * away, "unlike": unlike, "away": away}


def _ssim(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean similarity and the mean of its part without the luminance, (n,) both."""
    mean_a, mean_b = _windowed(a), _windowed(b)
    variance_a = _windowed(a * a) - mean_a.square()
    variance_b = _windowed(b * b) - mean_b.square()
    covariance = _windowed(a * b) - mean_a * mean_b
    contrast = (2.0 * covariance + CONTRAST) / (variance_a + variance_b + CONTRAST)
    light = (2.0 * mean_a * mean_b + LUMINANCE) / (mean_a.square() + mean_b.square() + LUMINANCE)
    return (light * contrast).mean(dim=(1, 2, 3)), contrast.mean(dim=(1, 2, 3))


def _windowed(image: Tensor) -> Tensor:
    """Return the mean in a Gaussian window around each pixel that has a whole one."""
    # Products of matrices: convolutions with one channel are slow to differentiate on a CPU.
    along, across = (_band(side, image) for side in image.shape[-2:])
    return along @ image @ across.T


def _band(side: int, image: Tensor) -> Tensor:
    """Return the matrix that weighs a row of this many pixels by the window."""
    reach = min(WINDOW_PX, side) // 2
    place = torch.arange(side, dtype=image.dtype, device=image.device)
    apart = place - place[reach : side - reach, None]
    weights = torch.exp(-0.5 * (apart / WINDOW_SIGMA_PX) ** 2) * (apart.abs() <= reach)
    return weights / weights.sum(dim=1, keepdim=True)
