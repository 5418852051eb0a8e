"""ANNA-PALM as an architecture: what the trainer asks of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rtsmlm.localizations import F32
from rtsmlm.models.manifest import Manifest
from rtsmlm.models.training.microscope import Microscope
from rtsmlm.models.training.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from rtsmlm.models.annapalm.losses import Output
    from rtsmlm.models.annapalm.network import AnnaPalmNetwork
    from rtsmlm.models.simulation.localization_lists import ListPairs, ListSampler

# Torch is imported when it is asked for: a microscope may not have it.


class AnnaPalmArchitecture:
    """Localizations of a structure to its image, learned against a critic."""

    name = "annapalm"

    def sizes(self) -> Sequence[str]:
        """Return the names of its sizes."""
        return ("paper", "S")

    def build(self, recipe: Recipe) -> nn.Module:
        """Return generator and critic with fresh weights."""
        from rtsmlm.models.annapalm.network import SIZES, AnnaPalmNetwork

        return AnnaPalmNetwork(SIZES[recipe.network.size], len(recipe.lists.structures))

    def start_from(self, network: nn.Module, weights: Mapping[str, F32]) -> None:
        """Copy all weights of a generator of the same size; the critic begins anew.

        Raises
        ------
        ConfigError
            If they do not fit.
        """
        from rtsmlm.models.training.weights import copy_all

        copy_all(cast("AnnaPalmNetwork", network).generator, weights)

    def sampler(self, recipe: Recipe, device: torch.device) -> ListSampler:
        """Return what draws pairs of few and of all localizations."""
        from rtsmlm.models.simulation.localization_lists import ListSampler

        return ListSampler(recipe.lists, device)

    def adapted(self, recipe: Recipe, microscope: Microscope, folder: Path) -> Recipe:
        """Return the recipe for a microscope; see `rtsmlm.models.training.adaptation`."""
        from rtsmlm.models.training.adapted_lists import on_lists

        del folder
        return on_lists(recipe, microscope)

    def forward(self, network: nn.Module, samples: ListPairs) -> Output:
        """Return the images, and what the critic makes of them."""
        from rtsmlm.models.annapalm.losses import output_of

        return output_of(cast("AnnaPalmNetwork", network), samples)

    def loss(self, output: Output, samples: ListPairs, recipe: Recipe) -> dict[str, Tensor]:
        """Return the loss and its parts; see `losses.loss_of`."""
        from rtsmlm.models.annapalm.losses import loss_of

        del recipe
        return loss_of(output, samples)

    def hidden(self, name: str) -> bool:
        """Tell whether Muon steps a convolution: those of the generator but the first and last."""
        return name.startswith("generator.") and not name.startswith(
            ("generator.encoder.0.", "generator.predict.")
        )

    def package(
        self, network: nn.Module, folder: Path, recipe: Recipe, *, tuning_windows: int
    ) -> Manifest:
        """Write ONNX and weights of the generator, and return the manifest."""
        from rtsmlm.models.annapalm.packaging import package

        del tuning_windows
        return package(cast("AnnaPalmNetwork", network).generator, folder, recipe)


ARCHITECTURE = AnnaPalmArchitecture()
