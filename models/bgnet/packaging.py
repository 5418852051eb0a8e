"""BGnet as a model folder: its graph, its manifest, and what it reaches on simulated boxes."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from rtsmlm.models.bgnet.network import BgNetwork
from rtsmlm.models.bgnet.samples import BackgroundSampler
from rtsmlm.models.box_parameters.packaging import macs_of
from rtsmlm.models.manifest import (
    ONNX_NAME,
    UNTRAINED,
    ChannelEntry,
    Manifest,
    TensorEntry,
    ValidRanges,
)
from rtsmlm.models.training.onnx_export import export_onnx
from rtsmlm.models.training.packaging import save_weights
from rtsmlm.models.training.recipe import Recipe

LEVELS = (10.0, 50.0, 150.0)
"""Backgrounds per pixel of the accuracy table."""
SEED = 8_000_009


class Graph(nn.Module):
    """What the ONNX model holds: from boxes in photons to their background.

    The exporter folds each batch norm into the convolution before it.
    """

    def __init__(self, network: BgNetwork, side: int) -> None:
        super().__init__()
        self.network, self.side = network, side

    def forward(self, photons: Tensor, variance: Tensor) -> Tensor:
        """Return the background, (n, 1, box, box)."""
        background: Tensor = self.network(photons, variance, self.side)
        return background.clamp(min=0.0)


def package(network: BgNetwork, folder: Path, recipe: Recipe, *, n_boxes: int) -> Manifest:
    """Write weights and ONNX model, and return the manifest; see `Trainable.package`."""
    save_weights(network.state_dict(), folder)
    side = recipe.boxes.box_px
    box = torch.full((2, 1, side, side), 20.0)
    export_onnx(
        Graph(network, side).eval(),
        {"photons": box, "variance": torch.ones_like(box)},
        "background",
        folder / ONNX_NAME,
        axes={"photons": {0: "n"}, "variance": {0: "n"}, "background": {0: "n"}},
    )
    manifest = _manifest(network, recipe)
    if not n_boxes:
        return manifest
    return manifest.model_copy(update={"accuracy": accuracy_rows(network, recipe, n_boxes=n_boxes)})


@torch.no_grad()
def accuracy_rows(
    network: nn.Module, recipe: Recipe, *, n_boxes: int
) -> tuple[dict[str, float | str], ...]:
    """Return the typical error over the level on boxes as in training, by level."""
    rows: list[dict[str, float | str]] = []
    for level in LEVELS:
        boxes = recipe.boxes.model_copy(update={"background": (level, level * (1.0 + 1e-6))})
        drawn = BackgroundSampler(recipe.model_copy(update={"boxes": boxes}), torch.device("cpu"))(
            n_boxes, torch.Generator().manual_seed(SEED)
        )
        error = network(drawn.photons, drawn.read_variance) - drawn.background
        rmse = float(error.square().mean(dim=(1, 2, 3)).sqrt().median())
        rows.append({
            "test": "Boxes as in training", "condition": f"background {level:g}",
            "figure": "RMSE of background, %, median of boxes",
            "value": float(f"{100.0 * rmse / level:.4g}"),
        })  # fmt: skip
    return tuple(rows)


def _manifest(network: BgNetwork, recipe: Recipe) -> Manifest:
    ranges, side = recipe.boxes, str(recipe.boxes.box_px)
    shape = ("n", "1", side, side)
    parameters = sum(value.numel() for value in network.parameters())
    is_round = recipe.backgrounds.sigma_px is not None
    return Manifest(
        name=recipe.name,
        version="0",
        task="box-background",
        architecture=recipe.network.architecture,
        size=recipe.network.size,
        psf="round" if is_round else "any",
        origin=_origin(recipe),
        window_frames=1,
        block_px=1,
        parameters=parameters,
        kmac_per_px=round(macs_of(network, ranges.box_px) / ranges.box_px**2 / 1e3, 2),
        inputs=tuple(
            TensorEntry(name=name, dtype="float32", shape=shape, unit=unit, meaning=meaning)
            for name, unit, meaning in (
                ("photons", "photon", "light of a box"),
                ("variance", "photon²", "read variance"),
            )
        ),
        outputs=(
            TensorEntry(name="background", dtype="float32", shape=shape, unit="photon/px",
                        meaning="light of the box that is not the emitter's"),
        ),
        channels=(
            ChannelEntry(name="background", first=0, count=1, unit="photon/px", activation="none"),
        ),
        valid=ValidRanges(
            sigma_px=recipe.backgrounds.sigma_px or (0.1, 50.0),
            photons=ranges.photons,
            background=ranges.background,
            density_um2=(0.0, 1.0 / (ranges.box_px * recipe.optics.pixel_nm / 1000.0) ** 2),
        ),
        training=UNTRAINED,
        files=(),
    )  # fmt: skip


def _origin(recipe: Recipe) -> str:
    width, optics = recipe.backgrounds.sigma_px, recipe.optics
    spots = (
        f"an objective of NA {optics.na:g} at {optics.wavelength_nm:g} nm"
        if width is None
        else f"round spots of {width[0]:g} to {width[1]:g} px"
    )
    return (
        "after Möckl, Roy, Petrov & Moerner, PNAS 117, 60 (2020); trained here by its recipe, for "
        f"{spots} on Perlin noise, slopes, clouds and neighbours"
    )
