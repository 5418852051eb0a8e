"""No codec makes more than is expected of it, however little it is given."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import tracemalloc
import zlib
from collections.abc import Callable

import numcodecs.blosc
import numcodecs.lz4
import numcodecs.zstd
import numpy as np
import pytest

from rtsmlm.files.bounded import decompress

N = 100_000
MB = 1 << 20


def packbits(data: bytes) -> bytes:
    return b"".join(
        bytes([len(data[k : k + 128]) - 1]) + data[k : k + 128] for k in range(0, len(data), 128)
    )


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "zlib": zlib.compress,
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "lzma": lzma.compress,
    "zstd": lambda data: bytes(numcodecs.zstd.compress(data, 3)),
    "lz4": lambda data: bytes(numcodecs.lz4.compress(data)),
    "blosc": lambda data: bytes(numcodecs.blosc.compress(data, b"zstd", 5, 1)),
    "packbits": packbits,
}
CONCATENATED = ("zlib", "gzip", "bz2", "lzma", "zstd")


@pytest.fixture
def plain(rng: np.random.Generator) -> bytes:
    return rng.poisson(100, N // 2).astype("<u2").tobytes()


@pytest.mark.parametrize("codec", ENCODERS)
def test_what_is_not_longer_than_expected_comes_back_as_it_was(codec: str, plain: bytes) -> None:
    packed = ENCODERS[codec](plain)

    assert decompress(codec, packed, N) == plain
    assert decompress(codec, memoryview(packed), 3 * N) == plain
    assert decompress(codec, ENCODERS[codec](b"x"), 1) == b"x"


@pytest.mark.parametrize("codec", ENCODERS)
@pytest.mark.parametrize("limit", [0, 1, N - 1])
def test_one_byte_more_than_expected_is_refused(codec: str, limit: int, plain: bytes) -> None:
    with pytest.raises(
        ValueError, match=rf"{codec} block of \d+ bytes holds more than the {limit}"
    ):
        decompress(codec, ENCODERS[codec](plain), limit)


@pytest.mark.parametrize("codec", CONCATENATED)
def test_a_bomb_is_refused_without_its_memory(codec: str) -> None:
    bomb = ENCODERS[codec](bytes(64 * MB))

    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="holds more"):
            decompress(codec, bomb, 10_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 16 * MB  # the dictionary of lzma takes half of it


@pytest.mark.parametrize("codec", CONCATENATED)
def test_a_bomb_in_many_streams_is_refused_too(codec: str, plain: bytes) -> None:
    with pytest.raises(ValueError, match="holds more"):
        decompress(codec, ENCODERS[codec](plain) * 5, N + 1)


@pytest.mark.parametrize("codec", [name for name in ENCODERS if name != "packbits"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.95])
def test_a_block_that_is_cut_short_is_refused(codec: str, part: float, plain: bytes) -> None:
    packed = ENCODERS[codec](plain)

    with pytest.raises(ValueError, match="damaged or cut short"):
        decompress(codec, packed[: int(part * len(packed))], N)


@pytest.mark.parametrize("codec", ENCODERS)
def test_bytes_of_noise_end_in_one_kind_of_error(codec: str, rng: np.random.Generator) -> None:
    for n in (0, 1, 5, 15, 16, 17, 300):
        with contextlib.suppress(ValueError):
            assert len(decompress(codec, rng.bytes(n), 1000)) <= 1000


def test_a_dictionary_of_4_gb_is_not_made_for_a_few_bytes() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30, "preset": 0}]
    packed = lzma.compress(b"x" * 10, format=lzma.FORMAT_XZ, filters=filters)

    with pytest.raises(ValueError, match="lzma block is damaged"):
        decompress("lzma", packed, 10)


def test_a_length_that_a_header_states_is_not_made() -> None:
    with pytest.raises(ValueError, match="holds more"):
        decompress("lz4", b"\xff\xff\xff\x7f" + bytes(20), 1000)
    with pytest.raises(ValueError, match="holds more"):
        decompress(
            "blosc",
            bytes([2, 1, 0x21, 2]) + b"\0\0\0\x7f" + b"\0\1\0\0" + b"\x18\0\0\0" + bytes(8),
            1000,
        )
