"""The network after Kim, Moon & Xu as an architecture: what the trainer asks of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rtsmlm.localizations import F32
from rtsmlm.models.manifest import Manifest
from rtsmlm.models.training.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from rtsmlm.models.simulation.dye_boxes import DyeBoxes, DyeBoxSampler
    from rtsmlm.models.training.microscope import Microscope

# Torch is imported when it is asked for: a microscope may not have it.


class KimArchitecture:
    """One box to the dye of its emitter and its depth."""

    name = "kim"

    def sizes(self) -> Sequence[str]:
        """Return the names of its sizes."""
        return ("paper", "S")

    def build(self, recipe: Recipe) -> nn.Module:
        """Return a network with fresh weights."""
        from rtsmlm.models.kim.network import SIZES, KimNetwork

        return KimNetwork(SIZES[recipe.network.size], len(recipe.dyes.names))

    def start_from(self, network: nn.Module, weights: Mapping[str, F32]) -> None:
        """Copy all weights of a model of the same size; see `copy_all`.

        Raises
        ------
        ConfigError
            If they do not fit.
        """
        from rtsmlm.models.training.weights import copy_all

        copy_all(network, weights)

    def sampler(self, recipe: Recipe, device: torch.device) -> DyeBoxSampler:
        """Return what draws training boxes."""
        from rtsmlm.models.simulation.dye_boxes import DyeBoxSampler, dye_tables

        return DyeBoxSampler(recipe.dyes, dye_tables(recipe.dyes, recipe.optics), device)

    def adapted(self, recipe: Recipe, microscope: Microscope, folder: Path) -> Recipe:
        """Return the recipe for a microscope; see `rtsmlm.models.training.adaptation`."""
        from rtsmlm.models.training.adapted_boxes import on_dyes

        del folder
        return on_dyes(recipe, microscope)

    def forward(self, network: nn.Module, samples: DyeBoxes) -> Tensor:
        """Return the raw outputs for training boxes, in single precision.

        Two dyes differ by a few per cent of a pixel: that is as little as bf16 tells apart.
        """
        import torch

        with torch.autocast(samples.photons.device.type, enabled=False):
            raw: Tensor = network(samples.photons)
        return raw

    def loss(self, output: Tensor, samples: DyeBoxes, recipe: Recipe) -> dict[str, Tensor]:
        """Return the loss and its parts; see `losses.loss_of`."""
        from rtsmlm.models.kim.losses import Depths, loss_of

        depths = Depths.of(recipe.dyes.z_nm, len(recipe.dyes.names))
        return loss_of(output, samples.dye, samples.z_nm, depths)

    def hidden(self, name: str) -> bool:
        """Tell whether Muon steps a convolution: there is none."""
        del name
        return False

    def package(
        self, network: nn.Module, folder: Path, recipe: Recipe, *, tuning_windows: int
    ) -> Manifest:
        """Write ONNX and weights, and return the manifest."""
        from rtsmlm.models.kim.packaging import package

        return package(network, folder, recipe, tuning_boxes=tuning_windows)


ARCHITECTURE = KimArchitecture()
