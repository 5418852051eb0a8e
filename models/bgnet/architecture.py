"""BGnet as the trainer sees it; engines run its graph as a network of boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rtsmlm.localizations import F32
from rtsmlm.models.manifest import Manifest
from rtsmlm.models.training.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from rtsmlm.models.bgnet.network import BgNetwork
    from rtsmlm.models.bgnet.samples import BackgroundBoxes, BackgroundSampler
    from rtsmlm.models.training.microscope import Microscope

# Torch is imported when it is asked for: a microscope may not have it.


class BgNet:
    """One box to its background."""

    name = "bgnet"

    def sizes(self) -> Sequence[str]:
        """Return the names of its sizes."""
        from rtsmlm.models.bgnet.network import SIZES

        return tuple(SIZES)

    def build(self, recipe: Recipe) -> nn.Module:
        """Return a network with fresh weights."""
        from rtsmlm.models.bgnet.network import SIZES, BgNetwork

        return BgNetwork(SIZES[recipe.network.size])

    def start_from(self, network: nn.Module, weights: Mapping[str, F32]) -> None:
        """Copy all weights of a model of the same size; see `copy_all`.

        Raises
        ------
        ConfigError
            If they do not fit.
        """
        from rtsmlm.models.training.weights import copy_all

        copy_all(network, weights)

    def sampler(self, recipe: Recipe, device: torch.device) -> BackgroundSampler:
        """Return what draws boxes with structured background."""
        from rtsmlm.models.bgnet.samples import BackgroundSampler

        return BackgroundSampler(recipe, device)

    def adapted(self, recipe: Recipe, microscope: Microscope, folder: Path) -> Recipe:
        """Return the recipe for a microscope; see `rtsmlm.models.training.adaptation`."""
        from rtsmlm.models.training.adapted_boxes import on_backgrounds

        del folder
        return on_backgrounds(recipe, microscope)

    def forward(self, network: nn.Module, samples: BackgroundBoxes) -> Tensor:
        """Return the backgrounds of training boxes."""
        background: Tensor = network(samples.photons, samples.read_variance)
        return background

    def loss(self, output: Tensor, samples: BackgroundBoxes, recipe: Recipe) -> dict[str, Tensor]:
        """Return the loss and the relative error."""
        del recipe
        from rtsmlm.models.bgnet.losses import background_loss

        return background_loss(output, samples)

    def hidden(self, name: str) -> bool:
        """Tell whether Muon steps a convolution: all but the first and the last."""
        return not name.startswith(("down.0.0.", "last."))

    def package(
        self, network: nn.Module, folder: Path, recipe: Recipe, *, tuning_windows: int
    ) -> Manifest:
        """Write ONNX and weights, and return the manifest with its accuracy."""
        from rtsmlm.models.bgnet.packaging import package

        return package(cast("BgNetwork", network), folder, recipe, n_boxes=tuning_windows)


ARCHITECTURE = BgNet()
"""Entry point `bgnet`."""
