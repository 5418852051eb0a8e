"""Pixels of a TIFF page, decompressed strip by strip, each no longer than the page states.

tifffile decompresses a strip to whatever it holds, and makes a frame of whatever size a page
states. So the strips are decompressed here, and tifffile is given the result: it undoes the
predictor, unpacks and puts the strips in their places.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError
from rtsmlm.files.bounded import decompress
from rtsmlm.files.limits import FREE_FRAME_BYTES, MAX_SEGMENTS, MAX_SIDE_PX, check_size
from rtsmlm.files.movies.tiff_codecs import (
    JPEG,
    JPEG_2000,
    LZW,
    check_codec,
    check_jpeg,
    check_jpeg_2000,
    compression_name,
    lzw,
    unpacked,
)

_NONE = 1
_CODECS = {
    8: "zlib", 32946: "zlib", 50013: "zlib", 32773: "packbits", 34925: "lzma", 34926: "zstd",
    50000: "zstd",
}  # fmt: skip
"""Compressions of TIFF by their number, and what decompresses them."""

_READ = "none, deflate, LZW, PackBits, zstd, LZMA, JPEG and JPEG 2000"

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


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
        If it is incomplete, damaged or of another shape.
    FileFormatError
        If it is compressed in a way that is not read or needs a package that is missing, or if it
        takes more memory than what is stored of it allows.
    """
    # tifffile sets memory aside for whatever length a damaged page states.
    if not _is_complete(page):
        raise ValueError("a page states pixels beyond the end of the file")
    keyframe = page.keyframe
    _check_sizes(page, keyframe)
    is_plain = keyframe.compression == _NONE and keyframe.bitspersample % 8 == 0
    if not is_plain and not isinstance(vars(keyframe).get("decode"), _Decoder):
        # tifffile asks the first page of a series, which decodes for all of them.
        keyframe.decode = _Decoder(keyframe)
    pixels: NDArray[Any] = np.squeeze(page.asarray(maxworkers=1))
    if pixels.size != math.prod(shape):
        raise ValueError(f"a page has {pixels.shape} pixels instead of {shape}")
    return pixels.reshape(shape)


def _is_complete(page: Any) -> bool:
    """Return whether all pixels of a page lie within its file."""
    size = page.parent.filehandle.size
    ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
    return bool(ends) and max(ends) <= size and min(page.databytecounts) > 0


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
        self._page = page
        self._path = Path(page.parent.filehandle.path)
        self._limit = _segment_bytes(page)
        self._unpack: Callable[[bytes], bytes] = self._unpacker(page)
        plain = copy.copy(page)
        for name in ("decode", "hash"):  # kept from the page
            vars(plain).pop(name, None)
        if not self._is_image:
            plain.compression, plain.fillorder = _NONE, 1
        if self._is_packed:
            if page.predictor != 1:
                raise ValueError(f"its {page.bitspersample}-bit values are stored as differences")
            plain.bitspersample = 8 * page.dtype.itemsize
        self._plain = plain.decode

    def __call__(self, data: bytes | None, index: int, /, **further: Any) -> Any:
        """Return a decoded segment with its place, as `tifffile.TiffPage.decode` does."""
        if data is None or self._is_image:
            return self._plain(None if data is None else self._unpack(data), index, **further)
        plain, page = self._unpack(data), self._page
        needed = self._needed_bytes(index)
        # tifffile would fill what is missing with zeros.
        if len(plain) < needed:
            raise ValueError(f"a strip or tile holds {len(plain)} of {needed} bytes")
        if self._is_packed:
            width = page.tilewidth if page.is_tiled else page.imagewidth
            plain = unpacked(plain, width, page.bitspersample, page.parent.byteorder)
        return self._plain(plain, index, **further)

    @property
    def _is_image(self) -> bool:
        """True if a segment is an image file by itself."""
        return self._page.compression == JPEG or self._page.compression in JPEG_2000

    @property
    def _is_packed(self) -> bool:
        return bool(self._page.bitspersample % 8) and not self._is_image

    def _needed_bytes(self, index: int) -> int:
        """Return how long a strip or tile is, decompressed; the last strip may be shorter."""
        page = self._page
        if page.is_tiled:
            return self._limit
        rows = min(page.rowsperstrip, page.imagelength)
        strips = -(-page.imagelength // rows)
        rows_here = min(rows, page.imagelength - index % strips * rows)
        samples = page.samplesperpixel if page.planarconfig == 1 else 1
        return int(rows_here * -(-page.imagewidth * page.bitspersample * samples // 8))

    def _unpacker(self, page: Any) -> Callable[[bytes], bytes]:
        number = int(page.compression)
        if number == JPEG or number in JPEG_2000:
            check = check_jpeg if number == JPEG else check_jpeg_2000
            return lambda data: self._checked(check, data)
        plain = self._decompressor(number)
        if page.fillorder == 2:
            return lambda data: plain(data.translate(_REVERSED))
        return plain

    def _decompressor(self, number: int) -> Callable[[bytes], bytes]:
        if number == _NONE:
            return lambda data: data
        if number in _CODECS:
            return lambda data: decompress(_CODECS[number], data, self._limit)
        if number != LZW:
            raise FileFormatError(
                f"{self._path} is compressed with {compression_name(number)}; rtsmlm reads {_READ}"
            )

        def unpack(data: bytes) -> bytes:
            plain = lzw(data, self._limit)
            if len(plain) > self._limit:
                raise ValueError(f"an LZW block holds more than the {self._limit} bytes stated")
            return plain

        return unpack

    def _checked(self, check: Callable[[bytes, int], None], data: bytes) -> bytes:
        check(data, self._limit)
        check_codec(self._path, int(self._page.compression))
        return data
