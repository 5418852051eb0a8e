"""A child that speaks lines: what it says arrives, and no wait for it is without end."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rtsmlm.errors import WorkerError
from rtsmlm.realtime import child_process
from rtsmlm.realtime.child_process import ChildProcess, module_command

WAIT_S = 30.0

ECHO = "import sys\nfor line in sys.stdin: print('heard', line, end='', flush=True)"
SILENT = "import sys\nsys.stdin.read()"
FROZEN = "import threading\nprint('here', flush=True)\nthreading.Event().wait()"

Start = Callable[..., ChildProcess]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that runs a few lines of Python as a child."""
    started: list[ChildProcess] = []

    def run(program: str, **options: Any) -> ChildProcess:
        started.append(ChildProcess("helper", [sys.executable, "-P", "-c", program], **options))
        return started[-1]

    yield run
    for child in started:
        child.kill()
        child.close(WAIT_S)


def test_what_is_asked_is_answered_line_by_line(start: Start) -> None:
    child = start(ECHO)

    answers = []
    for text in ("one", "zwölf µm", "", "three"):
        assert child.write_line(text)
        answers.append(child.read_line(WAIT_S))

    assert answers == ["heard one", "heard zwölf µm", "heard ", "heard three"]


def test_the_end_of_its_input_ends_it_and_closing_twice_is_safe(start: Start) -> None:
    child = start(ECHO)
    assert child.exit_code() is None

    child.close(WAIT_S)
    child.close(WAIT_S)

    assert child.exit_code() == 0
    assert child.write_line("too late") is False


def test_after_its_last_line_there_is_none(start: Start) -> None:
    child = start("print('a')\nprint('b', end='')")

    assert [child.read_line(WAIT_S) for _ in range(4)] == ["a", "b", None, None]


def test_an_answer_that_does_not_come_is_one_sentence(start: Start) -> None:
    child = start(SILENT)

    with pytest.raises(WorkerError, match=r"^the helper did not answer within 0\.05 s$"):
        child.read_line(0.05)


def test_one_that_does_not_end_is_killed_and_named(start: Start) -> None:
    child = start(FROZEN)
    assert child.read_line(WAIT_S) == "here"

    with pytest.raises(WorkerError, match=r"^the helper did not end within 0\.05 s and was killed"):
        child.close(0.05)

    assert child.exit_code() not in {None, 0}
    child.close(WAIT_S)  # by now it has ended, which is no error any more


def test_a_writer_is_freed_when_the_frozen_child_is_killed(start: Start) -> None:
    child = start(FROZEN)
    assert child.read_line(WAIT_S) == "here"
    taken: list[bool] = []

    def write() -> None:
        line = "x" * 65_536
        while child.write_line(line):
            taken.append(True)
        taken.append(False)

    writer = threading.Thread(target=write)
    writer.start()
    with pytest.raises(WorkerError, match="was killed"):
        child.close(0.5)  # neither waits for the writer nor fails over it
    writer.join(WAIT_S)

    assert not writer.is_alive()
    assert taken[-1] is False


def test_a_dead_child_takes_no_line_and_that_is_no_error(start: Start) -> None:
    child = start("pass")
    assert child.wait(WAIT_S)

    while child.write_line("x" * 4096):  # what fits into the pipe may still be taken
        pass


def test_a_line_cannot_be_two(start: Start) -> None:
    with pytest.raises(ValueError, match="more than one line"):
        start(ECHO).write_line("lasers off\nlasers on")


def test_lines_are_handed_to_a_function_in_order(start: Start) -> None:
    lines: list[str] = []
    child = start("for k in range(5000): print(k)", on_line=lines.append)

    child.close(WAIT_S)

    assert lines == [str(k) for k in range(5000)]


def test_a_function_that_fails_on_a_line_gets_the_next_and_the_pipe_never_fills(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    lines: list[str] = []

    def take(line: str) -> None:
        lines.append(line)
        if line == "7":
            raise KeyError("no such thing")

    child = start("for k in range(100_000): print(k)", on_line=take)
    child.close(WAIT_S)

    assert child.exit_code() == 0
    assert len(lines) == 100_000
    [record] = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert record.getMessage() == "a line of the helper could not be handled: 7"
    assert record.exc_info is not None


def test_bytes_that_are_no_text_end_nothing(start: Start) -> None:
    child = start("import sys\nsys.stdout.buffer.write(b'\\xff\\xfe\\r\\nnext\\n')")

    assert child.read_line(WAIT_S) == "\ufffd\ufffd"
    assert child.read_line(WAIT_S) == "next"


def test_more_than_was_asked_for_is_dropped_and_logged(
    start: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_process, "_MOST_LINES", 3)
    child = start("for k in range(5): print(k)")
    child.close(WAIT_S)

    assert [child.read_line(WAIT_S) for _ in range(4)] == ["0", "1", "2", None]
    assert [r.getMessage() for r in caplog.records] == [
        "the helper wrote more than was asked for: 3",
        "the helper wrote more than was asked for: 4",
    ]


def test_a_reader_that_dies_is_no_silence(
    start: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: ChildProcess, line: str) -> None:
        raise MemoryError("no room for a line")

    monkeypatch.setattr(ChildProcess, "_take", broken)
    child = start("print('a line')")
    assert child.read_line(WAIT_S) is None

    with pytest.raises(WorkerError, match="the helper reader thread died: MemoryError: no room"):
        child.close(WAIT_S)

    assert "the helper reader thread died" in [
        r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR
    ]
    monkeypatch.undo()
    child._reader.error = None  # seen


def test_a_program_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    missing = tmp_path / "no" / "python"

    with pytest.raises(WorkerError, match=r"^cannot start the helper \(.*python\): "):
        ChildProcess("helper", [str(missing)])


def test_its_errors_folder_and_environment_are_ours_to_choose(start: Start, tmp_path: Path) -> None:
    with (tmp_path / "errors.txt").open("w+b") as errors:
        child = start(
            "import os, sys\nprint(os.getcwd())\nprint(os.environ['GREETING'])\nsys.exit('bad')",
            stderr=errors,
            cwd=tmp_path,
            env={**os.environ, "GREETING": "hello"},
        )
        assert child.wait(WAIT_S)
        errors.seek(0)
        assert errors.read().strip() == b"bad"

    assert Path(child.read_line(WAIT_S) or "").samefile(tmp_path)
    assert child.read_line(WAIT_S) == "hello"
    assert child.exit_code() == 1


def test_a_module_of_ours_is_found_whatever_lies_in_the_folder() -> None:
    assert module_command("rtsmlm.viewer", "--control") == [
        sys.executable, "-P", "-m", "rtsmlm.viewer", "--control",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "flags", "own_session"),
    [
        ({}, 0x08000000, False),
        ({"own_group": True}, 0x08000200, True),
    ],
)
def test_windows_opens_no_console_and_keeps_ctrl_c_from_a_group_of_its_own(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, bool], flags: int, own_session: bool
) -> None:
    monkeypatch.setattr(subprocess, "CREATE_NO_WINDOW", 0x08000000, raising=False)
    monkeypatch.setattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0x200, raising=False)
    asked: dict[str, Any] = {}

    def refuse(command: list[str], **how: Any) -> None:
        asked.update(how)
        raise OSError(2, "no such file")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(WorkerError, match="no such file"):
        ChildProcess("helper", ["python"], **options)

    assert asked["creationflags"] == flags
    assert asked["start_new_session"] is own_session
