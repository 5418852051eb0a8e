"""The window as a program: its own process, its pipe, its command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rtsmlm.errors import ConfigError
from rtsmlm.files.tables.arrow_schema import schema
from rtsmlm.stream.publisher import Publisher
from rtsmlm.viewer.commands import (
    RunPlace,
    WindowAlive,
    WindowReady,
    from_line,
    place_to_line,
)


def start(*arguments: str, errors: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "rtsmlm.viewer", *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
        env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
    )  # fmt: skip


@pytest.mark.parametrize("parent_stays", [True, False])
def test_the_window_outlives_its_parent_and_sends_no_command_at_its_end(
    app: Any, tmp_path: Path, parent_stays: bool
) -> None:
    ini = str(tmp_path / "window.ini")
    process = start("tcp://127.0.0.1:5799", "--control", "--settings", ini)
    assert process.stdin is not None
    assert process.stdout is not None
    if not parent_stays:
        process.stdin.close()
        process.stdin = None
    end_s = time.monotonic() + 60
    while not Path(ini).exists() and process.poll() is None and time.monotonic() < end_s:
        time.sleep(0.05)
    time.sleep(1.0)
    assert process.poll() is None, "the window went with the end of its parent"

    if sys.platform == "win32":
        process.kill()
        process.communicate(timeout=30)
        return
    process.send_signal(signal.SIGTERM)
    assert process.wait(90) == 0
    out = process.stdout.read()
    if process.stdin is not None:
        process.stdin.close()
    process.stdout.close()
    # Whether it had compiled all it needs by then is a matter of the machine.
    lines = [line for line in out.splitlines() if line]
    sent = [message for line in lines if (message := from_line(line)) != WindowAlive()]
    assert sent in ([], [WindowReady()])
    assert not parent_stays or WindowAlive() in map(from_line, lines)


def test_a_window_without_an_address_shows_the_run_that_its_parent_names(
    app: Any, tmp_path: Path
) -> None:
    about = {"run": "cell-3", "shape": [64, 64], "pixel_nm": 100.0}
    made = Publisher("tcp://127.0.0.1:*", schema=schema({}), settings=about, run_id="1f")
    made.start()
    process = start("--control", "--settings", str(tmp_path / "window.ini"))
    assert process.stdin is not None
    try:
        place = place_to_line(RunPlace(made.address, "1f"))
        process.stdin.write(f"no place\n{place}\n")
        process.stdin.flush()
        end_s = time.monotonic() + 60
        while not made.frame_is_wanted and process.poll() is None and time.monotonic() < end_s:
            time.sleep(0.05)

        assert made.frame_is_wanted, "the window has not subscribed"
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate(timeout=60)
        made.close()


def test_what_is_neither_an_address_nor_a_folder_is_refused(app: Any, tmp_path: Path) -> None:
    process = start(str(tmp_path / "nowhere"), errors=subprocess.PIPE)
    out, errors = process.communicate(timeout=60)

    assert process.returncode == 1
    assert out == ""
    assert "neither an address" in errors


def test_rtsmlm_view_opens_the_folder_it_is_given(
    app: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from rtsmlm.cli.view import view
    from rtsmlm.viewer import app as window_app

    shown: list[Any] = []
    monkeypatch.setattr(window_app, "show", lambda source: shown.append(source) or 0)

    view(str(tmp_path))
    assert shown[0].path == tmp_path
    with pytest.raises(ConfigError, match="neither an address"):
        view(str(tmp_path / "nowhere"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="others always have a screen")
@pytest.mark.parametrize("display", [None, ":987"], ids=["none", "one that does not answer"])
def test_rtsmlm_view_without_a_screen_is_one_line(tmp_path: Path, display: str | None) -> None:
    place = {"DISPLAY": display} if display else {}
    away = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "rtsmlm.cli", "view", str(tmp_path)],
        env={name: value for name, value in os.environ.items() if name not in away} | place,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    said = " ".join((done.stdout + done.stderr).split())
    assert "no window can be opened" in said
    assert "Traceback" not in said


def test_a_shown_window_ends_with_its_close_and_ends_no_run(
    app: Any, source: Any, control: Any, tmp_path: Path
) -> None:
    from rtsmlm.viewer.app import show
    from rtsmlm.viewer.live_widget import LiveWidget
    from rtsmlm.viewer.widgets.qt import QtCore

    def close() -> None:
        for window in app.topLevelWidgets():
            if isinstance(window, LiveWidget):
                window.close()

    QtCore.QTimer.singleShot(500, close)
    code = show(source, control, settings_file=tmp_path / "window.ini")

    assert code == 0
    assert control.asked == [], "closing the window ends no run"
    assert source.closed == 1


def test_a_stalled_window_takes_the_backlog_in_bites(
    open_window: Callable[..., Any], source: Any, rows: Callable[..., Any], run_on: Any
) -> None:
    from rtsmlm.viewer.update_reader import LEAST_ROWS, MOST_ROWS

    window = open_window()
    asked: list[int] = []
    poll = source.poll

    def spy(most_rows: int = 0) -> Any:
        asked.append(most_rows)
        source.next = {"rows": [rows(most_rows)]}
        return poll(most_rows)

    source.poll = spy
    for _ in range(12):
        run_on(window, 1)

    assert min(asked) >= LEAST_ROWS
    assert max(asked) <= MOST_ROWS
    assert len(asked) == 12, "one question per tick, so that nothing piles up"


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="None is immortal there")
def test_a_binding_that_forgets_to_count_is_refused(
    app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtsmlm.viewer.widgets import qt

    left = iter((50_000, 49_900))
    monkeypatch.setattr(sys, "getrefcount", lambda _: next(left))

    with pytest.raises(ConfigError, match="would crash Python"):
        qt._refuse_if_deadly()
