"""Commands through the pipe: in their order, none waits in the window, lasers off goes first."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rtsmlm.viewer.commands import (
    LasersOff,
    ResetTrip,
    SetGain,
    SetTarget,
    Start,
    Stop,
    WindowClosed,
    WindowReady,
    from_line,
)

pytest.importorskip("qtpy.QtWidgets", exc_type=ImportError)

DEADLINE_S = 30.0
NEEDS_PIPE = pytest.mark.skipif(
    sys.platform == "win32", reason="a pipe there cannot be filled without waiting"
)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    for end in (read, write):
        try:
            os.close(end)
        except OSError:
            continue


def read_messages(descriptor: int, count: int) -> list[Any]:
    """Read until so many messages are there."""
    data = b""
    while data.count(b"}\n") < count:
        data += os.read(descriptor, 65536)
    return [from_line(line) for line in data.decode().splitlines() if line]


def until(holds: Callable[[], bool]) -> None:
    end_s = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < end_s, "it did not come about in time"
        time.sleep(0.01)


def fill(descriptor: int) -> int:
    """Write until nothing more fits, as a program that does not read lets it be; return bytes."""
    os.set_blocking(descriptor, False)
    written = 0
    try:
        while True:
            written += os.write(descriptor, b"\n" * 4096)
    except BlockingIOError:
        os.set_blocking(descriptor, True)
    return written


def test_what_is_asked_comes_out_as_lines_in_its_order(pipe: tuple[int, int]) -> None:
    from rtsmlm.viewer.pipe_control import PipeControl

    control = PipeControl(pipe[1])
    control.report_ready()
    control.ask(SetTarget(0.1))
    control.ask(Stop())
    control.report_closed(True)

    assert read_messages(pipe[0], 4) == [
        WindowReady(), SetTarget(0.1), Stop(), WindowClosed(True),
    ]  # fmt: skip
    assert control.flush(DEADLINE_S)
    assert not control.is_gone


def test_what_a_library_prints_becomes_no_part_of_a_command(pipe: tuple[int, int]) -> None:
    from rtsmlm.viewer.pipe_control import PipeControl

    os.write(pipe[1], b"qt: half a line")
    control = PipeControl(pipe[1])
    control.ask(LasersOff())
    assert control.flush(DEADLINE_S)

    lines = os.read(pipe[0], 65536).decode().splitlines()
    assert lines[0] == "qt: half a line"
    assert from_line(lines[1]) == LasersOff()


def test_a_program_that_has_ended_is_noted(pipe: tuple[int, int]) -> None:
    from rtsmlm.viewer.pipe_control import PipeControl

    control = PipeControl(pipe[1])
    os.close(pipe[0])
    control.ask(Stop())

    until(lambda: control.is_gone)
    assert control.flush(DEADLINE_S)
    control.ask(LasersOff())  # has no effect, and does not raise


@NEEDS_PIPE
def test_a_program_that_does_not_read_stops_no_window_and_gets_lasers_off_first(
    pipe: tuple[int, int],
) -> None:
    from rtsmlm.viewer.pipe_control import PipeControl

    n_bytes = fill(pipe[1])
    control = PipeControl(pipe[1])
    control.ask(SetGain(0.5))  # is being written
    until(lambda: control._is_writing)
    asked = threading.Event()

    def ask() -> None:
        for command in (SetTarget(0.1), ResetTrip(), Start(), Stop(), LasersOff()):
            control.ask(command)
        asked.set()

    threading.Thread(target=ask, daemon=True).start()

    assert asked.wait(DEADLINE_S), "the window waits for a program that does not read"
    assert not control.flush(0.01)
    while n_bytes:
        n_bytes -= len(os.read(pipe[0], min(n_bytes, 65536)))
    # What would light the lasers again was asked before, so it is not sent after.
    assert read_messages(pipe[0], 4) == [SetGain(0.5), LasersOff(), SetTarget(0.1), Stop()]


@NEEDS_PIPE
def test_a_program_that_never_reads_gets_no_more_than_it_can_be_kept_for(
    pipe: tuple[int, int],
) -> None:
    from rtsmlm.viewer.pipe_control import PipeControl

    control = PipeControl(pipe[1])
    fill(pipe[1])
    for _ in range(5000):
        control.ask(SetGain(0.5))
    control.ask(LasersOff())

    assert len(control._waiting) <= 1001
    assert control._waiting[0] == LasersOff()
