"""The window as a process: what it sends arrives, and what becomes of it harms no run."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rtsmlm.cli import window as window_module
from rtsmlm.cli.window import Window
from rtsmlm.session.session import Session
from rtsmlm.viewer.commands import (
    LasersOff,
    RunPlace,
    SetTarget,
    Stop,
    from_line,
    place_from_line,
    to_line,
)

Open = Callable[..., Window]

SAY = """
import sys
sys.stdout.buffer.write({text!r}.encode("utf-8", "surrogateescape"))
sys.stdout.flush()
sys.stdin.read()
"""
DEAF = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('{"command": "WindowReady"}', flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def open_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Return a function that opens a window whose program is a few lines of Python."""
    opened: list[Window] = []
    real = subprocess.Popen
    script = tmp_path / "viewer.py"

    def stand_in(command: list[str], **more: Any) -> Any:
        assert command[1:4] == ["-P", "-m", "rtsmlm.viewer"]
        assert command[4:] == ["--control"]
        return real([sys.executable, str(script)], **more)

    def make(program: str, on_line: Callable[[str], None] = lambda line: None) -> Window:
        script.write_text(program)
        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "Popen", stand_in)
            opened.append(Window(on_line))
        return opened[-1]

    yield make
    for window in opened:
        window.close()


def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    return condition()


def test_every_command_comes_at_once_and_in_its_order(open_window: Open) -> None:
    lines: list[str] = []
    text = f"{to_line(LasersOff())}\n{to_line(SetTarget(0.2))}\n"

    open_window(SAY.format(text=text), lines.append)

    assert until(lambda: len(lines) == 2)
    assert [from_line(line) for line in lines] == [LasersOff(), SetTarget(0.2)]


def test_what_a_library_prints_is_logged_and_is_no_command(
    open_window: Open, caplog: pytest.LogCaptureFixture
) -> None:
    lines: list[str] = []
    text = f"Qt: a warning\n\udcff\n[1, 2]\n7\nnull\n\n{to_line(Stop())}\n"

    with caplog.at_level(logging.INFO):
        open_window(SAY.format(text=text), lines.append)
        assert until(lambda: bool(lines))

    assert [from_line(line) for line in lines] == [Stop()]
    assert "Qt: a warning" in caplog.text


ECHO = """
import sys
for line in sys.stdin:
    print("{" + repr(line), flush=True)
"""
ALIVE_FOR_A_MOMENT = """
import sys
print('{"command": "WindowAlive"}', flush=True)
sys.stdin.read()
"""


def test_the_window_follows_the_run_and_is_told_of_each_place_once(open_window: Open) -> None:
    lines: list[str] = []
    window = open_window(ECHO, lines.append)

    window.follow(None, "a")  # not published yet
    for _ in range(3):
        window.follow("tcp://127.0.0.1:5758", "a")
    window.follow("tcp://0.0.0.0:5759", "b")

    assert until(lambda: len(lines) == 2)
    told = [place_from_line(eval(line[1:])) for line in lines]  # noqa: S307 - what ECHO prints
    assert told == [RunPlace("tcp://127.0.0.1:5758", "a"), RunPlace("tcp://127.0.0.1:5759", "b")]


def test_a_window_whose_event_loop_stands_still_is_warned_of_once(open_window: Open) -> None:
    lines: list[str] = []
    window = open_window(ALIVE_FOR_A_MOMENT, lines.append)
    assert until(lambda: window._alive_ns is not None)
    assert window.take_warning() is None

    found: list[str] = []
    assert until(lambda: bool(found.append(text) if (text := window.take_warning()) else found))
    assert found[0].startswith("the window has not reacted for 1.")
    assert "rtsmlm lasers-off" in found[0]
    assert window.take_warning() is None
    assert lines == [], "that it is alive is no command"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_window_that_is_killed_leaves_the_run_going(
    open_window: Open, spot_camera: Callable[..., Any], quick_settings: Callable[..., Any]
) -> None:
    settings = quick_settings("record.raw=false", "pipeline.when_behind=skip")
    session = Session(spot_camera(period_s=0.002), settings)
    session.start()
    try:
        lines: list[str] = []
        window = open_window(SAY.format(text='{"command": "WindowReady"}\n'), lines.append)
        assert until(lambda: bool(lines))
        assert window.is_open

        os.kill(window._child.pid, signal.SIGKILL)

        assert until(lambda: not window.is_open)
        before = session.status().totals.received
        assert until(lambda: session.status().totals.received > before + 20)
        assert not session.camera_ended.is_set()
    finally:
        session.stop()
        report = session.close()
    assert report.ok, report.failures


@pytest.mark.skipif(not hasattr(signal, "pause"), reason="needs signals")
def test_a_window_that_does_not_react_is_ended_all_the_same(
    open_window: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window_module, "_END_S", 0.5)
    lines: list[str] = []
    window = open_window(DEAF, lines.append)
    assert until(lambda: bool(lines))

    window.close()
    window.close()

    assert not window.is_open
    assert window._child.exit_code() == -signal.SIGKILL
