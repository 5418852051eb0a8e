"""Which networks of images a run has, and for which of its channels."""

from __future__ import annotations

from typing import TypeAlias

from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.image_field import RowBounds
from rtsmlm.engines.image_network import NetworkImage
from rtsmlm.engines.localization_image import LocalizationImage, unknown_structure
from rtsmlm.errors import ConfigError, FileFormatError
from rtsmlm.localizations import F32
from rtsmlm.models.catalog import find_model
from rtsmlm.models.manifest import Manifest, read_manifest
from rtsmlm.settings.run import ResultsSettings, RunSettings

ImageNetwork: TypeAlias = NetworkImage | LocalizationImage


def check_image_models(results: ResultsSettings) -> None:
    """Raise `ConfigError` for what is no entry of `results.image_models`, before anything begins.

    Raises
    ------
    ConfigError
        If a model is not there, makes no image, knows none of the structures, or has the name of
        another one; or if the widefield image is not there.
    """
    if results.widefield is not None and not results.widefield.is_file():
        raise ConfigError(
            f"results.widefield {results.widefield} does not exist; give a .tif or .npy"
        )
    known: set[str] = set()
    for name in results.image_models:
        manifest = read_manifest(find_model(name))
        _check(manifest)
        _channels(manifest, results.structures)
        if manifest.name in known:
            raise ConfigError(
                f"results.image_models names two models {manifest.name}, which would write the "
                "same file; leave one out"
            )
        known.add(manifest.name)


def is_of_frames(name: str) -> bool:
    """Tell whether a model makes its image of frames, not of localizations.

    Raises
    ------
    ConfigError
        If it is not there.
    FileFormatError
        If its manifest cannot be read.
    """
    return read_manifest(find_model(name)).inputs[0].name == "frames"


def open_images(
    name: str,
    settings: RunSettings,
    calibration: CameraCalibration,
    shape: tuple[int, int] | None,
    *,
    bounds: RowBounds | None = None,
    widefield: F32 | None = None,
    threads: int | None = None,
) -> list[ImageNetwork]:
    """Return what makes the images of a model: one for each channel whose structure it knows.

    Parameters
    ----------
    name
        As in `results.image_models`.
    settings
        Of the run.
    calibration
        Calibration in force.
    shape
        Height and width of the frames in camera pixels; None where there are localizations alone.
    bounds
        Of the rows to come, if they are known.
    widefield
        Light of the field in camera pixels, (height, width).
    threads
        Of the engine on a CPU; None takes as many as it likes.

    Raises
    ------
    ConfigError
        If it is no model of images, knows none of the structures, asks for frames where there are
        none, or the engine cannot run it; if the field is too large.
    FileFormatError
        If the model is damaged.
    """
    folder = find_model(name)
    manifest = read_manifest(folder)
    _check(manifest)
    engine, structures = settings.localizer.engine, settings.results.structures
    if manifest.inputs[0].name == "frames":
        if shape is None:
            raise ConfigError(f"{manifest.name} makes its image of frames, and there are none")
        return [NetworkImage(folder, engine, calibration, shape, threads=threads)]
    channels = _channels(manifest, structures)
    return [
        LocalizationImage(
            folder,
            engine,
            calibration,
            shape,
            bounds=bounds,
            structure=None if channel is None else structures[channel],
            channel=channel,
            name=manifest.name if len(channels) == 1 else f"{manifest.name}-{channel}",
            widefield=widefield,
            threads=threads,
        )
        for channel in channels
    ]


def _check(manifest: Manifest) -> None:
    if manifest.task != "image":
        raise ConfigError(
            f"{manifest.name} does {manifest.task}, not images, so that it is no "
            "entry of results.image_models"
        )
    taken = manifest.inputs[0].name
    if taken not in {"frames", "localizations"}:
        raise FileFormatError(
            f"{manifest.name} takes {taken}; a network of images takes frames or localizations"
        )


def _channels(manifest: Manifest, structures: tuple[str, ...]) -> list[int | None]:
    """Return the channels that a model makes images of; None stands for all rows."""
    if not manifest.structures:
        return [None]
    channels = [k for k, shown in enumerate(structures) if shown in manifest.structures]
    if not channels:
        stated = ", ".join(structures) or None
        raise ConfigError(unknown_structure(stated, manifest.name, manifest.structures))
    return [*channels]
