"""A process is known by more than its number."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from rtsmlm.realtime.process_identity import (
    is_running,
    process_of,
    started_at,
    this_process,
)


def test_this_process_runs_and_keeps_its_identity() -> None:
    assert this_process() == this_process()
    assert this_process().pid == os.getpid()
    assert is_running(this_process())


def test_a_process_that_has_ended_does_not_run() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    identity = process_of(process.pid)
    process.wait()

    assert not is_running(identity)


@pytest.mark.skipif(sys.platform == "win32", reason="has no zombies")
def test_a_killed_process_that_was_not_waited_for_does_not_run() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = process_of(process.pid)
    assert is_running(identity)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    assert not is_running(identity)
    process.communicate()


def test_the_same_number_of_another_start_is_another_process() -> None:
    me = this_process()
    if not me.started:
        pytest.skip("this system does not tell when a process started")

    assert not is_running(replace(me, started="earlier"))


def test_of_a_process_of_another_computer_nothing_is_known() -> None:
    assert is_running(replace(this_process(), host="elsewhere", pid=1))


@pytest.mark.parametrize("pid", [0, -1, 2**22 + 1])
def test_numbers_that_no_process_has(pid: int) -> None:
    assert started_at(pid) is None
