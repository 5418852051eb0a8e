"""`rtsmlm train --from`: a model is adapted to a camera and a PSF, exported, and compared."""

from __future__ import annotations

import re
import shutil
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.markup import escape

from rtsmlm.bench.models.adaptation import compare, in_words
from rtsmlm.cli.console import console
from rtsmlm.cli.train import run_shown
from rtsmlm.errors import ConfigError, RtsmlmError
from rtsmlm.files.camera_maps import load_camera_maps
from rtsmlm.models.catalog import find_model
from rtsmlm.models.manifest import Manifest, load_manifest, save_manifest
from rtsmlm.models.training.adaptation import adaptable, adapted_recipe
from rtsmlm.models.training.adapted_sections import PSF_FILE
from rtsmlm.models.training.checkpoint import FILE_NAME
from rtsmlm.models.training.microscope import microscope_of
from rtsmlm.models.training.packaging import export_model
from rtsmlm.models.training.taken import what_is_taken
from rtsmlm.models.training.trainer import Trainer
from rtsmlm.settings.camera import CameraMaps
from rtsmlm.settings.load import load
from rtsmlm.settings.run import RunSettings

if TYPE_CHECKING:
    from rtsmlm.models.training.recipe import Recipe

TRAINING = "training"
"""Folder of checkpoint and log within the model folder."""
TUNING_WINDOWS = 512
"""Simulated windows on which the stated errors are calibrated."""
_NAMED_BY = {
    "localize": "localizer.name",
    "box-parameters": "localizer.name",
    "box-background": "localizer.background",
    "box-classes": "localizer.colour",
    "image": "results.image_models",
}
"""Setting that names a model of each task in a run."""
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be adapted to what."""

    source: str
    out: Path | None
    config: tuple[Path, ...]
    settings: tuple[str, ...]
    psf: Path | None
    change: tuple[str, ...]
    resume: bool
    device: str


def adapt(request: Request) -> None:
    """Adapt a model, write its folder, and state how it compares with the one it came from.

    Raises
    ------
    ConfigError
        If the model cannot be adapted, or what is stated does not suffice.
    """
    source = find_model(request.source)
    before = load_manifest(source)
    out = out_folder(request.out, before)
    settings = with_typical_pixels(load(request.config, request.settings))
    microscope = microscope_of(settings, psf_file=request.psf)
    out.mkdir(parents=True, exist_ok=True)
    recipe = adapted_recipe(
        before, source, microscope, out, name=name_of(out, before), overrides=request.change
    )
    recipe = _with_psf_in(recipe, out)
    adapted = adaptable(before, source, request.change)
    console.print(escape(what_is_taken(*adapted, microscope, out)), soft_wrap=True)
    trainer = Trainer(recipe, out / TRAINING, request.device)
    loss = trainer.held_out_loss()["total"]
    if request.resume:
        trainer.resume()
    console.print(
        f"adapting {escape(before.name)} in {recipe.training.steps} steps of "
        f"{recipe.training.batch_windows} samples",
        soft_wrap=True,
    )
    if not run_shown(trainer):
        console.print(
            f"stopped before its end; the same command with --resume goes on, state in "
            f"{escape(str(out / TRAINING))}",
            soft_wrap=True,
        )
        return
    after = export_model(
        out / TRAINING / FILE_NAME,
        out,
        version=f"{before.version}-adapted",
        tuning_windows=TUNING_WINDOWS,
    )
    after = after.model_copy(update={"origin": _origin(before, after)})
    save_manifest(after, out)
    _report(source, before, out, after, settings, (loss, trainer.held_out_loss()["total"]))


def out_folder(out: Path | None, before: Manifest) -> Path:
    """Return the folder of the adapted model.

    Raises
    ------
    ConfigError
        If another model lies there.
    """
    folder = out or Path(f"{before.name}-adapted")
    if (folder / "manifest.toml").is_file() and not (folder / TRAINING).is_dir():
        raise ConfigError(
            f"{folder} holds a model that was not adapted here; give another folder with --out"
        )
    return folder


def name_of(out: Path, before: Manifest) -> str:
    """Return the name of the adapted model: that of its folder where it can be one."""
    name = out.resolve().name.lower().replace("_", "-")
    return name if _NAME.fullmatch(name) else f"{before.name}-adapted"


def with_typical_pixels(settings: RunSettings) -> RunSettings:
    """Return settings whose camera has numbers in place of its maps: those of a typical pixel."""
    camera = settings.camera
    if camera.each:
        raise ConfigError(
            f"camera.each has {len(camera.each)} cameras, and a network is trained for one; give a "
            "configuration with the numbers of that camera in [camera] and without camera.each"
        )
    offset, gain, variance = load_camera_maps(camera.maps)
    typical: dict[str, object] = {"maps": CameraMaps()}
    e_per_adu = camera.e_per_adu
    if offset is not None:
        typical["offset_adu"] = float(np.median(offset))
    if gain is not None:
        e_per_adu = typical["e_per_adu"] = 1.0 / float(np.median(gain))
    if variance is not None:
        typical["read_noise_e"] = float(np.median(np.sqrt(variance))) * (e_per_adu or 1.0)
    return settings.model_copy(update={"camera": camera.model_copy(update=typical)})


def _with_psf_in(recipe: Recipe, out: Path) -> Recipe:
    """Return a recipe whose PSF file lies beside the manifest, copied there."""
    file = recipe.psf.file
    if file is None or file.resolve().parent == out.resolve():
        return recipe
    shutil.copyfile(file, out / PSF_FILE)
    psf = recipe.psf.model_copy(update={"file": (out / PSF_FILE).resolve()})
    return recipe.model_copy(update={"psf": psf})


def _origin(before: Manifest, after: Manifest) -> str:
    """Return what is stated of where the weights come from."""
    adapted = f"adapted to one microscope from {before.name} {before.version}"
    return f"{after.origin}; {adapted}" if after.origin else adapted


def _report(
    source: Path,
    before: Manifest,
    out: Path,
    after: Manifest,
    settings: RunSettings,
    losses: tuple[float, float],
) -> None:
    """Print how both models do on frames of this microscope, and write it into the manifest."""
    console.print(
        f"loss     {losses[0]:.3f} before, {losses[1]:.3f} adapted, on held-out samples of your "
        "microscope"
    )
    try:
        # In a process of its own: beside the libraries of the training, scipy may crash matching.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            rows = pool.submit(compare, source, out, settings).result()
    except RtsmlmError as error:
        console.print(f"not compared on frames: {escape(str(error))}", soft_wrap=True)
        rows = []
    for row in rows:
        console.print(escape(in_words(row)), soft_wrap=True)
    accuracy = tuple(entry for row in rows for entry in row.entries(before.name))
    save_manifest(after.model_copy(update={"accuracy": (*after.accuracy, *accuracy)}), out)
    console.print(f"model    {escape(str(out))}", soft_wrap=True)
    if key := _NAMED_BY.get(after.task):
        console.print(
            f"use      rtsmlm live --set {key}={escape(out.resolve().as_posix())}", soft_wrap=True
        )
