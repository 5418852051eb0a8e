"""Colours in a grey frame, as engines and the trainer see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rtsmlm.localizations import F32
from rtsmlm.models.architecture import Decoder, GraphAlone, NetworkModel
from rtsmlm.models.hershko.psf_of_colours import decoder_of
from rtsmlm.models.manifest import Manifest
from rtsmlm.models.training.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from rtsmlm.models.hershko.mask_learning import LearnedColours
    from rtsmlm.models.simulation.mask_scenes import Scenes, SceneSampler
    from rtsmlm.models.training.microscope import Microscope

# Torch is imported when it is asked for: a microscope may not have it.


class Hershko(GraphAlone):
    """A phase mask with the network that tells colours apart in its frames."""

    name = "hershko"

    # -- for engines -----------------------------------------------------------------------

    def decoder(self, model: NetworkModel, shape: tuple[int, int]) -> Decoder:
        """Return the compiled decoder, which knows the PSF of each colour."""
        return decoder_of(model, shape)

    # -- for the trainer -------------------------------------------------------------------

    def sizes(self) -> Sequence[str]:
        """Return the names of its sizes."""
        from rtsmlm.models.hershko.network import SIZES

        return tuple(SIZES)

    def build(self, recipe: Recipe) -> nn.Module:
        """Return a mask that is nearly clear and a network with fresh weights."""
        from rtsmlm.models.hershko.mask_learning import build

        return build(recipe)

    def start_from(self, network: nn.Module, weights: Mapping[str, F32]) -> None:
        """Copy all weights of a model of the same size; see `copy_all`.

        Raises
        ------
        ConfigError
            If they do not fit.
        """
        from rtsmlm.models.training.weights import copy_all

        copy_all(network, weights)

    def sampler(self, recipe: Recipe, device: torch.device) -> SceneSampler:
        """Return what draws emitters of all colours."""
        from rtsmlm.models.simulation.mask_scenes import SceneSampler

        return SceneSampler(recipe, device, colours=len(recipe.colours.names))

    def adapted(self, recipe: Recipe, microscope: Microscope, folder: Path) -> Recipe:
        """Return the recipe for a microscope; see `rtsmlm.models.training.adaptation`."""
        from rtsmlm.models.training.adapted_sections import of_a_mask

        del folder
        return of_a_mask(recipe, microscope)

    def forward(self, network: nn.Module, samples: Scenes) -> Tensor:
        """Return the images of scenes."""
        images: Tensor = network(samples)
        return images

    def loss(self, output: Tensor, samples: Scenes, recipe: Recipe) -> dict[str, Tensor]:
        """Return the loss of the images, and its terms."""
        from rtsmlm.models.hershko.losses import colour_loss

        return colour_loss(output, samples, recipe.colours.crosstalk_weight)

    def hidden(self, name: str) -> bool:
        """Tell whether Muon steps a convolution: all but the first and the last."""
        return ".layers." in name and ".layers.0." not in name

    def package(
        self, network: nn.Module, folder: Path, recipe: Recipe, *, tuning_windows: int
    ) -> Manifest:
        """Write mask, ONNX and weights, calibrate what is stated, and return the manifest."""
        from rtsmlm.models.hershko.packaging import package

        trained = cast("LearnedColours", network)
        return package(trained, folder, recipe, tuning_windows=tuning_windows)


ARCHITECTURE = Hershko()
"""Entry point `hershko`."""
