"""Hamamatsu's .dcimg movies, both kinds of header.

The camera writes time and number of a frame over its first four pixels, in the line that its chip
reads first, and keeps what they held behind the frame (or behind all frames, in the older kind);
they are put back here.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.account import StatedFrames
from rtsmlm.files.movies.checks import check_frame_shape, complete_frames, one_line
from rtsmlm.files.movies.flat import FlatMovie
from rtsmlm.files.movies.movie import MovieFacts

MAGIC = b"DCIMG"
_OLD, _NEW = 0x7, 0x1000000
_FRAME_FOOTER_BYTES = 32
_FOUR_AT, _FOUR_BYTES = 12, 8
"""Where the footer of a frame keeps the pixels that were written over."""
_HEADER_BYTES = 4096
_MIDDLE_LINE = 1023
"""The chip is read from its middle; the line above it comes first."""


class DcimgMovie(FlatMovie):
    """A .dcimg movie.

    Parameters
    ----------
    facts
        What is known of the movie.
    offset_bytes, stride_bytes
        Where the first frame begins, and from one frame to the next.
    line
        Which line has four pixels to be put back; -1 for none.
    four
        Where those of frame 0 lie in the file, and from one frame to the next, in bytes.
    """

    def __init__(
        self,
        facts: MovieFacts,
        offset_bytes: int,
        stride_bytes: int,
        *,
        line: int,
        four: tuple[int, int],
    ) -> None:
        super().__init__(facts, offset_bytes, stride_bytes=stride_bytes)
        self._line = line
        self._four = four

    def _stored(self, start: int, stop: int) -> NDArray[Any]:
        frames = super()._stored(start, stop)
        if not 0 <= self._line < self.shape[0] or self.dtype.itemsize != 2:
            return frames
        first, step = self._four
        with self.path.open("rb") as file:
            for k in range(start, stop):
                file.seek(first + k * step)
                raw = file.read(_FOUR_BYTES)
                if len(raw) == _FOUR_BYTES:
                    frames[k - start, self._line, :4] = np.frombuffer(raw, "<u2")
        return frames


def open_dcimg(path: Path) -> DcimgMovie:
    """Open a .dcimg movie.

    Raises
    ------
    FileFormatError
        If the header is none that is known, or states what the file does not hold.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER_BYTES)
            return _opened(path, head)
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {one_line(error)}") from error
    except struct.error as error:
        raise FileFormatError(f"{path} states what its header does not hold: {error}") from error


def _opened(path: Path, head: bytes) -> DcimgMovie:
    (version,) = struct.unpack_from("<I", head, 8)
    (session,) = struct.unpack_from("<I", head, 0x28)
    if version == _NEW:
        n_frames, depth, _, width, height, row_bytes, image_bytes = struct.unpack_from(
            "<7I", head, session + 60
        )
        (data,) = struct.unpack_from("<Q", head, session + 60 + 36)
        _, _, y0, chip_height = struct.unpack_from("<4H", head, session + 712)
        binning = max(chip_height // max(height, 1), 1)
        line = (_MIDDLE_LINE - y0) // binning
        stride = image_bytes + _FRAME_FOOTER_BYTES
        four = (session + data + image_bytes + _FOUR_AT, stride)
    elif version == _OLD:
        n_frames, depth, _, width, row_bytes, height, image_bytes = struct.unpack_from(
            "<7I", head, session + 32
        )
        (data,) = struct.unpack_from("<I", head, session + 68)
        (data_bytes,) = struct.unpack_from("<Q", head, session + 72)
        stride = image_bytes
        line, four = _old_four(path, session + data_bytes, n_frames, depth, row_bytes)
    else:
        raise FileFormatError(f"{path} is a .dcimg of kind {version:#x}, which is not known")
    check_frame_shape(path, (height, width))
    if depth not in (1, 2) or row_bytes != width * depth or image_bytes != row_bytes * height:
        raise FileFormatError(
            f"{path} states {depth} bytes per pixel, lines of {row_bytes} and images of "
            f"{image_bytes} bytes for {height} x {width} pixels; save it as TIFF"
        )
    offset = session + data
    # Of the last footer only the pixels that it keeps are needed.
    spare = 0 if stride == image_bytes else _FRAME_FOOTER_BYTES - _FOUR_AT - _FOUR_BYTES
    available = path.stat().st_size - offset + spare
    behind = max(available - n_frames * stride, 0)
    stated = StatedFrames("the header", n_frames)
    account = complete_frames(path, available - behind, stride, stated)
    facts = MovieFacts(
        path=path,
        kind="Hamamatsu DCIMG",
        shape=(height, width),
        n_frames=account.read,
        account=account,
        dtype=np.dtype("<u2" if depth == 2 else "u1"),
    )
    return DcimgMovie(facts, offset, stride, line=line, four=four)


def _old_four(
    path: Path, footer: int, n_frames: int, depth: int, row_bytes: int
) -> tuple[int, tuple[int, int]]:
    """Return which line has pixels to be put back, and where they lie; -1 for none."""
    nothing = -1, (0, 0)
    with path.open("rb") as file:
        file.seek(footer)
        raw = file.read(64)
        if len(raw) < 64:
            return nothing
        (second,) = struct.unpack_from("<Q", raw, 8)
        (footer_bytes,) = struct.unpack_from("<I", raw, 40)
        file.seek(footer + second)
        raw = file.read(112)
    if len(raw) < 112:
        return nothing
    (at,) = struct.unpack_from("<Q", raw, 88)
    (within,) = struct.unpack_from("<I", raw, 100)
    if footer_bytes != at + 4 * depth * n_frames or not row_bytes:
        return nothing
    return within // row_bytes, (footer + at, 4 * depth)
