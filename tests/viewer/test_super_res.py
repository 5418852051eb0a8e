"""The growing image: what comes in shows at its place, filters hide, nothing flickers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile


def pixels(window: Any) -> np.ndarray:
    """Return what the canvas shows, (height, width, 3)."""
    from rtsmlm.viewer.widgets.qt import QtGui, pg

    image = window.super_res.canvas.grab().toImage()
    image = image.convertToFormat(QtGui.QImage.Format.Format_RGB32)
    return np.array(pg.functions.ndarray_from_qimage(image))[..., :3]


def around(window: Any, x_nm: float, y_nm: float, reach_px: int = 12) -> np.ndarray:
    """Return the brightness around a place in the sample plane."""
    canvas = window.super_res.canvas
    left_nm, top_nm = canvas.viewport.corner_nm(canvas.canvas_px)
    column = round((x_nm - left_nm) / canvas.viewport.nm_per_px)
    row = round((y_nm - top_nm) / canvas.viewport.nm_per_px)
    part = pixels(window)[
        max(row - reach_px, 0) : row + reach_px, max(column - reach_px, 0) : column + reach_px
    ]
    return part.max(axis=2)


def test_rows_make_pixels_bright_where_they_lie(
    open_window: Callable[..., Any], source: Any, rows: Callable[..., Any], run_on: Any
) -> None:
    window = open_window()

    source.next = {"rows": [rows(at_nm=(1500.0, 4500.0))]}
    run_on(window)

    assert around(window, 1500, 4500).max() > 150
    assert around(window, 4500, 1500).max() == 0


def test_late_rows_of_early_frames_show_as_well(
    open_window: Callable[..., Any], source: Any, rows: Callable[..., Any], run_on: Any
) -> None:
    window = open_window()
    source.next = {"rows": [rows(at_nm=(1500.0, 1500.0), frame=np.arange(5000, 5500))]}
    run_on(window)

    source.next = {"rows": [rows(at_nm=(4500.0, 4500.0), frame=np.arange(500))]}
    run_on(window)

    assert around(window, 4500, 4500).max() > 150
    assert window.super_res.drawing.picture.pyramid.n_inside == 1000


def test_a_filter_hides_rows_and_new_rows_do_not_move_it(
    open_window: Callable[..., Any], source: Any, rows: Callable[..., Any], run_on: Any
) -> None:
    window = open_window()
    bright = rows(at_nm=(1500.0, 1500.0), photons=np.full(500, 2000.0))
    faint = rows(at_nm=(4500.0, 4500.0), photons=np.full(500, 200.0))
    source.next = {"rows": [bright, faint]}
    run_on(window)

    photons = window.histograms.plots["photons"]
    photons.on.setChecked(True)
    photons.region.lines[0].setPos(np.log10(1000))
    run_on(window)
    source.next = {"rows": [rows(photons=np.full(500, 9000.0))]}
    run_on(window)

    assert around(window, 1500, 1500).max() > 100
    assert around(window, 4500, 4500).max() == 0
    least, most = photons.sides()
    np.testing.assert_allclose(least, 1000)
    assert most is None


def test_all_filters_reach_the_image(open_window: Callable[..., Any], run_on: Any) -> None:
    window = open_window()

    window.histograms.set_ranges(
        {"std_x_nm": [None, 20.0], "photons": [500.0, None], "frame": [10.0, 90.0],
         "probability": [0.5, None]}
    )  # fmt: skip
    run_on(window, 1)

    shown = window.super_res.drawing.picture.style.filter
    assert shown.std_nm is not None
    np.testing.assert_allclose(shown.std_nm[1], 20.0)
    assert shown.photons is not None
    np.testing.assert_allclose(shown.photons[0], 500.0)
    assert shown.frame == (10.0, 90.0)
    assert shown.min_probability == 0.5


def test_the_contrast_does_not_flicker(
    open_window: Callable[..., Any], source: Any, rows: Callable[..., Any], run_on: Any
) -> None:
    window = open_window()
    source.next = {"rows": [rows(5000)]}
    run_on(window)
    levels = []
    for k in range(30):
        source.next = {"rows": [rows(60 + k)]}
        window.super_res.drawing.picture._judged_s = -1.0
        run_on(window, 1)
        levels.append(window.super_res.drawing.picture.white_per_um2)

    change = np.abs(np.diff(levels)) / levels[:-1]
    assert change.max() < 0.05


def test_the_camera_image_does_not_flicker(
    open_window: Callable[..., Any], source: Any, camera_image: Callable[..., Any], run_on: Any
) -> None:
    window = open_window()
    levels = []
    for k in range(20):
        source.next = {"frame": camera_image(k, scale=1 + 0.02 * (k % 2))}
        run_on(window, 1)
        levels.append(window.camera.levels.levels)

    assert len(set(levels)) == 1


def test_zoom_pan_and_double_click(open_window: Callable[..., Any], run_on: Any) -> None:
    from qtpy.QtTest import QTest

    from rtsmlm.viewer.widgets.qt import QtCore

    window = open_window()
    canvas = window.super_res.canvas
    whole = canvas.viewport
    at = QtCore.QPointF(30.0, 40.0)
    place = canvas.place_nm(at)

    canvas.zoom(4.0, at)
    zoomed = canvas.viewport
    np.testing.assert_allclose(canvas.place_nm(at), place)
    QTest.mousePress(canvas, QtCore.Qt.MouseButton.LeftButton, pos=QtCore.QPoint(100, 100))
    QTest.mouseMove(canvas, QtCore.QPoint(140, 100))
    QTest.mouseRelease(canvas, QtCore.Qt.MouseButton.LeftButton, pos=QtCore.QPoint(140, 100))

    assert zoomed.nm_per_px == whole.nm_per_px / 4
    np.testing.assert_allclose(canvas.viewport.x_nm, zoomed.x_nm - 40 * zoomed.nm_per_px)
    QTest.mouseDClick(canvas, QtCore.Qt.MouseButton.LeftButton)
    assert canvas.viewport.is_near(whole)


def test_every_mode_color_and_table_draws(
    open_window: Callable[..., Any], source: Any, rows: Callable[..., Any], run_on: Any
) -> None:
    window = open_window()
    source.next = {"rows": [rows(z_nm=np.linspace(-300, 300, 500), channel=np.arange(500) % 2)]}
    run_on(window)
    panel = window.super_res

    for box in (panel.mode, panel.color, panel.lut):
        for k in range(box.count()):
            box.setCurrentIndex(k)
            run_on(window)
            shown = around(window, 3000, 2000)
            assert shown.max() != shown.min(), box.itemText(k)
        box.setCurrentIndex(0)


def test_the_export_has_16_bits_and_the_pixel_size(
    open_window: Callable[..., Any], source: Any, rows: Callable[..., Any], run_on: Any,
    tmp_path: Path,
) -> None:  # fmt: skip
    window = open_window()
    source.next = {"rows": [rows()]}
    run_on(window)

    window.export(tmp_path / "seen.tif")
    window.exporter.close()
    run_on(window)
    assert window.newest.text() == f"Saved {tmp_path / 'seen.tif'} and seen.png"

    with tifffile.TiffFile(tmp_path / "seen.tif") as file:
        page = file.pages[0]
        assert page.dtype == np.uint16
        assert page.asarray().max() == 65535
        per_cm = page.tags["XResolution"].value
    canvas = window.super_res.canvas
    np.testing.assert_allclose(per_cm[0] / per_cm[1], 1e7 / canvas.viewport.nm_per_px, rtol=1e-3)
    assert (tmp_path / "seen.png").read_bytes()[:4] == b"\x89PNG"


def test_an_export_without_an_image_explains_why(
    open_window: Callable[..., Any], source: Any, tmp_path: Path
) -> None:
    source.about = {}
    window = open_window()

    window.export(tmp_path / "seen.tif")

    assert "no image" in window.newest.text()


def test_a_disk_that_does_not_answer_stops_no_window_and_one_that_is_full_is_reported(
    open_window: Callable[..., Any], source: Any, rows: Callable[..., Any], run_on: Any,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from rtsmlm.errors import SinkError
    from rtsmlm.viewer import export

    answers = threading.Event()

    def write(*_: Any) -> None:
        assert answers.wait(60.0)
        raise SinkError("the disk is full")

    monkeypatch.setattr(export, "write_view", write)
    window = open_window()
    source.next = {"rows": [rows()]}
    run_on(window)
    window.export(tmp_path / "seen.tif")
    run_on(window)  # draws on, with the disk still silent
    assert window.newest.text().startswith("Saving")
    window.export(tmp_path / "again.tif")
    assert "still being written" in window.newest.text()

    answers.set()
    window.exporter.close()
    run_on(window)
    assert window.newest.text() == "the disk is full"


def test_a_restart_forgets_rows(
    open_window: Callable[..., Any], source: Any, rows: Callable[..., Any], run_on: Any
) -> None:
    window = open_window()
    source.next = {"rows": [rows()]}
    run_on(window)

    source.next = {"restarted": True}
    run_on(window)

    assert window.super_res.drawing.picture.pyramid.n_inside == 0
    assert window.histograms.statistics.n_rows == 0
    assert around(window, 3000, 2000).max() == 0
