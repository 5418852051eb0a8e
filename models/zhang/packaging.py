"""A trained network after Zhang et al. as a model folder: its graph and its manifest."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from rtsmlm.models.box_classes.calibration import fit_temperature
from rtsmlm.models.box_classes.packaging import Question, manifest_of
from rtsmlm.models.manifest import ONNX_NAME, Manifest, ValidRanges
from rtsmlm.models.simulation.dye_spectra import SpectrumSampler
from rtsmlm.models.training.macs import macs_of
from rtsmlm.models.training.onnx_export import export_onnx
from rtsmlm.models.training.packaging import save_weights
from rtsmlm.models.training.recipe import Recipe
from rtsmlm.models.zhang.accuracy import accuracy_rows
from rtsmlm.models.zhang.network import ROWS, SAMPLES

SEED = 5_300_009
CHUNK = 512


class Graph(nn.Module):
    """What the ONNX model holds: from spectra in photons per pixel to probabilities."""

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network, self.temperature = network, temperature

    def forward(self, spectrum: Tensor) -> Tensor:
        """Return the probability of each dye, (n, dyes)."""
        return torch.softmax(self.network(spectrum) / self.temperature, dim=1)


def package(network: nn.Module, folder: Path, recipe: Recipe, *, tuning_spectra: int) -> Manifest:
    """Write weights and ONNX model, and return the manifest; see `Trainable.package`.

    Probabilities are made honest on simulated spectra.
    """
    temperature = _temperature(network, recipe, 8 * tuning_spectra) if tuning_spectra else 1.0
    graph = Graph(network, temperature)
    save_weights(network.state_dict(), folder)
    export_onnx(
        graph,
        {"spectrum": torch.full((2, 1, ROWS, SAMPLES), 10.0)},
        "classes",
        folder / ONNX_NAME,
        axes={"spectrum": {0: "n"}, "classes": {0: "n"}},
    )
    rows = (
        accuracy_rows(graph, recipe.spectra, n_spectra=8 * tuning_spectra) if tuning_spectra else ()
    )
    return _manifest(network, recipe).model_copy(update={"accuracy": rows})


@torch.no_grad()
def _temperature(network: nn.Module, recipe: Recipe, n_spectra: int) -> float:
    sampler = SpectrumSampler(recipe.spectra, torch.device("cpu"))
    logits, dyes = [], []
    for chunk in range(max(1, n_spectra // CHUNK)):
        drawn = sampler(CHUNK, torch.Generator().manual_seed(SEED + chunk))
        logits.append(network(drawn.photons))
        dyes.append(drawn.dye)
    return fit_temperature(torch.cat(logits), torch.cat(dyes))


def _manifest(network: nn.Module, recipe: Recipe) -> Manifest:
    ranges = recipe.spectra
    low, high = ranges.wavelengths_nm
    example = torch.full((1, 1, ROWS, SAMPLES), 10.0)
    question = Question(
        given="spectrum",
        shape=(ROWS, SAMPLES),
        meaning=f"light at the places of {SAMPLES} wavelengths from {low:g} to {high:g} nm",
        origin="after Zhang et al., Opt. Lett. 44, 5864 (2019); trained here by its recipe, for "
        f"a {ranges.disperser} of {ranges.nm_per_px[0]:g} to {ranges.nm_per_px[1]:g} nm per pixel",
    )
    length_px = (high - low) / ranges.nm_per_px[0]
    valid = ValidRanges(
        sigma_px=ranges.sigma_px,
        photons=ranges.photons,
        background=ranges.background,
        # Spectra that lie on each other are not told apart.
        density_um2=(0.0, round(100.0 / (ROWS * length_px), 3)),
    )
    return manifest_of(
        network, recipe, ranges.names, question, valid,
        kmac=macs_of(network, example) / 1e3, wavelengths_nm=ranges.wavelengths_nm,
    )  # fmt: skip
