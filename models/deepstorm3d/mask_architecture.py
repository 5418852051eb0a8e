"""Learning of a phase mask as the trainer sees it."""

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

    from rtsmlm.models.deepstorm3d.mask_learning import LearnedMask
    from rtsmlm.models.simulation.mask_scenes import Scenes, SceneSampler

# Torch is imported when it is asked for: a microscope may not have it.


class MaskLearning(WholeStart, GraphAlone):
    """A phase mask with the network that reads its frames; what is kept is the PSF."""

    name = "deepstorm3d-mask"

    # -- for engines: the network that the mask was learned with finds emitters, coarsely ------

    def decoder(self, model: NetworkModel, shape: tuple[int, int]) -> Decoder:
        """Return the compiled decoder, which knows the PSF of the mask."""
        return decoder_of(model, shape)

    # -- for the trainer -------------------------------------------------------------------

    def sizes(self) -> Sequence[str]:
        """Return the names of its sizes."""
        from rtsmlm.models.deepstorm3d.design_network import SIZES

        return tuple(SIZES)

    def build(self, recipe: Recipe) -> nn.Module:
        """Return a mask of zero and a network with fresh weights."""
        from rtsmlm.models.deepstorm3d.mask_learning import build

        return build(recipe)

    def sampler(self, recipe: Recipe, device: torch.device) -> SceneSampler:
        """Return what draws emitters."""
        from rtsmlm.models.simulation.mask_scenes import SceneSampler

        return SceneSampler(recipe, device)

    def forward(self, network: nn.Module, samples: Scenes) -> Tensor:
        """Return the volumes of scenes."""
        volumes: Tensor = network(samples)
        return volumes

    def loss(self, output: Tensor, samples: Scenes, recipe: Recipe) -> dict[str, Tensor]:
        """Return the loss of the volumes, and its terms."""
        from rtsmlm.models.deepstorm3d.design_network import SIZES
        from rtsmlm.models.deepstorm3d.loss import volume_loss
        from rtsmlm.models.deepstorm3d.volume import shares_of

        n, planes, height, width = output.shape
        voxels, shares = shares_of(samples.targets, (n, planes, height, width), 1)
        volume = output / SIZES[recipe.network.size].scale
        return volume_loss(volume, voxels, shares, samples.targets.ignored)

    def hidden(self, name: str) -> bool:
        """Tell whether Muon steps a convolution: all but the first and the last."""
        return ".dilated." in name

    def package(
        self, network: nn.Module, folder: Path, recipe: Recipe, *, tuning_windows: int
    ) -> Manifest:
        """Write mask, PSF file, ONNX and weights, and return the manifest; nothing is tuned."""
        del tuning_windows
        from rtsmlm.models.deepstorm3d.mask_packaging import package

        return package(cast("LearnedMask", network), folder, recipe)


ARCHITECTURE = MaskLearning()
