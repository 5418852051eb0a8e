"""Light that was not commanded, estimates that are old: what a guard makes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from rtsmlm.safety.laser_guard import LaserGuard
from rtsmlm.safety.records import AuditRow, CommandContext

WHY = CommandContext(reason="a test", frame=7)
MakeGuard = Callable[..., LaserGuard]
S = 1_000_000_000


@pytest.fixture
def said() -> list[str]:
    return []


def lit(make_guard: MakeGuard, bench: Any, power: float = 10.0, **options: Any) -> LaserGuard:
    """Return an armed laser at a power, settled."""
    guard = make_guard(silence_s=None, start_power=power, **options)
    guard.arm()
    guard.beat()
    assert guard.command(power, WHY) == power
    bench.pass_time(2.0)
    guard.poll()
    return guard


def leave(guard: LaserGuard, how: str) -> None:
    """Bring a guard that was armed into one of its states in which it commands no light."""
    {
        "latched": lambda: guard.trip("a test"),
        "disarmed": lambda: guard.shut_down("a test"),
        "reset": lambda: (guard.trip("a test"), guard.reset("a person")),
        "dark": lambda: guard.command(0.0, WHY),
    }[how]()


@pytest.mark.parametrize("has_meter", [True, False])
@pytest.mark.parametrize("state", ["latched", "disarmed", "reset", "dark"])
def test_light_from_elsewhere_is_made_dark_within_a_second_in_every_state(
    bench: Any, make_guard: MakeGuard, rows: list[AuditRow], state: str, has_meter: bool
) -> None:
    if not has_meter:
        bench.meter = lambda power: None
    guard = lit(make_guard, bench)
    leave(guard, state)
    guard.poll()
    assert guard.is_safe

    bench.shining = 30.0  # another program has switched it on
    for _ in range(4):
        bench.pass_time(0.25)
        guard.poll()

    assert bench.shining == 0.0
    assert guard.is_safe
    assert guard.tripped is not None
    last = [row for row in rows if row.kind in ("trip", "dark")][-1]
    assert last.kind == ("dark" if state == "latched" else "trip")
    assert "30 mW set in the device where 0 were commanded" in last.context.reason


@pytest.mark.parametrize("state", ["latched", "disarmed"])
def test_light_that_only_the_meter_sees_is_switched_off_again_until_it_is_gone(
    bench: Any, make_guard: MakeGuard, state: str
) -> None:
    guard = lit(make_guard, bench)
    leave(guard, state)
    guard.poll()
    bench.meter = lambda power: 30.0
    n = bench.calls.count("make_safe")

    for _ in range(8):
        bench.pass_time(0.25)
        guard.poll()

    assert bench.calls.count("make_safe") >= n + 6
    assert not guard.is_safe
    assert "30 mW are measured" in (guard.not_confirmed or "")


def test_light_that_comes_again_and_again_is_made_dark_each_time_and_said_once_in_a_while(
    bench: Any, make_guard: MakeGuard, rows: list[AuditRow], said: list[str]
) -> None:
    guard = lit(make_guard, bench)
    guard._on_trip = said.append
    guard.trip("a test")
    said.clear()

    for _ in range(12):
        bench.shining = 100.0
        bench.pass_time(0.25)
        guard.poll()
        assert bench.shining == 0.0

    assert len([row for row in rows if row.kind == "dark"]) == 12
    assert len(said) == 1
    assert "lit by something else and made dark again: 100 mW" in said[0]


@pytest.mark.parametrize("power", [52.0, 100.0])
def test_a_set_point_above_the_cap_is_a_trip_at_the_first_poll(
    bench: Any, make_guard: MakeGuard, power: float
) -> None:
    guard = lit(make_guard, bench, 50.0)
    bench.shining = power

    guard.poll()

    assert "above the cap" in (guard.tripped or "")
    assert bench.shining == 0.0


@pytest.mark.parametrize("power", [5.0, 15.0])
def test_another_power_below_the_cap_is_a_trip_at_the_second_poll(
    bench: Any, make_guard: MakeGuard, power: float
) -> None:
    bench.meter = lambda power: None
    guard = lit(make_guard, bench, 10.0)
    bench.shining = power

    guard.poll()
    assert guard.tripped is None
    guard.poll()

    assert f"{power:g} mW set in the device where 10 were commanded" in (guard.tripped or "")
    assert bench.shining == 0.0


def test_a_laser_that_was_never_armed_is_only_warned_of_once_per_event(
    bench: Any, make_guard: MakeGuard, rows: list[AuditRow], said: list[str]
) -> None:
    guard = make_guard()
    guard._on_trip = said.append
    for power in (10.0, 60.0, 60.0, 70.0, 40.0, 80.0):
        bench.shining = power
        bench.pass_time(0.5)
        guard.poll()

    assert bench.shining == 80.0
    assert set(bench.calls) <= {"setpoint", "readback"}
    assert guard.tripped is None
    assert [text.split(",")[0] for text in said] == [
        "activation is at 60 mW",
        "activation is at 80 mW",
    ]
    assert "above its cap of 50" in said[0]
    assert rows == []
    assert guard.setpoint == 80.0


def test_a_read_back_that_vanishes_is_a_trip(bench: Any, make_guard: MakeGuard) -> None:
    guard = lit(make_guard, bench)
    bench.meter = lambda power: None

    for _ in range(2):
        guard.poll()

    assert "nothing measured, although it was at arming" in (guard.tripped or "")
    assert bench.shining == 0.0
    assert not guard.is_safe, "what is not measured is not seen dark"


def test_a_wrong_read_back_is_not_forgotten_where_it_was_dark_in_between(
    bench: Any, make_guard: MakeGuard
) -> None:
    guard = lit(make_guard, bench)
    bench.meter = lambda power: 2 * power
    for _ in range(2):
        assert guard.tripped is None
        guard.command(0.0, WHY)
        bench.pass_time(0.25)
        guard.poll()
        assert guard.is_safe
        guard.command(10.0, replace(WHY, t_exposure_end_ns=bench.t_ns))
        bench.pass_time(0.25)
        guard.poll()

    assert "20 mW measured where 10 were commanded" in (guard.tripped or "")


# -- the age of what is seen ---------------------------------------------------------------


def test_no_power_rises_on_an_estimate_that_is_older_than_two_ticks(
    bench: Any, make_guard: MakeGuard, rows: list[AuditRow]
) -> None:
    guard = make_guard()
    guard.arm()
    guard.allow_jump()
    bench.pass_time(10.0)
    young = replace(WHY, t_exposure_end_ns=bench.t_ns - 2 * S)
    old = replace(WHY, t_exposure_end_ns=bench.t_ns - 2 * S - 1)
    assert guard.command(10.0, young) == 10.0
    bench.pass_time(0.0)

    assert guard.command(12.0, old) == 10.0

    assert rows[-1].kind == "unchanged"
    assert "estimate 2.0 s old (limit 2 s), power held" in rows[-1].context.reason
    assert guard.command(5.0, old) == 5.0, "a fall is always allowed"
    assert guard.command(0.0, old) == bench.shining == 0.0
    guard.allow_jump()
    assert guard.command(10.0, old) == bench.shining == 0.0, "nor does it light up"
    assert guard.command(45.0, young) < 45.0, "and the jump is not kept for later"


def test_without_any_estimate_the_steered_laser_stays_dark(
    bench: Any, make_guard: MakeGuard, rows: list[AuditRow]
) -> None:
    guard = make_guard(start_power=10.0)
    guard.arm()

    assert guard.command(10.0, WHY) == bench.shining == 0.0

    assert "no estimate yet" in rows[-1].context.reason
    guard.beat(bench.t_ns)
    assert guard.command(10.0, WHY) == 10.0


def test_a_schedule_rests_on_no_estimate(bench: Any, make_guard: MakeGuard) -> None:
    guard = make_guard(max_rise=float("inf"), silence_s=None, start_power=40.0)
    guard.arm()

    assert guard.command(40.0, WHY) == bench.shining == 40.0


def test_an_exposure_that_ends_in_the_future_counts_from_now(
    bench: Any, make_guard: MakeGuard
) -> None:
    guard = make_guard(silence_s=3.0, start_power=10.0)
    guard.arm()
    guard.beat(bench.t_ns + 3600 * S)
    assert guard.command(10.0, WHY) == 10.0

    bench.pass_time(3.1)
    guard.poll()

    assert "nothing was seen for 3.1 s" in (guard.tripped or "")


def test_estimates_of_a_frozen_camera_renew_nothing(bench: Any, make_guard: MakeGuard) -> None:
    guard = make_guard(silence_s=3.0, start_power=10.0)
    guard.arm()
    guard.beat(bench.t_ns)
    guard.command(10.0, WHY)
    for _ in range(31):
        bench.pass_time(0.1)
        guard.beat(0)
        guard.poll()

    assert guard.tripped is not None
    assert bench.shining == 0.0
