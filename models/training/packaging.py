"""A checkpoint to a model folder: weights, ONNX and manifest, of any architecture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from torch import Tensor

from rtsmlm.models import manifest as records
from rtsmlm.models.half_precision import bears_half, stored_as
from rtsmlm.models.manifest import DecodeEntry, Manifest, TrainingEntry
from rtsmlm.models.model_files import file_entry
from rtsmlm.models.training.checkpoint import mean_weights, read_progress
from rtsmlm.models.training.recipe import Recipe
from rtsmlm.models.training.trainable import Trainable, trainable_of


def export_model(
    checkpoint: Path,
    folder: Path,
    *,
    version: str,
    architecture: Trainable[Any, Any] | None = None,
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
    architecture
        What was trained; by default what the recipe in the checkpoint names.
    decode
        Calibration of the decoding; not given leaves it to the architecture.
    tuning_windows
        Simulated windows to measure it on; 0 leaves everything as the network states it.
    accuracy
        Rows of the accuracy table; not given leaves them to the architecture.
    hardware
        What it was trained on.

    Raises
    ------
    ConfigError
        If the architecture is not installed.
    FileFormatError
        If the checkpoint cannot be read.
    """
    tensors, recipe_json = mean_weights(checkpoint)
    recipe = Recipe.model_validate_json(recipe_json)
    architecture = architecture or trainable_of(recipe)
    network = architecture.build(recipe)
    network.load_state_dict(tensors)
    folder.mkdir(parents=True, exist_ok=True)
    if decode is not None:
        tuning_windows = 0
    manifest = architecture.package(network.eval(), folder, recipe, tuning_windows=tuning_windows)
    progress = read_progress(checkpoint)
    names = [records.ONNX_NAME, records.WEIGHTS_NAME, *(file.name for file in manifest.files)]
    psf_file = recipe.psf.file
    if psf_file is not None and (folder / psf_file.name).is_file():
        names.append(psf_file.name)
    manifest = manifest.model_copy(
        update={
            "version": version,
            "decode": decode or manifest.decode,
            "accuracy": accuracy or manifest.accuracy,
            "weights": stored_as(folder),
            "training": TrainingEntry(
                steps=progress.step,
                windows=progress.windows,
                seconds=round(progress.seconds, 1),
                hardware=hardware,
                recipe=json.loads(recipe.published().model_dump_json(exclude_none=True)),
            ),
            "files": tuple(file_entry(folder / name) for name in dict.fromkeys(names)),
        }
    )
    records.save_manifest(manifest, folder)
    return manifest


def save_weights(tensors: dict[str, Tensor], folder: Path, *, half: bool = True) -> None:
    """Write the weights of a model folder.

    Parameters
    ----------
    tensors
        By name.
    folder
        The model folder.
    half
        Store them in half precision, see `rtsmlm.models.half_precision`.

    Raises
    ------
    LocalizerError
        If a weight is larger than float16 can hold.
    """
    path = folder / records.WEIGHTS_NAME
    arrays: dict[str, NDArray[Any]] = {}
    for name, value in tensors.items():
        values = value.detach().float().numpy()
        arrays[name] = values.astype(np.float16) if half and bears_half(name, values) else values
    save_file(arrays, path)
    path.chmod(0o644)  # written for its owner alone; any user of a package reads it
