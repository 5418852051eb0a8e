"""Pixels of a TIFF page, decompressed strip by strip, each no longer than the page states.

tifffile decompresses a strip to whatever it holds, and makes a frame of whatever size a page
states. So the strips are decompressed here, and tifffile is given the result: it undoes the
predictor, unpacks and puts the strips in their places.
"""

from __future__ import annotations

import copy
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from rtsmlm.files.bounded import decompress
from rtsmlm.files.limits import FREE_FRAME_BYTES, MAX_SEGMENTS, MAX_SIDE_PX, check_size
from rtsmlm.files.movies.tiff_pages import is_complete

_NONE, _LZW, _JPEG = 1, 5, 7
_CODECS = {
    8: "zlib", 32946: "zlib", 50013: "zlib", 32773: "packbits", 34925: "lzma", 34926: "zstd",
    50000: "zstd",
}  # fmt: skip
"""Compressions of TIFF by their number, and what decompresses them."""

_READ = "none, deflate, LZW, PackBits, zstd, LZMA and JPEG"

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


def decoded(page: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the pixels of a page.

    Parameters
    ----------
    page
        A page or frame of tifffile.
    shape
        That its pixels must have, axes of length 1 left out.

    Raises
    ------
    ValueError
        If it is incomplete, of another shape, or compressed in a way that is not read.
    FileFormatError
        If it takes more memory than what is stored of it allows.
    """
    # tifffile sets memory aside for whatever length a damaged page states.
    if not is_complete(page):
        raise ValueError("a page states pixels beyond the end of the file")
    keyframe = page.keyframe
    _check_sizes(page, keyframe)
    if keyframe.compression != _NONE and not isinstance(vars(keyframe).get("decode"), _Decoder):
        # tifffile asks the first page of a series, which decodes for all of them.
        keyframe.decode = _Decoder(keyframe)
    pixels: NDArray[Any] = np.squeeze(page.asarray(maxworkers=1))
    if pixels.size != math.prod(shape):
        raise ValueError(f"a page has {pixels.shape} pixels instead of {shape}")
    return pixels.reshape(shape)


def _check_sizes(page: Any, keyframe: Any) -> None:
    """Raise unless a page and its strips or tiles are of a size that their bytes can hold."""
    files = page.parent.filehandle
    if max(math.prod(keyframe.chunked), len(page.dataoffsets)) > MAX_SEGMENTS:
        raise ValueError(f"a page is cut into more than {MAX_SEGMENTS} strips or tiles")
    # Strips may all lie in the same place.
    stored = min(sum(page.databytecounts), files.size)
    n_bytes = math.prod(keyframe.shape) * keyframe.dtype.itemsize
    check_size(Path(files.path), "a frame", n_bytes, stored, FREE_FRAME_BYTES)
    check_size(Path(files.path), "a strip", _segment_bytes(keyframe), stored, FREE_FRAME_BYTES)


def _segment_bytes(page: Any) -> int:
    """Return how long a strip or tile of a page is, decompressed."""
    if page.is_tiled:
        width, rows = page.tilewidth, page.tilelength * page.tiledepth
    else:
        # Some writers state any large number for "all rows", others fill the last strip up.
        stated = page.rowsperstrip
        width, rows = page.imagewidth, stated if stated <= MAX_SIDE_PX else page.imagelength
    bits = page.bitspersample if isinstance(page.bitspersample, int) else sum(page.bitspersample)
    return int(rows * -(-width * bits * page.samplesperpixel // 8))


class _Decoder:
    """Decodes strips and tiles of a page in place of the decoder that tifffile makes for it."""

    def __init__(self, page: Any) -> None:
        self._limit = _segment_bytes(page)
        self._unpack: Callable[[bytes], bytes] = self._unpacker(page)
        plain = copy.copy(page)
        for name in ("decode", "hash"):  # kept from the page
            vars(plain).pop(name, None)
        if page.compression != _JPEG:
            plain.compression, plain.fillorder = _NONE, 1
        self._plain = plain.decode

    def __call__(self, data: bytes | None, index: int, /, **further: Any) -> Any:
        """Return a decoded segment with its place, as `tifffile.TiffPage.decode` does."""
        return self._plain(None if data is None else self._unpack(data), index, **further)

    def _unpacker(self, page: Any) -> Callable[[bytes], bytes]:
        number = int(page.compression)
        reverse = page.fillorder == 2 and number != _JPEG
        if number in _CODECS:
            codec = _CODECS[number]
            return lambda data: decompress(
                codec, data.translate(_REVERSED) if reverse else data, self._limit
            )
        if number == _JPEG:
            return self._checked_jpeg
        if number != _LZW:
            raise ValueError(f"it is compressed by {page.compression!r}; rtsmlm reads {_READ}")
        try:
            lzw = tifffile.TIFF.DECOMPRESSORS[_LZW]
        except KeyError as error:
            raise ValueError(
                "LZW needs the package imagecodecs (pip install imagecodecs)"
            ) from error

        def unpack(data: bytes) -> bytes:
            # It stops at the length that it is given.
            plain = bytes(lzw(data.translate(_REVERSED) if reverse else data, out=self._limit + 1))
            if len(plain) > self._limit:
                raise ValueError(f"an LZW block holds more than the {self._limit} bytes stated")
            return plain

        return unpack

    def _checked_jpeg(self, data: bytes) -> bytes:
        """Return a JPEG stream if the size that it states itself is that of the segment."""
        at = 2
        while at + 10 <= len(data) and data[at] == 0xFF:
            marker, length = data[at + 1], struct.unpack_from(">H", data, at + 2)[0]
            if marker in _START_OF_FRAME:
                bits, rows, columns, samples = struct.unpack_from(">BHHB", data, at + 4)
                if rows * columns * samples * -(-bits // 8) > self._limit:
                    raise ValueError(
                        f"a JPEG block states {rows} x {columns} pixels, more than its page"
                    )
                return data
            at += 2 + length
        raise ValueError("a JPEG block states no size")
