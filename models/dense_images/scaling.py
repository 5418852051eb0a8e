"""What networks of localizations are fed with and taught, in units of the level of the image."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from rtsmlm.models.dense_images.level import LEAST, REACH_PX, kernel
from rtsmlm.models.simulation.localization_lists import ListPairs

FULL = 3.0
"""Density, in units of the level, at which an image is full: where structures lie on each other."""


def scaled(counts: Tensor, level: Tensor) -> Tensor:
    """Return blurred counts in units of their level.

    Parameters
    ----------
    counts
        Localizations in each pixel, (n, 1, height, width).
    level
        Of the whole field that each is a part of, (n, 1).
    """
    return blurred(counts) / level[:, :, None, None].clamp(min=LEAST)


def blurred(counts: Tensor) -> Tensor:
    """Return counts behind the blur, (n, 1, height, width)."""
    weights = torch.from_numpy(kernel()).to(counts)
    down = functional.conv2d(counts, weights.view(1, 1, -1, 1), padding=(REACH_PX, 0))
    return functional.conv2d(down, weights.view(1, 1, 1, -1), padding=(0, REACH_PX))


def level_in(image: Tensor) -> Tensor:
    """Return the level of blurred images, each a field of its own, (n, 1); see `level_of`."""
    total = image.sum(dim=(2, 3))
    return image.square().sum(dim=(2, 3)) / total.clamp(min=LEAST)


def given(samples: ListPairs) -> Tensor:
    """Return what a network is given of the localizations of samples."""
    sparse = blurred(samples.few)
    return sparse / level_in(sparse).clamp(min=LEAST)[:, :, None, None]


def wanted(samples: ListPairs) -> Tensor:
    """Return what it is to answer: the whole image in units of its level, at most `FULL`."""
    level = level_in(samples.whole).clamp(min=LEAST)[:, :, None, None]
    return (samples.whole / level).clamp(max=FULL)
