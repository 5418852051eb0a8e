"""TIFF pages that hold more than they state, or state more than they hold, cost no memory."""

from __future__ import annotations

import bz2  # noqa: F401 - so that its first use is not counted below
import lzma
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numcodecs.zstd
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from rtsmlm.errors import CalibrationError, FileFormatError
from rtsmlm.files.camera_maps import load_camera_maps
from rtsmlm.files.movies.open import open_movie
from rtsmlm.files.movies.tiff_codecs import lzw
from rtsmlm.settings.camera import CameraMaps

MB = 1 << 20
BOMB = 16 * MB

PACKED: dict[int, Callable[[bytes], bytes]] = {
    8: zlib.compress,
    32946: zlib.compress,
    34925: lzma.compress,
    50000: lambda data: bytes(numcodecs.zstd.compress(data, 9)),
    34926: lambda data: bytes(numcodecs.zstd.compress(data, 9)),
    32773: lambda data: bytes([129, 0]) * (len(data) // 128),
}


def tiff(
    path: Path, strips: list[bytes], *, compression: int = 8, rows_per_strip: int = 64,
    side: int = 64, tile: int | None = None,
) -> Path:  # fmt: skip
    """Write one page of 16-bit pixels with these strips or tiles, whatever they hold."""
    n = len(strips)
    tags: list[tuple[int, int, int, int]] = [
        (256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 16), (259, 3, 1, compression),
        (262, 3, 1, 1), (277, 3, 1, 1),
    ]  # fmt: skip
    places, lengths = (324, 325) if tile else (273, 279)
    if tile:
        tags += [(322, 4, 1, tile), (323, 4, 1, tile)]
    else:
        tags += [(278, 4, 1, rows_per_strip)]
    directory_at = 8
    data_at = directory_at + 2 + 12 * (len(tags) + 2) + 4
    lists_at = data_at + sum(map(len, strips))
    offsets = [data_at, *(data_at + np.cumsum(list(map(len, strips[:-1]))))]
    tags += [
        (places, 4, n, offsets[0] if n == 1 else lists_at),
        (lengths, 4, n, len(strips[0]) if n == 1 else lists_at + 4 * n),
    ]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    path.write_bytes(
        struct.pack("<2sHIH", b"II", 42, directory_at, len(tags)) + entries + bytes(4)
        + b"".join(strips)
        + struct.pack(f"<{2 * n}I", *offsets, *map(len, strips))
    )  # fmt: skip
    return path


def refusal(path: Path, most_bytes: float = 16 * MB) -> str:
    """Return why a movie is refused; it must not take memory."""
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError) as error, open_movie(path) as movie:
            list(movie.batches(4))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    text = str(error.value)
    assert peak < most_bytes
    assert path.name in text
    assert len(text) < 500
    return text


@pytest.mark.parametrize("compression", PACKED)
def test_a_strip_that_holds_more_than_its_page_states_is_refused(
    tmp_path: Path, compression: int
) -> None:
    bomb = PACKED[compression](bytes(BOMB))

    text = refusal(tiff(tmp_path / "movie.tif", [bomb], compression=compression))

    assert "holds more than the 8192 bytes" in text


@pytest.mark.parametrize("compression", PACKED)
@pytest.mark.parametrize("tile", [None, 32])
def test_strips_and_tiles_of_every_compression_are_read(
    tmp_path: Path, rng: np.random.Generator, compression: int, tile: int | None
) -> None:
    pixels = rng.poisson(100, (64, 64)).astype("<u2")
    parts = [pixels[:32], pixels[32:]]
    if tile:
        parts = [part[:, k : k + 32] for part in parts for k in (0, 32)]

    def pack(part: NDArray[np.uint16]) -> bytes:
        if compression != 32773:
            return PACKED[compression](part.tobytes())
        data = part.tobytes()
        pieces = [data[k : k + 128] for k in range(0, len(data), 128)]
        return b"".join(bytes([len(piece) - 1]) + piece for piece in pieces)

    path = tiff(
        tmp_path / "movie.tif",
        [pack(part) for part in parts],
        compression=compression,
        rows_per_strip=32,
        tile=tile,
    )

    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.read([0])[0], pixels)


@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "<u4", "<f4"])
def test_what_tifffile_compresses_comes_back(
    tmp_path: Path, rng: np.random.Generator, predictor: bool, dtype: str
) -> None:
    frames = rng.poisson(100, (4, 40, 50)).astype(dtype)
    path = tmp_path / "movie.tif"
    usable = predictor and dtype not in (">u2",) and not dtype.endswith("f4")
    tifffile.imwrite(
        path, frames, compression="zlib", predictor=usable, rowsperstrip=7, photometric="minisblack"
    )

    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.read([0, 1, 2, 3]), frames)


def test_bits_in_reverse_order_are_put_right(tmp_path: Path, rng: np.random.Generator) -> None:
    pixels = rng.poisson(100, (64, 64)).astype("<u2")
    reverse = bytes(int(f"{k:08b}"[::-1], 2) for k in range(256))
    path = tiff(tmp_path / "movie.tif", [zlib.compress(pixels.tobytes()).translate(reverse)])
    data = bytearray(path.read_bytes())
    at = data.index(struct.pack("<HHII", 262, 3, 1, 1))
    data[at : at + 12] = struct.pack("<HHII", 266, 3, 1, 2)  # fill order in place of photometric
    path.write_bytes(data)

    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.read([0])[0], pixels)


def test_a_frame_that_is_large_only_by_its_header_is_refused(tmp_path: Path) -> None:
    packed = bytes(521_922)  # what deflate makes of that many zeros

    path = tiff(tmp_path / "movie.tif", [packed], side=16384, rows_per_strip=16384)

    assert "frames of 536.871 MB, but stores 0.522 MB" in refusal(path)


def test_strips_that_all_lie_in_one_place_count_once(tmp_path: Path) -> None:
    side, rows = 8192, 128
    path = tiff(tmp_path / "movie.tif", [bytes(side * rows * 2)], compression=1, side=side,
                rows_per_strip=rows)  # fmt: skip
    n = side // rows
    data = bytearray(path.read_bytes())
    place, length = struct.unpack_from("<2I", data, len(data) - 8)
    lists_at = len(data)
    for tag, value, offset in ((273, place, 0), (279, length, 4 * n)):
        at = data.index(struct.pack("<HHII", tag, 4, 1, value))
        data[at : at + 12] = struct.pack("<HHII", tag, 4, n, lists_at + offset)
    path.write_bytes(bytes(data) + struct.pack(f"<{2 * n}I", *[place] * n, *[length] * n))

    assert "of 134.218 MB, but stores 2.1 MB" in refusal(path)


def test_a_tile_of_a_thousand_times_its_frame_is_refused(tmp_path: Path) -> None:
    path = tiff(tmp_path / "movie.tif", [zlib.compress(bytes(100))], tile=16384)

    assert "a strip of 536.871 MB" in refusal(path)


def test_a_page_of_a_million_tiles_is_refused_at_once(tmp_path: Path) -> None:
    path = tiff(tmp_path / "movie.tif", [b"x"] * 70_000, side=4096, tile=1)

    assert "more than 65536 strips or tiles" in refusal(path, 64 * MB)


@pytest.mark.parametrize("compression", [2, 4, 6, 34887, 50001, 65535])
def test_a_compression_that_is_not_read_is_named_before_the_run(
    tmp_path: Path, compression: int
) -> None:
    path = tiff(tmp_path / "movie.tif", [bytes(100)], compression=compression)

    assert "rtsmlm reads none, deflate, LZW" in refusal(path)


def lzw_packed(data: bytes) -> bytes:
    """Return what LZW makes of data: the table of strings, from codes of 9 bits to those of 12."""
    codes, table, known = [(256, 9)], {bytes([k]): k for k in range(256)}, b""
    n_bits = 9
    for k in range(len(data)):
        longer = known + data[k : k + 1]
        if longer in table:
            known = longer
            continue
        codes.append((table[known], n_bits))
        table[longer] = len(table) + 2
        known = data[k : k + 1]
        n_bits = min(12, (len(table) + 2).bit_length())
        if len(table) + 2 == 4094:
            codes += [(table[known], n_bits), (256, n_bits)]
            table, known, n_bits = {bytes([k]): k for k in range(256)}, b"", 9
    codes += [(table[known], n_bits)] if known else []
    bits = "".join(f"{code:0{n}b}" for code, n in [*codes, (257, n_bits)])
    return bytes(int(bits[k : k + 8].ljust(8, "0"), 2) for k in range(0, len(bits), 8))


@pytest.mark.parametrize("side", [16, 64, 256])
def test_lzw_needs_no_further_package(tmp_path: Path, rng: np.random.Generator, side: int) -> None:
    pixels = rng.poisson(100, (side, side)).astype("<u2")
    path = tiff(tmp_path / "movie.tif", [lzw_packed(pixels.tobytes())], compression=5, side=side,
                rows_per_strip=side)  # fmt: skip

    with open_movie(path) as movie:
        np.testing.assert_array_equal(movie.read([0])[0], pixels)


def test_an_lzw_strip_is_bounded_and_one_that_is_damaged_is_refused(tmp_path: Path) -> None:
    lzw(lzw_packed(bytes(100)), 100)  # compiled on its first call

    bomb = lzw_packed(bytes(BOMB // 16))
    assert "more than the 8192 bytes" in refusal(tiff(tmp_path / "a.tif", [bomb], compression=5))
    damaged = bytes.fromhex("801fffff")
    assert "block is damaged" in refusal(tiff(tmp_path / "b.tif", [damaged], compression=5))
    short = lzw_packed(bytes(8190))
    assert "holds 8190 of 8192" in refusal(tiff(tmp_path / "c.tif", [short], compression=5))


@pytest.mark.skipif(find_spec("imagecodecs") is not None, reason="the package is there")
@pytest.mark.parametrize(("compression", "name"), [(7, "JPEG"), (34712, "JPEG 2000")])
def test_a_compression_that_needs_a_package_names_what_to_install(
    tmp_path: Path, compression: int, name: str
) -> None:
    size = b"\xff\xd8\xff\xc0\x00\x0b\x08" + struct.pack(">HHB", 64, 64, 1) + bytes(40)
    if compression != 7:
        size = b"\xff\x4f\xff\x51" + struct.pack(">HHIIII", 0, 0, 64, 64, 0, 0) + bytes(40)

    text = refusal(tiff(tmp_path / "movie.tif", [size], compression=compression))

    assert f"is compressed with {name}, which needs more: pip install" in text
    assert "codecs]" in text


def test_a_jpeg_strip_of_another_size_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    header = b"\xff\xd8\xff\xc0\x00\x0b\x08\xff\xff\xff\xff\x01\x01\x11\x00"

    text = refusal(tiff(tmp_path / "movie.tif", [header + bytes(100)], compression=7))

    assert "states 65535 x 65535 pixels" in text


def test_a_camera_map_is_bounded_like_a_movie(tmp_path: Path) -> None:
    path = tiff(tmp_path / "gain.tif", [zlib.compress(bytes(BOMB))])

    with pytest.raises(CalibrationError, match=r"gain\.tif .*more than the 8192 bytes"):
        load_camera_maps(CameraMaps(gain=path))


def test_compressed_maps_in_a_stack_are_read(tmp_path: Path, rng: np.random.Generator) -> None:
    stack = rng.uniform(1, 2, (3, 16, 20)).astype(np.float32)
    tifffile.imwrite(tmp_path / "maps.tif", stack, compression="zlib", photometric="minisblack")

    maps = load_camera_maps(CameraMaps(stack=tmp_path / "maps.tif"))

    for found, wanted in zip(maps, (stack[0], stack[2], stack[1]), strict=True):
        np.testing.assert_array_equal(found, wanted)
