"""The reader of updates knows no panel; a panel knows only the update."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest

import rtsmlm.viewer
from rtsmlm.stream.messages import ResolutionMessage
from rtsmlm.viewer import update_reader
from rtsmlm.viewer.update_reader import LEAST_ROWS, MOST_ROWS, WANTED_S, UpdateReader


class OwnResolution:
    """Stands in for the measurement of the window: gives a figure when the test says so."""

    alive: ClassVar[list[OwnResolution]] = []

    def __init__(self, shape_px: tuple[int, int], pixel_nm: float) -> None:
        self.field = shape_px, pixel_nm
        self.n_rows = 0
        self.found: ResolutionMessage | None = None
        OwnResolution.alive.append(self)

    def add(self, batches: Any) -> None:
        self.n_rows += sum(map(len, batches))

    def take(self) -> ResolutionMessage | None:
        found, self.found = self.found, None
        return found

    def close(self) -> None:
        OwnResolution.alive.remove(self)


class CompiledAlready:
    """Stands in for the compiling, of which nothing here depends."""

    is_done = True

    def close(self) -> None: ...


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[UpdateReader]:
    OwnResolution.alive = []
    monkeypatch.setattr(update_reader, "LiveResolution", OwnResolution)
    monkeypatch.setattr(update_reader, "WarmUp", CompiledAlready)
    made = UpdateReader()
    yield made
    made.close()
    made.close()
    assert OwnResolution.alive == []


def stated(frame: int, resolution_nm: float | None) -> dict[str, Any]:
    return {"frame": frame, "resolution_nm": resolution_nm}


def read(reader: UpdateReader, source: Any, **what: Any) -> Any:
    source.next = what
    update = reader.read(source)
    assert update is not None
    return update


# -- another run ---------------------------------------------------------------------------------


def test_a_run_begins_once_and_another_one_or_another_field_begins_anew(
    reader: UpdateReader, source: Any
) -> None:
    assert [read(reader, source).begins for _ in range(3)] == [True, False, False]
    for change in ({"run": "next"}, {"shape": [32, 32]}, {"pixel_nm": 50.0}):
        source.about = source.about | change
        assert [read(reader, source).begins for _ in range(2)] == [True, False]


def test_nothing_begins_before_the_run_states_its_field(
    reader: UpdateReader, source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtsmlm.viewer.sources.updates import RunUpdate

    with monkeypatch.context() as patch:
        patch.setattr(source, "poll", lambda most_rows: RunUpdate(connection="waiting"))
        assert not read(reader, source).begins
        assert OwnResolution.alive == []

    assert read(reader, source).begins


def test_an_update_names_its_source(reader: UpdateReader, source: Any) -> None:
    assert read(reader, source).source_name == "fake run"


def test_no_source_is_asked_before_drawing_is_compiled(
    source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(update_reader, "WarmUp", CompiledAlready)
    monkeypatch.setattr(CompiledAlready, "is_done", False)
    reader = UpdateReader()

    assert reader.read(source) is None
    assert not reader.is_ready
    assert source.polls == reader.polls == 0
    reader.close()


# -- portions ------------------------------------------------------------------------------------


def test_portions_follow_the_time_that_they_take_within_their_limits(
    reader: UpdateReader, source: Any, rows: Callable[..., Any]
) -> None:
    asked: list[int] = []
    poll = source.poll

    def spy(most_rows: int = 0) -> Any:
        asked.append(most_rows)
        return poll(most_rows)

    source.poll = spy
    for spent_s in (*[WANTED_S / 50] * 8, *[50 * WANTED_S] * 3):
        update = read(reader, source, rows=[rows(4000)])
        reader.learn(update, spent_s)
    read(reader, source)

    assert asked[0] == LEAST_ROWS
    assert all(b <= 2 * a for a, b in pairwise(asked))
    assert max(asked) == MOST_ROWS
    assert asked[-1] == LEAST_ROWS


def test_an_update_without_rows_teaches_nothing(reader: UpdateReader, source: Any) -> None:
    reader.learn(read(reader, source), 10.0)

    assert reader._most_rows == LEAST_ROWS


def test_the_age_of_the_data_is_that_of_the_newest_status_while_the_run_is_live(
    reader: UpdateReader, source: Any, status: Any
) -> None:
    read(reader, source, status=status(newest_age_s=4.0))
    assert reader.age_s == 4.0
    read(reader, source)
    assert reader.age_s == 4.0
    source.connection = "ended"
    read(reader, source)
    assert reader.age_s == 0.0


# -- resolution ----------------------------------------------------------------------------------


def test_where_the_run_measures_the_resolution_the_window_measures_none(
    reader: UpdateReader, source: Any, status: Any, rows: Callable[..., Any]
) -> None:
    first = read(reader, source, status=status(resolution=stated(-1, None)), rows=[rows(10)])
    assert first.resolution is None
    assert OwnResolution.alive == []

    found = [
        read(
            reader, source, status=status(resolution=stated(frame, nm)), rows=[rows(10)]
        ).resolution
        for frame, nm in ((500, 40.0), (500, 40.0), (900, 25.0))
    ]

    assert found == [
        ResolutionMessage(frame=500, resolution_nm=40.0), None,
        ResolutionMessage(frame=900, resolution_nm=25.0),
    ]  # fmt: skip
    assert OwnResolution.alive == []


def test_where_the_run_measures_none_the_window_does(
    reader: UpdateReader, source: Any, status: Any, rows: Callable[..., Any]
) -> None:
    read(reader, source, status=status(), rows=[rows(30)])
    [own] = OwnResolution.alive
    assert own.field == ((64, 64), 100.0)
    assert own.n_rows == 30

    own.found = ResolutionMessage(frame=29, resolution_nm=33.0)

    assert read(reader, source).resolution == ResolutionMessage(frame=29, resolution_nm=33.0)
    assert read(reader, source).resolution is None


def test_rows_that_come_again_are_measured_from_the_first(
    reader: UpdateReader, source: Any, rows: Callable[..., Any]
) -> None:
    read(reader, source, rows=[rows(30)])
    [before] = OwnResolution.alive
    read(reader, source, restarted=True, rows=[rows(5)])
    [after] = OwnResolution.alive

    assert after is not before
    assert after.n_rows == 5


def test_the_next_run_at_the_address_states_its_own_resolution_from_its_first_frame(
    reader: UpdateReader, source: Any, status: Any
) -> None:
    read(reader, source, status=status(resolution=stated(5000, 25.0)))
    source.about = source.about | {"run": "next"}

    update = read(reader, source, status=status(resolution=stated(400, 70.0)))

    assert update.resolution == ResolutionMessage(frame=400, resolution_nm=70.0)


# -- the window ----------------------------------------------------------------------------------


def test_the_window_shows_the_number_that_ends_the_run(
    open_window: Callable[..., Any], source: Any, status: Any, rows: Any, run_on: Any
) -> None:
    window = open_window()
    source.next = {"status": status(resolution=stated(800, 24.87)), "rows": [rows()]}
    run_on(window)
    window.trends.setCurrentIndex(2)
    run_on(window)

    assert window.series.curves["resolution_nm"].last == 24.87
    assert "24.9" in window.trends.plots["resolution"].value.text()


def test_a_panel_is_one_file_and_one_line(
    open_window: Callable[..., Any], source: Any, status: Any, rows: Any, run_on: Any
) -> None:
    from rtsmlm.viewer.panels.panel import Panel
    from rtsmlm.viewer.widgets.qt import QtWidgets

    class RowCount(Panel, QtWidgets.QLabel):
        n_rows, why_not, refreshed, themed = 0, "", 0, False

        def show_update(self, update: Any) -> None:
            self.n_rows = (0 if update.begins else self.n_rows) + sum(map(len, update.rows))

        def set_why_not(self, why_not: str | None) -> None:
            self.why_not = why_not or ""

        def set_theme(self, theme: Any) -> None:
            self.themed = True

        def refresh(self) -> None:
            self.refreshed += 1

    window = open_window()
    panel = window._add(RowCount(), window.layout_parts.left.add)
    source.next = {"rows": [rows(70)], "status": status()}
    run_on(window)
    window.set_theme("dark")
    window.lose_control("the program has ended")

    assert panel.n_rows == 70
    assert panel.refreshed > 0
    assert panel.themed
    assert panel.why_not == "the program has ended"
    assert panel.isVisibleTo(window)


def test_every_panel_is_given_every_update(
    open_window: Callable[..., Any], source: Any, run_on: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = open_window()
    seen: list[str] = []
    for panel in window.panels:
        name = type(panel).__name__
        monkeypatch.setattr(panel, "show_update", lambda update, name=name: seen.append(name))
    run_on(window, 1)

    assert sorted(seen) == [
        "AcquisitionPanel", "CameraPanel", "ExperimentPanel", "Exporter", "Guide", "Header",
        "HistogramPanel", "LaserPanel", "LedgerLights", "LightWarnings", "LocalLasersOff",
        "Messages", "RunEnd", "SuperResPanel", "TrendsPanel",
    ]  # fmt: skip


def test_what_could_not_be_read_is_a_message_in_the_window(
    open_window: Callable[..., Any], source: Any, status: Any, run_on: Any
) -> None:
    window = open_window()
    problem = "the status of the run cannot be read: loop.cap: field required"
    source.next = {"problem": problem}
    run_on(window)
    source.next = {"problem": problem, "status": status(warnings=["dim"])}
    run_on(window)

    assert [notice.text for notice in window.messages.notices] == [problem, "dim"]
    assert window.trends.tabText(window.trends.indexOf(window.messages)) == "Messages 2"
    source.about = source.about | {"run": "next"}
    source.next = {"status": status()}
    run_on(window)
    assert window.messages.notices == []


def test_a_status_with_unknown_numbers_shows_dashes_and_ends_nothing(
    open_window: Callable[..., Any], source: Any, status: Any, run_on: Any
) -> None:
    window = open_window()
    data = status(frames_per_s=None, emitters_per_frame=None, disk_free_mb=None, p50_ms=None)
    data["loop"] |= dict.fromkeys(("power", "cap", "wanted", "dose", "target_per_um2"))
    source.next = {"status": data}
    run_on(window)

    assert window.header.rate.text() == ""
    assert window.acquisition.disk.text() == ""
    assert {window.laser.values[name].text() for name in ("cap", "wanted", "dose")} == {"–"}
    assert window.laser.bar.value() == 0
    assert math.isnan(window.series.frame_s)


def test_the_reader_and_the_sources_import_no_part_of_the_window() -> None:
    """What reads a run must not know what draws it: no circle, and no Qt."""
    folder = Path(rtsmlm.viewer.__file__).parent
    files = [folder / "update_reader.py", folder / "live_resolution.py", folder / "commands.py"]
    files += sorted((folder / "sources").glob("*.py"))
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        for part in ("live_widget", "panels", "widgets", "window_layout", "app"):
            assert not any(f"rtsmlm.viewer.{part}" in module for module in modules), (file, part)


def test_what_one_panel_cannot_show_the_others_show(
    open_window: Callable[..., Any], source: Any, status: Any, run_on: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def fail(update: Any) -> None:
        raise OverflowError("a number that no bar can show")

    window = open_window()
    monkeypatch.setattr(window.laser, "show_update", fail)
    source.next = {"status": status(frames_per_s=123.0)}
    run_on(window, 1)

    assert window.header.rate.text().startswith("123 frames/s")
    assert "not shown: OverflowError: a number that no bar can show" in window.newest.text()
