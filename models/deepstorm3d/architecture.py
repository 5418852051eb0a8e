"""DeepSTORM3D as an architecture: what engines and the trainer may ask of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rtsmlm.models.architecture import Decoder, GraphAlone, NetworkModel
from rtsmlm.models.deepstorm3d.psf_of_model import decoder_of
from rtsmlm.models.manifest import Manifest
from rtsmlm.models.training.recipe import Recipe
from rtsmlm.models.training.whole_start import WholeStart

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from rtsmlm.models.deepstorm3d.network import DeepStorm3dNetwork
    from rtsmlm.models.simulation.one_psf import OnePsfSampler
    from rtsmlm.models.simulation.training_windows import Windows
    from rtsmlm.models.training.microscope import Microscope


class DeepStorm3d(WholeStart, GraphAlone):
    """One frame to a volume in which emitters are sharp, trained for one PSF."""

    name = "deepstorm3d"

    # -- for engines -----------------------------------------------------------------------

    def decoder(self, model: NetworkModel, shape: tuple[int, int]) -> Decoder:
        """Return the compiled decoder, which knows the PSF that the network was trained for."""
        return decoder_of(model, shape)

    # -- for the trainer -------------------------------------------------------------------

    def sizes(self) -> Sequence[str]:
        """Return the names of its sizes."""
        from rtsmlm.models.deepstorm3d.network import SIZES

        return tuple(SIZES)

    def build(self, recipe: Recipe) -> nn.Module:
        """Return a network with fresh weights."""
        from rtsmlm.models.deepstorm3d.network import SIZES, DeepStorm3dNetwork

        return DeepStorm3dNetwork(SIZES[recipe.network.size])

    def sampler(self, recipe: Recipe, device: torch.device) -> OnePsfSampler:
        """Return what draws windows of the recipe's PSF."""
        from rtsmlm.models.training.one_psf_samplers import samplers_of

        return samplers_of(recipe, device)(recipe.simulation)

    def adapted(self, recipe: Recipe, microscope: Microscope, folder: Path) -> Recipe:
        """Return the recipe for a microscope; see `rtsmlm.models.training.adaptation`."""
        from rtsmlm.models.training.adapted_sections import one_psf

        return one_psf(recipe, microscope, folder)

    def forward(self, network: nn.Module, windows: Windows) -> Tensor:
        """Return the volumes of training windows."""
        from rtsmlm.models.deepstorm3d.on_torch import volumes_of_windows

        return volumes_of_windows(cast("DeepStorm3dNetwork", network), windows)

    def loss(self, output: Tensor, windows: Windows, recipe: Recipe) -> dict[str, Tensor]:
        """Return the loss and its terms."""
        from rtsmlm.models.deepstorm3d.loss import loss_of_windows
        from rtsmlm.models.deepstorm3d.network import SIZES

        return loss_of_windows(output, windows, SIZES[recipe.network.size])

    def hidden(self, name: str) -> bool:
        """Tell whether a convolution is an inner one, which Muon steps: all but the last."""
        return not name.startswith("last.")

    def package(
        self, network: nn.Module, folder: Path, recipe: Recipe, *, tuning_windows: int
    ) -> Manifest:
        """Write ONNX and weights, calibrate what is stated, and return the manifest."""
        from rtsmlm.models.deepstorm3d.packaging import package

        trained = cast("DeepStorm3dNetwork", network)
        return package(trained, folder, recipe, tuning_windows=tuning_windows)


ARCHITECTURE = DeepStorm3d()
