"""Image layers of a whole run: what networks of images make of its frames or its table.

A layer of frames that has grown while the run went on is completed with the frames that it lacks:
it is a sum, and their order does not matter. One of localizations is made of the whole table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.image_field import RowBounds
from rtsmlm.engines.image_models import is_of_frames, open_images
from rtsmlm.engines.image_network import NetworkImage, frames_at_once
from rtsmlm.engines.localization_image import LocalizationImage
from rtsmlm.errors import FileFormatError, RtsmlmError
from rtsmlm.files.map_files import load_widefield
from rtsmlm.files.tables.arrow_file import iter_arrow_batches
from rtsmlm.frames import FrameBatch, Pixels
from rtsmlm.localizations import Localizations
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


@dataclass(frozen=True, slots=True)
class Rows:
    """A table of localizations, read as often as it is asked for."""

    batches: Callable[[], Iterable[Localizations]]
    folder: Path
    """Where the layers are written."""
    shape: tuple[int, int] | None
    """Height and width of the frames in camera pixels; None where the table states none."""


def write_layers(
    table: Path,
    shape: tuple[int, int],
    calibration: CameraCalibration,
    settings: RunSettings,
    movie: Movie | None,
    *,
    on_step: Callable[[str], None],
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
        Called with the name of what is being done, and at every tenth of it.
    is_broken_off
        Asked now and then, from this thread. Once it is true, a layer of frames is written as far
        as it is, and no further one is made. Ctrl-C does the same, but for the layer at hand.
    """
    rows = Rows(partial(iter_arrow_batches, table), table.parent, shape)
    again = f"rtsmlm layers {table.parent} makes them"
    return _write_all(rows, calibration, settings, movie, on_step, is_broken_off, again)


def write_layers_of_rows(
    rows: Rows,
    calibration: CameraCalibration,
    settings: RunSettings,
    on_step: Callable[[str], None],
) -> list[str]:
    """Write layers of a table that belongs to no run; see `write_layers`."""
    again = "the same command makes them"
    return _write_all(rows, calibration, settings, None, on_step, lambda: False, again)


def _write_all(
    rows: Rows,
    calibration: CameraCalibration,
    settings: RunSettings,
    movie: Movie | None,
    on_step: Callable[[str], None],
    is_broken_off: Callable[[], bool],
    again: str,
) -> list[str]:
    notes: list[str] = []
    models, path = settings.results.image_models, settings.results.widefield
    bounds: RowBounds | None = None
    for k, name in enumerate(models):
        try:
            if is_broken_off():
                raise _BrokenOff
            light = None if path is None or rows.shape is None else load_widefield(path, rows.shape)
            if bounds is None and not is_of_frames(name):
                bounds = _bounds(rows, calibration.pixel_nm)
            for network in open_images(
                name, settings, calibration, rows.shape, bounds=bounds, widefield=light
            ):
                work = _Work(f"image layer of {network.name}", on_step, is_broken_off)
                if isinstance(network, NetworkImage):
                    notes += _complete(rows.folder, network, movie, work)
                else:
                    notes += _write(rows, network, work)
        except (_BrokenOff, KeyboardInterrupt):
            left = ", ".join(Path(model).name for model in models[k:])
            notes.append(f"image layers were broken off ({left}): {again}")
            break
        except RtsmlmError as error:  # the run has its table whatever a network does
            notes.append(f"no image layer of {Path(name).name}: {error}")
    return notes


def _bounds(rows: Rows, camera_nm: float) -> RowBounds:
    sides = None if rows.shape is None else (rows.shape[0] * camera_nm, rows.shape[1] * camera_nm)
    bounds = RowBounds(sides, camera_nm)
    for batch in rows.batches():
        bounds.add(batch)
    return bounds


class _BrokenOff(Exception):
    """The user does not want to wait for it."""


class _Work:
    """The making of one layer: how far it is, and whether it is still wanted."""

    def __init__(
        self, name: str, on_step: Callable[[str], None], is_broken_off: Callable[[], bool]
    ) -> None:
        self._name, self._on_step, self._is_broken_off = name, on_step, is_broken_off
        self._tenth = -1

    def look(self, done: int, total: int) -> None:
        """Report every tenth of the work; raise `_BrokenOff` where it is not wanted any more."""
        if self._is_broken_off():
            raise _BrokenOff
        tenth = done * 10 // total
        if tenth != self._tenth:
            self._tenth = tenth
            self._on_step(f"{self._name}, {tenth}0 %" if tenth else self._name)


def _write(rows: Rows, network: LocalizationImage, work: _Work) -> list[str]:
    for batch in rows.batches():
        network.add_localizations(batch)
    # The uncertainty takes four of five parts of the time.
    layer = network.layer(lambda done, total: work.look(done, 5 * total))
    uncertainty = network.uncertainty(lambda done, total: work.look(total + 4 * done, 5 * total))
    write_layer(rows.folder, layer, uncertainty=uncertainty)
    return [f"{network.name}: {text}" for text in network.remarks.values()]


def _complete(folder: Path, network: NetworkImage, movie: Movie | None, work: _Work) -> list[str]:
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
    try:
        for done in range(0, len(positions), size):
            work.look(done, len(positions))
            part = positions[done : done + size]
            network.add_frames(FrameBatch.from_pixels(movie.read(part), index=indices[part]))
            for index in indices[part].tolist():
                frames.add(index, index + 1)
    except _BrokenOff:
        write_layer(folder, network.layer(), frames.union(seen))
        raise
    write_layer(folder, network.layer(), frames.union(seen))
    return []


def _resume(path: Path, network: NetworkImage) -> FrameRanges:
    """Return the frames of a layer that has grown in the run, from which the network goes on."""
    try:
        stored = read_layer(path)
    except FileFormatError:  # none, or one that is damaged: all frames are fed
        return FrameRanges()
    complete = len(stored.frames) == stored.layer.n_frames
    return stored.frames if complete and network.resume(stored.layer) else FrameRanges()
