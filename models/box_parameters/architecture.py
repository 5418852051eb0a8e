"""BoxArchitecture: a network of boxes as the trainer sees it; its folder brings the layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rtsmlm.models.manifest import Manifest
from rtsmlm.models.training.recipe import Recipe
from rtsmlm.models.training.whole_start import WholeStart

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from rtsmlm.models.simulation.boxes import Boxes, BoxSampler
    from rtsmlm.models.training.microscope import Microscope

# Torch is imported when it is asked for: a microscope may not have it.


class BoxArchitecture(WholeStart):
    """What is trained on boxes by the likelihood of their parameters.

    Parameters
    ----------
    name
        Name in recipes and manifests.
    sizes
        Names of its sizes.
    build
        Returns layers with fresh weights for a size, a side of boxes and a number of outputs, as
        `rtsmlm.models.box_parameters.network.BoxNetwork` takes them.
    """

    def __init__(
        self, name: str, sizes: Sequence[str], build: Callable[[str, int, int], nn.Module]
    ) -> None:
        self.name = name
        self._sizes, self._build = tuple(sizes), build

    def sizes(self) -> Sequence[str]:
        """Return the names of its sizes."""
        return self._sizes

    def build(self, recipe: Recipe) -> nn.Module:
        """Return a network with fresh weights."""
        from rtsmlm.models.box_parameters.network import BoxNetwork
        from rtsmlm.models.box_parameters.quantities import quantities_of

        wanted = quantities_of(recipe.boxes)
        layers = self._build(recipe.network.size, recipe.boxes.box_px, 2 * len(wanted))
        return BoxNetwork(layers, wanted)

    def sampler(self, recipe: Recipe, device: torch.device) -> BoxSampler:
        """Return what draws training boxes."""
        from rtsmlm.models.simulation.boxes import BoxSampler

        return BoxSampler(recipe.boxes, recipe.optics, device)

    def adapted(self, recipe: Recipe, microscope: Microscope, folder: Path) -> Recipe:
        """Return the recipe for a microscope; see `rtsmlm.models.training.adaptation`."""
        from rtsmlm.models.training.adapted_boxes import on_boxes

        del folder
        return on_boxes(recipe, microscope)

    def forward(self, network: nn.Module, samples: Boxes) -> Tensor:
        """Return the raw outputs for training boxes."""
        raw: Tensor = network(samples.photons, samples.read_variance)
        return raw

    def loss(self, output: Tensor, samples: Boxes, recipe: Recipe) -> dict[str, Tensor]:
        """Return the negative log-likelihood, in all and by quantity."""
        from rtsmlm.models.box_parameters.quantities import loss_of, quantities_of, truths_of

        wanted = quantities_of(recipe.boxes)
        parts = loss_of(output.float(), truths_of(samples, wanted))
        named = {quantity.name: part for quantity, part in zip(wanted, parts, strict=True)}
        return {"total": parts.mean(), **named}

    def hidden(self, name: str) -> bool:
        """Tell whether Muon steps a convolution: all of them."""
        del name
        return True

    def package(
        self, network: nn.Module, folder: Path, recipe: Recipe, *, tuning_windows: int
    ) -> Manifest:
        """Write ONNX and weights, and return the manifest."""
        from rtsmlm.models.box_parameters.packaging import package

        return package(network, folder, recipe, tuning_boxes=tuning_windows)
