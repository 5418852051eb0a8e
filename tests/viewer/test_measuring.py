"""Measuring in the window: what is drawn with the mouse is measured, of the rows that are shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtsmlm.analysis.profile import FWHM_PER_STD


def drag(window: Any, start_nm: tuple[float, float], stop_nm: tuple[float, float]) -> None:
    """Press at one place of the sample plane, move, and release at another."""
    from qtpy.QtTest import QTest

    from rtsmlm.viewer.widgets.qt import QtCore

    canvas, left = window.super_res.canvas, QtCore.Qt.MouseButton.LeftButton
    start, stop = (canvas.point_at(*at).toPoint() for at in (start_nm, stop_nm))
    QTest.mousePress(canvas, left, pos=start)
    QTest.mouseMove(canvas, (start + stop) / 2)
    QTest.mouseMove(canvas, stop)
    QTest.mouseRelease(canvas, left, pos=stop)


@pytest.fixture
def filament(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return columns of 3000 rows on a vertical line at x = 3000, 60 nm wide."""
    return {"x_nm": rng.normal(3000, 60 / FWHM_PER_STD, 3000), "y_nm": rng.uniform(500, 5500, 3000)}


def test_the_width_of_a_filament_that_is_crossed_with_the_mouse_is_shown_with_its_error(
    open_window: Callable[..., Any], source: Any, rows: Callable[..., Any], run_on: Any,
    filament: dict[str, np.ndarray],
) -> None:  # fmt: skip
    window = open_window()
    source.next = {"rows": [rows(3000, **filament)]}
    run_on(window)
    tools = window.super_res.tools

    tools.strip.buttons["profile"].click()
    tools.measure.strip_width.setValue(3000)
    drag(window, (2600, 3000), (3400, 3000))
    run_on(window)

    fit = tools.measure.measured.profile.fit
    assert abs(fit.fwhm_nm - 60) < 4 * fit.fwhm_error_nm
    assert f"FWHM {fit.fwhm_nm:.1f} ± {fit.fwhm_error_nm:.1f} nm" in tools.measure.found.text()
    assert tools.measure.plot.isVisible()
    assert "all" in tools.measure.rows.text()


def test_a_region_counts_the_rows_that_pass_the_filter_and_states_it(
    open_window: Callable[..., Any], source: Any, rows: Callable[..., Any], run_on: Any
) -> None:
    window = open_window()
    source.next = {"rows": [rows(800, photons=np.repeat([200.0, 2000.0], 400))]}
    run_on(window)
    tools = window.super_res.tools
    tools.strip.buttons["rectangle"].click()
    drag(window, (2500, 1500), (3500, 2500))
    run_on(window)
    assert tools.measure.measured.statistics.n_rows == 800

    window.histograms.set_ranges({"photons": [500.0, None]})
    run_on(window)
    tools.measure._next_s = 0.0
    run_on(window)

    assert tools.measure.measured.statistics.n_rows == 400
    assert "photons > 500" in tools.measure.rows.text()
    assert tools.measure.measured.measurement.get("rows") == "only those with photons > 500"
    assert tools.chips.chips["photons"].text().startswith("photons > 500")
    assert "400 of 800 shown" in window.super_res.info.text()


def test_new_rows_are_counted_without_drawing_the_region_again(
    open_window: Callable[..., Any], source: Any, rows: Callable[..., Any], run_on: Any
) -> None:
    window = open_window()
    source.next = {"rows": [rows(300)]}
    run_on(window)
    measure = window.super_res.tools.measure
    window.super_res.tools.strip.buttons["ellipse"].click()
    drag(window, (2000, 1000), (4000, 3000))
    run_on(window)

    source.next = {"rows": [rows(200)]}
    run_on(window, 1)
    measure._next_s = 0.0
    run_on(window)

    assert measure.measured.statistics.n_rows == 500


def test_a_polygon_is_drawn_by_corners_or_by_hand_and_escape_takes_it_back(
    open_window: Callable[..., Any], source: Any, rows: Callable[..., Any], run_on: Any
) -> None:
    from qtpy.QtTest import QTest

    from rtsmlm.viewer.widgets.qt import QtCore

    window = open_window()
    source.next = {"rows": [rows(400)]}
    run_on(window)
    canvas, tools = window.super_res.canvas, window.super_res.tools
    left = QtCore.Qt.MouseButton.LeftButton
    tools.strip.buttons["polygon"].click()

    for corner in ((2000, 1000), (4000, 1000), (4000, 3000)):
        QTest.mouseClick(canvas, left, pos=canvas.point_at(*corner).toPoint())
    QTest.mouseDClick(canvas, left, pos=canvas.point_at(2000, 3000).toPoint())
    run_on(window)
    by_corners = tools.measure.measured.statistics
    QTest.keyClick(canvas, QtCore.Qt.Key.Key_Escape)
    assert tools.shapes.shape is None
    QTest.mousePress(canvas, left, pos=canvas.point_at(2000, 1000).toPoint())
    for corner in ((4000, 1000), (4000, 3000), (2000, 3000)):
        QTest.mouseMove(canvas, canvas.point_at(*corner).toPoint())
    QTest.mouseRelease(canvas, left, pos=canvas.point_at(2000, 2000).toPoint())
    run_on(window)

    assert by_corners.n_rows > 200
    assert tools.measure.measured.statistics.n_rows == 400
    for _ in range(2):
        QTest.keyClick(canvas, QtCore.Qt.Key.Key_Escape)
    assert tools.strip.buttons["pan"].isChecked()
    assert not tools.measure.isVisible()


def test_a_handle_changes_the_line_and_what_is_kept_is_written(
    open_window: Callable[..., Any], source: Any, rows: Callable[..., Any], run_on: Any,
    tmp_path: Path,
) -> None:  # fmt: skip
    window = open_window()
    source.next = {"rows": [rows()]}
    run_on(window)
    tools = window.super_res.tools
    tools.strip.buttons["distance"].click()
    drag(window, (1000, 1000), (3000, 1000))
    run_on(window)
    first = tools.measure.measured.measurement.get("distance")
    tools.measure.keep.click()

    drag(window, (3000, 1000), (5000, 1000))
    run_on(window)
    tools.measure.save_to(tmp_path / "found.csv")
    tools.measure.close_files()
    run_on(window, 1)

    lines = (tmp_path / "found.csv").read_text(encoding="utf-8").splitlines()
    distances = [float(line.split(",")[3]) for line in lines if ",distance,distance," in line]
    np.testing.assert_allclose(distances, [2000, 4000], atol=30)
    assert abs(first - 2000) < 30
    assert "Saved 2 measurements" in window.newest.text()


def test_under_the_mouse_stand_place_and_density(
    open_window: Callable[..., Any], source: Any, rows: Callable[..., Any], run_on: Any
) -> None:
    window = open_window()
    source.next = {"rows": [rows(z_nm=np.full(500, 120.0), std_z_nm=np.full(500, 30.0))]}
    run_on(window)
    panel = window.super_res
    assert panel.tools.readout.lines() == []

    panel.color.setCurrentIndex(panel.color.findData("z_nm"))
    run_on(window)
    panel.canvas.pointer = panel.canvas.point_at(3000.0, 2000.0)
    place, value = panel.tools.readout.lines()

    assert "x 3\u202f000.0 nm   y 2\u202f000.0 nm" in place
    assert "(3.000, 2.000 µm)" in place
    assert "localizations/µm²" in value
    assert "z 120 nm" in value


def test_another_run_begins_without_the_filters_of_the_one_before_and_says_so(
    open_window: Callable[..., Any], source: Any, rows: Callable[..., Any], run_on: Any
) -> None:
    window = open_window()
    source.next = {"rows": [rows(400)]}
    run_on(window)
    window.histograms.plots["photons"].on.setChecked(True)
    run_on(window)
    assert "of 400 shown" in window.super_res.info.text(), "the box hides something at once"
    assert window.histograms.plots["photons"].sides_boxes[0].text()

    source.about |= {"run": "another"}
    source.next = {"rows": [rows(300)]}
    run_on(window)

    assert "300 localizations" in window.super_res.info.text()
    assert window.super_res.tools.chips.chips == {}
    assert "the filters are off (photons >" in window.newest.text()


def test_limits_are_typed_and_a_chip_takes_them_away(
    open_window: Callable[..., Any], source: Any, rows: Callable[..., Any], run_on: Any
) -> None:
    window = open_window()
    source.next = {"rows": [rows(400)]}
    run_on(window)
    plot = window.histograms.plots["frame"]
    plot.on.setChecked(True)
    for box, text in zip(plot.sides_boxes, ("100", "199"), strict=True):
        box.setText(text)
        box.editingFinished.emit()
    run_on(window)

    assert "100 of 400 shown" in window.super_res.info.text()
    assert window.super_res.tools.chips.chips["frame"].text() == "frames 100 – 199  ✕"
    plot.sides_boxes[0].setText("no number")
    plot.sides_boxes[0].editingFinished.emit()
    assert plot.sides() == (100.0, 199.0)
    window.super_res.tools.chips.chips["frame"].click()
    run_on(window)
    assert "400 localizations" in window.super_res.info.text()
    assert not plot.on.isChecked()


def test_depth_is_offered_only_where_the_run_states_it_and_the_choice_is_remembered(
    open_window: Callable[..., Any], source: Any, rows: Callable[..., Any], run_on: Any
) -> None:
    window = open_window()
    window.super_res._wanted_color = "z_nm"  # as the user has left it
    source.next = {"rows": [rows()]}
    run_on(window)
    assert window.super_res.color.currentData() == "none"
    assert not window.super_res.tools.strip.buttons["slab"].isEnabled()

    source.about |= {"run": "in 3D"}
    source.next = {"rows": [rows(z_nm=np.linspace(-300, 300, 500), std_z_nm=np.full(500, 20.0))]}
    run_on(window)

    assert window.super_res.color.currentData() == "z_nm"
    assert window.super_res.lut.isEnabled()
    assert window.super_res.lut.currentData() == "blue-yellow"
    assert window.super_res.tools.strip.buttons["slab"].isEnabled()
