"""The network of Gaire et al. as an architecture: what the trainer asks of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rtsmlm.localizations import F32
from rtsmlm.models.manifest import Manifest
from rtsmlm.models.training.microscope import Microscope
from rtsmlm.models.training.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from rtsmlm.models.simulation.localization_lists import ListPairs, ListSampler

# Torch is imported when it is asked for: a microscope may not have it.


class GaireArchitecture:
    """Localizations of one colour to its image; a recipe states one structure."""

    name = "gaire"

    def sizes(self) -> Sequence[str]:
        """Return the names of its sizes."""
        return ("paper", "S")

    def build(self, recipe: Recipe) -> nn.Module:
        """Return a network with fresh weights."""
        from rtsmlm.models.gaire.network import SIZES, GaireNetwork

        return GaireNetwork(SIZES[recipe.network.size])

    def start_from(self, network: nn.Module, weights: Mapping[str, F32]) -> None:
        """Copy all weights of a model of the same size; see `copy_all`.

        Raises
        ------
        ConfigError
            If they do not fit.
        """
        from rtsmlm.models.training.weights import copy_all

        copy_all(network, weights)

    def sampler(self, recipe: Recipe, device: torch.device) -> ListSampler:
        """Return what draws pairs of few and of all localizations."""
        from rtsmlm.models.simulation.localization_lists import ListSampler

        return ListSampler(recipe.lists, device)

    def adapted(self, recipe: Recipe, microscope: Microscope, folder: Path) -> Recipe:
        """Return the recipe for a microscope; see `rtsmlm.models.training.adaptation`."""
        from rtsmlm.models.training.adapted_lists import on_lists

        del folder
        return on_lists(recipe, microscope)

    def forward(self, network: nn.Module, samples: ListPairs) -> Tensor:
        """Return images in units of their level, (n, 1, height, width)."""
        from rtsmlm.models.dense_images.scaling import given

        image: Tensor = network(given(samples))
        return image

    def loss(self, output: Tensor, samples: ListPairs, recipe: Recipe) -> dict[str, Tensor]:
        """Return the loss and its parts; see `losses.loss_of`."""
        from rtsmlm.models.gaire.losses import loss_of

        del recipe
        return loss_of(output, samples)

    def hidden(self, name: str) -> bool:
        """Tell whether Muon steps a convolution: all but the first and the last."""
        return name.startswith("blocks.")

    def package(
        self, network: nn.Module, folder: Path, recipe: Recipe, *, tuning_windows: int
    ) -> Manifest:
        """Write ONNX and weights, and return the manifest; it states nothing to be tuned."""
        from rtsmlm.models.gaire.packaging import package

        del tuning_windows
        return package(network, folder, recipe)


ARCHITECTURE = GaireArchitecture()
