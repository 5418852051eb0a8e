"""Targets and loss of Deep-STORM: emitters as spikes on the fine grid, both sides blurred."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from rtsmlm.models.simulation.training_windows import Targets

PEAK = 50.0
"""Sum of the image of one emitter: what is predicted of a spike, however bright the emitter."""
BLUR_PX = 1.0
"""Standard deviation of the blur, in pixels of the image."""
BLUR_WEIGHT = 2.0
"""Sum of the published kernel."""
REACH_PX = 3


def spikes_of(targets: Targets, shape: tuple[int, int, int], upsampling: int) -> Tensor:
    """Return the number of emitters in each fine pixel, (n, 1, upsampling height, ... width).

    Parameters
    ----------
    targets
        Emitters that are asked for.
    shape
        Windows, height and width in camera pixels.
    upsampling
        Fine pixels along a camera pixel.
    """
    n, height, width = shape
    fine = torch.zeros(n, 1, height * upsampling, width * upsampling, device=targets.x_px.device)
    # Pixel j of a row reaches from j - 1/2 to j + 1/2.
    rows, columns = (
        torch.floor((place + 0.5) * upsampling).long().clamp(0, side * upsampling - 1)
        for place, side in ((targets.y_px, height), (targets.x_px, width))
    )
    one = torch.ones_like(targets.x_px)
    fine.index_put_((targets.window, torch.zeros_like(rows), rows, columns), one, accumulate=True)
    return fine


def blurred(image: Tensor) -> Tensor:
    """Return an image behind a Gaussian of sum one, (n, 1, height, width)."""
    # Products of matrices: convolutions with one channel are slow to differentiate on a CPU.
    along, across = (_band(side, image) for side in image.shape[-2:])
    return along @ image @ across


def _band(side: int, image: Tensor) -> Tensor:
    """Return the symmetric matrix that blurs a row of this many pixels."""
    x = torch.arange(side, dtype=image.dtype, device=image.device)
    apart = x - x[:, None]
    reach = torch.arange(-REACH_PX, REACH_PX + 1, dtype=image.dtype, device=image.device)
    total = torch.exp(-0.5 * (reach / BLUR_PX) ** 2).sum()
    return torch.exp(-0.5 * (apart / BLUR_PX) ** 2) * (apart.abs() <= REACH_PX) / total


def loss_of(image: Tensor, targets: Targets, upsampling: int) -> dict[str, Tensor]:
    """Return the mean of (h - g * s)² and of |s| as `fit` and `sparsity`, and their sum.

    s is the image, g a kernel of sum `BLUR_WEIGHT`, h = 100 spikes behind the same Gaussian: the
    answer is `PEAK` in the fine pixel of each emitter. Pixels of emitters that are too dim to
    be asked for do not count.
    """
    n, _, height, width = image.shape
    shape = (n, height // upsampling, width // upsampling)
    spikes = spikes_of(targets, shape, upsampling)
    asked = (~targets.ignored).to(image.dtype)[:, None]
    asked = functional.interpolate(asked, scale_factor=upsampling, mode="nearest")
    miss = BLUR_WEIGHT * blurred(PEAK * spikes - image)
    fit = (miss.square() * asked).mean()
    sparsity = image.abs().mean()
    return {"total": fit + sparsity, "fit": fit, "sparsity": sparsity}
