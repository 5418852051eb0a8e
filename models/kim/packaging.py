"""A trained network after Kim et al. as a model folder: its graph, honest numbers, its manifest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from rtsmlm.models.box_classes.calibration import fit_temperature
from rtsmlm.models.box_classes.packaging import Question, manifest_of
from rtsmlm.models.kim.accuracy import accuracy_rows
from rtsmlm.models.kim.losses import Depths
from rtsmlm.models.kim.network import BOX_PX
from rtsmlm.models.manifest import ONNX_NAME, Manifest, ValidRanges
from rtsmlm.models.simulation.dye_boxes import DyeBoxes, DyeBoxSampler, dye_psfs
from rtsmlm.models.simulation.spot_tables import spot_tables
from rtsmlm.models.training.macs import macs_of
from rtsmlm.models.training.onnx_export import export_onnx
from rtsmlm.models.training.packaging import save_weights
from rtsmlm.models.training.recipe import Recipe

SEED = 5_200_003
CHUNK = 1024
SHARP = 100.0
"""Turns logits into a choice of one dye, whose depth is taken."""
OUTLIER = 6.0
"""Errors beyond so many stated standard deviations are another emitter's."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """What was measured on boxes held out."""

    temperature: float = 1.0
    std_scale: float = 1.0


class Graph(nn.Module):
    """What the ONNX model holds: from boxes in photons to probabilities, depth and its error."""

    def __init__(self, network: nn.Module, depths: Depths, tuning: Tuning) -> None:
        super().__init__()
        self.network, self.depths, self.tuning = network, depths, tuning

    def forward(self, photons: Tensor) -> Tensor:
        """Return probabilities, the depth of the most probable dye and, if stated, its error."""
        depths = self.depths
        logits, depth, log_std = depths.split(self.network(photons))
        chosen = torch.softmax(SHARP * logits, dim=1)
        z_nm = depths.middle_nm + depths.half_nm * (chosen * depth).sum(dim=1, keepdim=True)
        parts = [torch.softmax(logits / self.tuning.temperature, dim=1), z_nm]
        if log_std is not None:
            std = (chosen * log_std.exp()).sum(dim=1, keepdim=True)
            parts.append(depths.half_nm * self.tuning.std_scale * std)
        return torch.cat(parts, dim=1)


def package(network: nn.Module, folder: Path, recipe: Recipe, *, tuning_boxes: int) -> Manifest:
    """Write weights and ONNX model, and return the manifest; see `Trainable.package`.

    Probabilities and errors are made honest on simulated boxes.
    """
    ranges = recipe.dyes
    depths = Depths.of(ranges.z_nm, len(ranges.names))
    tuning = Tuning()
    rows: tuple[dict[str, float | str], ...] = ()
    if tuning_boxes:
        psfs = dye_psfs(ranges, recipe.optics)
        sampler = DyeBoxSampler(ranges, spot_tables(psfs), torch.device("cpu"))
        tuning = _tuning(network, sampler, depths, 8 * tuning_boxes)
        rows = accuracy_rows(
            Graph(network, depths, tuning), sampler, psfs, n_boxes=4 * tuning_boxes
        )
    save_weights(network.state_dict(), folder)
    export_onnx(
        Graph(network, depths, tuning),
        {"photons": torch.full((2, 1, BOX_PX, BOX_PX), 10.0)},
        "classes",
        folder / ONNX_NAME,
        axes={"photons": {0: "n"}, "classes": {0: "n"}},
    )
    return _manifest(network, recipe, depths).model_copy(update={"accuracy": rows})


@torch.no_grad()
def _tuning(network: nn.Module, sampler: DyeBoxSampler, depths: Depths, n_boxes: int) -> Tuning:
    """Return the temperature, and the error of depths over the stated one, root mean square."""
    raws: list[Tensor] = []
    boxes: list[DyeBoxes] = []
    for chunk in range(max(1, n_boxes // CHUNK)):
        drawn = sampler(CHUNK, torch.Generator().manual_seed(SEED + chunk))
        boxes.append(drawn)
        raws.append(network(drawn.photons))
    logits, depth, log_std = depths.split(torch.cat(raws))
    dye = torch.cat([drawn.dye for drawn in boxes])
    temperature = fit_temperature(logits, dye)
    if log_std is None:
        return Tuning(temperature)
    truth = (torch.cat([drawn.z_nm for drawn in boxes]) - depths.middle_nm) / depths.half_nm
    # The depth of the dye that is chosen is what a user gets, also where that is the wrong one.
    chosen = logits.argmax(dim=1, keepdim=True)
    pull = (depth.gather(1, chosen)[:, 0] - truth) * (-log_std.gather(1, chosen)[:, 0]).exp()
    inside = pull.abs() < OUTLIER
    return Tuning(temperature, float(pull[inside].square().mean().sqrt()))


def _manifest(network: nn.Module, recipe: Recipe, depths: Depths) -> Manifest:
    ranges, optics = recipe.dyes, recipe.optics
    box = torch.full((1, 1, BOX_PX, BOX_PX), 10.0)
    raw = network(box)
    states_error = raw.shape[1] > 2 * depths.n_dyes
    question = Question(
        given="photons",
        shape=(BOX_PX, BOX_PX),
        meaning="light of a box around an emitter",
        origin="after Kim, Moon & Xu, Nat. Commun. 10, 1996 (2019); trained here by its recipe, "
        f"for emitters that turn, NA {optics.na:g}, pixels of {optics.pixel_nm:g} nm, "
        f"{ranges.z_nm[0]:g} to {ranges.z_nm[1]:g} nm above the focal plane",
        further=(("z_nm", "nm"), *((("std_z_nm", "nm"),) if states_error else ())),
    )
    side_um = BOX_PX * optics.pixel_nm / 1000.0
    valid = ValidRanges(
        sigma_px=_widths_px(recipe),
        photons=ranges.photons,
        background=ranges.background,
        density_um2=(0.0, 1.0 / side_um**2),
    )
    return manifest_of(
        network, recipe, ranges.names, question, valid,
        kmac=macs_of(network, box) / 1e3, z_range_nm=ranges.z_nm,
    )  # fmt: skip


def _widths_px(recipe: Recipe) -> tuple[float, float]:
    """Return widths that the PSF may have: in focus 0.21 wavelengths over the aperture.

    Zhang et al., Appl. Opt. 46, 1819 (2007); what is measured on first frames is a mean over their
    depths, and may be three times as wide.
    """
    in_focus = 0.21 * 640.0 / recipe.optics.na / recipe.optics.pixel_nm
    return round(0.6 * in_focus, 2), round(3.0 * in_focus, 2)
