from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from rtsmlm.errors import SinkError
from rtsmlm.localizations import Localizations
from rtsmlm.render import Autocontrast, Filter, Pyramid, Style, View, write_view
from rtsmlm.render.depth_tables import depth_table

Make = Callable[[int], Localizations]
Open = Callable[..., Pyramid]


def view_of(planes: np.ndarray, nm: float = 10.0, *, complete: bool = True) -> View:
    return View(np.asarray(planes, np.float32), (0.0, 0.0), nm, Style(), 1, complete)


def test_hues_are_evenly_bright_and_all_different() -> None:
    hues = depth_table("hue")
    linear = np.where(hues <= 0.04045, hues / 12.92, ((hues + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]

    assert ((hues >= 0) & (hues <= 1)).all()
    # Of sRGB as the eye weighs it; rainbows of full colours go from 0.07 to 0.93.
    assert luminance.max() / luminance.min() < 1.35
    assert np.abs(hues[0] - hues[-1]).max() > 0.3
    steps = np.linalg.norm(np.diff(hues, axis=0), axis=1)
    assert steps.max() < 6 * steps.mean()
    assert steps.min() > 0


def test_brightness_is_the_density_and_hue_the_value() -> None:
    density = np.array([[0, 1, 2, 4]], np.float32)
    low, high = (view_of([density, density * value]) for value in (-100, 100))

    dim, bright = (view.rgb(4 / 1e-4, limits=(-100, 100)).astype(float) for view in (low, high))

    assert not dim[0, 0].any()
    assert (np.diff(dim.sum(axis=2)[0]) > 0).all()
    np.testing.assert_allclose(dim[0, 3], 255 * depth_table()[0], atol=1)
    np.testing.assert_allclose(bright[0, 3], 255 * depth_table()[-1], atol=1)
    # One hue at every density.
    np.testing.assert_allclose(dim[0, 1] / dim[0, 1].max(), dim[0, 3] / dim[0, 3].max(), atol=0.03)


def test_channels_add_up_to_white_where_they_overlap(open_pyramid: Open) -> None:
    pyramid = open_pyramid(style=Style(color="channel", mode="histogram"))
    x_nm = np.array([1000.0, 2000.0, 3000.0, 3000.0])
    pyramid.add(
        Localizations.from_columns(
            {"frame": np.zeros(4), "x_nm": x_nm, "y_nm": x_nm, "channel": [0, 1, 0, 1]}
        )
    )

    rgb = pyramid.view(-50.0, -50.0, 10.0, (600, 800)).rgb(1.0)

    assert rgb[105, 105].tolist() == [255, 0, 255]
    assert rgb[205, 205].tolist() == [0, 255, 0]
    assert rgb[305, 305].tolist() == [255, 255, 255]
    assert np.count_nonzero(rgb.any(axis=2)) == 3


def test_the_white_level_stays_while_little_changes_and_then_follows() -> None:
    rng = np.random.default_rng(1)
    base = rng.poisson(20, (100, 100))
    contrast = Autocontrast()
    start = contrast.update(view_of([base]))
    assert 300_000 < start < 500_000  # 34 in a pixel of 10 nm

    assert [contrast.update(view_of([base * 1.1])) for _ in range(5)] == [start] * 5
    assert contrast.update(view_of([base * 3], complete=False)) == start
    assert contrast.update(view_of([base * 0])) == start

    levels = [contrast.update(view_of([base * 3])) for _ in range(30)]

    assert (np.diff([start, *levels]) >= 0).all()
    assert levels[0] < 1.3 * start
    assert levels[-1] == pytest.approx(3 * start, rel=0.03)
    contrast.reset()
    assert contrast.update(view_of([base])) == start


def test_the_white_level_does_not_depend_on_the_pixel_of_an_even_image() -> None:
    fine, coarse = (
        Autocontrast().update(view_of([np.full((50, 50), n)], nm)) for n, nm in ((4, 10), (16, 20))
    )

    assert fine == pytest.approx(coarse) == pytest.approx(40_000)


def test_a_view_is_written_with_its_meaning(
    open_pyramid: Open, table: Make, tmp_path: Path
) -> None:
    shown = Filter(photons=(100.0, 5000.0), min_probability=0.2)
    pyramid = open_pyramid(style=Style(color="z_nm", filter=shown))
    pyramid.add(table(20_000))
    view = pyramid.view(450.0, 950.0, 8.0, (400, 500))

    write_view(tmp_path / "a.tif", tmp_path / "a.png", view, view.rgb())

    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        page = file.pages.first
        said = json.loads(page.description)
        pixels = page.asarray()
        numerator, denominator = page.tags["XResolution"].value
    assert pixels.dtype == np.uint16
    assert pixels.max() == 65535
    assert said["pixel_nm"] == 8.0
    assert (said["x0_nm"], said["y0_nm"]) == (450.0, 950.0)
    assert (said["mode"], said["color"]) == ("gaussian", "z_nm")
    assert said["filter"] == {"photons": [100.0, 5000.0], "min_probability": 0.2}
    counted = pixels.sum(dtype=np.float64) * said["localizations_per_step"]
    assert counted == pytest.approx(view.density.sum(dtype=np.float64), rel=1e-3)
    assert 1e7 * denominator / numerator == pytest.approx(8.0)  # nm per pixel, of pixels per cm
    chunks = png_chunks(tmp_path / "a.png")
    assert struct.unpack(">IIBB", chunks[b"IHDR"][:10]) == (500, 400, 8, 2)
    picture = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(400, -1)
    picture = picture[:, 1:].reshape(400, 500, 3)
    np.testing.assert_array_equal(picture[:300], view.rgb()[:300])
    bar = [row for row in (picture[300:] == 255).all(axis=2) if row.sum() >= 125]
    assert {int(row.sum()) for row in bar} == {125}  # 1 um of 4
    assert json.loads(chunks[b"iTXt"].split(b"\0", 5)[5]) == said


def png_chunks(path: Path) -> dict[bytes, bytes]:
    data = path.read_bytes()
    chunks, at = {}, 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunks[data[at + 4 : at + 8]] = data[at + 8 : at + 8 + length]
        at += 12 + length
    return chunks


def test_half_a_view_is_not_written(tmp_path: Path) -> None:
    view = view_of(np.ones((1, 40, 40)), complete=False)

    with pytest.raises(SinkError, match="not complete"):
        write_view(tmp_path / "a.tif", tmp_path / "a.png", view, view.rgb())

    assert not any(tmp_path.iterdir())


def test_a_look_without_meaning_is_refused() -> None:
    with pytest.raises(ValueError, match="must be positive"):
        view_of(np.ones((1, 4, 4))).rgb(gamma=0)
    with pytest.raises(ValueError, match="must be positive"):
        view_of(np.ones((1, 4, 4))).rgb(0.0)
