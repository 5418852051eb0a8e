"""DeepLOCO: a tile of 64 x 64 pixels to a list of 64 positions with weights.

Layers as published: Boyd et al., bioRxiv 267096 (2018), and its program.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from rtsmlm.models.deeploco.geometry import SLOTS
from rtsmlm.settings.base import Settings

_NEAR_ZERO = 1e-7
"""Range of the weights with which a residual block begins as the identity."""
_FIRST_WEIGHT = 0.1
"""Weight of a slot before training."""
CELLS = 4
"""Cells of a tile along either side, as the last convolution leaves them."""
PER_CELL = SLOTS // CELLS**2
_REACH = 2.0
"""Side of the square around its cell in which a slot of a cell lies, in cells."""


class NetworkSettings(Settings):
    """Size of a network."""

    widths: tuple[int, int, int] = (16, 64, 256)
    """Channels at full resolution, at a half, at a quarter."""
    cell_channels: int = 256
    """Channels of the last convolution, which leaves one place for each cell."""
    hidden: int = 1024
    """Neurons of a layer that is fully connected; of each cell where layers are local."""
    local: bool = False
    """Whether the layers that are fully connected see one cell each and are the same for all."""
    light: bool = False
    """Whether slots state their light, too; the published ones do not."""
    leak: float = 0.0
    """Slope of the activations below zero. A short training with the published 0 loses most units
    for good; with a slope, weights and light are kept above zero by smooth functions, too."""


SIZES: dict[str, NetworkSettings] = {
    "paper": NetworkSettings(),
    "S": NetworkSettings(widths=(8, 32, 64), hidden=192, local=True, light=True, leak=0.1),
}


class _Residual(nn.Module):
    def __init__(self, first: nn.Module, second: nn.Module, leak: float) -> None:
        super().__init__()
        self.first, self.second, self.activation = first, second, _activation(leak)
        for weight in second.parameters():
            nn.init.uniform_(weight, -_NEAR_ZERO, _NEAR_ZERO)

    def forward(self, hidden: Tensor) -> Tensor:
        within = self.activation(self.first(hidden))
        return cast(Tensor, self.activation(hidden + self.second(within)))


def _activation(leak: float) -> nn.Module:
    return nn.LeakyReLU(leak) if leak else nn.ReLU()


class DeepLocoNetwork(nn.Module):
    """Tiles to slots: x, y, z from 0 to 1 within the tile, a weight, and its light if it states it.

    Parameters
    ----------
    settings
        Size of the network.
    """

    factor: Tensor
    corner: Tensor

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.settings = settings
        a, b, c = settings.widths
        d = settings.cell_channels
        n = settings.hidden

        def layer(n_in: int, n_out: int, side: int, stride: int = 1) -> list[nn.Module]:
            padding = 0 if stride > 1 else side // 2
            convolution = nn.Conv2d(n_in, n_out, side, stride, padding)
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
            return [convolution, _activation(settings.leak)]

        def full(n_in: int, n_out: int, *, bias: bool = True) -> nn.Module:
            if settings.local:
                return nn.Conv2d(n_in // CELLS**2, n_out, 1, bias=bias)
            return nn.Linear(n_in, n_out, bias=bias)

        def block() -> nn.Module:
            width = n * CELLS**2 if settings.local else n
            return _Residual(full(width, n), full(width, n, bias=False), settings.leak)

        self.features = nn.Sequential(
            *layer(1, a, 5), *layer(a, a, 5), *layer(a, b, 2, 2), *layer(b, b, 3),
            *layer(b, b, 3), *layer(b, c, 2, 2), *layer(c, c, 3), *layer(c, c, 3),
            *layer(c, d, 4, 4),
        )  # fmt: skip
        self.join, self.activation = full(CELLS**2 * d, n), _activation(settings.leak)
        self.residuals = nn.Sequential(block(), block())
        wide = n * CELLS**2 if settings.local else n
        slots = PER_CELL if settings.local else SLOTS
        self.positions = full(wide, 3 * slots)
        self.weights = full(wide, slots)
        self.light = full(wide, slots) if settings.light else None
        factor, corner = _places() if settings.local else (torch.ones(3), torch.zeros(3))
        self.register_buffer("factor", factor, persistent=False)
        self.register_buffer("corner", corner, persistent=False)
        if settings.local:
            self._begin_in_quarters()

    def _begin_in_quarters(self) -> None:
        """Let the slots of a cell begin in its quarters: none has to cross it to its emitters."""
        side = 1.0 / (2.0 * _REACH)
        ahead = float(torch.logit(torch.tensor(0.5 + 0.5 * side)))
        quarters = [(-ahead, -ahead, 0.0), (ahead, -ahead, 0.0), (-ahead, ahead, 0.0)]
        quarters.append((ahead, ahead, 0.0))
        first = math.log(_FIRST_WEIGHT) if self.settings.leak else _FIRST_WEIGHT
        with torch.no_grad():
            for head in (self.positions, self.weights, self.light):
                if isinstance(head, nn.Conv2d) and head.bias is not None:
                    head.weight.mul_(0.3)
                    head.bias.fill_(first)
            self.positions.get_parameter("bias").copy_(torch.tensor(quarters).flatten())

    def forward(self, tiles: Tensor) -> Tensor:
        """Return slots, (n, 64, 4 or 5), of scaled tiles (n, 1, 64, 64)."""
        maps = self.features(tiles)
        # A position has more digits than bf16: what follows the convolutions stays in float32.
        with torch.autocast(tiles.device.type, enabled=False):
            maps = maps.float()
            hidden = self.activation(self.join(maps if self.settings.local else maps.flatten(1)))
            hidden = self.residuals(hidden)
            at = torch.sigmoid(self._of_slots(self.positions(hidden), 3))
            parts = [at * self.factor + self.corner]
            smooth = self.settings.leak > 0
            for head, above_zero in ((self.weights, torch.sigmoid), (self.light, softplus)):
                if head is not None:
                    raw = self._of_slots(head(hidden), 1)
                    parts.append(above_zero(raw) if smooth else torch.relu(raw))
            return torch.cat(parts, 2)

    def _of_slots(self, raw: Tensor, n: int) -> Tensor:
        """Return the numbers of each slot, (tiles, 64, n)."""
        if self.settings.local:  # cells in reading order, with the slots of each
            raw = raw.permute(0, 2, 3, 1)
        return raw.reshape(-1, SLOTS, n)


def _places() -> tuple[Tensor, Tensor]:
    """Return factor and corner of the square in which each slot of a cell lies, (64, 3) each."""
    cell = torch.arange(SLOTS) // PER_CELL
    x, y = cell % CELLS, cell // CELLS
    corner = torch.stack([x + 0.5 - 0.5 * _REACH, y + 0.5 - 0.5 * _REACH], 1) / CELLS
    factor = torch.tensor([_REACH / CELLS, _REACH / CELLS, 1.0]).expand(SLOTS, 3).clone()
    return factor, torch.cat([corner, torch.zeros(SLOTS, 1)], 1)
