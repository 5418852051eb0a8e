"""Deep-STORM as an architecture: what the trainer asks of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rtsmlm.models.manifest import Manifest
from rtsmlm.models.training.recipe import Recipe
from rtsmlm.models.training.whole_start import WholeStart

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from rtsmlm.models.simulation.training_windows import Windows
    from rtsmlm.models.simulation.window_sampler import WindowSampler
    from rtsmlm.models.training.microscope import Microscope

# Torch is imported when it is asked for: a microscope may not have it.


class DeepStormArchitecture(WholeStart):
    """One frame to an image; it is trained on the middle frames of simulated windows."""

    name = "deepstorm"

    def sizes(self) -> Sequence[str]:
        """Return the names of its sizes."""
        return ("paper", "S")

    def build(self, recipe: Recipe) -> nn.Module:
        """Return a network with fresh weights."""
        from rtsmlm.models.deepstorm.network import SIZES, DeepStormNetwork

        return DeepStormNetwork(SIZES[recipe.network.size])

    def sampler(self, recipe: Recipe, device: torch.device) -> WindowSampler:
        """Return what draws training windows."""
        from rtsmlm.models.simulation.window_sampler import WindowSampler

        return WindowSampler(
            recipe.simulation, recipe.training.seed, device, table=recipe.psf.measured()
        )

    def adapted(self, recipe: Recipe, microscope: Microscope, folder: Path) -> Recipe:
        """Return the recipe for a microscope; see `rtsmlm.models.training.adaptation`."""
        from rtsmlm.models.training.adapted_sections import round_windows

        del folder
        return round_windows(recipe, microscope)

    def forward(self, network: nn.Module, samples: Windows) -> Tensor:
        """Return the images of the middle frames, (n, 1, upsampling height, ... width)."""
        from rtsmlm.models.deepstorm.network import image_of
        from rtsmlm.models.simulation.training_windows import TARGET

        return image_of(network, samples.photons[:, TARGET : TARGET + 1])

    def loss(self, output: Tensor, samples: Windows, recipe: Recipe) -> dict[str, Tensor]:
        """Return the loss and its two parts; see `targets.loss_of`."""
        from rtsmlm.models.deepstorm.network import SIZES
        from rtsmlm.models.deepstorm.targets import loss_of

        return loss_of(output.float(), samples.targets, SIZES[recipe.network.size].upsampling)

    def hidden(self, name: str) -> bool:
        """Tell whether Muon steps a convolution: all but the first and the last."""
        return not name.startswith(("encoder.0.", "predict."))

    def package(
        self, network: nn.Module, folder: Path, recipe: Recipe, *, tuning_windows: int
    ) -> Manifest:
        """Write ONNX and weights, and return the manifest; it states nothing to be tuned."""
        from rtsmlm.models.deepstorm.packaging import package

        del tuning_windows
        return package(network, folder, recipe)


ARCHITECTURE = DeepStormArchitecture()
