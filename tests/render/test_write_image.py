from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile

from rtsmlm.errors import SinkError
from rtsmlm.localizations import F32
from rtsmlm.render import to_rgb8, write_image
from rtsmlm.render.rgb import color_table, to_index8, white_level
from rtsmlm.render.scale_bar import bar_length_nm, draw_scale_bar, length_text


def decoded(path: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """Palette indices, palette and pixels per metre of a PNG, by the specification."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks = {}
    at = 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        body = data[at + 4 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(body)
        chunks[body[:4]] = body[4:]
        at += 12 + length
    width, height, depth, kind = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (depth, kind) == (8, 3)
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()
    palette = np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)
    return rows[:, 1:], palette, struct.unpack(">IIB", chunks[b"pHYs"])[0]


@pytest.fixture
def image(rng: np.random.Generator) -> F32:
    """A sparse image with a bright line."""
    image = rng.poisson(0.01, (400, 600)).astype(np.float32)
    image[200, 100:500] += rng.poisson(6, 400)
    return image


def test_the_tiff_holds_every_value_and_its_pixel_size_for_imagej(
    image: F32, tmp_path: Path
) -> None:
    tif, _ = write_image(tmp_path / "new", image, 10.0)

    with tifffile.TiffFile(tif) as file:
        page = file.pages.first
        numerator, denominator = page.tags["XResolution"].value
        assert file.imagej_metadata is not None
        assert file.imagej_metadata["unit"] == "um"
        np.testing.assert_array_equal(page.asarray(), image)
    assert numerator / denominator == pytest.approx(100)  # pixels per micrometre
    assert page.dtype == np.float32


def test_the_png_shows_the_structure_and_a_bar_of_the_right_length(
    image: F32, tmp_path: Path
) -> None:
    _, png = write_image(tmp_path, image, 10.0)

    index, palette, per_metre = decoded(png)

    assert index.shape == image.shape
    assert per_metre == pytest.approx(1e8)
    assert index[200, 100:500].mean() > 100
    assert np.array_equal(palette, color_table())
    # The lowest row that is white over a long run is the bar: 1 um of the 6 um wide image.
    runs = [np.flatnonzero(row == 255) for row in index[300:]]
    longest = max(runs, key=len)
    assert len(longest) == 100
    assert longest[-1] - longest[0] == 99


def test_a_huge_image_becomes_a_smaller_picture_of_the_same_scale(tmp_path: Path) -> None:
    image = np.zeros((64, 9000), np.float32)
    image[30, 4500:4510] = 3

    _, png = write_image(tmp_path, image, 10.0)

    index, _, per_metre = decoded(png)
    assert index.shape == (21, 3000)
    assert per_metre == pytest.approx(1e9 / 30, rel=1e-6)
    assert index[10, 1500] == 255


@pytest.mark.parametrize("shape", [(1, 1), (7, 300), (300, 7), (40, 40)])
@pytest.mark.parametrize("value", [0, 1])
def test_small_and_empty_images_are_written_too(
    shape: tuple[int, int], value: float, tmp_path: Path
) -> None:
    tif, png = write_image(tmp_path, np.full(shape, value, np.float32), 10.0)

    assert decoded(png)[0].shape == shape
    assert tifffile.imread(tif).shape == shape


def test_white_is_a_percentile_of_the_occupied_pixels_alone(image: F32) -> None:
    padded = np.zeros((4000, 1000), np.float32)
    padded[:400, :600] = image

    assert white_level(padded) == white_level(image) > 1
    assert white_level(np.zeros((5, 5), np.float32)) == 1


def test_a_fiducial_bead_does_not_darken_the_structure(image: F32) -> None:
    before = white_level(image)

    image[50:53, 50:53] = 20_000

    assert white_level(image) < 1.2 * before


def test_more_localizations_are_never_darker_and_none_is_black() -> None:
    ramp = np.linspace(0, 10, 256, dtype=np.float32)[None]

    index = to_index8(ramp, white=8.0)[0].astype(int)
    brightness = to_rgb8(ramp, white=8.0)[0].astype(float) @ [0.2126, 0.7152, 0.0722]

    assert index[0] == 0
    assert (index[ramp[0] >= 8] == 255).all()
    assert (np.diff(index) >= 0).all()
    assert (np.diff(brightness) >= 0).all()
    assert to_rgb8(ramp, "gray", white=8.0)[0, -1].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("width_nm", "length_nm", "text"),
    [(6400, 1000, "1 µm"), (25_600, 5000, "5 µm"), (204_800, 50_000, "50 µm"),
     (2000, 500, "500 nm"), (799, 100, "100 nm")],
)  # fmt: skip
def test_a_bar_has_a_round_length_of_10_to_25_percent(
    width_nm: float, length_nm: float, text: str
) -> None:
    assert bar_length_nm(width_nm) == pytest.approx(length_nm)
    assert 0.1 <= length_nm / width_nm <= 0.25
    assert length_text(length_nm) == text


def test_the_bar_stays_in_its_corner() -> None:
    index = np.zeros((640, 640), np.uint8)

    draw_scale_bar(index, 10.0)

    rows, columns = np.nonzero(index)
    assert rows.min() > 0.9 * 640
    assert columns.min() > 0.7 * 640
    assert max(rows.max(), columns.max()) < 640 - 10


def test_a_brightness_without_meaning_is_refused() -> None:
    with pytest.raises(ValueError, match="must be positive"):
        to_rgb8(np.zeros((2, 2), np.float32), gamma=0)


def test_a_folder_that_cannot_be_made_is_a_sink_error(image: F32, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(SinkError, match=r"image\.tif"):
        write_image(tmp_path / "file", image, 10.0)
