"""Time, tilt and layers: what they hide is gone from the picture, and comes back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rtsmlm.protocols import ImageLayer
from rtsmlm.render.blend import laid_over, seen
from rtsmlm.render.layer_file import write_layer
from rtsmlm.viewer.predictions import read_predictions


def test_the_film_shows_part_after_part_and_ends_with_the_run(
    open_window: Callable[..., Any], source: Any, rows: Callable[..., Any], run_on: Any
) -> None:
    window = open_window()
    source.next = {"rows": [rows(1000)]}
    run_on(window)
    tools = window.super_res.tools
    tools.strip.buttons["time"].click()
    tools.time.play.click()
    tools.time._timer.stop()  # the test says when
    run_on(window)
    assert "100 of 1\u202f000 shown" in window.super_res.info.text()
    first = window.histograms.plots["frame"].sides()

    for _ in range(200):
        tools.time.step()
    run_on(window)

    assert first == (0.0, 99.0)
    assert window.histograms.plots["frame"].sides() == (900.0, 999.0)
    assert not tools.time.play.isChecked()
    tools.time.whole.click()
    run_on(window)
    assert "1\u202f000 localizations" in window.super_res.info.text()


def test_the_tilt_of_a_run_in_depth_is_seen_and_closing_the_bar_shows_all_again(
    open_window: Callable[..., Any], source: Any, rows: Callable[..., Any], run_on: Any
) -> None:
    window = open_window()
    z = np.repeat([-800.0, 800.0], 250)
    source.next = {"rows": [rows(x_nm=np.full(500, 3150.0), y_nm=np.full(500, 3150.0), z_nm=z,
                                 std_z_nm=np.full(500, 10.0))]}  # fmt: skip
    run_on(window)
    tools = window.super_res.tools
    tools.strip.buttons["slab"].click()
    tools.slab.from_side.click()
    tools.slab.thickness.setValue(2000)
    run_on(window)

    view = window.super_res.canvas.picture.view
    bright = np.flatnonzero(view.density.sum(axis=1) > 0.05 * view.density.sum(axis=1).max())
    apart_nm = (bright.max() - bright.min()) * view.pixel_nm
    assert 1500 < apart_nm < 1900, "from the side, both depths lie 1600 nm apart"

    tools.slab.is_slab.setChecked(True)
    tools.slab.tilt_x.setValue(0)
    tools.slab.thickness.setValue(100)
    tools.slab.offset.setValue(800)
    run_on(window)
    assert "250 of 500 shown" in window.super_res.info.text()
    tools.strip.buttons["slab"].click()
    run_on(window)
    assert "500 localizations" in window.super_res.info.text()


def test_a_channel_is_hidden_with_its_box_and_shown_again_with_its_chip(
    open_window: Callable[..., Any], source: Any, rows: Callable[..., Any], run_on: Any
) -> None:
    window = open_window()
    source.next = {"rows": [rows(600, channel=np.arange(600) % 3)]}
    run_on(window)
    tools = window.super_res.tools
    tools.strip.buttons["layers"].click()
    assert window.super_res.color.currentData() == "channel"

    tools.layers.channels[1].click()
    run_on(window)
    assert "400 of 600 shown" in window.super_res.info.text()
    tools.chips.chips["hidden_channels"].click()
    run_on(window)
    assert "600 localizations" in window.super_res.info.text()


def test_a_prediction_in_the_folder_of_a_run_is_laid_over_where_it_belongs(
    open_window: Callable[..., Any], source: Any, rows: Callable[..., Any], run_on: Any,
    tmp_path: Path,
) -> None:  # fmt: skip
    image = np.zeros((128, 128), np.float32)
    image[90:100, 20:30] = 7.0  # x about 1200 nm, y about 4700 nm
    write_layer(tmp_path, ImageLayer("membrane", 50.0, image))
    window = open_window()
    source.connection = "ended"
    source.next = {"rows": [rows()], "folder": tmp_path}
    run_on(window, 5)
    tools = window.super_res.tools

    tools.strip.buttons["layers"].click()
    box, opacity = tools.layers.predictions["membrane"]
    assert "prediction" in box.text()
    box.click()
    opacity.setValue(100)
    run_on(window)

    canvas = window.super_res.canvas
    at = canvas.point_at(1200, 4700)
    rgb = canvas.picture.rgb
    assert rgb[round(at.y()), round(at.x())].max() > 200
    elsewhere = canvas.point_at(4700, 1200)
    assert rgb[round(elsewhere.y()), round(elsewhere.x())].max() == 0
    assert canvas.labels == ("predicted by membrane",)
    box.click()
    run_on(window)
    assert canvas.picture.rgb[round(at.y()), round(at.x())].max() == 0


def test_a_damaged_prediction_is_left_out_and_the_others_are_read(tmp_path: Path) -> None:
    write_layer(tmp_path, ImageLayer("good", 20.0, np.ones((4, 4), np.float32)))
    (tmp_path / "predicted_bad.tif").write_bytes(b"no image")

    found = read_predictions(tmp_path)

    assert [layer.name for layer in found] == ["good"]
    np.testing.assert_allclose(found[0].pixel_nm, 20.0, rtol=1e-3)


def test_a_layer_lies_on_the_window_as_its_pixels_do_on_the_sample() -> None:
    image = np.zeros((10, 10), np.float32)
    image[3, 6] = 1.0

    share = seen(ImageLayer("one", 100.0, image), (500.0, 250.0), 50.0, (8, 8))

    row, column = np.unravel_index(np.argmax(share), share.shape)
    # Its pixel reaches from 600 to 700 in x and 300 to 400 in y.
    assert 550 <= 500 + 50 * column <= 700
    assert 250 <= 250 + 50 * row <= 400
    rgb = np.full((8, 8, 3), 100, np.uint8)
    assert (laid_over(rgb, share, (70, 150, 255), 0.0) == 100).all()
    assert laid_over(rgb, share, (70, 150, 255), 1.0)[row, column, 2] > 180
