"""PNG files against the format: what is written is decoded by the rules of the format."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsmlm.errors import SinkError
from rtsmlm.render.png import SIGNATURE, write_png, write_rgb_png
from rtsmlm.render.rgb import color_table


def chunks_of(path: Path) -> list[tuple[bytes, bytes]]:
    """Return the chunks of a file after checking the CRC of each."""
    content = path.read_bytes()
    assert content.startswith(SIGNATURE)
    at, chunks = len(SIGNATURE), []
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        kind, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        (crc,) = struct.unpack_from(">I", content, at + 8 + length)
        assert crc == zlib.crc32(kind + data)
        chunks.append((kind, data))
        at += 12 + length
    return chunks


def pixels_of(path: Path) -> np.ndarray:
    """Return the pixels of a file of 8-bit samples without filters and interlacing."""
    chunks = chunks_of(path)
    assert [chunks[0][0], chunks[-1][0]] == [b"IHDR", b"IEND"]
    width, height, bits, kind, *rest = struct.unpack(">IIBBBBB", chunks[0][1])
    assert (bits, rest) == (8, [0, 0, 0])
    samples = {2: 3, 3: 1}[kind]
    data = zlib.decompress(b"".join(data for name, data in chunks if name == b"IDAT"))
    rows = np.frombuffer(data, np.uint8).reshape(height, 1 + samples * width)
    assert not rows[:, 0].any(), "filter type 0 for each row"
    return rows[:, 1:].reshape(height, width, samples).squeeze(axis=2 if samples == 1 else ())


@given(height=st.integers(1, 20), width=st.integers(1, 20), seed=st.integers(0, 99))
def test_pixels_of_any_shape_come_back(
    height: int, width: int, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("png") / "image.png"
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)

    write_rgb_png(path, rgb)
    np.testing.assert_array_equal(pixels_of(path), rgb)

    write_png(path, rgb[:, :, 0], color_table())
    np.testing.assert_array_equal(pixels_of(path), rgb[:, :, 0])


def test_part_of_an_image_is_written_as_seen_not_as_stored(tmp_path: Path) -> None:
    rgb = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)

    write_rgb_png(tmp_path / "part.png", rgb[::2, 1::3])

    np.testing.assert_array_equal(pixels_of(tmp_path / "part.png"), rgb[::2, 1::3])


def test_the_palette_has_256_colours_before_the_pixels(tmp_path: Path) -> None:
    colors = color_table("gray")

    write_png(tmp_path / "image.png", np.zeros((2, 2), np.uint8), colors)

    kinds = [kind for kind, _ in chunks_of(tmp_path / "image.png")]
    assert kinds.index(b"PLTE") < kinds.index(b"IDAT")
    assert dict(chunks_of(tmp_path / "image.png"))[b"PLTE"] == colors.tobytes()


def test_the_pixel_size_is_stored_as_pixels_per_metre(tmp_path: Path) -> None:
    write_rgb_png(tmp_path / "image.png", np.zeros((1, 1, 3), np.uint8), pixel_nm=10.0)

    resolution = dict(chunks_of(tmp_path / "image.png"))[b"pHYs"]
    assert struct.unpack(">IIB", resolution) == (100_000_000, 100_000_000, 1)


@pytest.mark.parametrize("pixel_nm", [None, 0.1, 1e12])
def test_a_pixel_size_that_the_format_cannot_hold_is_left_out(
    pixel_nm: float | None, tmp_path: Path
) -> None:
    write_rgb_png(tmp_path / "image.png", np.zeros((1, 1, 3), np.uint8), pixel_nm=pixel_nm)

    assert b"pHYs" not in dict(chunks_of(tmp_path / "image.png"))


def test_texts_keep_letters_beyond_ascii(tmp_path: Path) -> None:
    write_rgb_png(
        tmp_path / "image.png", np.zeros((1, 1, 3), np.uint8), texts={"Comment": "2 µm, 405 nm"}
    )

    keyword, _, rest = dict(chunks_of(tmp_path / "image.png"))[b"iTXt"].partition(b"\0")
    assert keyword == b"Comment"
    assert rest[:4] == bytes(4), "not compressed, no language, no translated keyword"
    assert rest[4:].decode() == "2 µm, 405 nm"


def test_a_file_that_cannot_be_written_is_a_sink_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"cannot write .*missing"):
        write_rgb_png(tmp_path / "missing" / "image.png", np.zeros((1, 1, 3), np.uint8))
