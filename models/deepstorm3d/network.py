"""DeepSTORM3D: one frame to a volume of probabilities, with dilated convolutions.

Layers as published: Nehme et al., Nat. Methods 17, 734 (2020), and its program. The reduced size
has fewer planes, doubles height and width once, and is narrower where the grid is fine.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from rtsmlm.settings.base import Settings

LEAK = 0.01
"""Slope below zero of the answer in training; it is cut there otherwise."""


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
    fine_channels: int | None = None
    """Channels after a doubling; not given takes `channels`."""
    refinements: int = 2
    """Layers with a shortcut between planes."""

    @property
    def upsampling(self) -> int:
        """Voxels along the side of a camera pixel."""
        return int(2**self.doublings)


SIZES: dict[str, NetworkSettings] = {
    "paper": NetworkSettings(),
    "paper-81": NetworkSettings(slices=81),
    "S": NetworkSettings(
        channels=48, slices=32, scale=1.0, doublings=1, fine_channels=32, refinements=1
    ),
}


class _Layer(nn.Module):
    def __init__(self, n_in: int, n_out: int, dilation: int = 1) -> None:
        super().__init__()
        self.dilation = dilation
        self.convolution = nn.Conv2d(n_in, n_out, 3, padding=dilation, dilation=dilation)
        self.norm = nn.BatchNorm2d(n_out)

    def forward(self, features: Tensor, frames: Tensor | None = None) -> Tensor:
        """Return the layer's answer to features and, beside them, frames."""
        if frames is None or not self.training:
            whole = features if frames is None else torch.cat([features, frames], 1)
            values = self.convolution(whole)
        else:
            values = self._in_parts(features, frames)
        return cast(Tensor, self.norm(functional.leaky_relu(values, 0.2)))

    def _in_parts(self, features: Tensor, frames: Tensor) -> Tensor:
        """Return the same convolution without a copy of the features, which costs much memory."""
        layer, n, reach = self.convolution, features.shape[1], self.dilation
        weight, bias = layer.weight, layer.bias
        values = functional.conv2d(features, weight[:, :n], bias, padding=reach, dilation=reach)
        of_frames = functional.conv2d(frames, weight[:, n:], padding=reach, dilation=reach)
        return values + of_frames


class DeepStorm3dNetwork(nn.Module):
    """One frame to a volume whose voxels hold emitters or none."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.settings = settings
        n, depth = settings.channels, settings.slices
        fine = settings.fine_channels or n
        self.scale = settings.scale
        self.norm = nn.BatchNorm2d(1)
        self.first = _Layer(1, n)
        self.dilated = nn.ModuleList([_Layer(n + 1, n, each) for each in settings.dilations])
        widths = [n + 1, *[fine] * (settings.doublings - 1)]
        self.enlarge = nn.ModuleList([_Layer(width, fine) for width in widths])
        self.slices = _Layer(fine, depth)
        self.refine = nn.ModuleList([_Layer(depth, depth) for _ in range(settings.refinements)])
        self.last = nn.Conv2d(depth, depth, 1)
        # Nearly all voxels are empty: training begins with an empty volume.
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(cast(Tensor, self.last.bias))

    def forward(self, frames: Tensor) -> Tensor:
        """Return volumes, (n, slices, height, width) on the finer grid, of frames (n, 1, ..)."""
        frames = self.norm(frames)
        features = self.first(frames)
        for layer in self.dilated:
            features = layer(features, frames) + features
        beside: Tensor | None = frames
        for layer in self.enlarge:
            features = functional.interpolate(features, scale_factor=2, mode="nearest")
            if beside is not None:
                beside = functional.interpolate(beside, scale_factor=2, mode="nearest")
            features, beside = layer(features, beside), None
        features = self.slices(features)
        for layer in self.refine:
            features = layer(features) + features
        values = self.last(features)
        if self.training:
            # A voxel that is empty by mistake keeps a slope to come back by.
            return functional.leaky_relu(values, LEAK)
        return cast(Tensor, values.clamp(0.0, self.scale))
