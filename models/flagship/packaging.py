"""A checkpoint to a model folder: weights, ONNX and manifest."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import onnx
from safetensors.numpy import save_file

from rtsmlm.localizations import F32
from rtsmlm.models import manifest as records
from rtsmlm.models.flagship.export import build_onnx
from rtsmlm.models.flagship.network import SIZES, FlagshipNetwork, NetworkSettings
from rtsmlm.models.flagship.output_calibration import tune
from rtsmlm.models.manifest import (
    ChannelEntry,
    DecodeEntry,
    FileEntry,
    Manifest,
    TensorEntry,
    TrainingEntry,
    ValidRanges,
)
from rtsmlm.models.simulation.ranges import SimulationRanges
from rtsmlm.models.training.checkpoint import Progress, mean_weights, read_progress
from rtsmlm.models.training.recipe import Recipe

CHANNELS = (
    ("logit", "1", "p = 1 / (1 + exp(-v))"),
    ("dx", "px", "tanh(v), from the pixel's centre"),
    ("dy", "px", "tanh(v), from the pixel's centre"),
    ("photons", "photon", "1000 exp(clip(v, -5, 5))"),
    ("std_x", "px", "exp(clip(v, -4, 3) - 2)"),
    ("std_y", "px", "exp(clip(v, -4, 3) - 2)"),
    ("std_photons", "relative", "exp(clip(v, -4, 3) - 2)"),
    ("z", "half range", "1.25 tanh(v), from the middle of the range of z"),
    ("std_z", "half range", "exp(clip(v, -4, 3) - 2)"),
)
FIT_MARGIN = 1.05
"""How far beyond its training range a PSF width is still accepted."""


def export_model(
    checkpoint: Path,
    folder: Path,
    *,
    version: str,
    decode: DecodeEntry | None = None,
    tuning_windows: int = 1024,
    accuracy: tuple[dict[str, float | str], ...] = (),
    hardware: str = "",
) -> Manifest:
    """Write a model folder from the mean weights of a checkpoint.

    Parameters
    ----------
    checkpoint
        File of `rtsmlm.models.training.checkpoint`.
    folder
        Made if it is not there; its files are replaced.
    version
        Version of the model.
    decode
        Calibration of the decoding; not given measures it on simulations.
    tuning_windows
        Simulated windows to measure it on; 0 leaves everything as the network states it.
    accuracy
        Rows of the accuracy table.
    hardware
        What it was trained on.

    Raises
    ------
    FileFormatError
        If the checkpoint cannot be read.
    """
    tensors, recipe_json = mean_weights(checkpoint)
    recipe = Recipe.model_validate_json(recipe_json)
    weights = {name: value.float().numpy() for name, value in tensors.items()}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / records.WEIGHTS_NAME)
    # Written for its owner alone; whoever installs the package reads it.
    (folder / records.WEIGHTS_NAME).chmod(0o644)
    onnx.save(build_onnx(weights), folder / records.ONNX_NAME)
    if decode is None:
        decode = DecodeEntry()
        if tuning_windows:
            network = FlagshipNetwork(SIZES[recipe.network.size])
            network.load_state_dict(tensors)
            decode = tune(network, recipe.simulation, n_windows=tuning_windows)
    files = tuple(
        records.file_entry(folder / name) for name in (records.ONNX_NAME, records.WEIGHTS_NAME)
    )
    manifest = _manifest(recipe, weights, read_progress(checkpoint), files).model_copy(
        update={"version": version, "decode": decode, "accuracy": accuracy}
    )
    training = manifest.training.model_copy(update={"hardware": hardware})
    manifest = manifest.model_copy(update={"training": training})
    records.save_manifest(manifest, folder)
    return manifest


def _manifest(
    recipe: Recipe, weights: dict[str, F32], progress: Progress, files: tuple[FileEntry, ...]
) -> Manifest:
    network = SIZES[recipe.network.size]
    return Manifest(
        name=recipe.name,
        version="0",
        size=recipe.network.size,
        psf="astigmatic" if network.axial else "round",
        parameters=sum(value.size for value in weights.values()),
        kmac_per_px=round(macs_per_px(weights) / 1000.0, 2),
        inputs=_inputs(network),
        outputs=(
            TensorEntry(
                name="maps",
                dtype="float32",
                shape=("n", str(network.channels), "height / 2", "width / 2"),
                unit="raw",
                meaning="see channels; channel 4a + 2r + c is attribute a of the pixel in row r, "
                "column c of a cell",
            ),
        ),
        channels=_channels(network),
        valid=_valid(recipe.simulation),
        training=TrainingEntry(
            steps=progress.step,
            windows=progress.windows,
            seconds=round(progress.seconds, 1),
            hardware="",
            recipe=json.loads(recipe.model_dump_json(exclude_none=True)),
        ),
        files=files,
    )


def _valid(ranges: SimulationRanges) -> ValidRanges:
    low, high = ranges.sigma_px
    widest = None
    if ranges.astigmatism is not None:
        low, high = ranges.astigmatism.sigma0_px
        # sqrt(1 + u²) where both ends of the trained ranges meet.
        reach = ranges.astigmatism.half_range[1] + ranges.astigmatism.separation[1]
        widest = round(high * math.hypot(1.0, reach), 1)
    return ValidRanges(
        sigma_px=(round(low / FIT_MARGIN, 3), round(high * FIT_MARGIN, 3)),
        widest_px=widest,
        photons=ranges.photons,
        background=ranges.background,
        density_um2=ranges.density,
    )


def _inputs(network: NetworkSettings) -> tuple[TensorEntry, ...]:
    plane = ("height", "width")
    told = "log(sigma_px / 1.3) and 1; 0, 0 if unknown"
    if network.axial:
        told = "log(sigma_px / 1.3) at z of -1, -1/2, 0, 1/2, 1 half ranges, along x, y, then 1"
    rows = (
        ("frames", "uint16", ("n + 2", *plane), "ADU", "one frame more before and after"),
        ("offset_adu", "float32", plane, "ADU", "value in the dark"),
        ("photons_per_adu", "float32", plane, "photon/ADU", "EMCCD: halved"),
        ("read_variance", "float32", plane, "photon²", "EMCCD: a quarter"),
        ("context", "float32", ("n", "2"), "1", "1 where the previous, the next frame is there"),
        ("condition", "float32", ("1", str(network.condition_size)), "1", told),
    )
    return tuple(
        TensorEntry(name=name, dtype=dtype, shape=shape, unit=unit, meaning=meaning)
        for name, dtype, shape, unit, meaning in rows
    )


def _channels(network: NetworkSettings) -> tuple[ChannelEntry, ...]:
    slots = [
        ChannelEntry(name=name, first=4 * i, count=4, unit=unit, activation=activation)
        for i, (name, unit, activation) in enumerate(CHANNELS[: len(network.attributes)])
    ]
    background = ChannelEntry(
        name="background",
        first=network.background_channel,
        count=1,
        unit="photon/px",
        activation="exp(3 v), mean of the cell",
    )
    return (*slots, background)


def macs_per_px(weights: dict[str, F32]) -> float:
    """Return multiply-accumulates of the convolutions per camera pixel."""
    total = 0.0
    for name, value in weights.items():
        if value.ndim == 4:
            coarse = name.startswith(("down", "quarter", "up"))
            total += float(np.prod(value.shape)) / (16.0 if coarse else 4.0)
    return total
