"""A network of one's own: all that rtsmlm has to know of it, in one file.

It looks at single frames, is told nothing of the PSF, and states one possible emitter for every
pixel in physical units: an answer that rtsmlm decodes from the manifest alone (`pixel-maps`), so
that the trained model runs wherever rtsmlm is installed, without this file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from rtsmlm.errors import ConfigError
from rtsmlm.localizations import F32
from rtsmlm.models.manifest import (
    ONNX_NAME,
    ChannelEntry,
    Manifest,
    TensorEntry,
    TrainingEntry,
    ValidRanges,
)
from rtsmlm.models.simulation.training_windows import TARGET, Windows
from rtsmlm.models.simulation.window_sampler import WindowSampler
from rtsmlm.models.training.onnx_export import export_onnx
from rtsmlm.models.training.packaging import save_weights
from rtsmlm.models.training.recipe import Recipe

SIZES = {"small": 24, "medium": 48}
"""Channels of the convolutions."""
CHANNELS = {
    "probability": "1",
    "dx": "px",
    "dy": "px",
    "photons": "photon",
    "background": "photon/px",
    "std_x": "px",
    "std_y": "px",
    "std_photons": "photon",
}
"""What the network answers with, and the unit; the names are those of `pixel-maps`."""


class OwnNetwork(nn.Module):
    """Seven convolutions at full resolution: calibrated frames to maps of raw values.

    Parameters
    ----------
    channels
        Of the hidden layers.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, channels, 3, padding=1)
        self.hidden = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(5))
        self.out = nn.Conv2d(channels, len(CHANNELS), 1)
        nn.init.zeros_(self.out.weight)
        with torch.no_grad():
            self.out.bias.copy_(torch.tensor([-4.0, 0.0, 0.0, 7.0, 3.0, -2.0, -2.0, -2.0]))

    def forward(self, photons: Tensor, read_variance: Tensor) -> Tensor:
        """Return raw values, (n, channels, height, width), of frames (n, 1, height, width)."""
        # Noise of one everywhere (Anscombe, Biometrika 35, 246 (1948)), less its surroundings.
        roots = 2.0 * (photons + read_variance + 0.375).clamp(min=0.0).sqrt()
        around = functional.avg_pool2d(roots, 15, stride=1, padding=7, count_include_pad=False)
        x = functional.relu(self.first(torch.cat([roots - around, 0.05 * around], 1)))
        for layer in self.hidden:
            x = x + functional.relu(layer(x))
        return self.out(x)


def quantities(raw: Tensor) -> Tensor:
    """Return what raw values state: the channels of the ONNX model, in their units."""
    photons = raw[:, 3:4].clamp(-2.0, 14.0).exp()
    return torch.cat(
        [
            torch.sigmoid(raw[:, :1]),
            torch.tanh(raw[:, 1:3]),
            photons,
            raw[:, 4:5].clamp(-6.0, 12.0).exp(),
            raw[:, 5:7].clamp(-6.0, 2.0).exp(),
            photons * raw[:, 7:8].clamp(-6.0, 2.0).exp(),
        ],
        dim=1,
    )


class Graph(nn.Module):
    """What the ONNX model holds: from raw frames and camera maps to quantities."""

    def __init__(self, network: OwnNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor, offset: Tensor, gain: Tensor, variance: Tensor) -> Tensor:
        """Return the maps of frames in ADU, (n, height, width)."""
        photons = ((frames.float() - offset) * gain)[:, None]
        return quantities(self.network(photons, variance[None, None]))


class OwnArchitecture:
    """What the trainer asks for (`rtsmlm.models.training.trainable.Trainable`)."""

    name = "pixel-maps"

    def sizes(self) -> Sequence[str]:
        """Return the names of the sizes that a recipe may ask for."""
        return tuple(SIZES)

    def build(self, recipe: Recipe) -> nn.Module:
        """Return a network with fresh weights."""
        return OwnNetwork(SIZES[recipe.network.size])

    def start_from(self, network: nn.Module, weights: Mapping[str, F32]) -> None:
        """Refuse: this network starts at random."""
        raise ConfigError("the example starts at random; leave training.start out of its recipe")

    def hidden(self, name: str) -> bool:
        """Tell which convolutions Muon steps."""
        return name.startswith("hidden.")

    def sampler(self, recipe: Recipe, device: torch.device) -> WindowSampler:
        """Return what draws training windows."""
        return WindowSampler(recipe.simulation, recipe.training.seed, device)

    def forward(self, network: nn.Module, windows: Windows) -> Tensor:
        """Return the raw values of the middle frames."""
        return network(windows.photons[:, TARGET : TARGET + 1], windows.read_variance)

    def loss(self, output: Tensor, windows: Windows, recipe: Recipe) -> dict[str, Tensor]:
        """Return the cross entropy of presence, and the likelihood of what each emitter is."""
        targets, raw = windows.targets, output.float()
        height, width = raw.shape[2:]
        row = targets.y_px.round().long().clamp(0, height - 1)
        column = targets.x_px.round().long().clamp(0, width - 1)
        truth = torch.zeros_like(raw[:, 0])
        truth[targets.window, row, column] = 1.0
        asked = (~targets.ignored).float().maximum(truth)
        presence = functional.binary_cross_entropy_with_logits(
            raw[:, 0], truth, asked, reduction="sum"
        )
        here = raw[targets.window, :, row, column]
        errors = torch.stack(
            [
                torch.tanh(here[:, 1]) + column - targets.x_px,
                torch.tanh(here[:, 2]) + row - targets.y_px,
                here[:, 3] - targets.photons.log(),
            ]
        )
        log_std = here[:, 5:8].T.clamp(-6.0, 2.0)
        z = errors * torch.exp(-log_std)
        values = (
            functional.huber_loss(z, torch.zeros_like(z), delta=3.0, reduction="sum")
            + log_std.sum()
        )
        level = functional.avg_pool2d(raw[:, 4:5], 2)[:, 0]
        background = functional.smooth_l1_loss(level, targets.background.clamp(min=0.1).log())
        emitters = max(len(targets.window), 1)
        total = (presence + values) / emitters + background
        return {
            "total": total,
            "presence": presence / emitters,
            "values": values / emitters,
            "background": background,
        }

    def package(
        self, network: nn.Module, folder: Path, recipe: Recipe, *, tuning_windows: int
    ) -> Manifest:
        """Write weights and ONNX model, and return the manifest."""
        del tuning_windows  # what it states is not calibrated on simulations
        if not isinstance(network, OwnNetwork):
            raise TypeError(f"this is a {type(network).__name__}, not the network of the example")
        save_weights(network.state_dict(), folder)
        field = {0: "height", 1: "width"}
        plane = torch.ones((64, 64))
        export_onnx(
            Graph(network),
            {
                "frames": torch.zeros((2, 64, 64), dtype=torch.int32),
                "offset_adu": plane,
                "photons_per_adu": plane,
                "read_variance": plane,
            },
            "maps",
            folder / ONNX_NAME,
            axes={
                "frames": {0: "n", 1: "height", 2: "width"},
                "offset_adu": field,
                "photons_per_adu": field,
                "read_variance": field,
                "maps": {0: "n", 2: "height", 3: "width"},
            },
        )
        return manifest_of(network, recipe)


def manifest_of(network: OwnNetwork, recipe: Recipe) -> Manifest:
    """Return what is known of the model; trainer and packaging fill in the rest."""
    parameters = sum(value.numel() for value in network.parameters())
    plane = ("height", "width")

    def tensor(name: str, dtype: str, shape: tuple[str, ...], unit: str) -> TensorEntry:
        return TensorEntry(name=name, dtype=dtype, shape=shape, unit=unit, meaning=name)

    ranges = recipe.simulation
    return Manifest(
        name=recipe.name,
        version="0",
        architecture="pixel-maps",
        size=recipe.network.size,
        psf="any",
        origin="examples/own_network",
        window_frames=1,
        block_px=1,
        parameters=parameters,
        kmac_per_px=round(parameters / 1000.0, 2),
        inputs=(
            tensor("frames", "int32", ("n", *plane), "ADU"),
            tensor("offset_adu", "float32", plane, "ADU"),
            tensor("photons_per_adu", "float32", plane, "photon/ADU"),
            tensor("read_variance", "float32", plane, "photon²"),
        ),
        outputs=(tensor("maps", "float32", ("n", str(len(CHANNELS)), *plane), "see channels"),),
        channels=tuple(
            ChannelEntry(name=name, first=i, count=1, unit=unit, activation="none")
            for i, (name, unit) in enumerate(CHANNELS.items())
        ),
        valid=ValidRanges(
            sigma_px=ranges.sigma_px,
            photons=ranges.photons,
            background=ranges.background,
            density_um2=ranges.density,
        ),
        training=TrainingEntry(steps=0, windows=0, seconds=0.0, hardware="", recipe={}),
        files=(),
    )
