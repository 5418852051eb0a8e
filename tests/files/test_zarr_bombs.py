"""Chunks of zarr that hold more than they state, or frames that nothing is stored of."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import tracemalloc
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numcodecs
import numcodecs.blosc
import numcodecs.lz4
import numcodecs.zstd
import numpy as np
import pytest
import zarr
import zarr.codecs.numcodecs as zarr_numcodecs
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError
from rtsmlm.files import limits
from rtsmlm.files.movies.open import open_movie

MB = 1 << 20
BOMB = 32 * MB

PACK: dict[str, Callable[[bytes], bytes]] = {
    "zlib": zlib.compress,
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "lzma": lzma.compress,
    "zstd": lambda data: bytes(numcodecs.zstd.compress(data, 3)),
    "lz4": lambda data: bytes(numcodecs.lz4.compress(data)),
    "blosc": lambda data: bytes(numcodecs.blosc.compress(data, b"zstd", 5, 1)),
}
V2 = {
    "zlib": numcodecs.Zlib, "gzip": numcodecs.GZip, "bz2": numcodecs.BZ2, "lzma": numcodecs.LZMA,
    "zstd": numcodecs.Zstd, "lz4": numcodecs.LZ4, "blosc": numcodecs.Blosc,
}  # fmt: skip
V3: dict[str, Callable[[], Any]] = {
    "gzip": zarr.codecs.GzipCodec,
    "zstd": zarr.codecs.ZstdCodec,
    "blosc": zarr.codecs.BloscCodec,
    "zlib": lambda: zarr_numcodecs.Zlib(),
    "bz2": lambda: zarr_numcodecs.BZ2(),
    "lzma": lambda: zarr_numcodecs.LZMA(),
    "lz4": lambda: zarr_numcodecs.LZ4(),
}
SHAPE = (6, 64, 64)


@pytest.fixture
def pixels(rng: np.random.Generator) -> NDArray[np.uint16]:
    return rng.poisson(100, SHAPE).astype("<u2")


def stored(path: Path, pixels: NDArray[np.uint16], version: int, **options: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr's, on codecs that are not in its specification
        array = zarr.create_array(
            path, shape=pixels.shape, dtype="<u2", zarr_format=version,
            **{"chunks": (2, 64, 64), **options},
        )  # fmt: skip
        array[:] = pixels
    return path


def first_chunk(path: Path) -> Path:
    return next(file for name in ("0.0.0", "c/0/0/0") if (file := path / name).is_file())


def refusal(path: Path) -> str:
    with pytest.raises(FileFormatError) as error, open_movie(path) as movie:
        list(movie.batches(2))
    text = str(error.value)
    assert path.name in text
    assert len(text) < 600
    return text


def with_peak(path: Path) -> tuple[str, int]:
    tracemalloc.start()
    try:
        text = refusal(path)
        return text, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def compressors(version: int, codec: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return V2[codec]() if version == 2 else V3[codec]()


@pytest.mark.parametrize("codec", PACK)
@pytest.mark.parametrize("version", [2, 3])
def test_chunks_of_every_codec_are_read_and_bounded(
    tmp_path: Path, pixels: NDArray[np.uint16], version: int, codec: str
) -> None:
    path = stored(tmp_path / "movie.zarr", pixels, version,
                  compressors=compressors(version, codec))  # fmt: skip

    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.read(range(6)), pixels)
    first_chunk(path).write_bytes(PACK[codec](bytes(BOMB)))

    text, peak = with_peak(path)
    assert "holds more than the" in text
    assert peak < 16 * MB


@pytest.mark.parametrize("codec", ["gzip", "zstd", "blosc"])
def test_chunks_within_shards_are_read_and_bounded(
    tmp_path: Path, pixels: NDArray[np.uint16], codec: str
) -> None:
    path = stored(tmp_path / "movie.zarr", pixels, 3, chunks=(1, 32, 32), shards=(2, 64, 64),
                  compressors=compressors(3, codec))  # fmt: skip
    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.read(range(6)), pixels)

    shard = first_chunk(path)
    data = shard.read_bytes()
    n_index = 8 * 16 + 4  # eight chunks, then a checksum
    bomb = PACK[codec](bytes(BOMB))
    index = np.frombuffer(data[-n_index:-4], "<u8").reshape(8, 2).copy()
    index[0] = len(data) - n_index, len(bomb)
    import google_crc32c

    raw = index.tobytes()
    checksum = int(google_crc32c.value(raw)).to_bytes(4, "little")
    shard.write_bytes(data[:-n_index] + bomb + raw + checksum)

    text, peak = with_peak(path)
    assert "holds more than the" in text
    assert peak < 16 * MB


@pytest.mark.parametrize("version", [2, 3])
def test_compressed_chunks_that_are_compressed_again_are_bounded(
    tmp_path: Path, pixels: NDArray[np.uint16], version: int
) -> None:
    options: dict[str, Any] = (
        {"compressors": numcodecs.GZip(), "filters": [numcodecs.Zlib()]}
        if version == 2
        else {"compressors": (zarr.codecs.ZstdCodec(), zarr.codecs.GzipCodec())}
    )
    path = stored(tmp_path / "movie.zarr", pixels, version, **options)
    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.read(range(6)), pixels)

    inner = PACK["zlib" if version == 2 else "zstd"](bytes(BOMB))
    first_chunk(path).write_bytes(PACK["gzip"](inner))

    assert "holds more than the" in with_peak(path)[0]


def test_delta_and_shuffle_still_come_back(tmp_path: Path, pixels: NDArray[np.uint16]) -> None:
    path = stored(
        tmp_path / "movie.zarr", pixels, 2, compressors=numcodecs.Zlib(),
        filters=[numcodecs.Delta("<u2"), numcodecs.Shuffle(2)],
    )  # fmt: skip

    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.read(range(6)), pixels)


def test_a_frame_of_millions_of_chunks_is_refused_at_once(tmp_path: Path) -> None:
    zarr.create_array(
        tmp_path / "movie.zarr", shape=(4, 16384, 16384), chunks=(1, 8, 8), dtype="<u2"
    )

    assert "cuts each frame into 4194304 chunks" in refusal(tmp_path / "movie.zarr")


def test_many_frames_of_many_small_chunks_are_refused_at_once(tmp_path: Path) -> None:
    zarr.create_array(
        tmp_path / "movie.zarr", shape=(4096, 64, 64), chunks=(1, 1, 1), dtype="<u2",
        shards=(4096, 64, 64),
    )  # fmt: skip

    assert "rtsmlm reads up to 4096 per frame" in refusal(tmp_path / "movie.zarr")


def test_large_frames_that_nothing_is_stored_of_are_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FREE_BYTES", MB)
    path = tmp_path / "movie.zarr"
    array = zarr.create_array(
        path, shape=(4, 1, 1024, 1024), chunks=(1, 1, 1024, 1024), dtype="<u2"
    )
    array[0, 0, :1] = 1

    text, peak = with_peak(path)

    assert "a chunk of frames of 2.09715 MB, but stores" in text
    assert peak < 4 * MB


def test_a_chunk_much_larger_than_its_frames_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pixels: NDArray[np.uint16]
) -> None:
    monkeypatch.setattr(limits, "FREE_BYTES", MB)
    path = stored(tmp_path / "movie.zarr", np.full_like(pixels, 7), 3, chunks=(64, 512, 512))

    assert "a chunk of frames of 33.5544 MB" in with_peak(path)[0]


@pytest.mark.parametrize("version", [2, 3])
def test_a_chunk_file_much_longer_than_its_chunk_is_not_read(
    tmp_path: Path, pixels: NDArray[np.uint16], version: int
) -> None:
    path = stored(tmp_path / "movie.zarr", pixels, version, compressors=None)
    with first_chunk(path).open("r+b") as file:
        file.truncate(BOMB)

    text, peak = with_peak(path)

    assert f"has {BOMB} bytes for a chunk of 16384" in text
    assert peak < MB


def test_frames_in_tiles_that_were_never_written_are_not_counted(
    tmp_path: Path, pixels: NDArray[np.uint16]
) -> None:
    path = stored(tmp_path / "movie.zarr", pixels, 2, chunks=(2, 32, 32))
    description = json.loads((path / ".zarray").read_text())
    description["shape"][0] = 1 << 50
    (path / ".zarray").write_text(json.dumps(description))

    with open_movie(path) as movie:
        assert movie.n_frames == 6
