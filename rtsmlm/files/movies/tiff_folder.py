"""A folder of single-frame TIFF files as one movie: Micro-Manager's "separate image files"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.account import MovieAccount, StatedFrames
from rtsmlm.files.movies.file_numbers import numbered
from rtsmlm.files.movies.metadata import (
    Statements,
    add_micromanager,
    add_micromanager_summary,
    as_int,
)
from rtsmlm.files.movies.movie import Movie, MovieFacts
from rtsmlm.files.movies.raw import first_object, micromanager_head
from rtsmlm.files.movies.tiff import open_tiff
from rtsmlm.files.movies.tiff_template import TiffTemplate

_PYMMCORE_SIDECAR = "_frame_metadata.json"
"""Metadata of the frames by the names of their files."""


def is_numbered(files: Sequence[Path]) -> bool:
    """Return whether files are TIFFs that differ by their numbers alone."""
    names = {re.sub(r"\d+", "#", file.name) for file in files}
    return len(files) > 1 and len(names) == 1 and files[0].suffix.lower() in (".tif", ".tiff")


def open_tiff_folder(folder: Path, files: Sequence[Path]) -> TiffFolderMovie:
    """Open numbered single-frame TIFF files as one movie, in the order of their numbers.

    Parameters
    ----------
    folder
        The folder, whose `metadata.txt` is read where there is one.
    files
        The files in it.

    Raises
    ------
    FileFormatError
        If a file holds several frames, or the metadata list channels, slices or positions.
    """
    found = numbered(folder, files)
    ordered = found.files
    statements = Statements()
    planned = _read_sidecars(folder, statements)
    with open_tiff(ordered[0]) as first, open_tiff(ordered[-1]) as last:
        if (first.n_frames, last.n_frames) != (1, 1):
            raise FileFormatError(
                f"{folder} holds {len(files)} TIFF files of several frames; open one of them"
            )
        counts_up = bool(np.array_equal(found.numbers, np.arange(len(ordered))))
        facts = MovieFacts(
            path=folder,
            kind=f"{len(files)} single TIFF files",
            shape=first.shape,
            n_frames=len(ordered),
            dtype=first.dtype,
            account=MovieAccount(
                read=len(ordered),
                present=len(ordered),
                stated=()
                if planned is None
                else (StatedFrames("the plan in metadata.txt", planned),),
                further=(found.difference,) if found.difference else (),
            ),
            stated=statements.stated.filled_from(first.stated),
            exposure_ms=statements.exposure_ms or first.exposure_ms,
            frame_index=None if counts_up else found.numbers,
            details=statements.details,
            contradictions=tuple(statements.contradictions),
            notes=tuple(statements.notes),
        )
        template = TiffTemplate.of(ordered[0], first)
    return TiffFolderMovie(facts, ordered, template)


def _read_sidecars(folder: Path, statements: Statements) -> int | None:
    """Take what Micro-Manager or pymmcore-plus state beside the images; return frames planned.

    Raises
    ------
    FileFormatError
        If the images are of several channels, slices or positions.
    """
    planned = None
    if (folder / "metadata.txt").is_file():
        summary, tags = micromanager_head(folder / "metadata.txt")
        for axis in ("Channels", "Slices", "Positions"):
            if (as_int(summary.get(axis)) or 1) > 1:
                raise FileFormatError(
                    f"{folder} holds {summary[axis]} {axis.lower()} by its metadata; rtsmlm reads "
                    "one time series: put one channel, slice and position into its own folder"
                )
        add_micromanager(statements, tags)
        add_micromanager_summary(statements, summary)
        planned = as_int(summary.get("Frames"))
    if (folder / _PYMMCORE_SIDECAR).is_file():
        add_micromanager(statements, first_object(folder / _PYMMCORE_SIDECAR), "pymmcore-plus")
    return planned


class TiffFolderMovie(Movie):
    """One file per frame; files are opened when their frame is read."""

    def __init__(
        self, facts: MovieFacts, files: Sequence[Path], template: TiffTemplate | None
    ) -> None:
        super().__init__(facts)
        self._template = template
        self._paths: Sequence[Path] | None = files

    def _stored(self, start: int, stop: int) -> NDArray[Any]:
        if self._paths is None:
            raise FileFormatError(f"{self.path} is closed")
        frames = np.empty((stop - start, *self.shape), dtype=self.dtype)
        for k, path in enumerate(self._paths[start:stop]):
            frame = None if self._template is None else self._template.read(path)
            if frame is not None:
                frames[k] = frame
                continue
            with open_tiff(path) as movie:
                if movie.shape != self.shape or movie.n_frames != 1 or movie.dtype != self.dtype:
                    raise FileFormatError(
                        f"{path} holds {movie.n_frames} frames of {movie.shape} ({movie.dtype}), "
                        f"the files before it one of {self.shape} ({self.dtype})"
                    )
                frames[k] = movie.read([0])[0]
        return frames

    def close(self) -> None:
        """Forget the files. Safe to call more than once."""
        self._paths = None
