"""LaserGuard: what may shine, when it goes dark, and that it stays dark."""

from __future__ import annotations

import atexit
import math
import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from rtsmlm.errors import ConfigError, DeviceError
from rtsmlm.safety import laser_guard
from rtsmlm.safety.laser_guard import LaserGuard
from rtsmlm.safety.records import AuditRow, CommandContext
from rtsmlm.safety.watchdog import Watchdog
from rtsmlm.settings.lasers import LaserSettings

WHY = CommandContext(reason="a test", frame=7)
MakeGuard = Callable[..., LaserGuard]


def kinds(rows: list[AuditRow]) -> list[str]:
    return [row.kind for row in rows]


def shine(guard: LaserGuard, bench: Any, power: float) -> None:
    """Arm and bring a laser to a power."""
    guard.arm()
    guard.beat()
    guard.allow_jump()
    assert guard.command(power, WHY) == power == bench.shining


def test_it_only_watches_until_it_is_armed(
    bench: Any, make_guard: MakeGuard, rows: list[AuditRow]
) -> None:
    guard = make_guard()

    assert guard.command(10.0, WHY) == 0.0

    assert bench.shining == 0.0
    assert bench.calls == []
    assert [(row.kind, row.wanted, row.sent) for row in rows] == [("monitor", 10.0, 0.0)]


@pytest.mark.parametrize(
    ("settings_", "device", "says"),
    [
        ({"max_power": None}, (1.0, 100.0), "has no cap"),
        ({"max_power": 120.0}, (1.0, 100.0), "the device gives 100 at most"),
        ({"max_power": 0.5}, (1.0, 100.0), "the device gives 1 at least"),
    ],
)
def test_a_limit_that_does_not_fit_is_refused_not_clipped(
    bench: Any,
    make_guard: MakeGuard,
    rows: list[AuditRow],
    settings_: dict[str, Any],
    device: tuple[float, float],
    says: str,
) -> None:
    bench.range = device
    bench.shining = 3.0  # somebody left it on; nobody asked us to touch it
    guard = make_guard(**settings_)

    with pytest.raises(ConfigError, match=says):
        guard.arm()

    assert not guard.armed
    assert kinds(rows) == ["refused"]
    assert says in rows[0].context.reason


def test_arming_asks_the_device_anew_and_leaves_it_dark(bench: Any, make_guard: MakeGuard) -> None:
    guard = make_guard()
    bench.shining = 3.0
    guard.arm()
    assert bench.shining == 0.0
    guard.shut_down("end")

    bench.range = (1.0, 20.0)  # a filter was changed over lunch

    with pytest.raises(ConfigError, match="gives 20 at most"):
        guard.arm()


@pytest.mark.parametrize("call", ["limits", "fault"])
def test_a_device_that_does_not_answer_is_not_armed(
    bench: Any, make_guard: MakeGuard, call: str
) -> None:
    bench.fails = {call}
    with pytest.raises(DeviceError):
        make_guard().arm()
    assert bench.shining == 0.0


def test_light_rises_no_faster_than_agreed_and_never_above_the_cap(
    bench: Any, make_guard: MakeGuard
) -> None:
    guard = make_guard()
    guard.arm()
    powers = []
    for _ in range(80):
        guard.beat()
        powers.append(guard.command(1e9, WHY))
        bench.pass_time(1.0)

    assert powers[0] == pytest.approx(2 * guard.limits[0])  # from the dark: barely above least
    steps = [math.log(b / a) for a, b in pairwise(powers)]
    assert max(steps) <= 0.2 * 1.5 + 1e-9
    assert math.log(powers[30] / powers[0]) <= 0.2 * 30.5 + 1e-9
    assert powers[-1] == max(powers) == 50.0
    assert guard.command(1e-6, WHY) == 0.0
    assert bench.shining == 0.0


def test_one_jump_is_allowed_after_a_test_pulse(bench: Any, make_guard: MakeGuard) -> None:
    guard = make_guard()
    guard.arm()
    guard.beat()
    guard.command(1.0, WHY)
    guard.allow_jump()

    assert guard.command(30.0, WHY) == 30.0
    assert guard.command(49.0, WHY) < 49.0


def test_a_small_change_is_not_sent(
    bench: Any, make_guard: MakeGuard, rows: list[AuditRow]
) -> None:
    guard = make_guard()
    shine(guard, bench, 10.0)
    n_calls = len(bench.calls)

    guard.command(10.1, WHY)

    assert len(bench.calls) == n_calls
    assert rows[-1].kind == "unchanged"


@pytest.mark.parametrize("wanted", [math.nan, math.inf, -1.0])
def test_what_is_no_power_is_a_trip(bench: Any, make_guard: MakeGuard, wanted: float) -> None:
    guard = make_guard()
    shine(guard, bench, 10.0)

    assert guard.command(wanted, WHY) == 0.0

    assert bench.shining == 0.0
    assert guard.tripped is not None
    assert guard.command(5.0, WHY) == 0.0
    assert bench.shining == 0.0


def test_silence_makes_it_dark(bench: Any, make_guard: MakeGuard, rows: list[AuditRow]) -> None:
    guard = make_guard(silence_s=3.0)
    shine(guard, bench, 10.0)

    bench.pass_time(2.9)
    guard.poll()
    assert bench.shining == 10.0
    bench.pass_time(0.2)
    guard.poll()

    assert bench.shining == 0.0
    assert rows[-1].kind == "trip"
    assert "nothing was seen for 3.1 s" in rows[-1].context.reason


def test_a_readout_laser_needs_no_heartbeat(bench: Any, make_guard: MakeGuard) -> None:
    guard = make_guard(silence_s=None, max_rise=math.inf, start_power=40.0)
    guard.arm()
    assert guard.command(40.0, WHY) == 40.0

    bench.pass_time(3600)
    guard.poll()

    assert bench.shining == 40.0


def test_two_wrong_measurements_of_five_are_a_trip_and_one_is_not(
    bench: Any, make_guard: MakeGuard
) -> None:
    guard = make_guard()
    shine(guard, bench, 20.0)
    for _ in range(3):
        bench.meter = lambda power: 1.2 * power
        guard.poll()
        bench.meter = lambda power: 1.05 * power
        for _ in range(4):
            guard.poll()
    assert bench.shining == 20.0

    for factor in (1.2, 1.0, 1.0, 1.2):
        bench.meter = lambda power, factor=factor: factor * power
        guard.poll()

    assert bench.shining == 0.0
    assert "24 mW measured where 20 were commanded" in str(guard.tripped)


def test_light_where_none_was_asked_for_is_a_trip(bench: Any, make_guard: MakeGuard) -> None:
    guard = make_guard()
    guard.arm()
    bench.shining = 30.0  # somebody at the front panel
    for _ in range(3):
        guard.poll()
    assert bench.shining == 0.0
    assert guard.tripped is not None


@pytest.mark.parametrize("call", ["readback", "fault", "setpoint"])
def test_a_device_that_falls_silent_is_a_trip(bench: Any, make_guard: MakeGuard, call: str) -> None:
    guard = make_guard()
    shine(guard, bench, 10.0)
    bench.fails = {call}
    for _ in range(2):
        guard.poll()
    assert bench.shining == 0.0
    assert "serial command timed out" in str(guard.tripped)


def test_an_interlock_is_a_trip_and_holds_until_it_is_closed(
    bench: Any, make_guard: MakeGuard, rows: list[AuditRow]
) -> None:
    guard = make_guard()
    shine(guard, bench, 10.0)
    bench.complaint = "Interlock is OPEN"
    guard.poll()
    assert bench.shining == 0.0

    with pytest.raises(ConfigError, match="Interlock is OPEN"):
        guard.reset("a person")
    bench.complaint = None
    with pytest.raises(ConfigError, match="latched"):
        guard.arm()
    guard.reset("a person")
    assert guard.command(10.0, WHY) == 0.0  # a reset arms nothing
    shine(guard, bench, 10.0)

    assert bench.shining == 10.0
    assert kinds(rows).count("reset") == 1


def test_the_dose_is_power_times_time_and_its_limit_is_a_trip(
    bench: Any, make_guard: MakeGuard
) -> None:
    guard = make_guard(max_dose=100.0, start_power=10.0)
    guard.arm()
    guard.beat()
    guard.command(10.0, WHY)
    for _ in range(19):
        bench.pass_time(0.5)
        guard.beat()
        guard.poll()
    assert guard.dose == pytest.approx(95.0)
    assert bench.shining == 10.0

    bench.pass_time(0.5)
    guard.beat()
    guard.poll()

    assert bench.shining == 0.0
    assert guard.dose == pytest.approx(100.0)
    bench.pass_time(100)
    assert guard.dose == pytest.approx(100.0)


@pytest.mark.parametrize("call", ["set", "set late"])
def test_a_command_that_fails_is_a_trip(bench: Any, make_guard: MakeGuard, call: str) -> None:
    guard = make_guard()
    shine(guard, bench, 10.0)
    bench.pass_time(1.0)
    bench.fails = {call}

    assert guard.command(11.0, WHY) == 0.0

    assert bench.shining == 0.0
    assert "did not obey" in str(guard.tripped)


def test_a_device_that_does_not_go_dark_is_told_again(
    bench: Any, make_guard: MakeGuard, rows: list[AuditRow]
) -> None:
    guard = make_guard()
    shine(guard, bench, 10.0)
    bench.fails = {"make_safe"}
    guard.trip("a drill")
    assert bench.shining == 10.0
    assert not guard.is_safe
    assert "NOT SAFE YET" in rows[-1].context.reason

    bench.fails = set()
    guard.poll()

    assert bench.shining == 0.0
    assert guard.is_safe


def test_a_trip_wins_over_a_command_that_hangs_in_the_driver(
    bench: Any, make_guard: MakeGuard
) -> None:
    guard = make_guard()
    shine(guard, bench, 10.0)
    bench.pass_time(1.0)
    inside, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        inside.set()
        go_on.wait(10)
        bench.shining = 11.0  # the device does at last what it was told

    bench.after_put = hang
    thread = threading.Thread(target=lambda: guard.command(11.0, WHY))
    thread.start()
    assert inside.wait(10)
    guard.trip("a drill")
    assert bench.shining == 0.0
    go_on.set()
    thread.join(10)

    assert bench.shining == 0.0
    assert guard.sent == 0.0


def test_an_audit_that_cannot_be_written_keeps_no_laser_on(bench: Any) -> None:
    def full(row: AuditRow) -> None:
        raise OSError("no space left on device")

    guard = LaserGuard(
        bench,
        LaserSettings(device="Laser405", max_power=50),
        audit=full,
        clock_ns=lambda: bench.t_ns,
    )
    shine(guard, bench, 10.0)
    guard.trip("a drill")
    assert bench.shining == 0.0
    guard.shut_down("the end")


def test_the_end_of_the_program_is_dark(
    bench: Any, make_guard: MakeGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_exit: list[Callable[[], None]] = []
    monkeypatch.setattr(atexit, "register", at_exit.append)
    guard = make_guard()
    shine(guard, bench, 10.0)

    at_exit[-1]()

    assert bench.shining == 0.0


def test_at_the_end_of_the_program_a_laser_that_hangs_delays_no_other(
    unruly: Any, guarded: Callable[..., LaserGuard], until: Callable[..., None]
) -> None:
    lasers = [unruly(name) for name in ("a", "b", "c")]
    for laser in lasers:
        guarded(laser)
    for laser in lasers[:2]:
        laser.hangs.update({"make_safe", "setpoint"})

    end = threading.Thread(target=laser_guard._at_exit)
    end.start()

    until(lambda: lasers[2].light == 0.0)
    assert end.is_alive() or lasers[0].light > 0
    for laser in lasers:
        laser.go_on.set()
    end.join(20)
    assert [laser.light for laser in lasers] == [0.0, 0.0, 0.0]


def test_the_watchdog_looks_by_itself_and_its_death_is_a_trip(bench: Any) -> None:
    guard = LaserGuard(
        bench,
        LaserSettings(device="Laser405", max_power=50, start_power=10),
        silence_s=0.3,
        audit=lambda row: None,
    )
    guard.arm()
    guard.beat()
    assert guard.command(10.0, WHY) == 10.0
    watchdog = Watchdog([guard])
    watchdog.start()
    try:
        for _ in range(100):
            if guard.tripped is not None:
                break
            threading.Event().wait(0.05)
    finally:
        watchdog.close()
    assert bench.shining == 0.0

    bench.shining = 5.0
    other = LaserGuard(
        bench, LaserSettings(device="Laser405", max_power=50), audit=lambda row: None
    )
    other.arm()
    broken = Watchdog([other])
    other.poll = lambda: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    broken.start()
    for _ in range(100):
        if other.tripped is not None:
            break
        threading.Event().wait(0.05)
    broken.close()
    assert "watchdog failed" in str(other.tripped)
