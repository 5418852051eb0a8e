"""Signals: what they ask for is done although the main thread is blocked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rtsmlm.cli.signals import StopRequest, stop_on_signal

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
WAIT_S = 20.0


def test_a_signal_asks_to_end_and_the_action_is_done_in_another_thread() -> None:
    threads: list[threading.Thread] = []

    with stop_on_signal() as request:
        request.on_stop = lambda: threads.append(threading.current_thread())
        signal.raise_signal(signal.SIGTERM)
        assert request.event.wait(WAIT_S)

    assert request.signal == signal.SIGTERM
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


def test_a_second_ctrl_c_breaks_off() -> None:
    request = StopRequest()

    request.handle(signal.SIGTERM, None)
    request.handle(signal.SIGTERM, None)

    with pytest.raises(KeyboardInterrupt):
        request.handle(signal.SIGINT, None)


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_exit_code_names_the_signal(number: signal.Signals) -> None:
    request = StopRequest()
    request.act(number)

    assert request.event.is_set()
    assert request.exit_code == 128 + number


def test_an_action_that_fails_does_not_end_the_thread_that_acts() -> None:
    def fail() -> None:
        raise OSError("the port is gone")

    with stop_on_signal() as request:
        request.on_stop = fail
        signal.raise_signal(signal.SIGTERM)
        assert request.event.wait(WAIT_S)
        request.event.clear()
        signal.raise_signal(signal.SIGTERM)
        assert request.event.wait(WAIT_S)


def test_signals_are_handled_inside_the_block_and_as_before_after_it() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    with stop_on_signal():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    with pytest.raises(RuntimeError, match="inside"), stop_on_signal():
        raise RuntimeError("inside")

    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert signal.set_wakeup_fd(-1) == -1


PROGRAM = """
import ctypes, pathlib, sys
from rtsmlm.cli.signals import stop_on_signal
done = pathlib.Path(sys.argv[1])
with stop_on_signal() as request:
    request.on_stop = lambda: done.write_text("stopped")
    request.on_pause = lambda: done.write_text("paused")
    print("ready", flush=True)
    if sys.argv[2] == "blocked":
        ctypes.CDLL(None).usleep.argtypes = [ctypes.c_uint]
        for _ in range(1000):  # in C, without the interpreter: no handler of Python runs meanwhile
            ctypes.CDLL(None).usleep(100_000)
            if request.signal is not None and done.exists():
                break
    else:
        request.event.wait(60)
"""


def _program(done: Path, how: str) -> subprocess.Popen[str]:
    program = subprocess.Popen(
        [sys.executable, "-P", "-c", PROGRAM, str(done), how], stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    program.stdout.close()
    return program


def _wait_for(done: Path, text: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not done.exists() or done.read_text() != text:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@posix
@pytest.mark.parametrize("how", ["blocked", "waiting"])
def test_a_main_thread_that_is_blocked_does_not_keep_a_signal_from_acting(
    tmp_path: Path, how: str
) -> None:
    program = _program(tmp_path / "done", how)

    program.send_signal(signal.SIGTERM)

    _wait_for(tmp_path / "done", "stopped")
    assert program.wait(WAIT_S) == 0


@posix
def test_ctrl_z_acts_first_and_stops_then_and_the_program_can_go_on(tmp_path: Path) -> None:
    program = _program(tmp_path / "done", "waiting")

    program.send_signal(signal.SIGTSTP)
    _, status = os.waitpid(program.pid, os.WUNTRACED)

    assert os.WIFSTOPPED(status)
    assert (tmp_path / "done").read_text() == "paused"

    program.send_signal(signal.SIGCONT)
    program.send_signal(signal.SIGTERM)
    _wait_for(tmp_path / "done", "stopped")
    program.wait(WAIT_S)
