"""Draw makes the region that the mouse draws, on the steps of the camera."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest


def camera_point(window: Any, x_px: float, y_px: float) -> Any:
    """Return the point of the plot where the outer corner of a camera pixel is."""
    from rtsmlm.viewer.widgets.qt import QtCore

    plot = window.camera.plot
    scene = plot.getViewBox().mapViewToScene(QtCore.QPointF(x_px - 0.5, y_px - 0.5))
    return plot.mapFromScene(scene)


def drag(window: Any, start: tuple[float, float], stop: tuple[float, float]) -> None:
    from qtpy.QtTest import QTest

    from rtsmlm.viewer.widgets.qt import QtCore

    port, left = window.camera.plot.viewport(), QtCore.Qt.MouseButton.LeftButton
    QTest.mousePress(port, left, pos=camera_point(window, *start))
    QTest.mouseMove(port, camera_point(window, *stop))
    QTest.mouseRelease(port, left, pos=camera_point(window, *stop))


@pytest.fixture
def drawing_on(
    open_window: Callable[..., Any], source: Any, control: Any, status: Any, run_on: Any,
    camera_image: Callable[..., Any],
) -> Any:  # fmt: skip
    """Return a window with a camera image and Draw pressed."""
    window = open_window(control)
    source.next = {"frame": camera_image(), "status": status(exposure_ms=12.5, frames_per_s=79.0)}
    run_on(window)
    window.acquisition.draw.click()
    return window


def test_press_drag_and_release_make_the_region_that_was_drawn(drawing_on: Any) -> None:
    window = drawing_on

    drag(window, (9.2, 17.0), (38.5, 47.1))

    assert window.acquisition.roi_px() == (8, 16, 32, 32)
    assert window.camera.band.roi() == (8, 16, 32, 32)
    assert "32 x 32 px" in window.camera.caption.text()
    assert "at most 80 frames/s" in window.camera.caption.text()
    assert "states no readout time" in window.camera.caption.text()
    assert "micromanager.roi=[8, 16, 32, 32]" in window.acquisition.overrides()


def test_the_region_drawn_next_replaces_the_one_before(drawing_on: Any) -> None:
    drag(drawing_on, (9, 9), (23, 23))
    drag(drawing_on, (55, 55), (33, 41))

    assert drawing_on.acquisition.roi_px() == (32, 40, 24, 16)


def test_escape_takes_back_a_drag_and_then_ends_to_draw(drawing_on: Any) -> None:
    from qtpy.QtTest import QTest

    from rtsmlm.viewer.widgets.qt import QtCore

    window = drawing_on
    drag(window, (9, 9), (23, 23))
    port, left = window.camera.plot.viewport(), QtCore.Qt.MouseButton.LeftButton
    QTest.mousePress(port, left, pos=camera_point(window, 40, 40))
    QTest.mouseMove(port, camera_point(window, 60, 60))
    window.camera.band.cancel()
    QTest.mouseRelease(port, left, pos=camera_point(window, 60, 60))

    assert window.acquisition.roi_px() == (8, 8, 16, 16)
    assert window.camera.band.roi() == (8, 8, 16, 16)
    window.camera.band.cancel()
    assert not window.acquisition.draw.isChecked()
    assert window.camera.band.roi() is None


def test_a_click_draws_nothing(drawing_on: Any) -> None:
    before = drawing_on.acquisition.roi_px()

    drag(drawing_on, (30, 30), (30.2, 30.2))

    assert drawing_on.acquisition.roi_px() == before


def test_a_region_lies_on_steps_and_inside_the_image_wherever_it_is_drawn() -> None:
    pytest.importorskip("pyqtgraph")
    from rtsmlm.viewer.widgets.rubber_band import snapped

    for a in (-50.0, 0.0, 3.3, 63.9, 70.0, 500.0):
        for b in (-9.0, 0.0, 8.0, 40.1, 99.9, 500.0):
            x, y, width, height = snapped((a, b), (b, a), (60, 100))
            assert x % 8 == y % 8 == 0
            assert 0 <= x < x + width <= 100
            assert 0 <= y < y + height <= 60


def test_the_frame_rate_states_how_it_is_known() -> None:
    pytest.importorskip("pyqtgraph")
    from rtsmlm.viewer.widgets.rubber_band import rate_text

    assert rate_text(64, 10.0, 99.0, 512)[0] == "at most 100 frames/s"
    assert rate_text(256, 1.0, 100.0, 512)[0] == "about 200 frames/s"
    assert "512 rows" in rate_text(256, 1.0, 100.0, 512)[1]
    assert rate_text(8, 1.0, 100.0, 512)[0] == "at most 1000 frames/s"
    assert rate_text(64, math.nan, math.nan, 512)[0] == "frame rate not known"


def test_a_region_of_a_region_lies_right_on_the_chip(
    open_window: Callable[..., Any], control: Any, source: Any, camera_image: Any, run_on: Any
) -> None:
    settings = source.about["settings"] | {"micromanager": {"roi": [100, 200, 64, 64]}}
    source.about = source.about | {"settings": settings}
    window = open_window(control)
    source.next = {"frame": camera_image(3)}
    run_on(window)

    window.acquisition.draw.click()
    drag(window, (9.2, 17.0), (38.5, 47.1))

    assert window.camera.band.roi() == (8, 16, 32, 32)
    assert window.acquisition.roi_px() == (108, 216, 32, 32)
