"""A trained ANNA-PALM as a model folder: the generator alone, the critic has done its work."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from rtsmlm.models.annapalm.losses import inputs_of
from rtsmlm.models.annapalm.network import N_INPUTS, SIZES, Generator
from rtsmlm.models.dense_images.packaging import examples, package_image
from rtsmlm.models.dense_images.scaling import FULL, scaled
from rtsmlm.models.manifest import Manifest
from rtsmlm.models.training.macs import macs_of
from rtsmlm.models.training.recipe import Recipe

OVERLAP_PX = 128
"""Of parts of a large field: the norm of each part is its own, so that they are blended."""


class Graph(torch.nn.Module):
    """What the ONNX model holds: from localizations in each pixel to an image."""

    def __init__(self, network: Generator) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, localizations: Tensor, level: Tensor, structure: Tensor, widefield: Tensor
    ) -> Tensor:
        """Return images, (n, 1, height, width), from 0 to `FULL`."""
        inputs = inputs_of(scaled(localizations, level), widefield)
        image: Tensor = self.network(inputs, structure)
        return 0.5 * FULL * (image + 1.0)


def package(network: Generator, folder: Path, recipe: Recipe) -> Manifest:
    """Write weights and ONNX model, and return the manifest; see `Trainable.package`."""
    block_px = SIZES[recipe.network.size].block_px
    n_structures = len(recipe.lists.structures)
    inputs = torch.zeros(1, N_INPUTS, 2 * block_px, 2 * block_px)
    return package_image(
        Graph(network),
        network,
        folder,
        recipe,
        inputs=examples(2 * block_px, n_structures, widefield=True),
        origin="after Ouyang et al., Nat. Biotechnol. 36, 460 (2018)",
        block_px=block_px,
        overlap_px=OVERLAP_PX,
        kmac_per_px=macs_of(network, inputs, torch.zeros(1, n_structures))
        / inputs[0, 0].numel()
        / 1e3,
    )
