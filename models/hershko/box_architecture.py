"""The classifier of boxes as an architecture: what the trainer asks of it."""

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


class ClassifierArchitecture:
    """One box to the dye of its emitter."""

    name = "hershko-boxes"

    def sizes(self) -> Sequence[str]:
        """Return the names of its sizes."""
        from rtsmlm.models.hershko.classifier import CLASSIFIERS

        return tuple(CLASSIFIERS)

    def build(self, recipe: Recipe) -> nn.Module:
        """Return a network with fresh weights."""
        from rtsmlm.models.hershko.classifier import CLASSIFIERS, ColourClassifier

        return ColourClassifier(CLASSIFIERS[recipe.network.size], len(recipe.dyes.names))

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
        from rtsmlm.models.simulation.dye_boxes import DyeBoxSampler, dye_psfs
        from rtsmlm.models.simulation.spot_tables import spot_tables

        tables = spot_tables(dye_psfs(recipe.dyes, recipe.optics))
        return DyeBoxSampler(recipe.dyes, tables, device)

    def adapted(self, recipe: Recipe, microscope: Microscope, folder: Path) -> Recipe:
        """Return the recipe for a microscope; see `rtsmlm.models.training.adaptation`."""
        from rtsmlm.models.training.adapted_boxes import on_dyes

        del folder
        return on_dyes(recipe, microscope)

    def forward(self, network: nn.Module, samples: DyeBoxes) -> Tensor:
        """Return the logits for training boxes."""
        logits: Tensor = network(samples.photons)
        return logits

    def loss(self, output: Tensor, samples: DyeBoxes, recipe: Recipe) -> dict[str, Tensor]:
        """Return the cross entropy, and the part that is right."""
        del recipe
        from rtsmlm.models.box_classes.losses import accuracy, class_loss

        logits = output.float()
        return {
            "total": class_loss(logits, samples.dye),
            "accuracy": accuracy(logits, samples.dye),
        }

    def hidden(self, name: str) -> bool:
        """Tell whether Muon steps a convolution: all but the first."""
        return not name.startswith("layers.0.")

    def package(
        self, network: nn.Module, folder: Path, recipe: Recipe, *, tuning_windows: int
    ) -> Manifest:
        """Write ONNX and weights, and return the manifest."""
        from rtsmlm.models.hershko.box_packaging import package

        return package(network, folder, recipe, tuning_boxes=tuning_windows)


ARCHITECTURE = ClassifierArchitecture()
"""Entry point `hershko-boxes`."""
