"""OwnerProof: a missing proof turns all lasers dark, and only the thread that decides can beat."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from rtsmlm.realtime.clock import now_ns
from rtsmlm.safety import owner_proof
from rtsmlm.safety.heartbeat import Heartbeat
from rtsmlm.safety.owner_proof import OwnerProof, may_shine
from rtsmlm.settings.safety import SafetySettings


class FakeGuard:
    def __init__(self) -> None:
        self.armed, self.is_safe = True, True
        self.tripped: str | None = None
        self.not_confirmed: str | None = None
        self.polled_ns = now_ns()

    def trip(self, reason: str) -> None:
        self.tripped = self.tripped or reason


class FakeSentinel:
    def __init__(self, heartbeat: Heartbeat) -> None:
        self.heartbeat, self.alive = heartbeat, True


class Scene:
    """A proof on a clock of its own, with one laser."""

    def __init__(self, heartbeat: Heartbeat, monkeypatch: pytest.MonkeyPatch) -> None:
        self.t_ns = now_ns()
        monkeypatch.setattr(owner_proof, "now_ns", lambda: self.t_ns)
        self.guard, self.sentinel = FakeGuard(), FakeSentinel(heartbeat)
        self.guard.polled_ns = self.t_ns
        self.heartbeat = heartbeat
        guards: Any = {"activation": self.guard}
        sentinel: Any = self.sentinel
        self.proof = OwnerProof(
            sentinel, guards, guards, SafetySettings(silence_s=1.0), trip=self.guard.trip
        )

    def pass_time(self, seconds: float) -> None:
        self.t_ns += round(seconds * 1e9)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    heartbeat = Heartbeat.create()
    yield Scene(heartbeat, monkeypatch)
    heartbeat.close()


def test_while_all_proofs_come_it_beats_and_nothing_trips(scene: Scene) -> None:
    for _ in range(30):
        scene.pass_time(0.1)
        scene.guard.polled_ns = scene.t_ns
        scene.heartbeat.beat_of_sentinel()
        scene.proof.beat()

    assert scene.guard.tripped is None
    assert scene.heartbeat.owner_beats == 30
    assert scene.heartbeat.light_is_possible


def test_a_dead_sentinel_is_dark_at_the_next_beat(scene: Scene) -> None:
    scene.sentinel.alive = False

    scene.proof.beat()

    assert scene.guard.tripped == "the laser sentinel has died"


def test_a_program_that_stood_still_is_dark_before_it_decides_again(scene: Scene) -> None:
    scene.proof.beat()
    scene.pass_time(1.2)
    scene.guard.polled_ns = scene.t_ns

    scene.proof.beat()

    assert scene.guard.tripped == "this program stood still for 1.2 s (safety.silence_s)"


def test_what_the_sentinel_has_switched_off_is_latched(scene: Scene) -> None:
    scene.heartbeat.note_action()

    scene.proof.beat()

    assert scene.guard.tripped is not None
    assert "the sentinel switched the lasers off" in scene.guard.tripped
    assert scene.heartbeat.is_acknowledged
    assert not scene.heartbeat.light_is_possible


def test_a_device_that_is_not_polled_is_a_trip_of_its_guard(scene: Scene) -> None:
    for _ in range(14):
        scene.pass_time(0.1)
        scene.heartbeat.beat_of_sentinel()
        scene.proof.beat()

    assert scene.guard.tripped is not None
    assert "its device was not polled for 1.3 s" in scene.guard.tripped


def test_a_laser_that_is_not_confirmed_dark_is_handed_to_the_sentinel(scene: Scene) -> None:
    scene.guard.armed, scene.guard.is_safe = False, False
    scene.guard.not_confirmed = "5 mW measured"

    scene.proof.beat()
    scene.proof.beat()

    assert scene.heartbeat.requests == 1
    assert scene.heartbeat.light_is_possible


def test_beats_of_another_thread_do_not_count(scene: Scene) -> None:
    def beat() -> None:
        scene.proof.beat()
        scene.proof.beat_while_waiting()

    helper = threading.Thread(target=beat)
    helper.start()
    helper.join()

    assert scene.heartbeat.owner_beats == 0


@pytest.mark.parametrize(
    ("armed", "tripped", "is_safe", "expected"),
    [
        (True, None, True, True),
        (True, "a fault", True, False),
        (True, "a fault", False, True),
        (False, None, True, False),
        (False, None, False, True),
    ],
)
def test_light_is_possible_while_armed_and_until_it_is_seen_to_be_off(
    armed: bool, tripped: str | None, is_safe: bool, expected: bool
) -> None:
    guard: Any = FakeGuard()
    guard.armed, guard.tripped, guard.is_safe = armed, tripped, is_safe

    assert may_shine([guard]) is expected
