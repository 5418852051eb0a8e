"""What the ONNX model of DeepLOCO holds: from raw frames and camera maps to slots of all tiles."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from rtsmlm.models.deeploco.geometry import OVERLAP_PX, STEP_PX, TILE_PX
from rtsmlm.models.deeploco.network import DeepLocoNetwork
from rtsmlm.models.deeploco.tiles import cut, level_of, scaled, stabilized
from rtsmlm.models.training.frame_graph import frame_inputs, write_frame_graph

INPUTS = frame_inputs("56 times a whole number and 8 pixels wide")


class Graph(nn.Module):
    """Frames of any whole number of tiles to slots, (n, channels, tiles down, tiles across).

    Parameters
    ----------
    network
        With its weights.
    """

    def __init__(self, network: DeepLocoNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor, offset: Tensor, gain: Tensor, variance: Tensor) -> Tensor:
        """Return x, y, z, weight and light of the 64 slots one after the other, and background."""
        photons = (frames.float() - offset) * gain
        tiles = cut(stabilized(photons, variance))
        n, n_down, n_across = tiles.shape[:3]
        slots, dark = _answer(self.network, tiles.reshape(-1, 1, TILE_PX, TILE_PX))
        maps = slots.reshape(n, n_down, n_across, -1).permute(0, 3, 1, 2)
        read = cut(variance[None]).mean(dim=(3, 4))
        return torch.cat([maps, dark.reshape(n, 1, n_down, n_across) - read[:, None]], dim=1)


def maps_of(network: DeepLocoNetwork, photons: Tensor, read_variance: Tensor) -> Tensor:
    """Return what the graph answers for single tiles in photons, both (n, 64, 64)."""
    slots, dark = _answer(network, stabilized(photons, read_variance)[:, None])
    background = dark - read_variance.mean(dim=(1, 2))[:, None]
    return torch.cat([slots, background], dim=1)[:, :, None, None]


def _answer(network: DeepLocoNetwork, tiles: Tensor) -> tuple[Tensor, Tensor]:
    """Return slots (n, channels), and what the darkest block of each tile holds, (n, 1)."""
    slots = network(scaled(tiles)).transpose(1, 2).flatten(1)
    return slots, (0.25 * level_of(tiles).square() - 0.375).flatten(1)


def write_onnx(network: DeepLocoNetwork, path: Path) -> None:
    """Write the ONNX model of a network."""
    shape = (2 * STEP_PX + OVERLAP_PX, 3 * STEP_PX + OVERLAP_PX)
    write_frame_graph(Graph(network), INPUTS, shape, path, sides=("down", "across"))
