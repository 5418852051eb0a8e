"""A network after Kim, Moon & Xu: the shape of a spot to its dye, and by dye to its depth."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from rtsmlm.models.box_parameters.scaling import LEAST_LIGHT, edge_level
from rtsmlm.settings.base import Settings

BOX_PX = 13
SHAPE_SCALE = 20.0
"""Makes the brightest pixels of a spot of order one."""


class NetworkSettings(Settings):
    """Size of a network."""

    colour: tuple[int, ...] = (1024, 512, 256)
    """Hidden neurons of the network of dyes, layer by layer."""
    depth: tuple[int, ...] = (256, 128)
    """The same of that of the depth, of which each dye has one."""
    states_error: bool = False
    """The network of the depth states its error, too."""
    light: bool = False
    """Light and background are inputs, too: the shape alone does not tell how noisy it is."""


SIZES: dict[str, NetworkSettings] = {
    "paper": NetworkSettings(),
    "S": NetworkSettings(colour=(256, 128), depth=(128, 64), states_error=True, light=True),
}


class KimNetwork(nn.Module):
    """Boxes to logits of dyes, and to the depth as each of them.

    Parameters
    ----------
    settings
        Its size.
    n_dyes
        Number of dyes.
    """

    def __init__(self, settings: NetworkSettings, n_dyes: int) -> None:
        super().__init__()
        n_in = BOX_PX * BOX_PX + 2 * int(settings.light)
        self._light, self._states_error = settings.light, settings.states_error
        self.colour = layers((n_in, *settings.colour, n_dyes))
        n_out = 1 + int(settings.states_error)
        self.depth = nn.ModuleList(layers((n_in, *settings.depth, n_out)) for _ in range(n_dyes))

    def forward(self, photons: Tensor) -> Tensor:
        """Return logits, then depths and, if stated, their errors as each dye, all of them raw.

        (n, 2 dyes) or (n, 3 dyes).

        Parameters
        ----------
        photons
            Boxes of 13 x 13 pixels around one emitter, (n, 1, 13, 13).
        """
        shape = shape_of(photons)
        if self._light:
            shape = torch.cat([shape, light_of(photons)], dim=1)
        found = [net(shape) for net in self.depth]
        parts = [self.colour(shape), *(one[:, :1] for one in found)]
        if self._states_error:
            parts += [one[:, 1:] for one in found]
        return torch.cat(parts, dim=1)


def layers(widths: Sequence[int]) -> nn.Sequential:
    """Return full layers with rectifiers between them."""
    parts: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        parts += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*parts[:-1])


def shape_of(photons: Tensor) -> Tensor:
    """Return boxes without background, as parts of their light, of order one, (n, pixels)."""
    rest = photons - edge_level(photons)
    light = rest.sum(dim=(1, 2, 3), keepdim=True).clamp(min=LEAST_LIGHT)
    return (SHAPE_SCALE * rest / light).flatten(1)


def light_of(photons: Tensor) -> Tensor:
    """Return the logarithms of light and background as numbers of order one, (n, 2)."""
    level = edge_level(photons)
    light = (photons - level).sum(dim=(1, 2, 3)).clamp(min=LEAST_LIGHT)
    dark = level[:, 0, 0, 0].clamp(min=0.0) + 1.0
    return torch.stack([light.log() - 8.0, dark.log() - 3.0], dim=1)
