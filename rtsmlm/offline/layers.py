"""Image layers of a whole run: what networks of images make of its frames or its table.

A layer of frames that has grown while the run went on is completed with the frames that it lacks:
it is a sum, and their order does not matter. One of localizations is made of the whole table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.image_models import open_images
from rtsmlm.engines.image_network import NetworkImage, frames_at_once
from rtsmlm.engines.localization_image import LocalizationImage
from rtsmlm.errors import FileFormatError, RtsmlmError
from rtsmlm.files.camera_maps import load_widefield
from rtsmlm.files.tables.arrow_file import iter_arrow_batches
from rtsmlm.frames import FrameBatch, Pixels
from rtsmlm.realtime.frame_ranges import FrameRanges
from rtsmlm.render.layer_file import layer_path, read_layer, write_layer
from rtsmlm.settings.run import RunSettings


class Movie(Protocol):
    """What a layer needs of a recording."""

    @property
    def n_frames(self) -> int: ...
    @property
    def frame_index(self) -> NDArray[np.int64] | None: ...
    def read(self, indices: NDArray[np.int64]) -> Pixels: ...


def write_layers(
    table: Path,
    shape: tuple[int, int],
    calibration: CameraCalibration,
    settings: RunSettings,
    movie: Movie | None,
    *,
    on_step: Callable[[str], None],
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    is_broken_off: Callable[[], bool] = lambda: False,
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
    movie
        All frames; None where they were not recorded, or are not to be caught up.
    on_step
        Called with the name of what is being done.
    on_progress
        Called with the number of frames done and the number to do.
    is_broken_off
        Asked now and then; once it is true, what there is of a layer is written.
    """
    notes: list[str] = []
    for name in settings.results.image_models:
        if is_broken_off():
            break
        on_step(f"image layer of {Path(name).name}")
        try:
            path = settings.results.widefield
            light = None if path is None else load_widefield(path, shape)
            for network in open_images(name, settings, calibration, shape, widefield=light):
                if isinstance(network, NetworkImage):
                    notes += _complete(table.parent, network, movie, on_progress, is_broken_off)
                else:
                    _write(table, network)
                    notes += [f"{network.name}: {network.remark}"] if network.remark else []
        except RtsmlmError as error:  # the run has its table whatever a network does
            notes.append(f"no image layer of {Path(name).name}: {error}")
    return notes


def _write(table: Path, network: LocalizationImage) -> None:
    for rows in iter_arrow_batches(table):
        network.add_localizations(rows)
    write_layer(table.parent, network.layer(), uncertainty=network.uncertainty())


def _complete(
    folder: Path,
    network: NetworkImage,
    movie: Movie | None,
    on_progress: Callable[[int, int], None],
    is_broken_off: Callable[[], bool],
) -> Sequence[str]:
    """Feed the frames that a layer lacks, and write it."""
    seen = _resume(layer_path(folder, network.name), network)
    if movie is None:
        if not len(seen):
            return [
                f"{network.name} makes its image of frames, which were not recorded: set "
                "record.raw=true"
            ]
        return [
            f"the image layer of {network.name} is partial: it is made of {len(seen)} frames, for "
            "which the network had time while the run went on"
        ]
    indices = movie.frame_index
    if indices is None:
        indices = np.arange(movie.n_frames, dtype=np.int64)
    wanted = np.ones(len(indices), dtype=bool)
    for start, stop in seen:
        first, last = np.searchsorted(indices, (start, stop))
        wanted[first:last] = False
    positions = np.flatnonzero(wanted)
    frames = FrameRanges()
    size = frames_at_once(network.shape)
    for done in range(0, len(positions), size):
        if is_broken_off():
            break
        part = positions[done : done + size]
        network.add_frames(FrameBatch.from_pixels(movie.read(part), index=indices[part]))
        for index in indices[part].tolist():
            frames.add(index, index + 1)
        on_progress(done + len(part), len(positions))
    write_layer(folder, network.layer(), frames.union(seen))
    return ()


def _resume(path: Path, network: NetworkImage) -> FrameRanges:
    """Return the frames of a layer that has grown in the run, from which the network goes on."""
    try:
        stored = read_layer(path)
    except FileFormatError:  # none, or one that is damaged: all frames are fed
        return FrameRanges()
    complete = len(stored.frames) == stored.layer.n_frames
    return stored.frames if complete and network.resume(stored.layer) else FrameRanges()
