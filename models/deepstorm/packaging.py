"""A trained Deep-STORM as a model folder: its graph from photons to an image, and its manifest."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from rtsmlm.models.deepstorm.network import SIZES, NetworkSettings, image_of
from rtsmlm.models.deepstorm.targets import PEAK
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

POOLED = 8
"""Fine pixels along a pixel of the deepest layer."""


class Graph(nn.Module):
    """What the ONNX model holds: from frames in photons to images."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> Tensor:
        """Return images, (n, 1, upsampling height, upsampling width); none is below zero."""
        return torch.relu(image_of(self.network, frames))


def package(network: nn.Module, folder: Path, recipe: Recipe) -> Manifest:
    """Write weights and ONNX model, and return the manifest; see `Trainable.package`."""
    save_weights(network.state_dict(), folder)
    open_axes = {
        "frames": {0: "n", 2: "height", 3: "width"},
        "image": {0: "n", 2: "rows", 3: "columns"},
    }
    export_onnx(
        Graph(network),
        {"frames": torch.full((2, 1, 32, 48), 20.0)},
        "image",
        folder / ONNX_NAME,
        axes=open_axes,
    )
    return _manifest(network, recipe)


def _manifest(network: nn.Module, recipe: Recipe) -> Manifest:
    settings, ranges = SIZES[recipe.network.size], recipe.simulation
    fine = settings.upsampling
    side = ("n", "1", f"{fine} height", f"{fine} width")
    return Manifest(
        name=recipe.name,
        version="0",
        task="image",
        architecture=recipe.network.architecture,
        size=recipe.network.size,
        psf="any",
        origin="after Nehme et al., Optica 5, 458 (2018); trained on simulated Gaussian PSFs of "
        f"{ranges.sigma_px[0]:g} to {ranges.sigma_px[1]:g} px",
        window_frames=1,
        upsampling=fine,
        block_px=max(1, POOLED // fine),
        parameters=sum(value.numel() for value in network.parameters()),
        kmac_per_px=round(_macs_per_px(settings) / 1e3, 1),
        inputs=(
            TensorEntry(name="frames", dtype="float32", shape=("n", "1", "height", "width"),
                        unit="photon", meaning="light of a frame"),
        ),
        outputs=(
            TensorEntry(name="image", dtype="float32", shape=side, unit="1",
                        meaning=f"{PEAK:g} in the fine pixel of each emitter"),
        ),
        channels=(ChannelEntry(name="image", first=0, count=1, unit="1", activation="none"),),
        valid=ValidRanges(
            sigma_px=ranges.sigma_px,
            photons=ranges.photons,
            background=ranges.background,
            density_um2=(0.0, ranges.density[1]),
        ),
        training=UNTRAINED,
        files=(),
    )  # fmt: skip


def _macs_per_px(settings: NetworkSettings) -> float:
    """Return the multiply-accumulates for each camera pixel."""
    a, b, c, d = settings.widths
    fine = settings.upsampling**2
    # Of a pixel of the enlarged grid, of a half, a quarter and an eighth of it.
    at_one, at_half, at_quarter = (
        9 * a + 9 * b * a + a,
        9 * a * b + 9 * c * b,
        9 * b * c + 9 * d * c,
    )
    return fine * (at_one + at_half / 4 + at_quarter / 16 + 9 * c * d / 64)
