"""Shared memory of a killed program is freed at the next start, that of a running one is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing import shared_memory
from pathlib import Path

import pytest

from rtsmlm.realtime import shared_segments
from rtsmlm.realtime.process_identity import this_process
from rtsmlm.realtime.ring import FrameRing

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="shared memory vanishes there")

OWNER = """
import sys
from rtsmlm.realtime.ring import FrameRing
ring = FrameRing.create((8, 8), 4)
print(ring.name, flush=True)
sys.stdin.read()
"""
FOLDER = Path("/dev/shm")  # noqa: S108


@pytest.fixture
def owner() -> Iterator[subprocess.Popen[str]]:
    # A session of its own: with its group die the process and its resource tracker.
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    yield process
    process.kill()
    process.communicate()


def test_the_ring_of_a_killed_group_of_processes_is_freed_by_the_next_start(
    owner: subprocess.Popen[str],
) -> None:
    assert owner.stdout is not None
    name = owner.stdout.readline().strip()
    assert (FOLDER / name).exists()

    with FrameRing.create((4, 4), 4):
        assert (FOLDER / name).exists(), "its owner runs"
    os.killpg(owner.pid, signal.SIGKILL)
    owner.wait()
    assert (FOLDER / name).exists()
    with FrameRing.create((4, 4), 4):
        assert not (FOLDER / name).exists()


def test_memory_of_another_start_of_the_same_process_number_is_freed() -> None:
    me = this_process()
    name = shared_segments._new_name()
    other = name.replace(f"-{me.pid}-{name.split('-')[3]}", f"-{me.pid}-000000")
    assert not shared_segments._is_abandoned(name)
    assert shared_segments._is_abandoned(other)


@pytest.mark.parametrize(
    "name", ["rtsmlm-000000-1-000000-0", "rtsmlm-x", "psm_1234", "rtsmlm-a-b-c-d"]
)
def test_memory_of_other_computers_and_programs_is_left_alone(name: str) -> None:
    assert not shared_segments._is_abandoned(name)


def test_a_name_is_short_enough_for_every_system() -> None:
    memory = shared_segments.create_segment(64)
    try:
        assert len(memory.name) <= 30
        assert isinstance(memory, shared_memory.SharedMemory)
    finally:
        memory.close()
        memory.unlink()
