"""A window of any size and any size of text keeps LASER OFF in view, and all panels in reach."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

SCALES = (1.0, 1.5, 3.0)


def is_inside(window: Any, widget: Any) -> bool:
    rect = widget.rect()
    corners = (rect.topLeft(), rect.bottomRight())
    return all(window.rect().contains(widget.mapTo(window, corner)) for corner in corners)


@pytest.mark.parametrize("size", [(280, 360), (300, 900), (1024, 640)])
def test_laser_off_is_whole_and_in_view_at_every_size_of_text(
    open_window: Callable[..., Any], control: Any, source: Any, status: Any, run_on: Any,
    size: tuple[int, int],
) -> None:  # fmt: skip
    window = open_window(control, size=size)
    source.behind_bytes = 123_000_000
    source.next = {"status": status()}
    run_on(window, 1)
    window.lasers_off()
    for scale in SCALES:
        window.preferences.set("text_scale", scale)
        window.apply_theme()
        run_on(window, 1)

        off = window.header.off
        assert (window.width(), window.height()) == size
        assert off.isVisible()
        assert is_inside(window, off), scale
        metrics = off.fontMetrics()
        assert off.width() >= metrics.horizontalAdvance(off.text())
        assert off.height() >= metrics.height()


def test_in_a_narrow_window_every_panel_is_behind_a_tab_and_comes_back(
    open_window: Callable[..., Any], control: Any, run_on: Any
) -> None:
    window = open_window(control)
    panels = (window.camera, window.experiment, window.acquisition, window.laser,
              window.super_res, window.trends, window.histograms)  # fmt: skip
    sizes = window.layout_parts.columns.sizes()
    assert not window.layout_parts.is_narrow
    assert all(panel.isVisible() for panel in panels)

    window.resize(300, 600)
    run_on(window, 1)
    assert window.layout_parts.is_narrow
    for panel in panels:
        window.layout_parts.show_part(panel)
        assert panel.isVisible()

    window.resize(1280, 800)
    run_on(window, 1)
    assert all(panel.isVisible() for panel in panels)
    assert window.layout_parts.columns.sizes() == sizes


def test_the_walk_through_covers_nothing(open_window: Callable[..., Any], run_on: Any) -> None:
    window = open_window(walk=True)
    run_on(window, 1)

    walk, canvas = window.walk_through, window.super_res.canvas
    assert walk.isVisible()
    covered = walk.geometry().translated(0, 0)
    at = canvas.mapTo(window, canvas.rect().topLeft())
    assert not covered.contains(at)
    assert covered.bottom() < at.y()
    assert is_inside(window, canvas)


def test_a_plot_with_nothing_to_show_is_not_there_and_one_point_is_a_figure(
    open_window: Callable[..., Any], source: Any, status: Any, rows: Any, run_on: Any
) -> None:
    window = open_window()
    window.trends.setCurrentIndex(2)
    source.next = {"status": status(loop=None, resolution={"frame": 100, "resolution_nm": 31.0})}
    run_on(window)
    resolution, drift = window.trends.plots["resolution"], window.trends.plots["drift"]
    assert resolution.isVisible()
    assert "31" in resolution.value.text()
    assert not resolution.plot.isVisible()
    assert not drift.isVisible()

    source.next = {"status": status(loop=None, resolution={"frame": 300, "resolution_nm": 29.0})}
    run_on(window)
    assert resolution.plot.isVisible()
    assert resolution.plot.getAxis("bottom").labelText == "camera frame"

    window.trends.setCurrentIndex(0)
    run_on(window)
    assert not window.trends.plots["power"].isVisible()
    assert window.trends.empty["Loop"].isVisible()
