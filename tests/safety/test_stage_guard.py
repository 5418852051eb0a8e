"""StageGuard: small steps within a range, and a stage that stays where it is when in doubt."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rtsmlm.errors import ConfigError
from rtsmlm.safety.records import AuditRow, CommandContext
from rtsmlm.safety.stage_guard import StageGuard
from rtsmlm.settings.lasers import StageSettings

WHY = CommandContext(reason="a test")


class Stage:
    name, unit = "focus", "um"

    def __init__(self) -> None:
        self.at_um = 50.0
        self.sticks = False
        self.range = (48.0, 52.0)
        self.t_ns = 0

    def limits(self) -> tuple[float, float]:
        return self.range

    def set(self, value: float) -> None:
        if not self.sticks:
            self.at_um = value

    def make_safe(self) -> list[str]:
        return []

    def setpoint(self) -> float:
        return self.at_um

    def readback(self) -> float | None:
        return self.at_um

    def fault(self) -> str | None:
        return None

    def close(self) -> None:
        pass


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def guard(stage: Stage, rows: list[AuditRow]) -> Iterator[StageGuard]:
    settings = StageSettings(device="ZStage", range_um=2.0, max_step_um=0.1)
    guard = StageGuard(stage, settings, audit=rows.append, clock_ns=lambda: stage.t_ns)
    yield guard
    guard.close()


def test_it_does_not_move_until_it_is_armed_nor_by_being_armed(
    stage: Stage, guard: StageGuard
) -> None:
    guard.command(50.05, WHY)
    assert stage.at_um == 50.0
    guard.arm()
    assert stage.at_um == 50.0
    assert guard.command(50.05, WHY) == pytest.approx(50.05)
    assert stage.at_um == pytest.approx(50.05)


def test_a_far_goal_is_reached_by_small_steps(stage: Stage, guard: StageGuard) -> None:
    guard.arm()
    path = []
    for _ in range(30):
        guard.command(51.0, WHY)
        path.append(stage.at_um)
        guard.poll()

    assert path[0] == pytest.approx(50.1)
    assert path[-1] == pytest.approx(51.0)
    assert max(abs(b - a) for a, b in zip([50.0, *path], path, strict=False)) <= 0.1 + 1e-9
    assert guard.tripped is None


@pytest.mark.parametrize("wanted", [52.5, 47.0, float("nan"), 0.0])
def test_a_goal_outside_its_range_is_a_trip_and_it_stays(
    stage: Stage, guard: StageGuard, wanted: float
) -> None:
    guard.arm()
    guard.command(50.1, WHY)

    guard.command(wanted, WHY)

    assert guard.tripped is not None
    assert stage.at_um == pytest.approx(50.1)
    guard.command(50.0, WHY)
    assert stage.at_um == pytest.approx(50.1)


def test_a_stage_that_does_not_follow_is_a_trip(stage: Stage, guard: StageGuard) -> None:
    guard.arm()
    stage.sticks = True
    for _ in range(3):
        guard.command(51.0, WHY)
    for _ in range(4):
        guard.poll()
    assert guard.tripped is None, "it may still be on its way"
    stage.t_ns = 1_100_000_000
    for _ in range(2):
        guard.poll()
    assert "50 um measured where 50.3 were commanded" in str(guard.tripped)


def test_a_stage_at_its_end_is_not_armed(stage: Stage, guard: StageGuard) -> None:
    stage.range = (50.0, 50.0)
    with pytest.raises(ConfigError, match="no room to move"):
        guard.arm()
