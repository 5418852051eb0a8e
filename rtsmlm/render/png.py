"""A PNG writer for images of 256 colours, so that no imaging library is needed."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

from rtsmlm.errors import SinkError
from rtsmlm.render.rgb import RGB8

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PALETTE_IMAGE = 3


def write_png(path: Path, index: RGB8, colors: RGB8, pixel_nm: float | None = None) -> None:
    """Write an image of palette colours.

    Parameters
    ----------
    path
        Where to; replaced if there.
    index
        Place of each pixel in `colors`, uint8, (height, width).
    colors
        uint8, (256, 3).
    pixel_nm
        Side of a pixel, stored as the physical resolution, where the format can hold it.

    Raises
    ------
    SinkError
        If the file cannot be written.
    """
    height, width = index.shape
    header = struct.pack(">IIBBBBB", width, height, 8, PALETTE_IMAGE, 0, 0, 0)
    # Each row begins with its filter: 0, none, which suits palette images best.
    rows = np.zeros((height, width + 1), np.uint8)
    rows[:, 1:] = index
    chunks = [(b"IHDR", header), (b"PLTE", np.ascontiguousarray(colors).tobytes())]
    pixels_per_m = round(1e9 / pixel_nm) if pixel_nm else 0
    if 0 < pixels_per_m < 1 << 31:
        chunks.append((b"pHYs", struct.pack(">IIB", pixels_per_m, pixels_per_m, 1)))
    chunks += [(b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b"")]
    content = SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)
    try:
        path.write_bytes(content)
    except OSError as error:
        raise SinkError(f"cannot write {path}: {error.strerror or error}; free space") from error


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
