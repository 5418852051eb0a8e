"""A number that is none, from the device or the settings, is a refusal that names it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from rtsmlm.errors import ConfigError
from rtsmlm.safety.laser_guard import LaserGuard
from rtsmlm.safety.records import AuditRow, CommandContext
from rtsmlm.safety.stage_guard import StageGuard
from rtsmlm.settings.lasers import LaserSettings, StageSettings

WHY = CommandContext(reason="a test")


@pytest.mark.parametrize(
    "limits",
    [
        (0.1, math.nan),
        (math.nan, 100.0),
        (0.1, math.inf),
        (-math.inf, 100.0),
        (-1.0, 100.0),
        (100.0, 0.1),
        (100.0, 100.0),
        (math.nan, math.nan),
    ],
)
def test_limits_of_a_device_that_are_no_range_of_powers_are_refused(
    bench: Any, make_guard: Callable[..., LaserGuard], limits: tuple[float, float]
) -> None:
    bench.range = limits
    guard = make_guard()

    low, high = limits
    with pytest.raises(ConfigError, match=f"reports limits of {low:g} to {high:g} mW"):
        guard.arm()

    assert not guard.armed
    assert "make_safe" not in bench.calls, "what is not armed is left as it is"


@pytest.mark.parametrize("limits", [None, (1.0,), "1 to 5", (1.0, "many"), 7.0])
def test_limits_that_are_not_two_numbers_are_refused(
    bench: Any, make_guard: Callable[..., LaserGuard], limits: Any
) -> None:
    bench.range = limits

    with pytest.raises(Exception, match="not two numbers"):
        make_guard().arm()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0])
@pytest.mark.parametrize("key", ["max_power", "min_power", "start_power", "max_dose", "schedule"])
def test_a_setting_that_is_no_power_is_refused_at_arming_whatever_way_it_came_in(
    bench: Any, rows: list[AuditRow], key: str, value: float
) -> None:
    settings = LaserSettings(device="L", max_power=50.0).model_copy(
        update={key: ((0.0, value),) if key == "schedule" else value}
    )
    guard = LaserGuard(bench, settings, audit=rows.append, clock_ns=lambda: bench.t_ns)

    with pytest.raises(ConfigError, match=rf"lasers\.activation\.{key} has {value:g}"):
        guard.arm()

    assert not guard.armed
    guard.close()


def test_a_plan_above_the_cap_is_refused_at_arming(bench: Any, rows: list[AuditRow]) -> None:
    settings = LaserSettings(device="L", max_power=50.0).model_copy(
        update={"schedule": ((0.0, 10.0), (5.0, 60.0))}
    )
    guard = LaserGuard(bench, settings, audit=rows.append, clock_ns=lambda: bench.t_ns)

    with pytest.raises(ConfigError, match="planned to give 60 mW, its cap is 50"):
        guard.arm()
    guard.close()


@pytest.mark.parametrize("wanted", [None, "5", [5.0], 1j])
def test_a_command_that_is_no_number_at_all_is_a_trip(
    bench: Any, make_guard: Callable[..., LaserGuard], wanted: Any
) -> None:
    guard = make_guard(silence_s=None)
    guard.arm()

    guard.command(wanted, WHY)

    assert guard.tripped is not None
    assert bench.shining == 0.0


@pytest.mark.parametrize("answer", [None, "5 mW", [1.0]])
def test_a_set_point_that_is_no_number_is_a_trip(
    bench: Any, make_guard: Callable[..., LaserGuard], answer: Any
) -> None:
    guard = make_guard(silence_s=None)
    guard.arm()
    bench.setpoint = lambda: answer

    guard.poll()

    assert "no number" in (guard.tripped or "")


class Stage:
    """A stage with any limits."""

    name, unit = "focus", "um"
    limits_um = (48.0, 52.0)
    at_um = 50.0

    def limits(self) -> tuple[float, float]:
        return self.limits_um

    def set(self, value: float) -> None:
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


@pytest.mark.parametrize(
    "limits", [(math.nan, 52.0), (48.0, math.nan), (48.0, math.inf), (-math.inf, 5.0), (52.0, 48.0)]
)
def test_limits_of_a_stage_that_are_no_range_are_refused(limits: tuple[float, float]) -> None:
    stage = Stage()
    stage.limits_um = limits
    guard = StageGuard(stage, StageSettings(device="Z"), audit=lambda row: None)

    with pytest.raises(ConfigError, match="no room to move"):
        guard.arm()
    guard.close()


def test_a_stage_that_stands_nowhere_is_refused() -> None:
    stage = Stage()
    stage.setpoint = lambda: math.nan  # type: ignore[method-assign]
    guard = StageGuard(stage, StageSettings(device="Z"), audit=lambda row: None)

    with pytest.raises(ConfigError, match="stands at nan um"):
        guard.arm()
    guard.close()


@pytest.mark.parametrize("step", [math.nan, math.inf, 0.0, -0.1])
def test_a_step_of_a_stage_that_is_none_is_refused(step: float) -> None:
    settings = StageSettings(device="Z").model_copy(update={"max_step_um": step})
    guard = StageGuard(Stage(), settings, audit=lambda row: None)

    with pytest.raises(ConfigError, match="max_step_um"):
        guard.arm()
    guard.close()
