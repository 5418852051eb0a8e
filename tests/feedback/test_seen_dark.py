"""The loop states that all lasers are dark only where each was switched off and seen dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rtsmlm.feedback.loop import FeedbackLoop
from rtsmlm.feedback.records import LoopStatus
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.settings.load import from_mapping


class Laser:
    """A laser in memory, which may ignore what it is ordered."""

    unit = "mW"

    def __init__(self, name: str) -> None:
        self.name = name
        self.power = 0.0
        self.obeys = True

    def limits(self) -> tuple[float, float]:
        return 0.5, 100.0

    def set(self, value: float) -> None:
        if self.obeys:
            self.power = value

    def make_safe(self) -> list[str]:
        if self.obeys:
            self.power = 0.0
        return []

    def setpoint(self) -> float:
        return self.power

    def readback(self) -> float:
        return self.power

    def fault(self) -> None:
        return None

    def close(self) -> None:
        pass


@pytest.fixture
def lasers() -> dict[str, Laser]:
    return {name: Laser(name) for name in ("activation", "readout")}


@pytest.fixture
def loop(tmp_path: Path, lasers: dict[str, Laser]) -> Iterator[FeedbackLoop]:
    powers = {"device": "L", "max_power": 50.0}
    settings = from_mapping(
        {
            "lasers": dict.fromkeys(lasers, powers),
            "feedback": {"laser": "activation", "arm": True},
            "safety": {"confirm_s": 0.1},
        }
    )
    loop = FeedbackLoop(
        settings, lasers, {}, folder=RunFolder.create(tmp_path, "run"), armed=False,
        warn=lambda text: None, finish=lambda reason: None,
    )  # fmt: skip
    loop.prepare()
    yield loop
    for laser in lasers.values():
        laser.obeys = True
    loop.close()


def status(loop: FeedbackLoop) -> LoopStatus:
    found = loop.status()
    assert found is not None
    return found


def arm(loop: FeedbackLoop) -> None:
    """Arm without the sentinel, which is tested by itself."""
    loop._armed = True
    for guard in loop._guards.lasers.values():
        guard.arm()


def test_armed_lasers_are_not_stated_dark_and_those_that_were_switched_off_are(
    loop: FeedbackLoop,
) -> None:
    arm(loop)
    assert not status(loop).seen_dark, "they may be lit at any moment"

    loop.switch_off("lasers switched off by the user")
    for guard in loop._guards.lasers.values():
        guard.poll()
    assert status(loop).seen_dark


def test_one_laser_that_does_not_go_dark_is_enough_for_no(
    loop: FeedbackLoop, lasers: dict[str, Laser]
) -> None:
    arm(loop)
    lasers["readout"].power, lasers["readout"].obeys = 20.0, False

    loop.switch_off("lasers switched off by the user")
    for guard in loop._guards.lasers.values():
        guard.poll()
    assert not status(loop).seen_dark


def test_a_run_that_commands_no_laser_states_none_dark_until_a_person_switches_them_off(
    loop: FeedbackLoop,
) -> None:
    assert not status(loop).seen_dark, "another program may have lit them"

    loop.switch_off("lasers switched off by the user")
    for guard in loop._guards.lasers.values():
        guard.poll()
    assert status(loop).seen_dark
