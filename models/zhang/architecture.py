"""The networks after Zhang et al. as an architecture: what the trainer asks of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rtsmlm.errors import ConfigError
from rtsmlm.localizations import F32
from rtsmlm.models.manifest import Manifest
from rtsmlm.models.training.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from rtsmlm.models.simulation.dye_spectra import DyeSpectra, SpectrumSampler
    from rtsmlm.models.training.microscope import Microscope

# Torch is imported when it is asked for: a microscope may not have it.


class ZhangArchitecture:
    """One dispersed spectrum to the dye of its molecule."""

    name = "zhang"

    def sizes(self) -> Sequence[str]:
        """Return the names of its sizes."""
        return ("paper", "SpeNet")

    def build(self, recipe: Recipe) -> nn.Module:
        """Return a network with fresh weights."""
        from rtsmlm.models.zhang.network import build

        return build(recipe.network.size, len(recipe.spectra.names))

    def start_from(self, network: nn.Module, weights: Mapping[str, F32]) -> None:
        """Copy all weights of a model of the same size; see `copy_all`.

        Raises
        ------
        ConfigError
            If they do not fit.
        """
        from rtsmlm.models.training.weights import copy_all

        copy_all(network, weights)

    def sampler(self, recipe: Recipe, device: torch.device) -> SpectrumSampler:
        """Return what draws training spectra.

        Raises
        ------
        ConfigError
            If they do not have the size that the network takes.
        """
        from rtsmlm.models.simulation.dye_spectra import SpectrumSampler
        from rtsmlm.models.zhang.network import ROWS, SAMPLES

        wanted = recipe.spectra
        if (wanted.rows, wanted.samples) != (ROWS, SAMPLES):
            raise ConfigError(
                f"spectra.rows and spectra.samples are {wanted.rows} and {wanted.samples}; zhang "
                f"takes {ROWS} and {SAMPLES}"
            )
        return SpectrumSampler(wanted, device)

    def adapted(self, recipe: Recipe, microscope: Microscope, folder: Path) -> Recipe:
        """Return the recipe for a microscope; see `rtsmlm.models.training.adaptation`."""
        from rtsmlm.models.training.adapted_boxes import on_spectra

        del folder
        return on_spectra(recipe, microscope)

    def forward(self, network: nn.Module, samples: DyeSpectra) -> Tensor:
        """Return the logits for training spectra, in single precision."""
        import torch

        with torch.autocast(samples.photons.device.type, enabled=False):
            logits: Tensor = network(samples.photons)
        return logits

    def loss(self, output: Tensor, samples: DyeSpectra, recipe: Recipe) -> dict[str, Tensor]:
        """Return the cross entropy, and the part of the answers that are right."""
        from rtsmlm.models.box_classes.losses import accuracy, class_loss

        del recipe
        return {
            "total": class_loss(output, samples.dye),
            "accuracy": accuracy(output, samples.dye),
        }

    def hidden(self, name: str) -> bool:
        """Tell whether Muon steps a convolution: none, they are too small."""
        del name
        return False

    def package(
        self, network: nn.Module, folder: Path, recipe: Recipe, *, tuning_windows: int
    ) -> Manifest:
        """Write ONNX and weights, and return the manifest."""
        from rtsmlm.models.zhang.packaging import package

        return package(network, folder, recipe, tuning_spectra=tuning_windows)


ARCHITECTURE = ZhangArchitecture()
