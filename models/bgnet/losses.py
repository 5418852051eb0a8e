"""How far a background is from the true one, in units of the noise that a fit meets there."""

from __future__ import annotations

import torch
from torch import Tensor

from rtsmlm.models.bgnet.samples import BackgroundBoxes

MOST = 400.0
"""A box whose error is a larger multiple of its noise counts in proportion, not squared."""


def background_loss(background: Tensor, boxes: BackgroundBoxes) -> dict[str, Tensor]:
    """Return the loss as `total`, and the relative error of the background.

    A fit weighs each pixel by its variance: an error under a bright emitter moves it less.

    Parameters
    ----------
    background
        Answer of the network in photons per pixel, (n, 1, box, box).
    boxes
        What it was asked of.
    """
    error = background.float() - boxes.background
    noise = (error.square() / (boxes.mean + boxes.read_variance)).mean(dim=(1, 2, 3))
    steep = 2.0 * (MOST * noise.clamp(min=MOST)).sqrt() - MOST
    total = torch.where(noise < MOST, noise, steep)
    level = boxes.background.mean(dim=(1, 2, 3))
    relative = error.square().mean(dim=(1, 2, 3)).sqrt() / level
    return {"total": total.mean(), "relative": relative.mean()}
