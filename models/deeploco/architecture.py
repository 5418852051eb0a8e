"""DeepLOCO as an architecture: what engines and the trainer may ask of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rtsmlm.models.architecture import Decoder, GraphAlone, NetworkModel
from rtsmlm.models.deeploco.decode import rows_of, z_factor_of
from rtsmlm.models.manifest import Manifest
from rtsmlm.models.training.recipe import Recipe
from rtsmlm.models.training.whole_start import WholeStart

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from rtsmlm.models.deeploco.network import DeepLocoNetwork
    from rtsmlm.models.deeploco.samples import Tiles, TileSampler
    from rtsmlm.models.training.microscope import Microscope

# Torch is imported when it is asked for: a microscope may not have it.

LIGHT_WEIGHT = 0.1
"""How much the discrepancy of the light counts beside that of the emitters."""


class DeepLoco(WholeStart, GraphAlone):
    """Tiles of single frames to lists of 64 weighted positions, merged to emitters."""

    name = "deeploco"

    # -- for engines -----------------------------------------------------------------------

    def decoder(self, model: NetworkModel, shape: tuple[int, int]) -> Decoder:
        """Return the compiled merging of slots."""
        channels = {entry.name: entry.first for entry in model.manifest.channels}
        settings = model.decode
        factor_px = z_factor_of(model.manifest.z_range_nm or (0.0, 0.0))
        return lambda maps: rows_of(maps, shape, channels, settings, z_factor_px=factor_px)

    # -- for the trainer -------------------------------------------------------------------

    def sizes(self) -> Sequence[str]:
        """Return the names of its sizes."""
        from rtsmlm.models.deeploco.network import SIZES

        return tuple(SIZES)

    def build(self, recipe: Recipe) -> nn.Module:
        """Return a network with fresh weights."""
        from rtsmlm.models.deeploco.network import SIZES, DeepLocoNetwork

        return DeepLocoNetwork(SIZES[recipe.network.size])

    def sampler(self, recipe: Recipe, device: torch.device) -> TileSampler:
        """Return what draws training tiles."""
        from rtsmlm.models.deeploco.samples import TileSampler

        return TileSampler(recipe, device)

    def adapted(self, recipe: Recipe, microscope: Microscope, folder: Path) -> Recipe:
        """Return the recipe for a microscope; see `rtsmlm.models.training.adaptation`."""
        from rtsmlm.models.training.adapted_sections import one_psf

        return one_psf(recipe, microscope, folder)

    def forward(self, network: nn.Module, samples: Tiles) -> Tensor:
        """Return the slots of training tiles."""
        from rtsmlm.models.deeploco.tiles import scaled, stabilized

        tiles = stabilized(samples.photons, samples.read_variance)[:, None]
        slots: Tensor = network(scaled(tiles))
        return slots

    def loss(self, output: Tensor, samples: Tiles, recipe: Recipe) -> dict[str, Tensor]:
        """Return the discrepancy of slots and emitters, and that of their light."""
        import torch

        from rtsmlm.models.deeploco.losses import discrepancy

        del recipe
        found_nm = output[:, :, :3] * output.new_tensor(samples.extent_nm)
        truth = torch.stack([samples.weight, samples.light], 1)
        n_measures = output.shape[2] - 3
        parts = discrepancy(
            found_nm,
            output[:, :, 3:].transpose(1, 2),
            samples.at_nm,
            truth[:, :n_measures],
        )
        means = [part.mean() for part in parts]
        total = means[0] + LIGHT_WEIGHT * sum(means[1:])
        return dict(zip(("total", "emitters", "light"), (total, *means), strict=False))

    def hidden(self, name: str) -> bool:
        """Tell whether Muon steps a convolution: all but those that the slots are read from."""
        return name.startswith(("features.", "join.", "residuals."))

    def package(
        self, network: nn.Module, folder: Path, recipe: Recipe, *, tuning_windows: int
    ) -> Manifest:
        """Write ONNX and weights, calibrate what is stated, and return the manifest."""
        from rtsmlm.models.deeploco.packaging import package

        trained = cast("DeepLocoNetwork", network)
        return package(trained, folder, recipe, tuning_windows=tuning_windows)


ARCHITECTURE = DeepLoco()
