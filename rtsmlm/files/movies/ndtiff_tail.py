"""Frames of NDTiff that are in their file and not in `NDTiff.index` yet.

A program in Python (ndstorage) writes each frame to disk at once, and the index in packs of some
ninety entries; one that was cut leaves the last pack out. Each frame is a directory of 13 entries,
pixels and metadata, one behind the other, so that what follows the last frame of the index is found
without it. It counts where it looks exactly as the frame before it, and its last byte is there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from rtsmlm.files.movies.tiff_parts import NDTIFF_STACK

_N_TAGS = 13
_TAGS_AT = 2
_DIRECTORY_BYTES = 2 + _N_TAGS * 12 + 4 + 16  # ends with the two fractions of the resolution
_WIDTH, _HEIGHT, _COMPRESSION, _PIXELS_AT, _PIXEL_BYTES = 256, 257, 259, 273, 279
_METADATA = 51123
_MOST = 1_000_000


class FrameBehind(NamedTuple):
    """Where a frame lies in its file."""

    offset: int
    metadata_offset: int
    metadata_bytes: int


def frames_behind(
    file: Path, end: int, shape: tuple[int, int], frame_bytes: int, byte_order: str
) -> Iterator[FrameBehind]:
    """Yield the frames that lie behind a place of a file.

    Parameters
    ----------
    file
        The TIFF file.
    end
        Where the metadata of the frame before end.
    shape, frame_bytes
        Height and width in pixels, and bytes, of that frame.
    byte_order
        "<" or ">".
    """
    try:
        with file.open("rb") as stream:
            for _ in range(_MOST):
                frame = _frame_at(stream, end + end % 2, shape, frame_bytes, byte_order)
                if frame is None:
                    return
                yield frame
                end = frame.metadata_offset + frame.metadata_bytes
    except OSError:
        return  # what the index lists is read all the same, or says why not


def _frame_at(
    stream: BinaryIO, at: int, shape: tuple[int, int], frame_bytes: int, byte_order: str
) -> FrameBehind | None:
    stream.seek(at)
    data = stream.read(_DIRECTORY_BYTES)
    if len(data) < _DIRECTORY_BYTES or struct.unpack_from(f"{byte_order}H", data)[0] != _N_TAGS:
        return None
    tags: dict[int, tuple[int, int]] = {}
    for tag, _, count, value in struct.iter_unpack(
        f"{byte_order}HHII", data[_TAGS_AT : _TAGS_AT + 12 * _N_TAGS]
    ):
        tags[tag] = count, value
    pixels_at = at + _DIRECTORY_BYTES
    wanted = {
        _WIDTH: shape[1],
        _HEIGHT: shape[0],
        _COMPRESSION: 1,
        _PIXELS_AT: pixels_at,
        _PIXEL_BYTES: frame_bytes,
    }
    if any(tags.get(tag, (0, -1))[1] != value for tag, value in wanted.items()):
        return None
    n_bytes, metadata_at = tags.get(_METADATA, (0, 0))
    if metadata_at != pixels_at + frame_bytes or not n_bytes:
        return None
    stream.seek(metadata_at + n_bytes - 1)
    # Written last: what is before it is there.
    return None if stream.read(1) in (b"", b"\0") else FrameBehind(pixels_at, metadata_at, n_bytes)


def has_room_ahead(folder: Path) -> bool | None:
    """Return whether the newest file of a data set ends in room for frames to come.

    Programs that write NDTiff reserve it, and cut it off as they finish. None where there is no
    such file, or it cannot be read.
    """
    stacks = list(folder.glob(f"*{NDTIFF_STACK}*.tif")) if folder.is_dir() else []
    if not stacks:
        return None
    try:
        with max(stacks, key=lambda path: (len(path.name), path.name)).open("rb") as stream:
            stream.seek(-1, 2)
            return stream.read(1) == b"\0"
    except OSError:
        return None
