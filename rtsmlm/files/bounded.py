"""Decompression that stops: no stream of bytes becomes longer than its reader expects.

All readers of compressed files decompress here. A few kilobytes can hold many gigabytes, and only
one who decompresses knows; so the output is made piece by piece, and one that passes the expected
length is refused before the next piece.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections.abc import Callable
from typing import Protocol, TypeAlias

import pyarrow as pa

from rtsmlm.files.limits import FREE_BYTES

Bytes: TypeAlias = bytes | bytearray | memoryview


class _Decompressor(Protocol):
    """One stream of zlib, bz2 or lzma, as the standard library has them."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def decompress(codec: str, data: Bytes, limit: int) -> bytes:
    """Return what compressed bytes hold.

    Parameters
    ----------
    codec
        blosc, bz2, gzip, lz4 (a length and a block, as numcodecs writes it), lzma, packbits, zlib
        or zstd.
    data
        Compressed bytes, whole.
    limit
        Bytes that are expected, at most.

    Raises
    ------
    ValueError
        If they hold more, are damaged or cut short.
    """
    if codec not in _CODECS:
        raise ValueError(f"there is no codec {codec!r}; there are {', '.join(sorted(_CODECS))}")
    try:
        plain = _CODECS[codec](bytes(data), limit)
    except (zlib.error, lzma.LZMAError, OSError, EOFError, RuntimeError, struct.error) as error:
        raise ValueError(f"a {codec} block is damaged or cut short: {error}") from error
    if len(plain) > limit:
        raise ValueError(
            f"a {codec} block of {len(data)} bytes holds more than the {limit} bytes that are "
            "stated for it"
        )
    return plain


def _streams(make: Callable[[], _Decompressor], data: bytes, limit: int) -> bytes:
    """Return the contents of streams, one after the other; a byte too many ends it."""
    parts: list[bytes] = []
    room = limit + 1
    while data and room > 0:
        stream = make()
        part = stream.decompress(data, room)
        parts.append(part)
        room -= len(part)
        if room > 0 and not stream.eof:
            raise EOFError("it ends before its end")
        data = stream.unused_data
    return b"".join(parts)


def _zlib(data: bytes, limit: int) -> bytes:
    return _streams(zlib.decompressobj, data, limit)


def _gzip(data: bytes, limit: int) -> bytes:
    return _streams(lambda: zlib.decompressobj(16 + zlib.MAX_WBITS), data, limit)


def _bz2(data: bytes, limit: int) -> bytes:
    return _streams(bz2.BZ2Decompressor, data, limit)


def _lzma(data: bytes, limit: int) -> bytes:
    # The dictionary, too, is of a size that the file states: up to 4 GB.
    return _streams(lambda: lzma.LZMADecompressor(memlimit=FREE_BYTES), data, limit)


def _zstd(data: bytes, limit: int) -> bytes:
    stream = pa.CompressedInputStream(pa.BufferReader(data), "zstd")
    return bytes(stream.read(limit + 1))


def _lz4(data: bytes, limit: int) -> bytes:
    import numcodecs.lz4

    (plain,) = struct.unpack_from("<I", data)
    # The length is made before the first byte is decompressed; one beyond it is not written.
    return bytes(limit + 1) if plain > limit else bytes(numcodecs.lz4.decompress(data))


def _blosc(data: bytes, limit: int) -> bytes:
    import numcodecs.blosc

    # Of 16 bytes: four of versions and flags, then sizes: plain, of a block, compressed.
    plain, block, packed = struct.unpack_from("<4x3I", data)
    # Blosc believes its header, and reads on behind the end of what it was given.
    if packed > len(data) or block > max(plain, 1 << 16):
        raise EOFError("its header states more than there is")
    return bytes(limit + 1) if plain > limit else bytes(numcodecs.blosc.decompress(data))


def _packbits(data: bytes, limit: int) -> bytes:
    plain = bytearray()
    at = 0
    while at < len(data) and len(plain) <= limit:
        head = data[at]
        if head < 128:
            plain += data[at + 1 : at + 2 + head]
            at += 2 + head
        elif head > 128:
            plain += data[at + 1 : at + 2] * (257 - head)
            at += 2
        else:
            at += 1
    return bytes(plain)


_CODECS: dict[str, Callable[[bytes, int], bytes]] = {
    "blosc": _blosc,
    "bz2": _bz2,
    "gzip": _gzip,
    "lz4": _lz4,
    "lzma": _lzma,
    "packbits": _packbits,
    "zlib": _zlib,
    "zstd": _zstd,
}
