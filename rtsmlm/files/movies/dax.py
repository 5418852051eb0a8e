"""The .dax movies of storm-control and Insight3: bare frames, and an .inf beside them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.account import StatedFrames
from rtsmlm.files.movies.checks import check_frame_shape, complete_frames, one_line
from rtsmlm.files.movies.flat import FlatMovie, likely_byte_order, stored_dtype
from rtsmlm.files.movies.metadata import as_int
from rtsmlm.files.movies.movie import MovieFacts
from rtsmlm.settings.camera import MovieSettings

SENSOR_SIDES_PX = (2304, 2048, 1536, 1200, 1024, 512, 256, 128, 64, 32, 16)
"""Square frames that are tried on a movie without any description, largest first."""


def open_dax(
    path: Path, settings: MovieSettings, known_shape: tuple[int, int] | None = None
) -> FlatMovie:
    """Open a .dax movie.

    Parameters
    ----------
    path
        The .dax file; the .inf of the same name states its shape where there is one.
    settings
        Height, width and type where no .inf does.
    known_shape
        Height and width known from elsewhere, such as camera maps; wins over a guess.

    Raises
    ------
    FileFormatError
        If the file and its description do not fit each other, or no shape can be found.
    """
    size = path.stat().st_size
    sidecar = path.with_suffix(".inf")
    notes: tuple[str, ...] = ()
    stated: tuple[StatedFrames, ...] = ()
    order = ">"
    if sidecar.is_file():
        shape, n_stated, order = _read_inf(sidecar)
        stated = () if n_stated is None else (StatedFrames(sidecar.name, n_stated),)
    elif settings.height and settings.width:
        shape = settings.height, settings.width
    elif known_shape is not None:
        shape = known_shape
    else:
        shape = _guess_shape(path, size)
        notes = (
            f"no {sidecar.name} beside it: {shape[0]} x {shape[1]} pixels are a guess from "
            "the file size (set movie.height and movie.width)",
        )
    check_frame_shape(path, shape)
    if settings.dtype is not None:
        dtype = stored_dtype(settings.dtype)
    elif sidecar.is_file():
        dtype = np.dtype(f"{order}u2")
    else:
        dtype = np.dtype(f"{likely_byte_order(path, shape[1], default='>')}u2")
    account = complete_frames(path, size, shape[0] * shape[1] * dtype.itemsize, *stated)
    facts = MovieFacts(
        path=path,
        kind="dax",
        shape=shape,
        n_frames=account.read,
        account=account,
        dtype=dtype,
        notes=notes,
    )
    return FlatMovie(facts, 0)


def _read_inf(path: Path) -> tuple[tuple[int, int], int | None, str]:
    """Return (height, width), the number of frames, and the byte order."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(1 << 20)
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {one_line(error)}") from error
    size = re.search(r"frame dimensions\s*=\s*(\d{1,9})\s*x\s*(\d{1,9})", text)
    if not size:
        raise FileFormatError(
            f"{path} has no line 'frame dimensions = width x height'; correct or remove it "
            "and set movie.height and movie.width"
        )
    kind = re.search(r"data type\s*=\s*(.*)", text)
    if kind and "16 bit" not in kind[1]:
        raise FileFormatError(f"{path} states {kind[1].strip()!r}; .dax frames have 16 bits")
    frames = re.search(r"number of frames\s*=\s*(\S+)", text)
    order = "<" if kind and "little endian" in kind[1] else ">"
    # storm-control writes the width first.
    return (int(size[2]), int(size[1])), as_int(frames[1]) if frames else None, order


def _guess_shape(path: Path, size_bytes: int) -> tuple[int, int]:
    for side in SENSOR_SIDES_PX:
        if size_bytes and size_bytes % (2 * side * side) == 0:
            return side, side
    raise FileFormatError(
        f"{path} has no .inf beside it, and its {size_bytes} bytes are no whole number of "
        "square frames; set movie.height and movie.width"
    )
