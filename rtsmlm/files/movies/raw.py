"""Headerless .raw movies, described by Picasso, by Micro-Manager, or by the settings."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.account import StatedFrames
from rtsmlm.files.movies.checks import check_frame_shape, complete_frames, one_line
from rtsmlm.files.movies.flat import FlatMovie, likely_byte_order, stored_dtype
from rtsmlm.files.movies.metadata import (
    Statements,
    add_micromanager,
    add_picasso,
    as_int,
    flat_yaml,
)
from rtsmlm.files.movies.movie import MovieFacts
from rtsmlm.settings.camera import MovieSettings

# The first frame's metadata lie in the first few 10 kB; the rest may be a gigabyte.
_METADATA_HEAD = 4 << 20
_METADATA_ALL = 64 << 20

_Described: TypeAlias = tuple[tuple[int, int], tuple[StatedFrames, ...], np.dtype[Any]]
"""Shape, numbers of frames that are stated, and type of the values."""

_MM_DTYPES = {"GRAY8": "|u1", "GRAY16": "u2", "GRAY32": "f4"}


def open_raw(
    path: Path, settings: MovieSettings, known_shape: tuple[int, int] | None = None
) -> FlatMovie:
    """Open a headerless movie.

    A .yaml of the same name (Picasso) or a `*_metadata.txt` (Micro-Manager) describes it;
    else the settings do, or `known_shape` from elsewhere, such as camera maps.

    Raises
    ------
    FileFormatError
        If nothing describes the file, or the description does not fit it.
    ConfigError
        If `movie.dtype` is no type.
    """
    statements = Statements()
    times_of: Path | None = None
    if yaml := _existing(path.with_suffix(".yaml"), path.with_suffix(".yml")):
        shape, stated, dtype = _picasso(yaml, statements)
        kind = "Picasso raw"
    elif times_of := _micromanager_sidecar(path):
        shape, stated, dtype = _micromanager(path, times_of, statements, settings)
        kind = "Micro-Manager raw"
    else:
        shape, stated, dtype = _from_settings(path, settings, known_shape)
        kind = "raw"
    check_frame_shape(path, shape)
    size = path.stat().st_size
    frame_bytes = shape[0] * shape[1] * dtype.itemsize
    account = complete_frames(path, size, frame_bytes, *stated)
    for sidecar in stated:
        if yaml and sidecar.frames < account.present and size % frame_bytes:
            raise FileFormatError(
                f"{path} has {size} bytes, no whole number of frames of {shape[0]} x {shape[1]}, "
                f"and {sidecar.source} states {sidecar.frames} of them; it belongs to another movie"
            )
    times = None if times_of is None else _times_ns(times_of, account.read, statements)
    facts = MovieFacts(
        path=path,
        kind=kind,
        shape=shape,
        n_frames=account.read,
        dtype=dtype,
        account=account,
        stated=statements.stated,
        exposure_ms=statements.exposure_ms,
        t_exposure_end_ns=times,
        details=statements.details,
        contradictions=tuple(statements.contradictions),
        notes=tuple(statements.notes),
    )
    return FlatMovie(facts, 0)


def _existing(*paths: Path) -> Path | None:
    return next((path for path in paths if path.is_file()), None)


def _from_settings(
    path: Path, settings: MovieSettings, known_shape: tuple[int, int] | None
) -> _Described:
    if settings.height and settings.width:
        shape = settings.height, settings.width
    elif known_shape is not None:
        shape = known_shape
    else:
        raise FileFormatError(
            f"{path} has no header, and neither a .yaml nor a _metadata.txt lies beside "
            "it; set movie.height, movie.width and movie.dtype"
        )
    if settings.dtype is not None:
        return shape, (), stored_dtype(settings.dtype)
    return shape, (), np.dtype(f"{likely_byte_order(path, shape[1], default='<')}u2")


def _picasso(sidecar: Path, statements: Statements) -> _Described:
    keys = flat_yaml(sidecar)
    height, width = as_int(keys.get("Height")), as_int(keys.get("Width"))
    frames, type_name = as_int(keys.get("Frames")), keys.get("Data Type", "uint16")
    if height is None or width is None or (frames is None and "Frames" in keys):
        raise FileFormatError(
            f"{sidecar} does not state Height, Width and Frames as whole numbers; correct "
            "it, or move it away and set movie.height and movie.width"
        )
    order = "<" if keys.get("Byte Order", "<") in ("<", "=", "|") else ">"
    if not re.fullmatch(r"(u?int(8|16|32)|float(32|64))", type_name):
        raise FileFormatError(f"{sidecar} states Data Type {type_name!r}; expected uint16")
    add_picasso(statements, keys)
    byte_order: Any = order
    stated = () if frames is None else (StatedFrames(sidecar.name, frames),)
    return (height, width), stated, np.dtype(type_name).newbyteorder(byte_order)


def _micromanager_sidecar(path: Path) -> Path | None:
    """Return `X_metadata.txt` of `X.ome.raw` or `X.raw`, or `metadata.txt` beside it."""
    stem = re.sub(r"\.ome$", "", path.stem, flags=re.IGNORECASE)
    return _existing(path.with_name(f"{stem}_metadata.txt"), path.with_name("metadata.txt"))


def _micromanager(
    path: Path, sidecar: Path, statements: Statements, settings: MovieSettings
) -> _Described:
    summary, frame = micromanager_head(sidecar)
    height, width = as_int(summary.get("Height")), as_int(summary.get("Width"))
    if height is None or width is None:
        height, width = as_int(frame.get("Height")), as_int(frame.get("Width"))
    if height is None or width is None:
        raise FileFormatError(f"{sidecar} states no Width and Height of the frames")
    check_frame_shape(sidecar, (height, width))
    for axis in ("Channels", "Slices", "Positions"):
        if (as_int(summary.get(axis)) or 1) > 1:
            raise FileFormatError(
                f"{path} holds {summary[axis]} {axis.lower()} by its metadata; rtsmlm "
                "reads one time series: export one channel, slice and position as its own "
                "movie"
            )
    add_micromanager(statements, frame)
    name = str(summary.get("PixelType", frame.get("PixelType", "GRAY16")))
    if name not in _MM_DTYPES:
        raise FileFormatError(f"{sidecar} states PixelType {name!r}; rtsmlm reads GRAY16")
    dtype = np.dtype(_MM_DTYPES[name])
    if settings.dtype is not None:
        dtype = stored_dtype(settings.dtype)
    elif name == "GRAY16":
        order = likely_byte_order(path, width, default=">")
        dtype = np.dtype(f"{order}u2")
        big = "big" if order == ">" else "little"
        statements.notes.append(f"byte order not stated; {big}-endian judging by the pixels")
    intended = as_int(summary.get("Frames"))
    stated = () if intended is None else (StatedFrames(f"the plan in {sidecar.name}", intended),)
    return (height, width), stated, dtype


def micromanager_head(path: Path) -> tuple[dict[str, object], dict[str, object]]:
    """Return the summary and the first frame's metadata of a Micro-Manager metadata file.

    Only the head of the file is read, which may be huge, or cut short after a crash.

    Raises
    ------
    FileFormatError
        If it has no summary.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_METADATA_HEAD).decode("utf-8", errors="replace")
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {one_line(error)}") from error
    summary = _object_after(r'"Summary"\s*:\s*', head)
    if not summary:
        raise FileFormatError(f"{path} is no Micro-Manager metadata: it has no Summary")
    return summary, _object_after(r'"(FrameKey|Metadata)-[^"]*"\s*:\s*', head)


def first_object(path: Path) -> dict[str, object]:
    """Return the first object in an object in a JSON file; empty where it cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(_METADATA_HEAD).decode("utf-8", errors="replace")
    except OSError:
        return {}
    return _object_after(r'^\s*\{\s*"[^"]*"\s*:\s*', head)


def _object_after(pattern: str, text: str) -> dict[str, object]:
    start = re.search(pattern, text)
    try:
        value, _ = json.JSONDecoder().raw_decode(text, start.end()) if start else ({}, 0)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _times_ns(sidecar: Path, n_frames: int, statements: Statements) -> NDArray[np.int64] | None:
    """Return the elapsed times of the frames, where each has one and they make sense."""
    if sidecar.stat().st_size > _METADATA_ALL:
        return None
    text = sidecar.read_bytes().decode("utf-8", errors="replace")
    found = re.findall(r'"ElapsedTime-ms"\s*:\s*"?([\d.]{1,20})', text)
    times_ms = np.array([time for time in map(_number, found) if time is not None])
    if len(times_ms) < n_frames:
        return None
    steps_ms = np.diff(times_ms[:n_frames])
    if n_frames > 1 and (steps_ms.min() < 0 or np.median(steps_ms) <= 0):
        return None
    if n_frames > 1 and np.median(steps_ms) < 0.9 * (statements.exposure_ms or 0):
        statements.notes.append(
            f"times ignored: frames every {np.median(steps_ms):g} ms do not go with an "
            f"exposure of {statements.exposure_ms:g} ms"
        )
        return None
    return np.asarray(times_ms[:n_frames] * 1e6, dtype=np.int64)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
