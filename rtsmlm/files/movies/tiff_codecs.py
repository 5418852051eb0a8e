"""Compressions of TIFF that tifffile alone does not decode: LZW, and packed bits.

Others need the package imagecodecs, which the extra `codecs` brings.
"""

from __future__ import annotations

import importlib.util
import struct
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from rtsmlm.errors import FileFormatError
from rtsmlm.settings.installation import install_line

LZW, JPEG = 5, 7
JPEG_2000 = frozenset({33003, 33004, 33005, 34712})
_NAMES = {
    2: "CCITT", 3: "CCITT", 4: "CCITT", 5: "LZW", 6: "JPEG of an old kind", 7: "JPEG",
    22610: "JPEG XR", 34934: "JPEG XR", 34887: "LERC", 34927: "WebP", 50001: "WebP", 34933: "PNG",
    50002: "JPEG XL", 52546: "JPEG XL", **dict.fromkeys(JPEG_2000, "JPEG 2000"),
}  # fmt: skip
_START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_CODESTREAM = b"\xff\x4f\xff\x51"
_OLD_LZW = b"\0\1"
_UNPACKED_AT_ONCE = 1 << 18


def compression_name(number: int) -> str:
    """Return what a compression is called."""
    return _NAMES.get(number, f"compression {number}")


def check_codec(path: Path, number: int) -> None:
    """Raise `FileFormatError` with what to install if a compression needs a missing package."""
    if importlib.util.find_spec("imagecodecs") is None:
        name = compression_name(number)
        raise FileFormatError(
            f"{path} is compressed with {name}, which needs more: {install_line('codecs')}"
        )


def lzw(data: bytes, limit: int) -> bytes:
    """Return what an LZW block holds, one byte more than `limit` at most.

    Raises
    ------
    ValueError
        If it is damaged, or of the kind that was written before 1990.
    """
    if data.startswith(_OLD_LZW):
        raise ValueError("an LZW block has its bits in the order of before 1990; export it anew")
    try:
        decode: Any = tifffile.TIFF.DECOMPRESSORS[LZW]
    except KeyError:
        # Compiled where it is first used: few files need it, and numba takes a second to start.
        from rtsmlm.files.movies.lzw import lzw_decode

        plain = np.empty(limit + 1, np.uint8)
        n = lzw_decode(np.frombuffer(data, np.uint8), plain)
        if n < 0:
            raise ValueError("an LZW block is damaged") from None
        return plain[:n].tobytes()
    return bytes(decode(data, out=limit + 1))


def unpacked(data: bytes, width: int, bits: int, order: str) -> bytes:
    """Return values of less than 16 bits, each in 8 or 16 bits.

    Parameters
    ----------
    data
        Rows, each of which begins with a new byte; the highest bit comes first.
    width
        Values in a row.
    bits
        Of a value.
    order
        Byte order of the result, "<" or ">".
    """
    row_bytes = -(-width * bits // 8)
    rows = np.frombuffer(data, np.uint8, len(data) // row_bytes * row_bytes).reshape(-1, row_bytes)
    n_bits = 8 if bits <= 8 else 16
    result = np.empty((len(rows), width, n_bits // 8), np.uint8)
    # A few rows at a time: every bit takes a byte on the way.
    step = max(1, _UNPACKED_AT_ONCE // width)
    for first in range(0, len(rows), step):
        part = rows[first : first + step]
        each = np.unpackbits(part, axis=1)[:, : width * bits].reshape(len(part), width, bits)
        wide = np.zeros((len(part), width, n_bits), np.uint8)
        wide[..., n_bits - bits :] = each
        result[first : first + step] = np.packbits(wide, axis=2)
    return (result if order == ">" else result[..., ::-1]).tobytes()


def check_jpeg(data: bytes, limit: int) -> None:
    """Raise `ValueError` if the size that a JPEG stream states is larger than its segment."""
    at = 2
    while at + 10 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], struct.unpack_from(">H", data, at + 2)[0]
        if marker in _START_OF_FRAME:
            bits, rows, columns, samples = struct.unpack_from(">BHHB", data, at + 4)
            if rows * columns * samples * -(-bits // 8) > limit:
                raise ValueError(
                    f"a JPEG block states {rows} x {columns} pixels, more than its page"
                )
            return
        at += 2 + length
    raise ValueError("a JPEG block states no size")


def check_jpeg_2000(data: bytes, limit: int) -> None:
    """Raise `ValueError` if the size that a JPEG 2000 stream states is larger than its segment."""
    at = data.find(_CODESTREAM, 0, 4096)
    if at < 0 or len(data) < at + 43:
        raise ValueError("a JPEG 2000 block states no size")
    right, bottom, left, top = struct.unpack_from(">4I", data, at + 8)
    samples, bits = struct.unpack_from(">HB", data, at + 40)
    if (right - left) * (bottom - top) * samples * -(-((bits & 127) + 1) // 8) > limit:
        raise ValueError(
            f"a JPEG 2000 block states {bottom - top} x {right - left} pixels, more than its page"
        )
