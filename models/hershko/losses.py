"""The loss of images of colours: near the true ones, as sparse as they are, without cross-talk.

The first two terms after Nehme et al., Nat. Methods 17, 734 (2020), with a sibling of this
network: a difference counts as a blur of one fine pixel leaves it. Light of two colours at one
place costs extra.
"""

from __future__ import annotations

import math
from itertools import combinations

import torch
from torch import Tensor

from rtsmlm.models.hershko.network import UPSAMPLING
from rtsmlm.models.simulation.mask_scenes import Scenes

REACH = 3
"""Half of the blur's side in fine pixels; its standard deviation is one, and its peak is 1."""
ENERGY = math.pi
"""Sum over a blurred point squared."""


def colour_loss(images: Tensor, scenes: Scenes, crosstalk_weight: float) -> dict[str, Tensor]:
    """Return the loss as `total`, and its terms.

    Parameters
    ----------
    images
        Answer of the network, (n, colours, height, width) in fine pixels, in any precision.
    scenes
        What it was asked of.
    crosstalk_weight
        Of light that two colours claim at one place.
    """
    images = images.float()
    target = target_images(scenes, images.shape)
    emitters = target.sum() + 1.0
    near = _blurred(images - target).square().sum() / (ENERGY * emitters)
    shared = (images * target).sum()
    overlap = 1.0 - (2.0 * shared + 1.0) / (images.square().sum() + target.square().sum() + 1.0)
    claims = _blurred(images).clamp(min=0.0)
    crosstalk = sum(
        ((claims[:, a] * claims[:, b]).sum() for a, b in combinations(range(images.shape[1]), 2)),
        torch.zeros((), device=images.device),
    ) / (ENERGY * emitters)
    total = near + overlap + crosstalk_weight * crosstalk
    return {"total": total, "blurred": near, "overlap": overlap, "crosstalk": crosstalk}


def target_images(scenes: Scenes, shape: torch.Size) -> Tensor:
    """Return what images should be: each emitter shared by the four fine pixels around it.

    Parameters
    ----------
    scenes
        Emitters; those outside leave nothing.
    shape
        Windows, colours, height and width in fine pixels.
    """
    _, colours, height, width = shape
    x, y = ((p + 0.5) * UPSAMPLING - 0.5 for p in (scenes.x_px, scenes.y_px))
    target = torch.zeros(math.prod(shape), device=x.device)
    for dy in (0, 1):
        for dx in (0, 1):
            row, column = y.floor() + dy, x.floor() + dx
            share = (1.0 - (y - row).abs()) * (1.0 - (x - column).abs())
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            place = (scenes.window * colours + scenes.colour) * height + row.long()
            place = place * width + column.long()
            target = target.index_add(0, place[inside], share[inside])
    return target.view(shape)


def _blurred(images: Tensor) -> Tensor:
    """Return images after a Gaussian of one fine pixel, one at its peak.

    Two products of matrices: convolutions of each image on its own take several times as long.
    """
    return _blur_of(images.shape[-2], images) @ images @ _blur_of(images.shape[-1], images)


def _blur_of(side: int, like: Tensor) -> Tensor:
    """Return the blur along one axis as a matrix, (side, side), symmetric."""
    at = torch.arange(side, device=like.device, dtype=torch.float32)
    apart = (at[:, None] - at).abs()
    return torch.exp(-0.5 * apart.square()) * (apart <= REACH)
