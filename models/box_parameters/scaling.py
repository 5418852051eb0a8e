"""What a box looks like to a network: light without background, noise of one strength."""

from __future__ import annotations

import torch
from torch import Tensor


def edge_level(photons: Tensor) -> Tensor:
    """Return the background by the darkest side of each box, (n, 1, 1, 1).

    One side of four is enough: a neighbour brightens the side on which it lies.
    """
    sides = [photons[:, :, :1], photons[:, :, -1:], photons[..., :1], photons[..., -1:]]
    means = torch.stack([side.mean(dim=(1, 2, 3)) for side in sides], dim=1)
    return means.amin(dim=1)[:, None, None, None]


def stabilized(photons: Tensor, variance: Tensor) -> Tensor:
    """Return boxes of order one with noise of equal strength, same shape.

    The square root of Anscombe (Biometrika 35, 246 (1948)), less that of the background.
    """
    level = edge_level(photons).clamp(min=0.0)
    shifted = variance + 0.375
    return 0.5 * ((photons + shifted).clamp(min=0.0).sqrt() - (level + shifted).sqrt())


def level_input(photons: Tensor, variance: Tensor) -> Tensor:
    """Return the logarithm of the noise of the background as a number of order one, (n, 1)."""
    level = edge_level(photons).clamp(min=0.0)[:, 0, 0]
    return torch.log(level + variance.mean(dim=(1, 2, 3))[:, None] + 1.0) / 3.0
