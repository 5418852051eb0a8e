"""DECODE as an architecture: what engines and the trainer may ask of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rtsmlm.models.manifest import Manifest
from rtsmlm.models.pixel_maps.architecture import PixelMaps
from rtsmlm.models.training.recipe import Recipe
from rtsmlm.models.training.whole_start import WholeStart

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from rtsmlm.models.decode.network import DecodeNetwork
    from rtsmlm.models.simulation.one_psf import OnePsfSampler
    from rtsmlm.models.simulation.training_windows import Windows
    from rtsmlm.models.training.microscope import Microscope

# What is asked of it while it is trained needs torch, which a microscope may not have: it is
# imported when it is asked.


class Decode(WholeStart, PixelMaps):
    """Three frames to one possible emitter for every pixel, trained for one PSF.

    Its graph answers in physical units, so that engines run it as they run `pixel-maps`.
    """

    name = "decode"

    # -- for the trainer -------------------------------------------------------------------

    def sizes(self) -> Sequence[str]:
        """Return the names of its sizes."""
        from rtsmlm.models.decode.network import SIZES

        return tuple(SIZES)

    def build(self, recipe: Recipe) -> nn.Module:
        """Return a network with fresh weights, in the units of the recipe's light."""
        from rtsmlm.models.decode.network import SIZES, DecodeNetwork
        from rtsmlm.models.decode.scaling import scaling_of

        return DecodeNetwork(SIZES[recipe.network.size], scaling_of(recipe.simulation))

    def sampler(self, recipe: Recipe, device: torch.device) -> OnePsfSampler:
        """Return what draws windows of the recipe's PSF."""
        from rtsmlm.models.training.one_psf_samplers import samplers_of

        return samplers_of(recipe, device)(recipe.simulation)

    def adapted(self, recipe: Recipe, microscope: Microscope, folder: Path) -> Recipe:
        """Return the recipe for a microscope; see `rtsmlm.models.training.adaptation`."""
        from rtsmlm.models.training.adapted_sections import one_psf

        return one_psf(recipe, microscope, folder)

    def forward(self, network: nn.Module, windows: Windows) -> Tensor:
        """Return the raw maps of training windows."""
        from rtsmlm.models.decode.graph import maps_of_windows

        return maps_of_windows(cast("DecodeNetwork", network), windows)

    def loss(self, output: Tensor, windows: Windows, recipe: Recipe) -> dict[str, Tensor]:
        """Return the loss and its parts."""
        from rtsmlm.models.decode.losses import decode_loss
        from rtsmlm.models.decode.scaling import scaling_of

        return decode_loss(output, windows.targets, scaling_of(recipe.simulation))

    def hidden(self, name: str) -> bool:
        """Tell whether a convolution is an inner one, which Muon steps: all but those of heads."""
        return not name.startswith("heads.")

    def package(
        self, network: nn.Module, folder: Path, recipe: Recipe, *, tuning_windows: int
    ) -> Manifest:
        """Write ONNX and weights, and return the manifest."""
        from rtsmlm.models.decode.packaging import package

        trained = cast("DecodeNetwork", network)
        return package(trained, folder, recipe, tuning_windows=tuning_windows)


ARCHITECTURE = Decode()
