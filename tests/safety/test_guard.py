"""Guard: arming, latch, read-back and audit, whatever kind of actuator it stands before."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rtsmlm.errors import ConfigError, DeviceError
from rtsmlm.safety.guard import Guard
from rtsmlm.safety.records import AuditRow, CommandContext
from rtsmlm.settings.safety import SafetySettings

WHY = CommandContext(reason="a test", frame=7)


class PlainGuard(Guard):
    """Sends what is wanted."""

    def _tolerance(self, value: float) -> float:
        return 0.5


Make = Callable[..., PlainGuard]


@pytest.fixture
def trips() -> list[str]:
    return []


@pytest.fixture
def make(
    bench: Any, rows: list[AuditRow], trips: list[str], safety: SafetySettings
) -> Iterator[Make]:
    made: list[PlainGuard] = []

    def make(**changes: Any) -> PlainGuard:
        options = {"audit": rows.append, "on_trip": trips.append, "clock_ns": lambda: bench.t_ns}
        made.append(PlainGuard(bench, **{"safety": safety} | options | changes))
        return made[-1]

    yield make
    for guard in made:
        guard.close()


def kinds(rows: list[AuditRow]) -> list[str]:
    return [row.kind for row in rows]


def test_before_it_is_armed_nothing_reaches_the_device(
    bench: Any, make: Make, rows: list[AuditRow]
) -> None:
    guard = make()

    assert guard.command(5.0, WHY) == 0.0

    assert bench.calls == []
    assert guard.is_safe
    assert [(row.kind, row.wanted, row.sent) for row in rows] == [("monitor", 5.0, 0.0)]


def test_arming_leaves_the_device_dark_and_says_so_in_the_audit(
    bench: Any, make: Make, rows: list[AuditRow]
) -> None:
    bench.shining = 3.0
    guard = make()

    guard.arm()

    assert guard.armed
    assert bench.shining == 0.0
    asked = ["limits", "fault", "readback", "make_safe", "setpoint", "readback"]
    assert bench.calls == asked, "limits and faults first, and it is seen dark at last"
    assert kinds(rows) == ["arm"]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda bench: setattr(bench, "complaint", "its interlock is open"), "interlock is open"),
        (lambda bench: bench.fails.add("make_safe"), "serial command timed out"),
        (lambda bench: bench.fails.add("limits"), "serial command timed out"),
        (lambda bench: bench.fails.add("fault"), "serial command timed out"),
    ],
)
def test_a_device_that_is_not_well_is_not_armed(
    bench: Any, make: Make, rows: list[AuditRow], spoil: Callable[[Any], object], says: str
) -> None:
    spoil(bench)
    guard = make()

    with pytest.raises((ConfigError, DeviceError), match=says):
        guard.arm()

    assert not guard.armed
    assert kinds(rows) == ["refused"]
    assert says in rows[0].context.reason


@pytest.mark.parametrize("wanted", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_a_trip(
    bench: Any, make: Make, trips: list[str], wanted: float
) -> None:
    guard = make()
    guard.arm()
    guard.command(5.0, WHY)

    assert guard.command(wanted, WHY) == 0.0

    assert bench.shining == 0.0
    assert "no number" in (guard.tripped or "")
    assert len(trips) == 1


def test_a_command_carries_its_context_and_unit_into_the_audit(
    bench: Any, make: Make, rows: list[AuditRow]
) -> None:
    guard = make()
    guard.arm()
    bench.pass_time(2.0)

    assert guard.command(5.0, WHY) == 5.0

    row = rows[-1]
    assert (row.kind, row.wanted, row.sent, row.unit) == ("command", 5.0, 5.0, "mW")
    assert row.t_ns == 2_000_000_000
    assert row.context is WHY
    assert {row.unit for row in rows} == {"mW"}


def test_after_a_trip_no_command_passes_until_it_is_reset_and_armed_anew(
    bench: Any, make: Make, rows: list[AuditRow], trips: list[str]
) -> None:
    guard = make()
    guard.arm()
    guard.command(5.0, WHY)

    guard.trip("a door was opened")
    guard.trip("and closed")
    refused = guard.command(6.0, WHY)

    assert refused == bench.shining == 0.0
    assert guard.tripped == "a door was opened", "the first reason stays"
    assert len(trips) == 1
    with pytest.raises(ConfigError, match="a door was opened"):
        guard.arm()
    guard.reset("the user has looked")
    assert guard.tripped is None
    assert not guard.armed
    assert guard.command(6.0, WHY) == 0.0, "a reset arms nothing"
    guard.arm()
    assert guard.command(6.0, WHY) == bench.shining == 6.0
    assert kinds(rows) == [
        "arm", "command", "trip", "refused", "refused", "reset", "monitor", "arm", "command",
    ]  # fmt: skip


def test_a_latch_is_not_lifted_while_the_device_complains_or_is_not_dark(
    bench: Any, make: Make
) -> None:
    guard = make()
    guard.arm()
    guard.command(5.0, WHY)
    bench.fails.add("make_safe")
    guard.trip("a test")

    with pytest.raises(ConfigError, match="stays latched"):
        guard.reset("too early")
    bench.fails.clear()
    bench.complaint = "its key is off"
    with pytest.raises(ConfigError, match="its key is off"):
        guard.reset("too early")
    bench.complaint = None
    guard.reset("now it is well")

    assert guard.tripped is None
    assert guard.is_safe
    assert bench.shining == 0.0


def test_a_trip_before_arming_touches_no_device(
    bench: Any, make: Make, rows: list[AuditRow]
) -> None:
    guard = make()

    guard.trip("a test")

    assert bench.calls == []
    assert kinds(rows) == ["trip"]


def test_a_reset_without_a_trip_does_nothing(bench: Any, make: Make, rows: list[AuditRow]) -> None:
    make().reset("no reason")

    assert bench.calls == []
    assert rows == []


def test_a_device_that_did_not_go_dark_is_told_at_every_poll_until_it_does(
    bench: Any, make: Make, rows: list[AuditRow]
) -> None:
    guard = make()
    guard.arm()
    guard.command(5.0, WHY)
    bench.fails.add("make_safe")
    guard.trip("a test")
    assert not guard.is_safe
    assert bench.shining == 5.0

    bench.pass_time(1.0)
    bench.calls.clear()
    for _ in range(3):
        guard.poll()
    assert not guard.is_safe
    assert bench.calls.count("make_safe") == 3
    assert "serial command timed out" in (guard.not_confirmed or "")
    bench.fails.clear()
    guard.poll()

    assert guard.is_safe
    assert guard.not_confirmed is None
    assert bench.shining == 0.0
    assert kinds(rows)[-3:] == ["trip", "unconfirmed", "confirmed"]
    assert "serial command timed out" in rows[-2].context.reason


def test_what_is_not_confirmed_dark_is_reported_once_within_the_time_to_confirm_and_then_seldom(
    bench: Any, make: Make, rows: list[AuditRow], trips: list[str]
) -> None:
    guard = make(safety=SafetySettings(confirm_s=1.0))
    guard.arm()
    guard.command(5.0, WHY)
    bench.fails.add("make_safe")
    guard.trip("a test")
    trips.clear()

    bench.pass_time(0.85)
    guard.poll()
    assert guard.not_confirmed is None
    for _ in range(10):
        bench.pass_time(0.1)
        guard.trip("another reason renews nothing")
        guard.poll()
    assert len(trips) == 1
    assert "not confirmed dark" in trips[0]
    assert "switch it off manually" in trips[0]
    for _ in range(100):
        bench.pass_time(1.0)
        guard.poll()
    assert len(trips) == 4
    assert "still, after" in trips[-1]
    assert kinds(rows).count("unconfirmed") == 4


def test_a_laser_that_obeyed_and_is_polled_late_is_not_reported(
    bench: Any, make: Make, trips: list[str]
) -> None:
    guard = make()
    guard.arm()
    guard.command(5.0, WHY)
    guard.command(0.0, WHY)
    bench.pass_time(30.0)

    guard.poll()

    assert trips == []
    assert guard.is_safe


def test_an_armed_laser_that_stays_lit_after_a_command_to_go_dark_is_latched(
    bench: Any, make: Make
) -> None:
    guard = make()
    guard.arm()
    guard.command(5.0, WHY)
    bench.meter = lambda power: 4.0 if power == 0 else power  # within what it may fall from
    guard.command(0.0, WHY)
    guard.poll()
    assert guard.tripped is None
    assert not guard.is_safe
    bench.pass_time(1.1)

    for _ in range(2):
        guard.poll()

    assert "4 mW measured where 0 were commanded" in (guard.tripped or "")


def test_shutting_down_is_dark_disarmed_and_done_once(
    bench: Any, make: Make, rows: list[AuditRow]
) -> None:
    guard = make()
    guard.arm()
    guard.command(5.0, WHY)

    assert guard.shut_down("the run ends") == []
    calls = len(bench.calls)
    assert guard.shut_down("the run ends") == []

    assert not guard.armed
    assert bench.shining == 0.0
    assert len(bench.calls) == calls
    assert kinds(rows) == ["arm", "command", "dark"]


def test_shutting_down_returns_what_failed_and_may_be_tried_again(bench: Any, make: Make) -> None:
    guard = make()
    guard.arm()
    guard.command(5.0, WHY)
    bench.fails.add("make_safe")

    assert guard.shut_down("the run ends") == ["emission: serial command timed out"]
    bench.fails.clear()
    assert guard.shut_down("the run ends") == []

    assert bench.shining == 0.0


def test_a_measurement_near_enough_is_no_fault_and_is_in_the_next_row(
    bench: Any, make: Make, rows: list[AuditRow]
) -> None:
    guard = make()
    guard.arm()
    guard.command(5.0, WHY)
    bench.meter = lambda power: power + 0.4

    for _ in range(30):
        guard.poll()
    guard.command(6.0, WHY)

    assert guard.tripped is None
    assert guard.measured == pytest.approx(5.4)
    assert rows[-1].measured == pytest.approx(5.4)


def test_a_value_that_changes_all_the_time_excuses_no_wrong_measurement(
    bench: Any, make: Make
) -> None:
    guard = make()
    guard.arm()
    bench.meter = lambda power: power + 3.0
    polls = 0

    while guard.tripped is None:
        guard.command(5.0 + polls % 2 * 2, WHY)
        guard.poll()
        polls += 1
        assert polls < 50

    assert polls == 2
    assert bench.shining == 0.0


def test_a_measurement_that_is_no_number_is_a_trip_at_once(bench: Any, make: Make) -> None:
    guard = make()
    guard.arm()
    guard.command(5.0, WHY)
    bench.meter = lambda power: math.nan

    guard.poll()

    assert guard.tripped is not None
    assert bench.shining == 0.0


def test_a_device_that_measures_nothing_is_not_compared(bench: Any, make: Make) -> None:
    bench.meter = lambda power: None
    guard = make()
    guard.arm()
    guard.command(5.0, WHY)

    for _ in range(20):
        guard.poll()

    assert guard.tripped is None
    assert math.isnan(guard.measured)


def test_light_that_is_found_after_a_trip_is_made_dark_at_every_poll_from_the_second_on(
    bench: Any, make: Make
) -> None:
    guard = make()
    guard.arm()
    guard.command(5.0, WHY)
    guard.trip("a test")
    bench.meter = lambda power: 5.0
    bench.pass_time(2.0)
    bench.calls.clear()

    for _ in range(9):
        guard.poll()

    assert bench.calls.count("make_safe") >= 8
    assert not guard.is_safe


def test_a_trip_while_a_command_hangs_wins_over_it(bench: Any, make: Make) -> None:
    guard = make()
    guard.arm()
    arrived, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        arrived.set()
        go_on.wait(30)

    bench.after_put = hang
    command = threading.Thread(target=guard.command, args=(5.0, WHY))
    command.start()
    assert arrived.wait(30)

    guard.trip("the door was opened")
    dark_at_once = bench.shining
    go_on.set()
    command.join(30)

    assert dark_at_once == bench.shining == 0.0
    assert guard.tripped == "the door was opened"


@pytest.mark.parametrize("broken", ["audit", "on_trip"])
def test_neither_a_full_disk_nor_a_deaf_listener_keeps_the_light_on(
    bench: Any, make: Make, broken: str
) -> None:
    def fail(what: object) -> None:
        raise OSError("no space left on device")

    guard = make(**{broken: fail})
    guard.arm()
    guard.command(5.0, WHY)
    guard.trip("a test")

    assert bench.shining == 0.0
    assert guard.tripped == "a test"


def test_a_device_whose_make_safe_raises_is_not_taken_for_dark(bench: Any, make: Make) -> None:
    guard = make()
    guard.arm()
    guard.command(5.0, WHY)

    def raise_(*_: object) -> list[str]:
        raise DeviceError("port is gone")

    bench.make_safe = raise_
    guard.trip("a test")

    assert not guard.is_safe
    assert guard.shut_down("the run ends") == ["port is gone"]
