"""A chain of residual layers on the grid of the image, none coarser or finer."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from rtsmlm.settings.base import Settings


class NetworkSettings(Settings):
    """Size of a network."""

    width: int = 64
    """Channels."""
    blocks: int = 16

    @property
    def reach_px(self) -> int:
        """How far an answer depends on what is around it."""
        return 2 * self.blocks + 2


SIZES: dict[str, NetworkSettings] = {
    "paper": NetworkSettings(),
    "S": NetworkSettings(width=24, blocks=8),
}


class Block(nn.Module):
    """Two convolutions whose answer is added to what they were given."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        # Begins as a block that changes little, so that a long chain learns from the first step.
        nn.init.normal_(self.second.weight, std=1e-2 / width)

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same size."""
        return features + cast(Tensor, self.second(functional.relu(self.first(features))))


class GaireNetwork(nn.Module):
    """Blurred localizations in units of their level to the image of all, in the same units."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, settings.width, 3, padding=1)
        self.blocks = nn.Sequential(*(Block(settings.width) for _ in range(settings.blocks)))
        self.last = nn.Conv2d(settings.width, 1, 3, padding=1)

    def forward(self, sparse: Tensor) -> Tensor:
        """Return images, (n, 1, height, width)."""
        change = self.last(self.blocks(self.first(sparse)))
        return cast(Tensor, sparse + change.float())
