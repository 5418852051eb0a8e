"""What the window shows: lights, messages, curves; readable, explained, and remembered."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

UNITS = re.compile(
    r"\b(nm|µm|µm²|ms|MB|MB/s|GB|frames?|photons?|ADU|pixels?|px|unit|percent|seconds|s)\b"
)


def controls(window: Any) -> list[Any]:
    """Return everything that can be used or read."""
    from rtsmlm.viewer.widgets.qt import QtWidgets, pg

    kinds = (
        QtWidgets.QAbstractButton, QtWidgets.QAbstractSpinBox, QtWidgets.QComboBox,
        QtWidgets.QAbstractSlider, pg.PlotWidget, QtWidgets.QListWidget,
    )  # fmt: skip
    own = [w for w in window.findChildren(QtWidgets.QWidget) if isinstance(w, kinds)]
    inner = (QtWidgets.QScrollBar, QtWidgets.QTableCornerButton) if hasattr(
        QtWidgets, "QTableCornerButton") else (QtWidgets.QScrollBar,)  # fmt: skip
    return [w for w in own if not isinstance(w, inner) and not _is_inside(w)]


def _is_inside(widget: Any) -> bool:
    """Return True for the parts that Qt makes for itself."""
    from rtsmlm.viewer.widgets.qt import QtWidgets

    parent = widget.parentWidget()
    kinds = (QtWidgets.QComboBox, QtWidgets.QTabBar, QtWidgets.QTableView, QtWidgets.QFileDialog)
    while parent is not None:
        if isinstance(parent, kinds):
            return True
        parent = parent.parentWidget()
    return False


def test_every_control_has_a_tooltip_with_its_unit(open_window: Callable[..., Any]) -> None:
    window = open_window()
    found = controls(window)
    assert len(found) > 40

    for widget in found:
        tip = widget.toolTip()
        assert UNITS.search(tip), (type(widget).__name__, getattr(widget, "text", str)(), tip)


@pytest.mark.parametrize("size", [(1024, 640), (1280, 800), (1920, 1080), (3840, 2160)])
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_no_text_is_cut_off(
    open_window: Callable[..., Any], control: Any, source: Any, status: Any, rows: Any,
    run_on: Any, size: tuple[int, int], theme: str,
) -> None:  # fmt: skip
    from rtsmlm.viewer.widgets.qt import QtWidgets

    window = open_window(control, size=size)
    window.preferences.set("text_scale", 1.6 if size[0] > 2000 else 1.0)
    window.set_theme(theme)
    source.behind_bytes = 123_000_000
    source.next = {"status": status(disk_free_mb=1e6), "rows": [rows()]}
    run_on(window)
    window.resize(*size)
    run_on(window)

    assert (window.width(), window.height()) == size
    kinds = (QtWidgets.QLabel, QtWidgets.QAbstractButton, QtWidgets.QComboBox,
             QtWidgets.QAbstractSpinBox)  # fmt: skip
    for widget in window.findChildren(QtWidgets.QWidget):
        if not isinstance(widget, kinds) or not widget.isVisible() or _is_inside(widget):
            continue
        wanted = widget.minimumSizeHint()
        said = (type(widget).__name__, getattr(widget, "text", str)())
        assert widget.width() >= wanted.width(), said
        assert widget.height() >= wanted.height(), said
        at = widget.mapTo(window, widget.rect().bottomRight())
        assert at.x() < size[0], said
    bar = window.trends.tabBar()
    assert bar.sizeHint().width() <= window.trends.width()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_warnings_of_the_lasers_fit_a_small_window_and_go_when_they_are_no_longer_true(
    open_window: Callable[..., Any], control: Any, source: Any, status: Any, run_on: Any, theme: str
) -> None:
    window = open_window(control)
    window.set_theme(theme)
    window.resize(1024, 640)
    dark = status()
    dark["loop"] |= {"tripped": "key", "not_dark": ["activation", "readout", "a third laser"]}
    old = status()
    old["loop"] |= {"data_age_s": 3.2}

    for data, name, words in (
        (dark, "alarm", "NOT CONFIRMED DARK: activation, readout, a third laser"),
        (old, "caution", "Steering on data 3 s old"),
    ):
        source.next = {"status": data}
        run_on(window)
        line = window.warnings.lines[0]
        assert line.isVisible()
        assert line.objectName() == name
        assert words in line.text()
        assert line.height() >= line.heightForWidth(line.width())
        assert window.rect().contains(line.mapTo(window, line.rect().bottomRight()))
        assert window.rect().contains(
            window.header.off.mapTo(window, window.header.off.rect().center())
        )
        assert window.size().height() == 640

    source.next = {"status": status()}
    run_on(window)
    assert not window.warnings.isVisible()


def test_beside_the_button_stands_what_became_of_the_lasers(
    open_window: Callable[..., Any], control: Any, source: Any, status: Any, run_on: Any
) -> None:
    window = open_window(control)
    source.next = {"status": status()}
    run_on(window)
    shown = window.header.off_state
    assert not shown.isVisible()

    window.header.off.pressed.emit()
    assert shown.isVisible(), "at once, with the press"
    assert shown.text() == "off, not confirmed yet"
    assert "Now: off, not confirmed yet" in window.header.off.toolTip()
    data = status()
    data["loop"] |= {"tripped": "lasers switched off by the user", "seen_dark": True}
    source.next = {"status": data}
    run_on(window)
    assert shown.text() == "off, confirmed"
    assert "Now: off, confirmed" in window.header.off.toolTip()
    assert window.header.off.isEnabled(), "it can be pressed again at any time"

    source.next = {"status": status()}
    run_on(window)
    assert not shown.isVisible()


def test_the_detections_of_the_frame_are_ringed(
    open_window: Callable[..., Any], source: Any, rows: Any, camera_image: Any, run_on: Any
) -> None:
    window = open_window()
    source.next = {"rows": [rows(50)], "frame": camera_image(7)}
    run_on(window)
    assert window.camera.places_px().shape == (2, 1)
    np.testing.assert_allclose(window.camera.places_px()[:, 0], rows(50).x_nm[7] / 100, atol=20)

    late = rows(3, frame=np.full(3, 8))
    source.next = {"frame": camera_image(8)}
    run_on(window)
    source.next = {"rows": [late]}
    run_on(window)

    assert window.camera.places_px().shape == (2, 4)
    assert "frame 8" in window.camera.caption.text()
    window.camera.detections.setChecked(False)
    assert len(window.camera.rings.getData()[0]) == 0


def test_a_frame_waits_for_its_rows_but_not_for_ever(
    open_window: Callable[..., Any], source: Any, rows: Any, camera_image: Any, run_on: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from rtsmlm.viewer.panels import camera_panel

    window = open_window()
    source.next = {"rows": [rows(10)], "frame": camera_image(9)}
    run_on(window)
    source.next = {"frame": camera_image(30)}
    run_on(window)
    assert window.camera.image.index == 9

    source.next = {"rows": [rows(3, frame=np.full(3, 30))]}
    run_on(window)
    assert window.camera.image.index == 30
    assert window.camera.places_px().shape == (2, 3)

    source.next = {"frame": camera_image(60)}
    run_on(window)
    assert window.camera.image.index == 30
    monkeypatch.setattr(camera_panel, "PATIENCE_S", 0.0)
    run_on(window)
    assert window.camera.image.index == 60


def test_lights_show_what_became_of_the_frames(
    open_window: Callable[..., Any], source: Any, status: Any, run_on: Any
) -> None:
    window = open_window()
    assert set(window.lights.colors.values()) == {"grey"}

    source.next = {"status": status()}
    run_on(window)
    assert set(window.lights.colors.values()) == {"green"}

    data = status(validity={"verdict": "PSF too wide", "findings": ["the PSF is 9 % wider"]})
    data["totals"] |= {"lost": 2, "skipped": 40, "in_ring": 900}
    source.next = {"status": data}
    run_on(window)
    assert window.lights.colors == {
        "received": "green", "recorded": "green", "localized": "amber", "skipped": "amber",
        "lost": "red", "model": "amber",
    }  # fmt: skip
    assert "the PSF is 9 % wider" in window.lights.lights["model"].toolTip()


@pytest.mark.parametrize(
    ("connection", "behind", "said"),
    [("live", 0, "live"), ("silent", 0, "silent"), ("lost", 0, "trying again"),
     ("ended", 0, "run over"), ("live", 34_000_000, "joined late, catching up 34 MB")],
)  # fmt: skip
def test_the_connection_is_shown(
    open_window: Callable[..., Any], source: Any, run_on: Any, connection: str, behind: int,
    said: str,
) -> None:  # fmt: skip
    window = open_window()
    source.connection, source.behind_bytes = connection, behind
    run_on(window)

    assert said in window.header.connection.text()


def test_warnings_are_listed_and_the_newest_is_seen(
    open_window: Callable[..., Any], source: Any, status: Any, run_on: Any
) -> None:
    window = open_window()
    source.next = {"status": status(warnings=["the first", "the second"])}
    run_on(window)

    assert window.newest.text() == "the second"
    assert window.messages.count() == 2
    assert window.trends.tabText(window.trends.indexOf(window.messages)) == "Messages 2"


def test_curves_show_density_with_target_and_limit(
    open_window: Callable[..., Any], source: Any, status: Any, run_on: Any
) -> None:
    window = open_window()
    data = [{"last_frame": 100 * k, "mean_per_um2": 0.05, "std_per_um2": 0.01,
             "local_per_um2": 0.2} for k in range(1, 9)]  # fmt: skip
    source.next = {"densities": data, "status": status()}
    run_on(window)

    density = window.trends.plots["density"]
    np.testing.assert_allclose(density._band.getRegion(), (0.04, 0.06))
    assert density._limit.value() == 0.3
    assert density._limit.isVisible()
    for tab in range(window.trends.count()):
        window.trends.setCurrentIndex(tab)
        run_on(window)


def test_settings_survive_a_restart(
    open_window: Callable[..., Any], tmp_path: Path, run_on: Any
) -> None:
    first = open_window()
    first.super_res.mode.setCurrentIndex(1)
    first.super_res.lut.setCurrentIndex(2)
    first.super_res.gamma.setValue(85)
    first.histograms.set_ranges({"photons": [500.0, None]})
    first.set_theme("light")
    first.trends.setCurrentIndex(2)
    first.layout_parts.columns.setSizes([380, 500, 400])
    sizes = first.layout_parts.columns.sizes()
    first.close()

    second = open_window()

    assert (tmp_path / "window.ini").exists()
    assert second.super_res.mode.currentData() == "histogram"
    assert second.super_res.appearance.lut == first.super_res.appearance.lut != "ember"
    assert second.super_res.appearance.gamma == 0.85
    assert second.super_res.drawing.picture.style.filter.photons is None, "a filter would hide rows"
    assert second.theme.name == "light"
    assert second.trends.currentIndex() == 2
    assert second.layout_parts.columns.sizes() == sizes


def test_damaged_settings_are_the_defaults(open_window: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "bad.ini"
    file.write_text('[window]\ntheme=7\ngamma="[1, 2"\nmode="\\"no such\\""\ntab="\\"x\\""\n')

    window = open_window(settings_file=file)

    assert window.super_res.appearance.gamma == 0.6
    assert window.super_res.mode.currentData() == "gaussian"


def test_the_theme_changes_the_ground(open_window: Callable[..., Any], app: Any) -> None:
    window = open_window()
    brightness = {}
    for name in ("dark", "light"):
        window.set_theme(name)
        app.processEvents()
        brightness[name] = window.grab().toImage().pixelColor(3, 3).lightness()

    assert brightness["dark"] < 60 < 200 < brightness["light"]


def test_the_walk_through_is_shown_once(open_window: Callable[..., Any]) -> None:
    first = open_window(walk=True)
    assert first.walk_through.isVisible()
    for _ in first.walk_through.tour.steps:
        assert first.walk_through.isVisible()
        first.walk_through.next.click()
    assert not first.walk_through.isVisible()
    first.close()

    second = open_window(walk=True)
    assert not second.walk_through.isVisible()
    second.help.tour_asked.emit("first-run")
    assert second.walk_through.isVisible()


def test_text_grows(open_window: Callable[..., Any]) -> None:
    window = open_window()
    before = window.header.stop.fontMetrics().height()

    for _ in range(4):
        window.scale_text(1.1)

    assert window.header.stop.fontMetrics().height() > 1.2 * before


def test_closing_lets_go_of_the_source(open_window: Callable[..., Any], source: Any) -> None:
    window = open_window()
    window.close()
    window.close()

    assert source.closed == 1
    polls = source.polls
    assert not window.refresher.timer.isActive()
    assert source.polls == polls


def test_another_run_begins_anew(
    open_window: Callable[..., Any], source: Any, rows: Any, run_on: Any
) -> None:
    window = open_window()
    source.next = {"rows": [rows()]}
    run_on(window)

    source.about = source.about | {"run": "next", "shape": [32, 48]}
    source.next = {"rows": [rows(100, at_nm=(1000.0, 1000.0))]}
    run_on(window)

    assert window.super_res.drawing.picture.pyramid.n_inside == 100
    assert window.super_res.drawing.picture.pyramid.field.shape_px == (32, 48)
