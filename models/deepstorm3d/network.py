"""DeepSTORM3D: one frame to a volume of probabilities, with dilated convolutions.

Layers as published: Nehme et al., Nat. Methods 17, 734 (2020), and its program.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from rtsmlm.settings.base import Settings


class NetworkSettings(Settings):
    """Size of a network."""

    channels: int = 64
    slices: int = 121
    """Planes of the volume along z."""
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16)
    scale: float = 800.0
    """Value of a voxel that surely holds an emitter."""
    doublings: int = 2
    """How often height and width are doubled."""


SIZES: dict[str, NetworkSettings] = {
    "paper": NetworkSettings(),
    "paper-81": NetworkSettings(slices=81),
    "S": NetworkSettings(channels=24, slices=41, doublings=1),
}


class _Layer(nn.Module):
    def __init__(self, n_in: int, n_out: int, dilation: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(n_in, n_out, 3, padding=dilation, dilation=dilation)
        self.norm = nn.BatchNorm2d(n_out)

    def forward(self, features: Tensor) -> Tensor:
        return cast(Tensor, self.norm(functional.leaky_relu(self.convolution(features), 0.2)))


class DeepStorm3dNetwork(nn.Module):
    """One frame to a volume whose voxels hold emitters or none."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        n, depth = settings.channels, settings.slices
        self.scale = settings.scale
        self.norm = nn.BatchNorm2d(1)
        self.first = _Layer(1, n)
        self.dilated = nn.ModuleList([_Layer(n + 1, n, each) for each in settings.dilations])
        widths = [n + 1, *[n] * (settings.doublings - 1)]
        self.enlarge = nn.ModuleList([_Layer(width, n) for width in widths])
        self.slices = _Layer(n, depth)
        self.refine = nn.ModuleList([_Layer(depth, depth), _Layer(depth, depth)])
        self.last = nn.Conv2d(depth, depth, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """Return volumes, (n, slices, height, width) on the finer grid, of frames (n, 1, ..)."""
        frames = self.norm(frames)
        features = self.first(frames)
        for layer in self.dilated:
            features = layer(torch.cat([features, frames], 1)) + features
        features = torch.cat([features, frames], 1)
        for layer in self.enlarge:
            features = layer(functional.interpolate(features, scale_factor=2, mode="nearest"))
        features = self.slices(features)
        for layer in self.refine:
            features = layer(features) + features
        return cast(Tensor, self.last(features).clamp(0.0, self.scale))
