"""The end of a window during a run: what is done with the run, and what the terminal prints."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rtsmlm.cli import run_loop, window
from rtsmlm.cli.run_loop import LiveRunner
from rtsmlm.cli.window import Window
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.settings.load import load
from rtsmlm.viewer.commands import WindowClosed, WindowReady, to_line

ARMED_TEXTS = ("steering its lasers unattended", "Ctrl-C ends it", "rtsmlm lasers-off")


class FakeWindow:
    """A window that ends when the test says."""

    opened: list[FakeWindow] = []  # noqa: RUF012

    def __init__(self, on_line: Any, curve_keys: Path | None, *, is_armed: bool) -> None:
        self.is_armed = is_armed
        self.is_open = True
        self.exit_code: int | None = None
        FakeWindow.opened.append(self)
        on_line(to_line(WindowReady()))

    def follow(self, address: str | None, run_id: str, folder: Path | None = None) -> None:
        """There is nothing to show."""

    def take_warning(self) -> str | None:
        return None


class FakeLoop:
    """What a run states of its lasers."""

    tripped: str | None = None
    not_dark: tuple[str, ...] = ()


class FakeSession:
    """A run as far as its window is concerned; its lasers go dark when it is stopped, or do not."""

    stream_address: str | None = None
    run_id = "a"
    folder = RunFolder(Path("run"))

    def __init__(self, not_dark: tuple[str, ...] = ()) -> None:
        self.stopped = 0
        self.loop = FakeLoop()
        self._not_dark = not_dark
        self.warn = print

    def stop(self) -> None:
        self.stopped += 1
        self.loop.not_dark = self._not_dark

    def status(self) -> Any:
        return self


@pytest.fixture
def make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[LiveRunner, FakeSession]]:
    """Return a function that makes a loop with a window, and the run that goes on in it."""
    from rtsmlm.cli.signals import StopRequest

    FakeWindow.opened.clear()
    monkeypatch.setattr(run_loop, "Window", FakeWindow)

    def make(*, armed: bool, **more: Any) -> tuple[LiveRunner, FakeSession]:
        texts = (f"results.out={tmp_path.as_posix()}", f"feedback.arm={str(armed).lower()}")
        settings = load(Path("hil_sim.toml"), texts)
        runner = LiveRunner(settings, arm=armed, request=StopRequest(), with_window=True)
        session: Any = FakeSession(**more)
        runner._session = session
        runner._open_window()
        return runner, session

    return make


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was printed, as one line."""
    captured = capsys.readouterr()
    return re.sub(r"\s+", " ", captured.out + captured.err)


def end(code: int | None) -> None:
    """Let the window end."""
    FakeWindow.opened[0].is_open = False
    FakeWindow.opened[0].exit_code = code


@pytest.mark.parametrize("armed", [True, False])
def test_the_window_knows_whether_runs_are_armed(make: Any, armed: bool) -> None:
    make(armed=armed)

    assert FakeWindow.opened[0].is_armed is armed


def test_stop_the_run_stops_it_and_prints_that_the_lasers_are_off(make: Any, capsys: Any) -> None:
    runner, session = make(armed=True)
    capsys.readouterr()

    runner.handle_line(to_line(WindowClosed(stop=True)))
    end(0)
    runner._attend_window(session)

    assert session.stopped == 1
    text = printed(capsys)
    assert "the window was closed; the run was stopped, lasers off" in text
    assert "goes on" not in text


def test_a_laser_that_does_not_go_dark_is_named(make: Any, capsys: Any) -> None:
    runner, _ = make(armed=True, not_dark=("activation",))

    runner.handle_line(to_line(WindowClosed(stop=True)))

    text = printed(capsys)
    assert "the run was stopped, NOT CONFIRMED DARK: activation" in text
    assert "lasers off" not in text


def test_keep_it_running_prints_once_that_it_goes_on_steering(make: Any, capsys: Any) -> None:
    runner, session = make(armed=True)
    capsys.readouterr()

    runner.handle_line(to_line(WindowClosed(stop=False)))
    end(0)
    for _ in range(3):
        runner._attend_window(session)

    assert session.stopped == 0
    text = printed(capsys)
    assert text.count("the window was closed; the run goes on") == 1
    for words in ARMED_TEXTS:
        assert words in text


def test_after_a_trip_nothing_is_steered(make: Any, capsys: Any) -> None:
    runner, session = make(armed=True)
    session.loop.tripped = "lasers switched off by the user"
    capsys.readouterr()

    runner.handle_line(to_line(WindowClosed(stop=False)))

    assert "steering" not in printed(capsys)


@pytest.mark.parametrize("code", [-9, -11, 1, 0, None])
def test_a_window_that_ends_without_an_answer_leaves_the_run_and_is_reported_once(
    make: Any, capsys: Any, code: int | None
) -> None:
    runner, session = make(armed=True)
    capsys.readouterr()

    end(code)
    for _ in range(3):
        runner._attend_window(session)

    assert session.stopped == 0
    text = printed(capsys)
    assert text.count("the window ended without being closed") == 1
    assert (code is None) or (f"signal {-code}" if code < 0 else f"exit code {code}") in text
    for words in ARMED_TEXTS:
        assert words in text


def test_the_end_of_the_window_of_an_unarmed_run_is_no_matter_of_lasers(
    make: Any, capsys: Any
) -> None:
    runner, session = make(armed=False)
    runner.handle_line(to_line(WindowClosed(stop=False)))
    end(0)
    runner._attend_window(session)
    text = printed(capsys)

    assert "the window was closed; the run goes on, Ctrl-C ends it" in text
    assert "laser" not in text
    assert session.stopped == 0


def test_ctrl_c_ends_both_and_says_nothing_of_the_window(make: Any, capsys: Any) -> None:
    runner, session = make(armed=True)
    capsys.readouterr()
    runner._request.event.set()

    end(-2)
    runner._attend_window(session)

    assert "window" not in printed(capsys)


def test_between_two_runs_the_end_of_the_window_stops_nothing(make: Any, capsys: Any) -> None:
    runner, session = make(armed=True)
    runner._session = None
    capsys.readouterr()

    runner.handle_line(to_line(WindowClosed(stop=True)))

    assert session.stopped == 0
    assert printed(capsys) == ""


# -- the process -----------------------------------------------------------------------------


def process(monkeypatch: pytest.MonkeyPatch, code: str) -> tuple[Window, list[str]]:
    """Return a window that is a process with some code, and the lines that it sends."""
    monkeypatch.setattr(
        window, "module_command", lambda *arguments: [sys.executable, "-c", code, *arguments]
    )
    lines: list[str] = []
    return Window(lines.append, is_armed=True), lines


def test_the_last_line_of_a_window_counts_before_its_end_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = threading.Event()
    shown, lines = process(monkeypatch, "print('{}', flush=True)")
    append = lines.append

    def slowly(line: str) -> None:
        assert taken.wait(30.0)
        append(line)

    shown._on_line = slowly
    end_s = time.monotonic() + 30.0
    while shown.exit_code is None and time.monotonic() < end_s:
        time.sleep(0.01)

    assert shown.is_open, "a line of it waits to be taken"
    taken.set()
    while shown.is_open and time.monotonic() < end_s:
        time.sleep(0.01)
    assert not shown.is_open
    assert lines == ["{}"]
    assert shown.exit_code == 0
    shown.close()


def test_what_a_window_prints_as_an_error_is_read_and_is_no_command(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """More than a pipe holds: nothing that is printed stops a window."""
    code = "import sys; sys.stderr.write('a warning of a library\\n' * 20000); print('{}')"
    with caplog.at_level("INFO"):
        shown, lines = process(monkeypatch, code)
        end_s = time.monotonic() + 60.0
        while shown.is_open and time.monotonic() < end_s:
            time.sleep(0.01)
    shown.close()

    assert lines == ["{}"]
    assert "a warning of a library" in caplog.text


def test_an_armed_program_passes_that_on_to_its_window(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, lines = process(monkeypatch, "import sys; print('{', sys.argv[1:])")
    end_s = time.monotonic() + 30.0
    while shown.is_open and time.monotonic() < end_s:
        time.sleep(0.01)
    shown.close()

    assert "'--armed'" in lines[0]
    assert "'--control'" in lines[0]
