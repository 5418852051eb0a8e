"""BGnet: a box to the background under its emitter, by a small U-Net.

Layers as published: Möckl, Roy, Petrov & Moerner, PNAS 117, 60 (2020), of which the figure with the
layers could be had and no code. The layers answer in the scale in which noise is equally strong
everywhere, and the background of the darkest side of the box is the origin of that scale.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from rtsmlm.models.box_parameters.scaling import edge_level, stabilized
from rtsmlm.settings.base import Settings


class NetworkSettings(Settings):
    """Size of a network."""

    widths: tuple[int, ...] = (16, 32, 128)
    """Channels of each level; the box is halved between two of them."""

    @property
    def block_px(self) -> int:
        """Boxes are enlarged to multiples of it."""
        return 1 << (len(self.widths) - 1)


SIZES: dict[str, NetworkSettings] = {
    "paper": NetworkSettings(),
    "paper-40": NetworkSettings(widths=(16, 32, 128, 256)),
    "S": NetworkSettings(widths=(8, 24, 64)),
}
"""`paper-40` is the published one for tetrapods, whose boxes have 40 pixels."""


def _two_layers(n_in: int, n_out: int) -> nn.Sequential:
    parts: list[nn.Module] = []
    for n in (n_in, n_out):
        parts += [nn.Conv2d(n, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()]
    return nn.Sequential(*parts)


class BgNetwork(nn.Module):
    """Boxes to backgrounds."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.block_px = settings.block_px
        widths = settings.widths
        self.down = nn.ModuleList(
            _two_layers(n_in, n) for n_in, n in zip((1, *widths), widths, strict=False)
        )
        self.up = nn.ModuleList(
            _two_layers(above + below, above)
            for above, below in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.last = nn.Conv2d(widths[0], 1, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(cast(Tensor, self.last.bias))

    def forward(self, photons: Tensor, variance: Tensor, side: int | None = None) -> Tensor:
        """Return the background in photons per pixel, of the shape of the boxes.

        Where it is very dark, read noise may leave it below zero.

        Parameters
        ----------
        photons, variance
            Light and read variance in photons and photons², (n, 1, box, box).
        side
            Of the boxes, in pixels: a graph that is exported holds it as a number.
        """
        side = photons.shape[-1] if side is None else side
        missing = -side % self.block_px
        light = stabilized(photons, variance)
        if missing:
            # A fit wants boxes with a middle pixel, and halves of them have none.
            light = torch.cat([light, *[light[:, :, -1:]] * missing], 2)
            light = torch.cat([light, *[light[..., -1:]] * missing], 3)
        change = self._layers(light)[..., :side, :side].float()
        shifted = variance + 0.375
        root = (edge_level(photons).clamp(min=0.0) + shifted).sqrt() + 2.0 * change
        return root.clamp(min=0.0).square() - shifted

    def _layers(self, features: Tensor) -> Tensor:
        kept: list[Tensor] = []
        for level, layers in enumerate(self.down):
            if level:
                kept.append(features)
                features = functional.max_pool2d(features, 2)
            features = layers(features)
        for layers in self.up:
            larger = functional.interpolate(features, scale_factor=2.0, mode="nearest")
            features = layers(torch.cat([larger, kept.pop()], 1))
        return cast(Tensor, self.last(features))
