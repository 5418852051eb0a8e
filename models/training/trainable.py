"""What the trainer asks of an architecture; one that has all of it is trained by a recipe.

What it is trained on is the architecture's own business: windows of three frames, boxes around one
emitter, pairs of images. The trainer hands on what the sampler gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from rtsmlm.errors import ConfigError
from rtsmlm.localizations import F32
from rtsmlm.models.catalog import architecture_of
from rtsmlm.models.manifest import Manifest
from rtsmlm.models.training.recipe import Recipe

Samples = TypeVar("Samples")
"""What a network learns on, in batches."""
Drawn = TypeVar("Drawn", covariant=True)
Output = TypeVar("Output")
"""What a network answers: an image, maps, or these with what a critic makes of them."""


class Sampler(Protocol[Drawn]):
    """Draws training samples."""

    def __call__(self, n: int, generator: torch.Generator, crowding: float) -> Drawn:
        """Return n samples.

        Parameters
        ----------
        n
            Number of samples.
        generator
            Source of random numbers; its device is where they are made.
        crowding
            Share of the upper end of the difficulty that is used, 0..1: it rises in training.
        """
        ...


@runtime_checkable
class Trainable(Protocol[Samples, Output]):
    """An architecture that learns on simulated samples.

    Networks that learn against each other are one module whose loss is one sum: see
    `rtsmlm.models.annapalm.losses`.
    """

    @property
    def name(self) -> str:
        """Name as in recipes and manifests."""
        ...

    def sizes(self) -> Sequence[str]:
        """Return the names of its sizes, which a recipe may ask for."""
        ...

    def build(self, recipe: Recipe) -> nn.Module:
        """Return a network with fresh weights."""
        ...

    def start_from(self, network: nn.Module, weights: Mapping[str, F32]) -> None:
        """Copy what a network can take of the weights of another model.

        Raises
        ------
        ConfigError
            If they do not fit.
        """
        ...

    def sampler(self, recipe: Recipe, device: torch.device) -> Sampler[Samples]:
        """Return what draws its samples.

        Raises
        ------
        ConfigError
            If the recipe lacks what the samples need.
        """
        ...

    def forward(self, network: nn.Module, samples: Samples) -> Output:
        """Return the output of the network for samples, under autocast."""
        ...

    def loss(self, output: Output, samples: Samples, recipe: Recipe) -> dict[str, Tensor]:
        """Return the loss as `total`, and its parts by name for the log."""
        ...

    def hidden(self, name: str) -> bool:
        """Tell whether Muon steps the convolution of this name; AdamW steps all else."""
        ...

    def package(
        self, network: nn.Module, folder: Path, recipe: Recipe, *, tuning_windows: int
    ) -> Manifest:
        """Write `model.onnx` and `model.safetensors` into a folder, and return the manifest.

        What else it writes there it names in the manifest's `files`.

        Parameters
        ----------
        network
            With its trained weights.
        folder
            The model folder; it is there.
        recipe
            What it was trained by.
        tuning_windows
            Simulated windows on which what it states is calibrated; 0 leaves it as it is.
        """
        ...


def trainable_of(recipe: Recipe) -> Trainable[Any, Any]:
    """Return the architecture that a recipe names.

    Raises
    ------
    ConfigError
        If there is none of that name or size, or it cannot be trained here.
    """
    wanted = recipe.network
    architecture = architecture_of(wanted.architecture)
    if not isinstance(architecture, Trainable):
        raise ConfigError(
            f"{wanted.architecture} cannot be trained by a recipe; it only runs models that were "
            "trained elsewhere"
        )
    if wanted.size not in architecture.sizes():
        raise ConfigError(
            f"network.size is {wanted.size!r}; {wanted.architecture} has "
            f"{', '.join(architecture.sizes())}"
        )
    return architecture
