"""The classifier of boxes as a model folder: its graph with honest probabilities, its manifest."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from rtsmlm.models.box_classes.calibration import calibration_error, fit_temperature
from rtsmlm.models.box_classes.packaging import Question, manifest_of
from rtsmlm.models.hershko.classifier import BOX_PX
from rtsmlm.models.manifest import ONNX_NAME, Manifest, ValidRanges
from rtsmlm.models.simulation.dye_boxes import DyeBoxSampler, dye_psfs
from rtsmlm.models.simulation.spot_tables import spot_tables
from rtsmlm.models.training.macs import macs_of
from rtsmlm.models.training.onnx_export import export_onnx
from rtsmlm.models.training.packaging import save_weights
from rtsmlm.models.training.recipe import Recipe

SEED, CHUNK = 5_400_013, 1024
LIGHTS = (1000.0, 2000.0, 4000.0, 10000.0)
"""Photons of the accuracy table."""


class Graph(nn.Module):
    """What the ONNX model holds: from boxes in photons to the probability of each dye."""

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network, self.temperature = network, temperature

    def forward(self, photons: Tensor) -> Tensor:
        """Return probabilities, (n, dyes)."""
        return torch.softmax(self.network(photons) / self.temperature, dim=1)


@torch.no_grad()
def package(network: nn.Module, folder: Path, recipe: Recipe, *, tuning_boxes: int) -> Manifest:
    """Write weights and ONNX model, and return the manifest; see `Trainable.package`."""
    temperature = 1.0
    rows: tuple[dict[str, float | str], ...] = ()
    if tuning_boxes:
        tables = spot_tables(dye_psfs(recipe.dyes, recipe.optics))
        drawn = DyeBoxSampler(recipe.dyes, tables, torch.device("cpu"))(
            tuning_boxes, torch.Generator().manual_seed(SEED)
        )
        temperature = fit_temperature(network(drawn.photons), drawn.dye)
        rows = tuple(
            row
            for photons in LIGHTS
            for row in _accuracy(Graph(network, temperature), recipe, photons, tuning_boxes)
        )
    save_weights(network.state_dict(), folder)
    export_onnx(
        Graph(network, temperature).eval(),
        {"photons": torch.full((2, 1, BOX_PX, BOX_PX), 10.0)},
        "classes",
        folder / ONNX_NAME,
        axes={"photons": {0: "n"}, "classes": {0: "n"}},
    )
    return _manifest(network, recipe).model_copy(update={"accuracy": rows})


def _accuracy(
    graph: nn.Module, recipe: Recipe, photons: float, n_boxes: int
) -> list[dict[str, float | str]]:
    """Return the part of each dye that is called by its name, and how honest that is."""
    ranges = recipe.dyes.model_copy(update={"photons": (photons, photons * (1.0 + 1e-6))})
    tables = spot_tables(dye_psfs(ranges, recipe.optics))
    drawn = DyeBoxSampler(ranges, tables, torch.device("cpu"))(
        n_boxes, torch.Generator().manual_seed(SEED + int(photons))
    )
    probability = graph(drawn.photons)
    right = probability.argmax(dim=1) == drawn.dye
    figures = {
        f"right, {name}": float(right[drawn.dye == k].float().mean())
        for k, name in enumerate(ranges.names)
    }
    figures["stated less true probability, mean"] = calibration_error(probability, drawn.dye)
    return [
        {"test": "Boxes as in training", "condition": f"{photons:g} photons", "figure": figure,
         "value": float(f"{value:.4g}")}
        for figure, value in figures.items()
    ]  # fmt: skip


def _manifest(network: nn.Module, recipe: Recipe) -> Manifest:
    ranges, optics = recipe.dyes, recipe.optics
    box = torch.full((1, 1, BOX_PX, BOX_PX), 10.0)
    in_focus = 0.21 * optics.wavelength_nm / optics.na / optics.pixel_nm
    question = Question(
        given="photons",
        shape=(BOX_PX, BOX_PX),
        meaning="light of a box around an emitter",
        origin="after Hershko et al., Opt. Express 27, 6158 (2019), whose layers were not "
        f"published: a stand-in; trained here by its recipe, NA {optics.na:g}, pixels of "
        f"{optics.pixel_nm:g} nm, {ranges.z_nm[0]:g} to {ranges.z_nm[1]:g} nm above the focal "
        "plane",
    )
    valid = ValidRanges(
        # In focus (Zhang et al., Appl. Opt. 46, 1819 (2007)), and three times as wide.
        sigma_px=(round(0.6 * in_focus, 2), round(3.0 * in_focus, 2)),
        photons=ranges.photons,
        background=ranges.background,
        density_um2=(0.0, 1.0 / (BOX_PX * optics.pixel_nm / 1000.0) ** 2),
    )
    return manifest_of(
        network, recipe, ranges.names, question, valid, kmac=macs_of(network, box) / 1e3
    )
