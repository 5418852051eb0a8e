"""The network that a phase mask is learned with: one frame to planes of depth on its own pixels.

Layers as published with DeepSTORM3D (Nehme et al., Nat. Methods 17, 734 (2020)) and its program: a
batch norm, nine convolutions of which all but the first see the frame again and add to what came
before, and one of a single pixel. Which of them are dilated could not be had; here they are, so
that a pixel sees both ends of a spot that reaches over 4 um.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from rtsmlm.settings.base import Settings

LEAK = 0.02
"""Slope of the volume beyond its limits."""


class DesignSettings(Settings):
    """Size of a network."""

    channels: int = 64
    slices: int = 51
    """Planes of the volume along z."""
    dilations: tuple[int, ...] = (1, 2, 4, 8, 4, 2, 1, 1)
    scale: float = 100.0
    """Value of a voxel that surely holds an emitter."""


SIZES: dict[str, DesignSettings] = {
    "paper": DesignSettings(),
    "S": DesignSettings(channels=32, slices=41, scale=1.0),
}


class _Layer(nn.Module):
    def __init__(self, n_in: int, n_out: int, dilation: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(n_in, n_out, 3, padding=dilation, dilation=dilation)
        self.norm = nn.BatchNorm2d(n_out)

    def forward(self, features: Tensor) -> Tensor:
        return cast(Tensor, self.norm(functional.leaky_relu(self.convolution(features), 0.2)))


class DesignNetwork(nn.Module):
    """One frame to a volume at its own pixels."""

    def __init__(self, settings: DesignSettings) -> None:
        super().__init__()
        n = settings.channels
        self.scale = settings.scale
        self.norm = nn.BatchNorm2d(1)
        self.first = _Layer(1, n, 1)
        self.dilated = nn.ModuleList([_Layer(n + 1, n, each) for each in settings.dilations])
        self.last = nn.Conv2d(n, settings.slices, 1)
        # Volumes begin nearly empty, as they are: the blur of the loss makes much of full ones.
        nn.init.normal_(self.last.weight, std=0.01 * settings.scale / n**0.5)
        nn.init.zeros_(cast(Tensor, self.last.bias))

    def forward(self, frames: Tensor) -> Tensor:
        """Return volumes, (n, slices, height, width), of frames (n, 1, height, width)."""
        frames = self.norm(frames)
        features = self.first(frames)
        for layer in self.dilated:
            features = layer(torch.cat([features, frames], 1)) + features
        raw = self.last(features)
        clamped = raw.clamp(0.0, self.scale)
        # The published clamp has no slope outside; voxels that are empty at first stay so then.
        return cast(Tensor, clamped + LEAK * (raw - clamped))
