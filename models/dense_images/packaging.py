"""A network of localizations as a model folder: its graph from counts to an image, its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from rtsmlm.models.dense_images.scaling import FULL
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

MEANINGS = {
    "localizations": "localizations in each pixel",
    "level": "density where the usual localization of the whole field lies, per pixel",
    "structure": "1 for what the image shows",
    "widefield": "light of the same field behind the PSF; 0 where there is none",
}
ANY = ValidRanges(sigma_px=(0.5, 5.0), photons=(1.0, 1e6), background=(0.0, 1e5),
                  density_um2=(0.0, 100.0))  # fmt: skip
"""Rows are taken from any localizer."""


def package_image(
    graph: nn.Module,
    network: nn.Module,
    folder: Path,
    recipe: Recipe,
    *,
    inputs: Mapping[str, Tensor],
    origin: str,
    block_px: int,
    overlap_px: int,
    kmac_per_px: float,
) -> Manifest:
    """Write weights and ONNX model, and return the manifest.

    Parameters
    ----------
    graph
        From the inputs to an image, in evaluation mode.
    network
        Whose weights are written.
    folder
        The model folder; it is there.
    recipe
        What it was trained by.
    inputs
        Examples by name; those of four axes are images.
    origin
        After which paper.
    block_px, overlap_px
        Sides are multiples of the first; parts of a large field overlap by the second.
    kmac_per_px
        Thousands of multiply-accumulates for each pixel of the image.
    """
    save_weights(network.state_dict(), folder)
    image_axes = {0: "n", 2: "height", 3: "width"}
    axes = {name: image_axes if value.ndim == 4 else {0: "n"} for name, value in inputs.items()}
    export_onnx(graph, inputs, "image", folder / ONNX_NAME, axes={**axes, "image": image_axes})
    image_shape = ("n", "1", "height", "width")
    lists = recipe.lists
    return Manifest(
        name=recipe.name,
        version="0",
        task="image",
        architecture=recipe.network.architecture,
        size=recipe.network.size,
        psf="any",
        origin=f"{origin}; trained on simulated {', '.join(lists.structures)} at pixels of "
        f"{lists.pixel_nm:g} nm, of {lists.share[0]:.0%} to {lists.share[1]:.0%} of the frames",
        window_frames=1,
        image_pixel_nm=lists.pixel_nm,
        structures=lists.structures,
        block_px=block_px,
        overlap_px=overlap_px,
        parameters=sum(value.numel() for value in network.parameters()),
        kmac_per_px=round(kmac_per_px, 1),
        inputs=tuple(
            TensorEntry(
                name=name,
                dtype="float32",
                shape=image_shape if value.ndim == 4 else ("n", str(value.shape[1])),
                unit="1",
                meaning=MEANINGS[name],
            )
            for name, value in inputs.items()
        ),
        outputs=(
            TensorEntry(
                name="image", dtype="float32", shape=image_shape, unit="1",
                meaning=f"density in units of its level, 0 to {FULL:g} or more",
            ),
        ),
        channels=(ChannelEntry(name="image", first=0, count=1, unit="1", activation="none"),),
        valid=ANY,
        training=UNTRAINED,
        files=(),
    )  # fmt: skip


def examples(side_px: int, structures: int = 0, *, widefield: bool = False) -> dict[str, Tensor]:
    """Return two examples of each input that a graph asks for, by name.

    Parameters
    ----------
    side_px
        Height of the images; they are wider by a half.
    structures
        Number of structures of which it is given one; 0 where it is given none.
    widefield
        Whether it is given a widefield image.
    """
    shape = (2, 1, side_px, side_px * 3 // 2)
    inputs = {"localizations": torch.ones(shape), "level": torch.ones(2, 1)}
    if structures:
        inputs["structure"] = torch.eye(structures)[[0, -1]]
    if widefield:
        inputs["widefield"] = torch.zeros(shape)
    return inputs
