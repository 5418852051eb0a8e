"""Image layers of a run that has ended, or of a table of any program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from rtsmlm.calibration import StatedCalibration
from rtsmlm.engines.image_models import check_image_models
from rtsmlm.errors import ConfigError, SinkError
from rtsmlm.files.camera_maps import resolve_calibration
from rtsmlm.files.movies.open import open_movie
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.owner import owner_of
from rtsmlm.files.run.state import run_state
from rtsmlm.files.tables.arrow_file import read_arrow_metadata
from rtsmlm.files.tables.read import read_table
from rtsmlm.files.wrong_pixels import as_run_masked
from rtsmlm.fitting.mending import PixelMender
from rtsmlm.offline.layers import Rows, write_layers, write_layers_of_rows
from rtsmlm.settings.load import load
from rtsmlm.settings.run import RunSettings


def write_layers_of_run(
    path: Path, changed: Sequence[str], on_step: Callable[[str], None]
) -> list[str]:
    """Write the image layers of the run in a folder; return a sentence for each that is not.

    Parameters
    ----------
    path
        The run folder, of a live run or of a reconstruction.
    changed
        `section.key=value` texts, over the settings of the run.
    on_step
        As for `write_layers`.

    Raises
    ------
    ConfigError
        If there is no run, if it goes on, or if the settings name no network of images.
    FileFormatError
        If table or recording are damaged.
    SinkError
        If the folder cannot be written to.
    """
    folder = RunFolder(path)
    if run_state(path).stage == "running":
        raise ConfigError(f"the run in {path} goes on ({owner_of(path)}); wait for its end")
    if not folder.settings.is_file() or not folder.localizations.is_file():
        raise ConfigError(
            f"{path} holds no run; give the folder of one, with its run.toml and "
            f"{folder.localizations.name}"
        )
    settings = _checked(load(folder.settings, changed))
    metadata = read_arrow_metadata(folder.localizations)
    folder.claim_existing()
    try:
        with ExitStack() as opened:
            movie = None
            stated = StatedCalibration()
            shape = tuple(int(side) for side in metadata.get("shape", ()))
            if folder.raw.exists():
                movie = opened.enter_context(open_movie(folder.raw, settings.movie))
                shape, stated = movie.shape, movie.stated
            if len(shape) != 2:
                raise ConfigError(f"{folder.localizations} does not state the size of its frames")
            calibration = resolve_calibration(settings.camera, stated)
            calibration = as_run_masked(calibration, settings.camera, path, (shape[0], shape[1]))
            if movie is not None:
                movie.mend = PixelMender(calibration)
            return write_layers(
                folder.localizations, shape, calibration, settings, movie, on_step=on_step
            )
    finally:
        folder.release()


def write_layers_of_table(
    path: Path, changed: Sequence[str], on_step: Callable[[str], None]
) -> tuple[Path, list[str]]:
    """Write the image layers of a table of any program; return their folder, and as for a run.

    The folder lies beside the table and has its name. The images are of the place where the rows
    lie, wherever that is, and state it.

    Parameters
    ----------
    path
        A table in any format that is read.
    changed
        `section.key=value` texts.
    on_step
        As for `write_layers`.

    Raises
    ------
    ConfigError
        If the settings name no network of images, or one of frames.
    FileFormatError
        If the table is damaged, or states places in pixels and `camera.pixel_nm` is not set.
    SinkError
        If the folder cannot be made.
    """
    settings = _checked(load(None, changed))
    table = read_table(path, settings.camera.pixel_nm)
    stated = StatedCalibration(pixel_nm=table.metadata.get("pixel_nm"))
    sides = table.metadata.get("shape")
    folder = path.with_name(f"{path.stem}_layers")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise SinkError(f"cannot make {folder}: {error.strerror or error}") from error
    rows = Rows(
        lambda: [table.localizations], folder, None if sides is None else (sides[0], sides[1])
    )
    calibration = resolve_calibration(settings.camera, stated)
    return folder, [*table.notes, *write_layers_of_rows(rows, calibration, settings, on_step)]


def _checked(settings: RunSettings) -> RunSettings:
    check_image_models(settings.results)
    if not settings.results.image_models:
        raise ConfigError(
            "results.image_models names no network of images; add --set "
            "results.image_models=NAME, and --set results.structures=... where it asks for it"
        )
    return settings
