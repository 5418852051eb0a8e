"""DeepLOCO as a model folder: its ONNX graph, and what its manifest says."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch

from rtsmlm.localizations import F32
from rtsmlm.models.deeploco.decode import rows_of, z_factor_of
from rtsmlm.models.deeploco.geometry import LIGHT_UNIT, OVERLAP_PX, SLOTS, STEP_PX, TILE_PX
from rtsmlm.models.deeploco.graph import INPUTS, maps_of, write_onnx
from rtsmlm.models.deeploco.network import DeepLocoNetwork
from rtsmlm.models.manifest import (
    ONNX_NAME,
    UNTRAINED,
    ChannelEntry,
    DecodeEntry,
    Manifest,
    TensorEntry,
    ValidRanges,
)
from rtsmlm.models.rows import DecodeSettings
from rtsmlm.models.simulation.training_windows import TARGET, Windows
from rtsmlm.models.training.macs import macs_of
from rtsmlm.models.training.one_psf_accuracy import accuracy_of
from rtsmlm.models.training.one_psf_samplers import reach_of, samplers_of
from rtsmlm.models.training.output_calibration import tune
from rtsmlm.models.training.packaging import save_weights
from rtsmlm.models.training.recipe import Recipe

LEAST_WEIGHT = 0.3
"""Weight from which on merged slots are an emitter, as published."""
PLAIN = DecodeEntry(min_probability=LEAST_WEIGHT, vague_snr=0.0)
DENSITIES_UM2 = (0.07, 0.2, 0.5)
"""About 3, 8 and 20 emitters in a tile of 41 µm², at a pixel of 100 nm."""
PHOTONS, BACKGROUND = 5000.0, 20.0
"""Light of the test of accuracy."""


def package(
    network: DeepLocoNetwork, folder: Path, recipe: Recipe, *, tuning_windows: int
) -> Manifest:
    """Write ONNX and weights, and return the manifest; see `Trainable.package`."""
    save_weights(network.state_dict(), folder)
    write_onnx(network, folder / ONNX_NAME)
    decode = PLAIN
    accuracy: tuple[dict[str, float | str], ...] = ()
    if tuning_windows:
        decode = _calibrated(network, recipe, tuning_windows)
        accuracy = accuracy_of(
            recipe,
            partial(_rows, network, recipe),
            decode.settings(),
            densities_um2=DENSITIES_UM2,
            photons=PHOTONS,
            background=BACKGROUND,
            n_windows=tuning_windows // 2,
        )
    ranges = recipe.simulation
    example = torch.zeros((1, 1, TILE_PX, TILE_PX))
    pixel_nm, spot_px = recipe.psf.grid(recipe.optics)
    return Manifest(
        name=recipe.name,
        version="0",
        architecture=recipe.network.architecture,
        size=recipe.network.size,
        psf="any",
        z_range_nm=recipe.psf.z_nm,
        pixel_nm=pixel_nm,
        spot_px=spot_px,
        origin=_origin(recipe),
        parameters=sum(value.numel() for value in network.parameters()),
        kmac_per_px=round(macs_of(network, example) / TILE_PX**2 / 1000.0, 2),
        window_frames=1,
        block_px=STEP_PX,
        overlap_px=OVERLAP_PX,
        bf16=False,
        inputs=INPUTS,
        outputs=(_output(network),),
        channels=_channels(network),
        valid=ValidRanges(
            sigma_px=(0.5, 5.0),
            photons=ranges.photons,
            background=ranges.background,
            density_um2=ranges.density,
        ),
        decode=decode,
        accuracy=accuracy,
        training=UNTRAINED,
        files=(),
    )


def _origin(recipe: Recipe) -> str:
    stored = recipe.psf.load(recipe.optics)
    return (
        "after Boyd et al., bioRxiv 267096 (2018), layers of cells; trained here for one PSF on "
        f"pixels of {stored.pixel_nm:g} nm: {stored.origin}"
    )


@torch.no_grad()
def _rows(
    network: DeepLocoNetwork, recipe: Recipe, windows: Windows, *, settings: DecodeSettings
) -> list[F32]:
    """Return the rows of the target frames of simulated windows, which are one tile each."""
    photons, read_variance = windows.photons[:, TARGET], windows.read_variance[:, 0]
    return rows_of(
        maps_of(network, photons, read_variance).numpy(),
        (TILE_PX, TILE_PX),
        {entry.name: entry.first for entry in _channels(network)},
        settings,
        z_factor_px=z_factor_of(recipe.psf.z_nm),
    )


def _calibrated(network: DeepLocoNetwork, recipe: Recipe, n_windows: int) -> DecodeEntry:
    """Return what rows of simulated tiles are wrong by, which the network does not state."""
    return tune(
        recipe.simulation,
        samplers_of(recipe, torch.device("cpu")),
        partial(_rows, network, recipe),
        axial=True,
        given=PLAIN,
        reach=reach_of(recipe),
        n_windows=n_windows,
    )


def _output(network: DeepLocoNetwork) -> TensorEntry:
    n_channels = SLOTS * (5 if network.settings.light else 4) + 1
    across = tuple(f"({side} - {OVERLAP_PX}) / {STEP_PX}" for side in ("height", "width"))
    return TensorEntry(
        name="maps",
        dtype="float32",
        shape=("n", str(n_channels), *across),
        unit="see channels",
        meaning="64 slots of each tile of 64 pixels, and what is measured of the tile",
    )


def _channels(network: DeepLocoNetwork) -> tuple[ChannelEntry, ...]:
    rows = [("x", "tile"), ("y", "tile"), ("z", "range of z"), ("weight", "emitter")]
    if network.settings.light:
        rows.append(("light", f"(photon / {LIGHT_UNIT:g})^1/2, times the weight"))
    entries = [
        ChannelEntry(name=name, first=SLOTS * i, count=SLOTS, unit=unit, activation="none")
        for i, (name, unit) in enumerate(rows)
    ]
    first = SLOTS * len(rows)
    entries.append(
        ChannelEntry(name="background", first=first, count=1, unit="photon/px", activation="none")
    )
    return tuple(entries)
