"""DECODE: a U-Net on each of three frames, a U-Net on their features, a head for each kind of map.

Layers as published: Speiser et al., Nat. Methods 18, 1082 (2021), and the settings of its programs.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from rtsmlm.models.decode.scaling import Scaling
from rtsmlm.settings.base import Settings

FIRST: dict[str, list[float]] = {
    "probability": [-6.0],
    "means": [-2.2, 0.0, 0.0, 0.0],
    "stds": [-3.4, -1.6, -1.6, -1.6],
    "background": [-2.2],
}
"""Raw values at the start, the same everywhere: almost no emitters, of medium light, anywhere."""


class NetworkSettings(Settings):
    """Size of a network."""

    channels: int = 48
    """Channels at full resolution; twice and four times as many at a half and a quarter."""
    head_channels: int = 48
    """Channels within a head."""


SIZES: dict[str, NetworkSettings] = {
    "paper": NetworkSettings(),
    "S": NetworkSettings(channels=16, head_channels=16),
}

HEADS: dict[str, int] = {"probability": 1, "means": 4, "stds": 4, "background": 1}
"""Channels of the maps: detection; photons, x, y, z; the standard deviations of these; light."""


def _block(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, padding=1),
        nn.ELU(),
        nn.Conv2d(n_out, n_out, 3, padding=1),
        nn.ELU(),
    )


class UNet(nn.Module):
    """Two steps down, two steps up; frame sides are multiples of 4.

    Parameters
    ----------
    n_in
        Channels of the input.
    n
        Channels at full resolution, and of the output.
    """

    def __init__(self, n_in: int, n: int) -> None:
        super().__init__()
        self.down_0, self.down_1 = _block(n_in, n), _block(n, 2 * n)
        self.pool_0, self.pool_1 = (
            nn.Conv2d(n, n, 2, stride=2),
            nn.Conv2d(2 * n, 2 * n, 2, stride=2),
        )
        self.base = _block(2 * n, 4 * n)
        self.narrow_1, self.narrow_0 = nn.Conv2d(4 * n, 2 * n, 1), nn.Conv2d(2 * n, n, 1)
        self.up_1, self.up_0 = _block(4 * n, 2 * n), _block(2 * n, n)
        self.out = nn.Conv2d(n, n, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """Return features of the same height and width."""
        full = self.down_0(frames)
        half = self.down_1(self.pool_0(full))
        quarter = self.base(self.pool_1(half))
        half = self.up_1(torch.cat([half, self.narrow_1(_twice(quarter))], 1))
        full = self.up_0(torch.cat([full, self.narrow_0(_twice(half))], 1))
        return cast(Tensor, self.out(full))


def _twice(features: Tensor) -> Tensor:
    return functional.interpolate(features, scale_factor=2, mode="nearest")


class DecodeNetwork(nn.Module):
    """Three frames to maps of probability, positions, photons, their errors and background.

    Parameters
    ----------
    settings
        Its size.
    scaling
        Units of the light that it is made for.
    """

    def __init__(self, settings: NetworkSettings, scaling: Scaling) -> None:
        super().__init__()
        self.settings, self.scaling = settings, scaling
        n, inner = settings.channels, settings.head_channels
        self.shared, self.union = UNet(1, n), UNet(3 * n, n)
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Conv2d(n, inner, 3, padding=1), nn.ELU(), nn.Conv2d(inner, n_out, 1)
                )
                for name, n_out in HEADS.items()
            }
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        # Answers that are far off at the start would take most of a short training to mend.
        for name, head in self.heads.items():
            last = cast(nn.Sequential, head)[-1]
            nn.init.zeros_(cast(Tensor, last.weight))
            with torch.no_grad():
                cast(Tensor, last.bias).copy_(torch.tensor(FIRST[name]))

    def forward(self, frames: Tensor) -> Tensor:
        """Return raw maps, (n, 10, height, width), of scaled frames (n, 3, height, width)."""
        n, _, height, width = frames.shape
        each = self.shared(frames.reshape(n * 3, 1, height, width))
        return self.answer(each.reshape(n, -1, height, width))

    def answer(self, features: Tensor) -> Tensor:
        """Return raw maps of the features of three frames, (n, 3 channels, height, width)."""
        together = self.union(features)
        return torch.cat([head(together) for head in self.heads.values()], 1)
