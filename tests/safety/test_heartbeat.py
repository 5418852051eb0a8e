"""Heartbeat: owner and sentinel see each other's counts, and how long one has stood still."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from rtsmlm.safety.heartbeat import Heartbeat, Silence


@pytest.fixture
def owner() -> Iterator[Heartbeat]:
    heartbeat = Heartbeat.create()
    yield heartbeat
    heartbeat.close()


@pytest.fixture
def sentinel(owner: Heartbeat) -> Iterator[Heartbeat]:
    heartbeat = Heartbeat.attach(owner.name)
    yield heartbeat
    heartbeat.close()


def test_each_sees_the_other_count(owner: Heartbeat, sentinel: Heartbeat) -> None:
    assert sentinel.owner_pid == os.getpid()
    assert (sentinel.owner_beats, owner.sentinel_beats) == (0, 0)

    owner.beat()
    owner.beat()
    sentinel.beat_of_sentinel()

    assert (sentinel.owner_beats, owner.sentinel_beats) == (2, 1)


def test_an_action_of_the_sentinel_is_acknowledged_once(
    owner: Heartbeat, sentinel: Heartbeat
) -> None:
    assert not owner.acknowledge()
    assert sentinel.is_acknowledged

    sentinel.note_action()

    assert not sentinel.is_acknowledged
    assert owner.acknowledge()
    assert not owner.acknowledge()
    assert sentinel.is_acknowledged


def test_light_and_requests_reach_the_sentinel(owner: Heartbeat, sentinel: Heartbeat) -> None:
    assert not sentinel.light_is_possible

    owner.light_is_possible = True
    owner.ask_to_take_over()

    assert sentinel.light_is_possible
    assert sentinel.requests == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no fork")
@pytest.mark.filterwarnings("ignore:This process")  # of forking beside threads, from Python 3.12 on
def test_a_fork_of_the_owner_cannot_beat(owner: Heartbeat) -> None:
    child = os.fork()
    if child == 0:
        owner.beat()
        owner.light_is_possible = True
        owner.close()
        os._exit(0)
    os.waitpid(child, 0)

    assert owner.owner_beats == 0
    assert not owner.light_is_possible
    owner.beat()
    assert owner.owner_beats == 1


def test_a_closed_one_is_silent_and_raises_nothing(owner: Heartbeat) -> None:
    owner.beat()

    owner.close()
    owner.close()
    owner.beat()

    assert owner.owner_beats == 0


class Clock:
    def __init__(self) -> None:
        self.t_ns, self.count = 0, 0

    def __call__(self) -> int:
        return self.t_ns

    def pass_time(self, seconds: float) -> None:
        self.t_ns += round(seconds * 1e9)


def test_silence_is_the_time_since_the_count_has_moved() -> None:
    clock = Clock()
    silence = Silence(lambda: clock.count, clock)

    for _ in range(5):
        clock.pass_time(0.1)
        silent_s = silence.seconds()
    assert silent_s == pytest.approx(0.5)

    clock.count += 1
    clock.pass_time(0.1)
    assert silence.seconds() == 0.0


def test_a_watcher_that_did_not_run_itself_takes_no_offence() -> None:
    # As after the whole machine stood still, by a suspended virtual machine for example.
    clock = Clock()
    silence = Silence(lambda: clock.count, clock)

    clock.pass_time(3600.0)

    assert silence.seconds() < 0.3


def test_silence_before_a_restart_does_not_count() -> None:
    clock = Clock()
    silence = Silence(lambda: clock.count, clock)
    clock.pass_time(0.2)

    silence.restart()
    clock.pass_time(0.1)

    assert silence.seconds() == pytest.approx(0.1)
