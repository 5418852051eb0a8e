"""The .SPE movies of WinView, WinSpec and LightField (versions 2.x and 3.0)."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.account import StatedFrames
from rtsmlm.files.movies.checks import check_frame_shape, complete_frames, one_line
from rtsmlm.files.movies.flat import FlatMovie
from rtsmlm.files.movies.metadata import Statements, as_number
from rtsmlm.files.movies.movie import MovieFacts

HEADER_BYTES = 4100

_DTYPES = {
    0: "<f4", 1: "<i4", 2: "<i2", 3: "<u2", 5: "<f8", 6: "|u1", 8: "<u4",
}  # fmt: skip


class _Header(NamedTuple):
    """Offsets as in the header description of the WinView/32 manual."""

    exposure_s: float
    width: int
    kind: int
    height: int
    n_frames: int
    footer_offset: int
    version: float


def open_spe(path: Path) -> FlatMovie:
    """Open an .SPE movie.

    Raises
    ------
    FileFormatError
        If the header is none, or states what the file does not hold.
    """
    try:
        with path.open("rb") as file:
            header = _parse(path, file.read(HEADER_BYTES))
        stride, footer_exposure_ms = _footer(path, header)
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read: {one_line(error)}") from error
    if header.kind not in _DTYPES:
        raise FileFormatError(
            f"{path} states data type {header.kind}; .SPE movies have one of {sorted(_DTYPES)}"
        )
    dtype = np.dtype(_DTYPES[header.kind])
    shape = header.height, header.width
    check_frame_shape(path, shape)
    frame_bytes = shape[0] * shape[1] * dtype.itemsize
    stride = max(stride, frame_bytes)
    # The XML of version 3 follows the last frame.
    size = path.stat().st_size
    available = (min(header.footer_offset, size) or size) - HEADER_BYTES
    stated = StatedFrames("the header", header.n_frames)
    account = complete_frames(path, available, stride, stated)
    statements = Statements()
    statements.state_exposure(header.exposure_s, "s")
    statements.state_exposure(footer_exposure_ms)
    facts = MovieFacts(
        path=path,
        kind=f"SPE {header.version:.1f}" if header.version >= 2 else "SPE",
        shape=shape,
        n_frames=account.read,
        account=account,
        dtype=dtype,
        exposure_ms=statements.exposure_ms,
    )
    return FlatMovie(facts, HEADER_BYTES, stride_bytes=stride)


def _parse(path: Path, raw: bytes) -> _Header:
    if len(raw) < HEADER_BYTES:
        raise FileFormatError(
            f"{path} has {len(raw)} bytes; an .SPE file begins with {HEADER_BYTES} of header"
        )

    def at(code: str, offset: int) -> int | float:
        value: int | float = struct.unpack_from(code, raw, offset)[0]
        return value

    version = float(at("<f", 1992))
    return _Header(
        exposure_s=float(at("<f", 10)),
        width=int(at("<H", 42)),
        kind=int(at("<h", 108)),
        height=int(at("<H", 656)),
        n_frames=int(at("<i", 1446)),
        footer_offset=int(at("<Q", 678)) if 3 <= version < 4 else 0,
        version=version if 1 <= version < 4 else 0.0,
    )


def _footer(path: Path, header: _Header) -> tuple[int, float | None]:
    """Return bytes from frame to frame and the exposure, from the XML at the end."""
    if not header.footer_offset or header.footer_offset >= path.stat().st_size:
        return 0, None
    with path.open("rb") as file:
        file.seek(header.footer_offset)
        xml = file.read(4 << 20).decode("utf-8", errors="replace")
    block = re.search(r'<DataBlock\b[^<>]*type="Frame"[^<>]*>', xml)
    stride = re.search(r'\bstride="(\d{1,12})"', block[0]) if block else None
    exposure = re.search(r"<ExposureTime\b[^<>]*>([\d.]{1,30})</ExposureTime>", xml)
    return int(stride[1]) if stride else 0, as_number(exposure[1]) if exposure else None
