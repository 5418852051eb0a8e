"""Help in the window: every part has its section, every link lands, and tours hide nothing."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from rtsmlm.cli import app as command_line
from rtsmlm.settings.load import load
from rtsmlm.viewer import tours as tours_module
from rtsmlm.viewer.help_pages import FIRST, FOLDER, PAGES, anchor_of, sections
from rtsmlm.viewer.tours import CROWDED, FIRST_RUN, TOURS, Tour

ROOT = Path(__file__).parents[2]
SIZES = [(1280, 800), (1024, 640), (300, 600)]


def shown_panels(window: Any) -> list[Any]:
    """Return the parts of a window that a user sees; others have no form of their own."""
    from rtsmlm.viewer.widgets.qt import QtWidgets

    return [panel for panel in window.panels if isinstance(panel, QtWidgets.QWidget)]


def is_inside(window: Any, widget: Any) -> bool:
    rect = widget.rect()
    corners = (rect.topLeft(), rect.bottomRight())
    return all(window.rect().contains(widget.mapTo(window, corner)) for corner in corners)


def test_every_part_of_the_window_has_a_section_and_a_mark_that_opens_it(
    open_window: Callable[..., Any],
) -> None:
    from rtsmlm.viewer.panels.messages import Messages
    from rtsmlm.viewer.widgets.help_mark import HelpMark

    window = open_window()
    panels = [panel for panel in shown_panels(window) if panel is not window.local_off]
    assert len(panels) > 9

    for panel in panels:
        assert panel.section in sections(), type(panel).__name__
        if isinstance(panel, Messages):  # a tab, with the mark of the tabs
            continue
        marks = [m for m in panel.findChildren(HelpMark) if window.guide.section_of(m) == m.section]
        assert marks, type(panel).__name__
        window.help.hide()
        marks[0].click()
        assert window.help.isVisible()
        assert window.help.section == panel.section
        assert sections()[panel.section].title in window.help.browser.toPlainText()


def test_the_section_of_the_curves_is_that_of_the_tab_in_front(
    open_window: Callable[..., Any],
) -> None:
    window = open_window()
    found = []
    for tab in range(window.trends.count()):
        window.trends.setCurrentIndex(tab)
        window.trends.help_mark.click()
        found.append(window.help.section)

    assert found == ["density-and-laser", "signal", "resolution-and-drift", "speed", "messages"]


def test_f1_opens_the_section_of_the_part_with_the_focus(open_window: Callable[..., Any]) -> None:
    window = open_window()
    for widget, section in (
        (window.super_res.canvas, "image"), (window.laser.gain, "laser"),
        (window.acquisition.exposure, "next-run"), (window.experiment.notes, "experiment"),
        (window.header.start, "start-and-stop"), (window, ""), (None, ""),
    ):  # fmt: skip
        assert window.guide.section_of(widget) == section


def test_help_outside_all_parts_begins_with_the_first_section(
    open_window: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    window = open_window()
    monkeypatch.setattr(window.guide, "section_of", lambda widget: "")
    window.guide.help_here()

    assert window.help.isVisible()
    assert window.help.section == FIRST


def test_every_link_of_the_help_leads_to_a_section_that_there_is() -> None:
    links = [(s, a) for s in sections().values() for a in re.findall(r"\]\(#([^)]*)\)", s.text)]

    assert len(links) > 15
    for section, anchor in links:
        assert anchor in sections(), f"{section.title}: #{anchor}"
    for section in sections().values():
        assert not re.findall(r"\]\((?!#|https?:)[^)]*\)", section.text), section.title
        assert "![" not in section.text


def test_no_two_sections_share_an_anchor_and_none_is_empty() -> None:
    titles = [
        title
        for page in PAGES
        for title in re.findall(
            r"^## (.*)$", (FOLDER / page).read_text(encoding="utf-8"), re.MULTILINE
        )
    ]

    assert [anchor_of(title) for title in titles] == list(sections())
    for section in sections().values():
        assert len(section.text.split()) > 20, section.title


def test_links_are_followed_and_the_way_back_is_there(open_window: Callable[..., Any]) -> None:
    from rtsmlm.viewer.widgets.qt import QtCore

    window = open_window()
    window.help.show_section("laser")
    assert not window.help.back.isEnabled()
    window.help.browser.anchorClicked.emit(QtCore.QUrl("#the-control-law"))
    assert window.help.section == "the-control-law"
    assert "thermal floor" in window.help.browser.toPlainText()

    window.help.back.click()
    assert window.help.section == "laser"
    assert window.help.contents.currentData() == "laser"
    window.help.show_section("no such section")
    assert window.help.section == FIRST


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_links_and_code_of_the_help_have_the_colours_of_the_theme(
    open_window: Callable[..., Any], theme: str
) -> None:
    window = open_window()
    window.help.show_section("laser")
    window.set_theme(theme)

    colors = set()
    block = window.help.browser.document().begin()
    while block.isValid():
        at = block.begin()
        while not at.atEnd():
            look = at.fragment().charFormat()
            if look.isAnchor():
                colors.add(look.foreground().color().name())
            at += 1
        block = block.next()
    assert colors == {window.theme.accent}


def test_the_table_of_keys_has_every_key_of_the_window(open_window: Callable[..., Any]) -> None:
    from rtsmlm.viewer.widgets.qt import QtGui

    window = open_window()
    text = sections()["keys"].text
    keys = {s.key().toString() for s in window.findChildren(QtGui.QShortcut)}

    assert len(keys) > 15
    for key in keys - {"Ctrl+=", "Esc", ""}:
        assert re.search(rf"(?<![\w+]){re.escape(key)}(?![\w+])", text), key


# -- tours ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("tour", TOURS.values(), ids=TOURS)
def test_a_tour_asks_for_a_simulated_run_that_the_command_line_takes(tour: Tour) -> None:
    group = typer.main.get_command(command_line)
    with group.make_context("rtsmlm", [], resilient_parsing=True) as context:
        live = group.get_command(context, "live").load()
    with live.make_context("live", list(tour.arguments)) as made:
        overrides = made.params["set_"]
    configurations = [name for name in tour.arguments if name.endswith(".toml")]
    settings = load(Path((configurations or ["demo.toml"])[0]), list(overrides or ()))

    assert settings.micromanager.config is not None
    assert str(settings.micromanager.config).endswith((".cfg",))
    assert ("--arm" in tour.arguments) == settings.feedback.arm


@pytest.mark.parametrize("tour", TOURS.values(), ids=TOURS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_tour_frames_what_it_speaks_of_and_covers_nothing(
    open_window: Callable[..., Any], app: Any, run_on: Any, tour: Tour, size: tuple[int, int]
) -> None:
    window = open_window(size=size)
    window.help.tour_asked.emit(tour.name)
    walk = window.walk_through
    for step in tour.steps:
        for _ in range(3):
            app.processEvents()
        name, _, tab = step.panel.partition(":")
        part = window.guide._parts[name]
        assert walk.isVisible()
        assert step.title in walk.title.text() or size[0] < 400
        assert part.isVisible()
        assert window.guide.outline.parentWidget() is part
        assert window.guide.outline.geometry() == part.rect()
        if tab:
            assert part.tabText(part.currentIndex()) == tab
        if part is not window.header and size[0] > 400:
            assert (
                walk.mapTo(window, walk.rect().bottomLeft()).y()
                < part.mapTo(window, part.rect().topLeft()).y()
            )
            assert not part.visibleRegion().isEmpty()
        assert is_inside(window, window.header.off)
        assert (window.width(), window.height()) == size
        walk.next.click()

    assert not walk.isVisible()
    assert not window.guide.outline.isVisible()


def test_what_a_tour_frames_stays_in_view_when_it_grows(
    open_window: Callable[..., Any], app: Any
) -> None:
    window = open_window(size=(1280, 640))
    window.help.tour_asked.emit("lasers")
    for _ in range(5):
        app.processEvents()
    laser = window.laser
    before = laser.height()

    laser.alarm.setText("tripped: the reason takes two lines of the narrow column of panels " * 2)
    laser.alarm.show()
    laser.reset.show()
    for _ in range(8):
        app.processEvents()

    assert laser.height() > before
    assert laser.target.visibleRegion().boundingRect() == laser.target.rect()


def test_the_outline_takes_no_click(open_window: Callable[..., Any], app: Any) -> None:
    from rtsmlm.viewer.widgets.qt import QtCore

    window = open_window()
    window.help.tour_asked.emit("lasers")
    outline = window.guide.outline

    assert outline.testAttribute(QtCore.Qt.WidgetAttribute.WA_TransparentForMouseEvents)
    assert window.laser.childAt(window.laser.gain.geometry().center()) is not outline


def test_a_tour_begins_from_the_menu_and_goes_back_and_on(open_window: Callable[..., Any]) -> None:
    window = open_window()
    menu = window.help.tours.menu()
    assert [action.text() for action in menu.actions()] == [tour.title for tour in TOURS.values()]
    menu.actions()[3].trigger()

    walk = window.walk_through
    assert walk.tour is CROWDED
    assert CROWDED.command in walk.command.text()
    assert not walk.back.isEnabled()
    walk.next.click()
    walk.back.click()
    assert CROWDED.steps[0].text == walk.text.text()
    walk.skip.click()
    assert not walk.isVisible()


def test_a_run_of_a_tour_is_not_started_beside_a_run_that_goes_on(
    open_window: Callable[..., Any], source: Any, run_on: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtsmlm.viewer import guide

    started: list[Tour] = []
    monkeypatch.setattr(guide, "start_run", started.append)
    window = open_window()
    window.help.tour_asked.emit("lasers")
    run_on(window)
    window.walk_through.start.click()
    assert "a run goes on" in window.walk_through.start.toolTip()
    assert started == []

    source.connection = "ended"
    run_on(window)
    window.walk_through.start.click()
    assert [tour.name for tour in started] == ["lasers"]


def test_the_window_of_the_run_that_a_tour_has_started_goes_on_with_it(
    open_window: Callable[..., Any], source: Any, run_on: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtsmlm.viewer import guide

    monkeypatch.setattr(guide, "start_run", lambda tour: None)
    source.connection = "ended"
    first = open_window()
    run_on(first)
    first.help.tour_asked.emit("two-colours")
    first.walk_through.start.click()

    second, third = open_window(walk=True), open_window(walk=True)

    assert second.walk_through.isVisible()
    assert second.walk_through.tour.name == "two-colours"
    assert not second.walk_through.command.isVisible()
    assert not third.walk_through.isVisible()


def test_a_run_that_cannot_start_is_reported(
    open_window: Callable[..., Any], source: Any, run_on: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtsmlm.viewer import guide

    def fail(tour: Tour) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(guide, "start_run", fail)
    source.connection = "ended"
    window = open_window()
    run_on(window)
    window.help.tour_asked.emit("lasers")
    window.walk_through.start.click()

    assert "no more processes" in window.newest.text()


def test_a_run_is_started_by_this_python_with_the_arguments_of_the_tour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(
        tours_module.subprocess, "Popen", lambda command, **more: commands.append(command)
    )
    for tour in TOURS.values():
        tours_module.start_run(tour)

    assert commands[0][1:] == ["-P", "-m", "rtsmlm.cli", "live"]
    assert commands[1][-2:] == ["hil_sim.toml", "--arm"]
    assert FIRST_RUN.command == "rtsmlm live"


def test_the_pages_of_the_help_are_installed_with_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["rtsmlm.viewer"]

    found = {path for pattern in patterns for path in (ROOT / "rtsmlm/viewer").glob(pattern)}
    assert {FOLDER / page for page in PAGES} <= found
