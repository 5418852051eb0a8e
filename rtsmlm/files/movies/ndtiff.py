"""NDTiff (versions 2 and 3), the format of Pycro-Manager and Micro-Manager: index first.

`NDTiff.index` is a row of entries, little-endian: length and JSON of the axes, length and
name of the TIFF file, then eight 32-bit numbers: pixel offset, width, height, pixel type, pixel
compression, and offset, length and compression of the frame's metadata.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError
from rtsmlm.files.limits import MAX_INDEX_ENTRIES
from rtsmlm.files.movies.account import MovieAccount, StatedFrames, missing_numbers
from rtsmlm.files.movies.checks import check_frame_shape, one_line
from rtsmlm.files.movies.flat import FlatMovie
from rtsmlm.files.movies.metadata import Statements, add_micromanager
from rtsmlm.files.movies.movie import MovieFacts
from rtsmlm.files.movies.ndtiff_tail import frames_behind

INDEX_NAME = "NDTiff.index"

_NUMBERS = struct.Struct("<8I")
# 0: 8 bits, 1: 16 bits, 3 to 6: 10, 12, 14 and 11 bits in 16.
_DTYPES = {0: "u1", 1: "u2", 3: "u2", 4: "u2", 5: "u2", 6: "u2"}
_MAX_AXES_BYTES = 1 << 16
_MAX_INDEX_BYTES = 1 << 30


class _Entry(NamedTuple):
    axes: dict[str, object]
    file_name: str
    offset: int
    width: int
    height: int
    pixel_type: int
    compression: int
    metadata_offset: int
    metadata_bytes: int


def open_ndtiff(path: Path) -> FlatMovie:
    """Open an NDTiff data set.

    Parameters
    ----------
    path
        Its folder, or the `NDTiff.index` in it.

    Raises
    ------
    FileFormatError
        If the index is damaged or does not describe one series of frames.
    """
    index = path if path.is_file() else path / INDEX_NAME
    statements = Statements()
    further: list[str] = []
    listed = list(_entries(index, further))
    behind = _behind(index, listed)
    entries, axis = _in_order(index, listed + behind)
    first = entries[0]
    alike = (first.width, first.height, first.pixel_type, 0)
    if any((e.width, e.height, e.pixel_type, e.compression) != alike for e in entries):
        raise FileFormatError(f"{index} lists frames of several sizes or types, or compressed ones")
    if first.pixel_type not in _DTYPES:
        raise FileFormatError(
            f"{index} states pixel type {first.pixel_type}; rtsmlm reads grey values"
        )
    check_frame_shape(index, (first.height, first.width))
    names = sorted({entry.file_name for entry in entries})
    files = [_file_in(index, name) for name in names]
    dtype = np.dtype(_DTYPES[first.pixel_type]).newbyteorder(_byte_order(files[0]))
    frame_bytes = first.height * first.width * dtype.itemsize
    sizes = {file.name: file.stat().st_size for file in files}
    n_frames = next(
        (k for k, e in enumerate(entries) if e.offset + frame_bytes > sizes[e.file_name]),
        len(entries),
    )
    add_micromanager(statements, _metadata(index.parent / first.file_name, first))
    if behind:
        further.append(
            f"{len(behind)} frames are in {behind[0].file_name} that {INDEX_NAME} does not list; "
            "they are counted on from the last one"
        )
    numbers = _frame_numbers(entries[:n_frames], axis)
    if numbers is not None and (missing := missing_numbers(numbers, f"{axis} position")):
        further.append(missing)
    account = MovieAccount(
        read=n_frames,
        present=n_frames,
        stated=(StatedFrames(INDEX_NAME, len(entries) - len(behind)),),
        further=tuple(further),
    )
    facts = MovieFacts(
        path=path,
        kind="NDTiff",
        shape=(first.height, first.width),
        n_frames=n_frames,
        dtype=dtype,
        account=account,
        stated=statements.stated,
        exposure_ms=statements.exposure_ms,
        frame_index=numbers,
        details=statements.details,
        contradictions=tuple(statements.contradictions),
        notes=tuple(statements.notes),
    )
    offsets = np.array([entry.offset for entry in entries], dtype=np.int64)
    which = np.array([names.index(entry.file_name) for entry in entries], dtype=np.int64)
    return FlatMovie(facts, offsets, files=files, file_of_frame=which)


def _entries(index: Path, further: list[str]) -> Iterator[_Entry]:
    """Yield the complete entries of an index; zeros at its end are unused room."""
    try:
        if index.stat().st_size > _MAX_INDEX_BYTES:
            raise FileFormatError(f"{index} has {index.stat().st_size} bytes; that is no index")
        data = index.read_bytes()
    except OSError as error:
        raise FileFormatError(f"{index} cannot be read: {one_line(error)}") from error
    position = n_entries = 0
    while position + 4 <= len(data):
        axes_end = position + 4 + int.from_bytes(data[position : position + 4], "little")
        name_end = axes_end + 4 + int.from_bytes(data[axes_end : axes_end + 4], "little")
        if axes_end == position + 4 or name_end + _NUMBERS.size > len(data):
            break
        try:
            if axes_end - position > _MAX_AXES_BYTES:
                raise ValueError("an entry is too long")
            axes = json.loads(data[position + 4 : axes_end])
            name = data[axes_end + 4 : name_end].decode("utf-8")
            if not isinstance(axes, dict):
                raise ValueError("the axes of an entry are no JSON object")
        except (ValueError, RecursionError) as error:
            message = f"{index} is damaged at byte {position}: {one_line(error)}"
            raise FileFormatError(message) from error
        n_entries += 1
        if n_entries > MAX_INDEX_ENTRIES:
            raise FileFormatError(
                f"{index} lists more than {MAX_INDEX_ENTRIES} frames; save the movie in parts"
            )
        yield _Entry(axes, name, *_NUMBERS.unpack_from(data, name_end)[:7])
        position = name_end + _NUMBERS.size
    if data[position : position + _MAX_AXES_BYTES].strip(b"\0"):
        further.append(f"{INDEX_NAME} is cut short; frames after it are not read")


def _behind(index: Path, entries: list[_Entry]) -> list[_Entry]:
    """Return entries for frames that the index does not list yet, where their numbers are plain.

    They are where the last two frames that are listed are apart by one along one axis.
    """
    if len(entries) < 2:
        return []
    before, last = entries[-2:]
    changed = [axis for axis, value in last.axes.items() if before.axes.get(axis) != value]
    numbers = [(before.axes.get(axis), last.axes[axis]) for axis in changed]
    if len(numbers) != 1 or last.pixel_type not in _DTYPES:
        return []
    (earlier, newest), file = numbers[0], index.parent / last.file_name
    if not (isinstance(earlier, int) and isinstance(newest, int) and newest == earlier + 1):
        return []
    if Path(last.file_name).name != last.file_name or not file.is_file():
        return []
    frame_bytes = last.height * last.width * np.dtype(_DTYPES[last.pixel_type]).itemsize
    end, shape = last.metadata_offset + last.metadata_bytes, (last.height, last.width)
    found = frames_behind(file, end, shape, frame_bytes, _byte_order(file))
    return [
        last._replace(
            axes={**last.axes, changed[0]: newest + k},
            offset=frame.offset,
            metadata_offset=frame.metadata_offset,
            metadata_bytes=frame.metadata_bytes,
        )
        for k, frame in enumerate(found, 1)
    ]


def _in_order(index: Path, entries: list[_Entry]) -> tuple[list[_Entry], str | None]:
    """Return the entries sorted along the one axis with several positions, and its name."""
    if not entries:
        raise FileFormatError(f"{index} lists no frame")
    positions: dict[str, set[str]] = {}
    for entry in entries:
        for axis, value in entry.axes.items():
            positions.setdefault(axis, set()).add(str(value))
    several = sorted(axis for axis, values in positions.items() if len(values) > 1)
    if len(several) > 1:
        found = " x ".join(f"{len(positions[axis])} {axis}" for axis in several)
        raise FileFormatError(
            f"{index} lists {found} planes; rtsmlm reads one series of frames: export one "
            "channel, slice and position as its own movie"
        )
    if not several:
        return entries[-1:], None
    axis = several[0]
    # An entry that was written twice replaces the first, as in the format's own readers.
    by_position = {entry.axes.get(axis): entry for entry in entries}
    if not all(isinstance(position, int) for position in by_position):
        raise FileFormatError(f"{index} lists planes along {axis!r} that have no numbers")
    return [by_position[position] for position in sorted(by_position)], axis  # type: ignore[type-var]


def _frame_numbers(entries: list[_Entry], axis: str | None) -> NDArray[np.int64] | None:
    """Return the positions along the axis, None where they simply count from 0."""
    if axis is None or not entries:
        return None
    numbers = np.array([entry.axes[axis] for entry in entries], dtype=np.int64)
    if np.array_equal(numbers, np.arange(len(numbers))):
        return None
    return numbers


def _file_in(index: Path, name: str) -> Path:
    file = index.parent / name
    if Path(name).name != name or not file.is_file():
        raise FileFormatError(f"{index} lists frames in {name!r}, which is not a file beside it")
    return file


def _byte_order(file: Path) -> Any:
    with file.open("rb") as stream:
        magic = stream.read(2)
    if magic not in (b"II", b"MM"):
        raise FileFormatError(f"{file} is not a TIFF file, although NDTiff.index lists it as one")
    return "<" if magic == b"II" else ">"


def _metadata(file: Path, entry: _Entry) -> Mapping[str, object]:
    """Return the metadata of a frame, empty where they cannot be read."""
    try:
        with file.open("rb") as stream:
            stream.seek(entry.metadata_offset)
            tags = json.loads(stream.read(min(entry.metadata_bytes, 4 << 20)))
    except (OSError, ValueError, RecursionError):
        return {}
    return tags if isinstance(tags, dict) else {}
