"""DeepLOCO: a tile of 64 x 64 pixels to a list of 64 positions with weights.

Layers as published: Boyd et al., bioRxiv 267096 (2018), and its program.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rtsmlm.settings.base import Settings

TILE_PX, SLOTS = 64, 64
_NEAR_ZERO = 1e-7
"""Range of the weights with which a residual block begins as the identity."""


class NetworkSettings(Settings):
    """Size of a network."""

    widths: tuple[int, int, int] = (16, 64, 256)
    """Channels at full resolution, at a half, at a quarter."""
    hidden: int = 1024
    """Neurons of a layer that is fully connected."""


SIZES: dict[str, NetworkSettings] = {
    "paper": NetworkSettings(),
    "S": NetworkSettings(widths=(16, 32, 64), hidden=384),
}


class _Residual(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(n, n), nn.Linear(n, n, bias=False)
        nn.init.uniform_(self.second.weight, -_NEAR_ZERO, _NEAR_ZERO)

    def forward(self, hidden: Tensor) -> Tensor:
        return torch.relu(hidden + self.second(torch.relu(self.first(hidden))))


class DeepLocoNetwork(nn.Module):
    """Tiles to slots: x, y, z from 0 to 1 within the tile, and a weight each."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        a, b, c = settings.widths

        def layer(n_in: int, n_out: int, side: int, stride: int = 1) -> list[nn.Module]:
            padding = 0 if stride > 1 else side // 2
            return [nn.Conv2d(n_in, n_out, side, stride, padding), nn.ReLU()]

        self.features = nn.Sequential(
            *layer(1, a, 5), *layer(a, a, 5), *layer(a, b, 2, 2), *layer(b, b, 3),
            *layer(b, b, 3), *layer(b, c, 2, 2), *layer(c, c, 3), *layer(c, c, 3),
            *layer(c, c, 4, 4), nn.Flatten(), nn.Linear(16 * c, settings.hidden), nn.ReLU(),
            _Residual(settings.hidden), _Residual(settings.hidden),
        )  # fmt: skip
        self.positions = nn.Linear(settings.hidden, 3 * SLOTS)
        self.weights = nn.Linear(settings.hidden, SLOTS)

    def forward(self, tiles: Tensor) -> Tensor:
        """Return slots, (n, 64, 4), of scaled tiles (n, 1, 64, 64)."""
        hidden = self.features(tiles)
        at = torch.sigmoid(self.positions(hidden)).reshape(-1, SLOTS, 3)
        return torch.cat([at, torch.relu(self.weights(hidden))[:, :, None]], 2)
