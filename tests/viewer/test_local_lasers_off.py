"""LASER OFF in a window that has not started the run: of the same user, on the same machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rtsmlm.stream.control import ControlServer
from rtsmlm.viewer.panels import local_lasers_off

PATIENCE_S = 20.0


@pytest.fixture
def reasons(private_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Return how often the lasers of the armed run `1f` were switched off."""
    monkeypatch.setattr(local_lasers_off, "_CHECK_S", 0.0)
    found: list[str] = []
    server = ControlServer("1f", found.append, pytest.fail, run="cell-3")
    server.start()
    yield found
    server.close()


def run_until(window: Any, run_on: Any, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < deadline:
        run_on(window, 1)
    return condition()


def test_the_button_of_a_window_that_only_views_switches_the_lasers_off(
    open_window: Callable[..., Any], source: Any, run_on: Any, reasons: list[str]
) -> None:
    source.about["run_id"] = "1f"
    window = open_window()
    assert run_until(window, run_on, window.header.off.isEnabled)
    assert not window.header.stop.isEnabled(), "nothing but that"

    window.header.off.pressed.emit()

    assert run_until(window, run_on, lambda: "run cell-3: lasers off" in window.newest.text())
    assert len(reasons) == 1


@pytest.mark.parametrize("run_id", ["2e", "", "../1f", "1f\x00"])
def test_the_lasers_of_another_run_are_not_switched_off(
    open_window: Callable[..., Any], source: Any, run_on: Any, reasons: list[str], run_id: str
) -> None:
    source.about["run_id"] = run_id
    window = open_window()
    run_on(window)

    assert not window.header.off.isEnabled()
    assert not window.lasers_off()
    assert reasons == []


def test_the_window_of_the_run_itself_asks_by_its_own_pipe(
    open_window: Callable[..., Any], source: Any, control: Any, run_on: Any, reasons: list[str]
) -> None:
    source.about["run_id"] = "1f"
    window = open_window(control)
    run_on(window)

    window.lasers_off()

    assert len(control.asked) == 1
    assert reasons == []


def test_a_run_that_is_gone_meanwhile_is_reported(
    open_window: Callable[..., Any],
    source: Any,
    run_on: Any,
    reasons: list[str],
    private_folder: Path,
) -> None:
    source.about["run_id"] = "1f"
    window = open_window()
    assert run_until(window, run_on, window.header.off.isEnabled)
    [path] = private_folder.iterdir()
    path.unlink()

    window.lasers_off()

    assert run_until(window, run_on, lambda: "not armed any more" in window.newest.text())
    assert run_until(window, run_on, lambda: not window.header.off.isEnabled())
