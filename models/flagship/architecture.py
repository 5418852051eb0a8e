"""The flagship as an architecture: what engines and the trainer may ask of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rtsmlm.localizations import F32
from rtsmlm.models.architecture import (
    Decoder,
    DeviceDecoder,
    FrontEnd,
    Maps,
    NetworkModel,
    TorchNetwork,
)
from rtsmlm.models.flagship.decode import rows_of
from rtsmlm.models.flagship.maps import background_channel_of
from rtsmlm.models.flagship.planes import PLANES, PlaneMaker
from rtsmlm.models.flagship.window_decode import FlagshipWindowDecoder
from rtsmlm.models.flagship.window_planes import WindowPlanes
from rtsmlm.models.manifest import Manifest
from rtsmlm.models.training.recipe import Recipe
from rtsmlm.models.windows import WindowDecoder, WindowFrontEnd

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from rtsmlm.models.flagship.network import FlagshipNetwork
    from rtsmlm.models.simulation.training_windows import Windows
    from rtsmlm.models.simulation.window_sampler import WindowSampler
    from rtsmlm.models.training.microscope import Microscope

# What is asked of it while it is trained needs torch, which a microscope may not have: it is
# imported when it is asked.


class Flagship:
    """Three frames to slots of emitters at half resolution, conditioned on the PSF."""

    name = "flagship"
    cell_px = 2
    planes = PLANES

    # -- for engines -----------------------------------------------------------------------

    def decoder(self, model: NetworkModel, shape: tuple[int, int]) -> Decoder:
        """Return the compiled decoder."""
        axial, settings = model.axial, model.decode
        return lambda maps: rows_of(maps, shape, axial=axial, settings=settings)

    def front_end(self, n_frames: int, maps: Maps) -> FrontEnd | None:
        """Return the compiled pre-processing."""
        return PlaneMaker(n_frames, maps)

    def window_front_end(self, maps: Maps) -> WindowFrontEnd:
        """Return the compiled pre-processing of windows."""
        return WindowPlanes(maps)

    def window_decoder(self, model: NetworkModel, shape: tuple[int, int]) -> WindowDecoder:
        """Return the compiled decoder of windows."""
        return FlagshipWindowDecoder(shape, axial=model.axial, settings=model.decode)

    def device_decoder(
        self, model: NetworkModel, shape: tuple[int, int], capacity: int
    ) -> DeviceDecoder:
        """Return the decoder of a GPU."""
        from rtsmlm.models.flagship.decode_on_device import DeviceDecoder as FlagshipDecoder

        channel = background_channel_of(axial=model.axial)
        return FlagshipDecoder(model.decode, shape, channel, capacity)

    def torch_network(
        self, model: NetworkModel, device: torch.device, dtype: torch.dtype
    ) -> TorchNetwork | None:
        """Return the network with the PSF folded into its weights."""
        from rtsmlm.models.flagship.on_torch import FlagshipOnTorch

        return FlagshipOnTorch(model, device, dtype)

    # -- for the trainer -------------------------------------------------------------------

    def sizes(self) -> Sequence[str]:
        """Return the names of its sizes."""
        from rtsmlm.models.flagship.network import SIZES

        return tuple(SIZES)

    def build(self, recipe: Recipe) -> nn.Module:
        """Return a network with fresh weights."""
        from rtsmlm.models.flagship.network import SIZES, FlagshipNetwork

        return FlagshipNetwork(SIZES[recipe.network.size])

    def start_from(self, network: nn.Module, weights: Mapping[str, F32]) -> None:
        """Copy what a network can take of the weights of another model of the flagship.

        Raises
        ------
        ConfigError
            If the networks differ in their channels.
        """
        from rtsmlm.models.flagship.warm_start import start_from

        start_from(cast("FlagshipNetwork", network), dict(weights))

    def sampler(self, recipe: Recipe, device: torch.device) -> WindowSampler:
        """Return what draws training windows."""
        from rtsmlm.models.simulation.window_sampler import WindowSampler

        return WindowSampler(
            recipe.simulation, recipe.training.seed, device, table=recipe.psf.measured()
        )

    def adapted(self, recipe: Recipe, microscope: Microscope, folder: Path) -> Recipe:
        """Return the recipe for a microscope; see `rtsmlm.models.training.adaptation`."""
        from rtsmlm.models.training.adapted_sections import astigmatic_windows, round_windows

        del folder
        if recipe.simulation.astigmatism is not None:
            return astigmatic_windows(recipe, microscope)
        return round_windows(recipe, microscope)

    def forward(self, network: nn.Module, windows: Windows) -> Tensor:
        """Return the maps of training windows."""
        from rtsmlm.models.flagship.on_torch import maps_of_windows

        return maps_of_windows(cast("FlagshipNetwork", network), windows)

    def loss(self, output: Tensor, windows: Windows, recipe: Recipe) -> dict[str, Tensor]:
        """Return the loss and its parts."""
        from rtsmlm.models.flagship.losses import LossWeights, flagship_loss

        settings = recipe.training
        weights = LossWeights(
            settings.count_weight, settings.presence_weight, settings.background_weight
        )
        return flagship_loss(output, windows.targets, weights).as_dict()

    def hidden(self, name: str) -> bool:
        """Tell whether a convolution is an inner one, which Muon steps: all but the last."""
        return not name.startswith("out.")

    def package(
        self, network: nn.Module, folder: Path, recipe: Recipe, *, tuning_windows: int
    ) -> Manifest:
        """Write ONNX and weights, calibrate what is stated, and return the manifest."""
        from rtsmlm.models.flagship.packaging import package

        trained = cast("FlagshipNetwork", network)
        return package(trained, folder, recipe, tuning_windows=tuning_windows)


ARCHITECTURE = Flagship()
