"""The other network of the paper: the box of one emitter to its colour, without any mask.

Hershko et al., Opt. Express 27, 6158 (2019), first part: convolutions that see how wide and how
structured a spot is. Layers were not published in a form that could be had; five convolutions, two
maxima and a mean over the box are a stand-in.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from rtsmlm.models.box_parameters.scaling import LEAST_LIGHT, edge_level
from rtsmlm.settings.base import Settings

BOX_PX = 13
SHAPE_SCALE = 20.0
"""Makes the brightest pixels of a spot of order one."""
ROOT_SCALE = 0.1


class ClassifierSettings(Settings):
    """Size of a network."""

    widths: tuple[int, int, int] = (32, 64, 128)
    """Channels of two, of two and of one convolution, with maxima between them."""


CLASSIFIERS: dict[str, ClassifierSettings] = {
    "paper": ClassifierSettings(),
    "S": ClassifierSettings(widths=(24, 48, 96)),
}


class ColourClassifier(nn.Module):
    """Boxes to logits of dyes.

    Parameters
    ----------
    settings
        Its size.
    n_dyes
        Number of dyes.
    """

    def __init__(self, settings: ClassifierSettings, n_dyes: int) -> None:
        super().__init__()
        a, b, c = settings.widths
        parts: list[nn.Module] = []
        for n_in, n_out, pool in ((2, a, False), (a, a, True), (a, b, False), (b, b, True)):
            parts += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU()]
            parts += [nn.MaxPool2d(2)] if pool else []
        self.layers = nn.Sequential(*parts, nn.Conv2d(b, c, 3, padding=1), nn.ReLU())
        self.last = nn.Linear(c, n_dyes)

    def forward(self, photons: Tensor) -> Tensor:
        """Return logits, (n, dyes).

        Parameters
        ----------
        photons
            Boxes of 13 x 13 pixels around one emitter, (n, 1, 13, 13).
        """
        level = edge_level(photons)
        rest = photons - level
        light = rest.sum(dim=(1, 2, 3), keepdim=True).clamp(min=LEAST_LIGHT)
        # The shape tells the colour; the roots, whose noise is the same everywhere, how surely.
        roots = (photons.clamp(min=0.0) + 2.0).sqrt() - (level.clamp(min=0.0) + 2.0).sqrt()
        features = self.layers(torch.cat([SHAPE_SCALE * rest / light, ROOT_SCALE * roots], 1))
        return cast(Tensor, self.last(features.mean(dim=(2, 3))))
