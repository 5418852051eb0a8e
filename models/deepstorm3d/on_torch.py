"""DeepSTORM3D on torch: what goes into it, from training windows and from raw frames."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from rtsmlm.models.deepstorm3d.network import DeepStorm3dNetwork
from rtsmlm.models.simulation.training_windows import TARGET, Windows

COARSE_PX = 8
"""Blocks whose mean gives the surroundings of a pixel."""
SURROUNDINGS = 7
"""Blocks along a side of them: wider than the spot of an emitter at the end of the range."""


def signal(photons: Tensor, read_variance: Tensor) -> Tensor:
    """Return frames whose noise is one everywhere, without the level of their surroundings.

    Parameters
    ----------
    photons
        (n, 1, height, width), both multiples of `COARSE_PX`.
    read_variance
        In photons², the same shape or (1, 1, height, width).
    """
    # Anscombe, Biometrika 35, 246 (1948).
    roots = 2.0 * (photons + read_variance + 0.375).clamp(min=0.0).sqrt()
    blocks = functional.avg_pool2d(roots, COARSE_PX)
    around = functional.avg_pool2d(
        blocks, SURROUNDINGS, stride=1, padding=SURROUNDINGS // 2, count_include_pad=False
    )
    level = functional.interpolate(around, scale_factor=COARSE_PX, mode="nearest")
    return roots - level


def volumes_of_windows(network: DeepStorm3dNetwork, windows: Windows) -> Tensor:
    """Return the volumes of the target frames of training windows."""
    frame = windows.photons[:, TARGET : TARGET + 1]
    inputs = signal(frame, windows.read_variance)
    return network(inputs.to(memory_format=torch.channels_last))  # type: ignore[no-any-return]


def maps_of_windows(network: DeepStorm3dNetwork, windows: Windows) -> Tensor:
    """Return what `Graph` answers for the target frames of training windows."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        volumes = volumes_of_windows(network, windows)
    light = windows.photons[:, TARGET : TARGET + 1]
    return _with_light(volumes.float() / network.scale, light, network.settings.upsampling)


def _with_light(volumes: Tensor, photons: Tensor, upsampling: int) -> Tensor:
    """Return volumes and, as one more channel, the photons of the pixels on their grid."""
    light = functional.interpolate(photons, scale_factor=upsampling, mode="nearest")
    return torch.cat([volumes, light], 1)


class Graph(nn.Module):
    """What the ONNX model holds: from raw frames to volumes, and the light beside them.

    The planes are over the network's scale. One more channel holds the photons of each pixel, of
    which the decoder takes the photons of the emitters.
    """

    def __init__(self, network: DeepStorm3dNetwork) -> None:
        super().__init__()
        self.network = network
        self.upsampling = network.settings.upsampling

    def forward(self, frames: Tensor, offset: Tensor, gain: Tensor, variance: Tensor) -> Tensor:
        """Return (n, slices + 1, height, width) on the finer grid, of frames in ADU."""
        photons = ((frames.float() - offset) * gain)[:, None]
        volume = self.network(signal(photons, variance[None, None])) / self.network.scale
        return _with_light(volume, photons, self.upsampling)
