"""A network of boxes as a model folder: its graph in physical units, and its manifest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from rtsmlm.models.box_parameters.accuracy import accuracy_rows
from rtsmlm.models.box_parameters.quantities import Quantity, quantities_of, stated, truths_of
from rtsmlm.models.manifest import (
    ONNX_NAME,
    UNTRAINED,
    ChannelEntry,
    Manifest,
    TensorEntry,
    ValidRanges,
)
from rtsmlm.models.simulation.boxes import BoxSampler
from rtsmlm.models.training.onnx_export import export_onnx
from rtsmlm.models.training.packaging import save_weights
from rtsmlm.models.training.recipe import Recipe

PAPERS = {
    "zelger": "after Zelger et al., Opt. Express 26, 33166 (2018); ",
    "smnet": "after Zhang et al., Nat. Methods 15, 913 (2018); ",
}
CHUNK = 256
OUTLIER = 6.0
"""Errors beyond so many stated standard deviations are another emitter's."""
STD_NAMES = {"z_nm": "std_z_nm"}


class Graph(nn.Module):
    """What the ONNX model holds: from boxes in photons to quantities and their errors."""

    scale: Tensor

    def __init__(self, network: nn.Module, wanted: tuple[Quantity, ...], scale: Tensor) -> None:
        super().__init__()
        self.network, self.wanted = network, wanted
        self.register_buffer("scale", scale)

    def forward(self, photons: Tensor, variance: Tensor) -> Tensor:
        """Return means and standard deviations, (n, 2 quantities)."""
        return stated(self.network(photons, variance), self.wanted) * self.scale


def package(network: nn.Module, folder: Path, recipe: Recipe, *, tuning_boxes: int) -> Manifest:
    """Write weights and ONNX model, and return the manifest; see `Trainable.package`.

    The stated standard deviations are multiplied by what makes them honest on simulated boxes.
    """
    wanted = quantities_of(recipe.boxes)
    scale = torch.ones(2 * len(wanted))
    if tuning_boxes:
        scale[len(wanted) :] = _honest(network, recipe, wanted, tuning_boxes)
    save_weights(network.state_dict(), folder)
    graph = Graph(network, wanted, scale)
    side = recipe.boxes.box_px
    example = torch.full((2, 1, side, side), 10.0)
    export_onnx(
        graph,
        {"photons": example, "variance": torch.ones_like(example)},
        "parameters",
        folder / ONNX_NAME,
        axes={"photons": {0: "n"}, "variance": {0: "n"}, "parameters": {0: "n"}},
    )
    rows = accuracy_rows(graph, recipe, n_boxes=tuning_boxes // 2) if tuning_boxes else ()
    return _manifest(network, recipe, wanted).model_copy(update={"accuracy": rows})


@torch.no_grad()
def _honest(
    network: nn.Module, recipe: Recipe, wanted: tuple[Quantity, ...], n_boxes: int
) -> Tensor:
    """Return error over stated standard deviation, root mean square, of each quantity."""
    sampler = BoxSampler(recipe.boxes, recipe.optics, torch.device("cpu"))
    parts = []
    for chunk in range(max(1, n_boxes // CHUNK)):
        boxes = sampler(CHUNK, torch.Generator().manual_seed(5_000_003 + chunk))
        raw = network(boxes.photons, boxes.read_variance)
        n = len(wanted)
        parts.append((raw[:, :n] - truths_of(boxes, wanted)) * torch.exp(-raw[:, n : 2 * n]))
    z = torch.cat(parts)
    inside = (z.abs() < OUTLIER).float()
    return ((z * inside).square().sum(0) / inside.sum(0).clamp(min=1.0)).sqrt()


def _manifest(network: nn.Module, recipe: Recipe, wanted: tuple[Quantity, ...]) -> Manifest:
    side, ranges = str(recipe.boxes.box_px), recipe.boxes
    units = [(q.name, q.unit) for q in wanted]
    units += [(STD_NAMES.get(q.name, f"std_{q.name}"), q.unit) for q in wanted]
    parameters = sum(value.numel() for value in network.parameters())
    return Manifest(
        name=recipe.name,
        version="0",
        task="box-parameters",
        architecture=recipe.network.architecture,
        size=recipe.network.size,
        psf="any",
        z_range_nm=ranges.z_nm,
        pixel_nm=recipe.optics.pixel_nm,
        spot_px=ranges.box_px,
        origin=_origin(recipe),
        window_frames=1,
        block_px=1,
        parameters=parameters,
        kmac_per_px=round(macs_of(network, recipe.boxes.box_px) / recipe.boxes.box_px**2 / 1e3, 2),
        inputs=tuple(
            TensorEntry(name=name, dtype="float32", shape=("n", "1", side, side), unit=unit,
                        meaning=meaning)
            for name, unit, meaning in (
                ("photons", "photon", "light of a box"),
                ("variance", "photon²", "read variance"),
            )
        ),
        outputs=(
            TensorEntry(name="parameters", dtype="float32", shape=("n", str(len(units))),
                        unit="see channels", meaning="see channels"),
        ),
        channels=tuple(
            ChannelEntry(name=name, first=i, count=1, unit=unit, activation="none")
            for i, (name, unit) in enumerate(units)
        ),
        valid=ValidRanges(
            sigma_px=_widths_px(recipe),
            photons=ranges.photons,
            background=ranges.background,
            density_um2=(0.0, 1.0 / (recipe.boxes.box_px * recipe.optics.pixel_nm / 1000.0) ** 2),
        ),
        training=UNTRAINED,
        files=(),
    )  # fmt: skip


def _widths_px(recipe: Recipe) -> tuple[float, float]:
    """Return the widths of a PSF that may be the trained one, as a Gaussian fit finds them.

    In focus it is 0.21 wavelengths over the aperture (Zhang et al., Appl. Opt. 46, 1819 (2007)).
    What is measured on first frames is a mean over their depths, and may be three times as wide.
    """
    in_focus = 0.21 * recipe.optics.wavelength_nm / recipe.optics.na / recipe.optics.pixel_nm
    return round(0.7 * in_focus, 2), round(3.0 * in_focus, 2)


def _origin(recipe: Recipe) -> str:
    """Return after which paper it is, and for which PSF it was trained."""
    paper = PAPERS.get(recipe.network.architecture, "")
    optics = recipe.optics
    always = ", ".join(f"{e.rms_nm:g} nm of Zernike ({e.n}, {e.m})" for e in optics.zernikes)
    mask = "" if optics.mask is None else f", mask {optics.mask}"
    dipoles = "dipoles that do not turn" if recipe.boxes.fixed_dipoles else "emitters that turn"
    return (
        f"{paper}trained here by its recipe, for {dipoles}, NA {optics.na:g}, "
        f"{optics.wavelength_nm:g} nm, pixels of {optics.pixel_nm:g} nm, "
        f"{always or 'no aberration'}{mask}"
    )


@torch.no_grad()
def macs_of(network: nn.Module, box_px: int) -> float:
    """Return the multiply-accumulates of a box."""
    total = 0.0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        del inputs
        if isinstance(module, nn.Conv2d):
            total += output[0].numel() * float(np.prod(module.weight.shape[1:]))
        elif isinstance(module, nn.Linear):
            total += float(module.weight.numel())

    handles = [module.register_forward_hook(count) for module in network.modules()]
    box = torch.ones((1, 1, box_px, box_px))
    network(box, box)
    for handle in handles:
        handle.remove()
    return total
