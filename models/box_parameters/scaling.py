"""What a box looks like to a network: light without background, noise of one strength."""

from __future__ import annotations

import torch
from torch import Tensor

LEAST_LIGHT, LEAST_LEVEL = 50.0, 0.2
"""Photons of an emitter, and photons per pixel, below which a guess says nothing."""


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


def noise_input(photons: Tensor, variance: Tensor) -> Tensor:
    """Return the logarithms of background and read variance as numbers of order one, (n, 2)."""
    level = edge_level(photons).clamp(min=0.0)[:, 0, 0, 0]
    read = variance.mean(dim=(1, 2, 3))
    return torch.log(torch.stack([level + read, read], dim=1) + 1.0) / 3.0


def first_guess(photons: Tensor) -> Tensor:
    """Return the logarithms of the light of a box and of its background, (n, 2).

    What a network adds to them is of order one, however bright the emitter is.
    """
    level = edge_level(photons)
    light = (photons - level).sum(dim=(1, 2, 3)).clamp(min=LEAST_LIGHT)
    return torch.log(torch.stack([light, level[:, 0, 0, 0].clamp(min=LEAST_LEVEL)], dim=1))
