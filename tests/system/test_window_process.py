"""The window as a process: what it says is done, and what becomes of it harms no run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from rtsmlm.cli import window as window_module
from rtsmlm.cli.window import Act, Window
from rtsmlm.session.session import Session

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
print('{"do": "here"}', flush=True)
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
        assert command[4:] == ["tcp://127.0.0.1:1", "--control"]
        return real([sys.executable, str(script)], **more)

    def make(program: str, acts: Mapping[str, Act] | None = None) -> Window:
        script.write_text(program)
        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "Popen", stand_in)
            opened.append(Window("tcp://127.0.0.1:1", acts or {}))
        return opened[-1]

    yield make
    for window in opened:
        window.close()


def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    return condition()


def test_a_click_is_acted_on_at_once(open_window: Open) -> None:
    heard: list[Mapping[str, Any]] = []
    text = '{"do": "lasers off"}\n{"do": "target", "per_um2": 0.2}\n'

    open_window(SAY.format(text=text), {"lasers off": heard.append, "target": heard.append})

    assert until(lambda: len(heard) == 2)
    assert heard == [{"do": "lasers off"}, {"do": "target", "per_um2": 0.2}]


def test_what_nobody_acts_on_waits_for_whoever_asks(open_window: Open) -> None:
    window = open_window(SAY.format(text='{"do": "start", "settings": ["a.b=1"]}\n'))

    assert window.next_command(20.0) == {"do": "start", "settings": ["a.b=1"]}
    assert window.next_command(0.01) is None


def test_lines_that_are_no_commands_are_survived(open_window: Open) -> None:
    stopped = threading.Event()
    text = 'Qt: a warning\n\udcff\n[1, 2]\n7\nnull\n{"other": 1}\n{"do": ["x"]}\n\n{"do": "stop"}\n'

    open_window(SAY.format(text=text), {"stop": lambda command: stopped.set()})

    assert stopped.wait(20.0)


def test_an_act_that_fails_leaves_the_next_one_heard(open_window: Open) -> None:
    stopped = threading.Event()

    def fail(command: Mapping[str, Any]) -> None:
        raise KeyError(command["per_um2"])

    text = '{"do": "target"}\n{"do": "stop"}\n'
    open_window(SAY.format(text=text), {"target": fail, "stop": lambda command: stopped.set()})

    assert stopped.wait(20.0)


def test_more_commands_than_anybody_takes_block_nothing(open_window: Open) -> None:
    stopped = threading.Event()
    text = '{"do": "snap"}\n' * 100 + '{"do": "stop"}\n'

    open_window(SAY.format(text=text), {"stop": lambda command: stopped.set()})

    assert stopped.wait(20.0)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_window_that_is_killed_leaves_the_run_going(
    open_window: Open, spot_camera: Callable[..., Any], quick_settings: Callable[..., Any]
) -> None:
    settings = quick_settings("record.raw=false", "pipeline.when_behind=skip")
    session = Session(spot_camera(period_s=0.002), settings)
    session.start()
    try:
        window = open_window(
            SAY.format(text='{"do": "hello"}\n'),
            {"stop": lambda command: session.stop()},
        )
        assert window.next_command(20.0) == {"do": "hello"}
        assert window.is_open

        os.kill(window._process.pid, signal.SIGKILL)

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
    window = open_window(DEAF)
    assert window.next_command(20.0) == {"do": "here"}

    window.close()
    window.close()

    assert not window.is_open
    assert window._process.returncode == -signal.SIGKILL
