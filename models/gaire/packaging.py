"""A trained network of Gaire et al. as a model folder."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from rtsmlm.models.dense_images.packaging import examples, package_image
from rtsmlm.models.dense_images.scaling import scaled
from rtsmlm.models.gaire.network import SIZES
from rtsmlm.models.manifest import Manifest
from rtsmlm.models.training.macs import macs_of
from rtsmlm.models.training.recipe import Recipe

_SIDE_PX = 64


class Graph(nn.Module):
    """What the ONNX model holds: from localizations in each pixel to an image."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, localizations: Tensor, level: Tensor) -> Tensor:
        """Return images, (n, 1, height, width); none is below zero."""
        return torch.relu(self.network(scaled(localizations, level)))


def package(network: nn.Module, folder: Path, recipe: Recipe) -> Manifest:
    """Write weights and ONNX model, and return the manifest; see `Trainable.package`."""
    one = torch.zeros(1, 1, _SIDE_PX, _SIDE_PX)
    return package_image(
        Graph(network),
        network,
        folder,
        recipe,
        inputs=examples(_SIDE_PX),
        origin="after Gaire et al., Biomed. Opt. Express 11, 2705 (2020), with layers of our own",
        block_px=1,
        overlap_px=2 * SIZES[recipe.network.size].reach_px,
        kmac_per_px=macs_of(network, one) / _SIDE_PX**2 / 1e3,
    )
