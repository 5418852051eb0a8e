"""Image layers at the end of a run: what networks of images make of its frames or its table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.graph_runner import graph_engine
from rtsmlm.engines.image_network import NetworkImage
from rtsmlm.files.tables.arrow_file import iter_arrow_batches
from rtsmlm.frames import FrameBatch
from rtsmlm.models.catalog import find_model
from rtsmlm.render import write_layer
from rtsmlm.settings.run import RunSettings


def write_layers(
    table: Path,
    shape: tuple[int, int],
    calibration: CameraCalibration,
    settings: RunSettings,
    frames: Callable[[], Iterable[FrameBatch]] | None,
    on_step: Callable[[str], None],
) -> list[str]:
    """Write a layer for each of `results.image_models`; return a sentence for each that is not.

    Parameters
    ----------
    table
        `localizations.arrows` of the run; layers lie beside it.
    shape
        Height and width of the frames in camera pixels.
    calibration
        Calibration in force.
    settings
        Settings of the run.
    frames
        Returns all frames in order; None where they were not recorded.
    on_step
        Called with the name of what is being done.

    Raises
    ------
    RtsmlmError
        If a model is not there or fails, or a file cannot be written.
    """
    notes: list[str] = []
    for name in settings.results.image_models:
        on_step(f"image layer of {Path(name).name}")
        network = NetworkImage(
            find_model(name), graph_engine(settings.localizer.engine), calibration, shape
        )
        if not network.takes_frames:
            for rows in iter_arrow_batches(table):
                network.add_localizations(rows)
        elif frames is None:
            notes.append(
                f"{network.name} makes its image of frames, which were not recorded: set "
                "record.raw=true"
            )
            continue
        else:
            for batch in frames():
                network.add_frames(batch)
        write_layer(table.parent, network.layer())
    return notes
