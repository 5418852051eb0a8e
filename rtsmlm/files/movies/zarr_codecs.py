"""Compressed chunks of zarr, each no longer than its chunk: our decompression in place of zarr's.

zarr inflates a chunk to whatever it holds. So the description of an array is read with every
compressor replaced by one of our own, which knows the length of the chunk and stops there. Those of
shards are replaced within them. No other program uses the name under which zarr knows ours.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numcodecs
import numpy as np
import zarr.registry
from numcodecs.abc import Codec
from zarr.abc.codec import BytesBytesCodec

from rtsmlm.files.bounded import decompress

NAME = "rtsmlm-bounded"

COMPRESSORS = {"blosc", "bz2", "gzip", "lz4", "lzma", "zlib", "zstd"}
"""Codecs whose output may be longer than their input."""


def length_limit(chunk_bytes: int) -> int:
    """Return how long a chunk may be at any step between the file and its pixels.

    A little more than the chunk itself: what does not compress becomes longer, and checksums are
    added.
    """
    return chunk_bytes + chunk_bytes // 8 + (1 << 16)


def with_bounded_codecs(description: Mapping[str, object]) -> dict[str, Any]:
    """Return the description of an array (`zarr.json`, `.zarray`) with all compressors replaced."""
    made = dict(description)
    if "codecs" in made:
        made["codecs"] = _replaced(made["codecs"])
        return made
    # The compressors of zarr 2 are not told the size of a chunk.
    chunks, dtype = made.get("chunks"), made.get("dtype")
    sides = [int(side) for side in chunks] if isinstance(chunks, list) else []
    limit = length_limit(math.prod(sides) * np.dtype(str(dtype)).itemsize)
    made["compressor"] = _replaced_numcodec(made.get("compressor"), limit)
    if isinstance(filters := made.get("filters"), list):
        made["filters"] = [_replaced_numcodec(codec, limit) for codec in filters]
    return made


def _replaced(codecs: object) -> object:
    """Return a list of codecs of zarr 3, those within shards included."""
    if not isinstance(codecs, list):
        return codecs
    made: list[object] = []
    for codec in codecs:
        name = codec.get("name") if isinstance(codec, dict) else codec
        base = str(name).removeprefix("numcodecs.")
        if base in COMPRESSORS:
            made.append({"name": NAME, "configuration": {"codec": base}})
        elif isinstance(codec, dict) and isinstance(inner := codec.get("configuration"), dict):
            shards = {k: _replaced(inner[k]) for k in ("codecs", "index_codecs") if k in inner}
            made.append({**codec, "configuration": {**inner, **shards}})
        else:
            made.append(codec)
    return made


def _replaced_numcodec(codec: object, limit: int) -> object:
    if not isinstance(codec, dict) or codec.get("id") not in COMPRESSORS:
        return codec
    return {"id": NAME, "codec": codec["id"], "limit": limit}


@dataclass(frozen=True)
class BoundedCodec(BytesBytesCodec):
    """A compressor of zarr 3 that decodes a chunk to its own length, at most."""

    codec: str
    is_fixed_size = False

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return the codec that a description names."""
        return cls(data["configuration"]["codec"])

    def to_dict(self) -> dict[str, Any]:
        """Return the description that `from_dict` reads."""
        return {"name": NAME, "configuration": {"codec": self.codec}}

    async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        return await asyncio.to_thread(self._decode_sync, chunk_bytes, chunk_spec)

    def _decode_sync(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        kind = chunk_spec.dtype
        dtype = kind.to_native_dtype() if hasattr(kind, "to_native_dtype") else np.dtype(kind)
        limit = length_limit(math.prod(chunk_spec.shape) * dtype.itemsize)
        plain = decompress(self.codec, chunk_bytes.to_bytes(), limit)
        return chunk_spec.prototype.buffer.from_bytes(plain)

    async def _encode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        raise NotImplementedError("only reads")

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        """Is not known."""
        raise NotImplementedError("only reads")


class BoundedNumcodec(Codec):  # type: ignore[misc]
    """The same for zarr 2."""

    codec_id = NAME

    def __init__(self, codec: str, limit: int) -> None:
        self.codec = codec
        self.limit = limit

    def decode(self, buf: Any, out: Any = None) -> bytes:
        """Return what a chunk holds."""
        return decompress(self.codec, np.ascontiguousarray(buf).tobytes(), self.limit)

    def encode(self, buf: Any) -> bytes:
        """Is not there."""
        raise NotImplementedError("only reads")


zarr.registry.register_codec(NAME, BoundedCodec)
numcodecs.register_codec(BoundedNumcodec)
