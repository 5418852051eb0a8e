"""Image layers of a run that has ended: those that were broken off, or of other networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from rtsmlm.calibration import StatedCalibration
from rtsmlm.engines.image_models import check_image_models
from rtsmlm.errors import ConfigError
from rtsmlm.files.camera_maps import resolve_calibration
from rtsmlm.files.movies.open import open_movie
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.run.owner import owner_of
from rtsmlm.files.run.state import run_state
from rtsmlm.files.tables.arrow_file import read_arrow_metadata
from rtsmlm.offline.layers import write_layers
from rtsmlm.settings.load import load


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
    settings = load(folder.settings, changed)
    check_image_models(settings.results)
    if not settings.results.image_models:
        raise ConfigError(
            "results.image_models names no network of images; add --set "
            "results.image_models=NAME, and --set results.structures=... where it asks for it"
        )
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
            return write_layers(
                folder.localizations, shape, calibration, settings, movie, on_step=on_step
            )
    finally:
        folder.release()
