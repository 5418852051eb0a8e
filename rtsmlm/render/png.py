"""A PNG writer, so that no imaging library is needed."""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rtsmlm.errors import SinkError
from rtsmlm.render.rgb import RGB8

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PALETTE_IMAGE, COLOR_IMAGE = 3, 2


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
    palette = [(b"PLTE", np.ascontiguousarray(colors).tobytes())]
    _write(path, PALETTE_IMAGE, index, palette, pixel_nm)


def write_rgb_png(
    path: Path, rgb: RGB8, pixel_nm: float | None = None, texts: Mapping[str, str] | None = None
) -> None:
    """Write an image of any colours.

    Parameters
    ----------
    path
        Where to; replaced if there.
    rgb
        uint8, (height, width, 3).
    pixel_nm
        Side of a pixel, stored as the physical resolution, where the format can hold it.
    texts
        What is written into the file besides, by keyword.

    Raises
    ------
    SinkError
        If the file cannot be written.
    """
    chunks = [
        (b"iTXt", keyword.encode("latin-1") + bytes(5) + text.encode())
        for keyword, text in (texts or {}).items()
    ]
    _write(path, COLOR_IMAGE, rgb, chunks, pixel_nm)


def png_bytes(rgb: RGB8, pixel_nm: float | None = None) -> bytes:
    """Return an image of any colours, uint8, (height, width, 3), as the content of a PNG file."""
    return _content(COLOR_IMAGE, rgb, [], pixel_nm)


def _content(
    kind: int, pixels: RGB8, chunks: list[tuple[bytes, bytes]], pixel_nm: float | None
) -> bytes:
    height, width = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    # Each row begins with its filter: 0, none, which suits such images best.
    rows = np.zeros((height, pixels[0].size + 1), np.uint8)
    rows[:, 1:] = pixels.reshape(height, -1)
    pixels_per_m = round(1e9 / pixel_nm) if pixel_nm else 0
    if 0 < pixels_per_m < 1 << 31:
        chunks = [*chunks, (b"pHYs", struct.pack(">IIB", pixels_per_m, pixels_per_m, 1))]
    data = (b"IDAT", zlib.compress(rows.tobytes(), 6))
    parts = (_chunk(*c) for c in ((b"IHDR", header), *chunks, data, (b"IEND", b"")))
    return SIGNATURE + b"".join(parts)


def _write(
    path: Path, kind: int, pixels: RGB8, chunks: list[tuple[bytes, bytes]], pixel_nm: float | None
) -> None:
    content = _content(kind, pixels, chunks, pixel_nm)
    try:
        path.write_bytes(content)
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        raise SinkError(f"cannot write {path}: {error.strerror or error}; free space") from error


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
