"""Going dark: seen, repeated and reported, whatever a driver does; and dark has the last word."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from rtsmlm.safety.laser_guard import LaserGuard
from rtsmlm.safety.records import AuditRow, CommandContext
from rtsmlm.safety.watchdog import Watchdog

WHY = CommandContext(reason="a test")
_ORDERED_S = 0.25
"""How long an order may hold up its caller."""
_SLACK_S = 4.0
"""For a busy machine; what hangs here does so for 30 s."""

Guarded = Callable[..., LaserGuard]
Until = Callable[..., None]


def took_s(act: Callable[[], object]) -> float:
    """Return how long it took."""
    begun_s = time.monotonic()
    act()
    return time.monotonic() - begun_s


def texts(rows: list[AuditRow], kind: str) -> list[str]:
    return [row.context.reason for row in rows if row.kind == kind]


@pytest.mark.parametrize("call", ["set", "make_safe", "setpoint", "readback", "fault", "limits"])
def test_a_port_that_hangs_in_any_call_delays_nothing_of_another_laser(
    unruly: Any, guarded: Guarded, until: Until, call: str
) -> None:
    stuck, well = unruly("readout"), unruly("activation")
    first = guarded(stuck, device_s=0.3)
    second = guarded(well, silence_s=60.0)
    watchdog = Watchdog([first, second])
    watchdog.start()
    stuck.hangs.add(call)
    threads = [
        threading.Thread(target=act)
        for act in (lambda: first.command(20.0, WHY), lambda: first.trip("a test"))
    ]
    for thread in threads:
        thread.start()

    polls = len(well.calls)
    assert took_s(lambda: second.command(20.0, WHY)) < _SLACK_S
    dose = second.dose
    until(lambda: len(well.calls) >= polls + 9, "it is polled")
    assert second.dose > dose
    assert took_s(lambda: second.trip("a test")) < _ORDERED_S + _SLACK_S

    assert well.light == 0.0
    assert second.is_safe
    for thread in threads:
        thread.join(20)
    stuck.go_on.set()
    watchdog.close()


@pytest.mark.parametrize("call", ["set", "make_safe", "setpoint", "readback", "fault"])
def test_no_caller_waits_beyond_its_deadline(unruly: Any, guarded: Guarded, call: str) -> None:
    laser = unruly()
    guard = guarded(laser, device_s=0.3)
    laser.hangs.add(call)

    assert took_s(lambda: guard.command(20.0, WHY)) < 0.3 + _ORDERED_S + _SLACK_S
    assert took_s(lambda: guard.trip("a test")) < _ORDERED_S + _SLACK_S
    assert took_s(lambda: guard.command(0.0, WHY)) < _SLACK_S
    assert took_s(guard.poll) < 2 * 0.3 + 2 * _ORDERED_S + _SLACK_S
    assert took_s(lambda: guard.shut_down("the end", wait_s=0.2)) < 0.2 + _SLACK_S


def test_the_thread_that_commands_goes_on_proving_that_it_lives_while_a_device_hangs(
    unruly: Any, guarded: Guarded
) -> None:
    laser = unruly()
    beats: list[int] = []
    guard = guarded(laser, device_s=0.3, while_waiting=lambda: beats.append(threading.get_ident()))
    other = threading.Thread(target=lambda: guard.poll())
    laser.hangs.update({"set", "fault"})
    beats.clear()

    guard.command(20.0, WHY)
    n = len(beats)
    other.start()
    other.join(20)

    assert n >= 4
    assert set(beats) == {threading.get_ident()}, "no other thread does it for it"


def test_the_thread_that_polls_is_seen_at_work_while_a_device_hangs(
    unruly: Any, guarded: Guarded
) -> None:
    laser = unruly()
    guard = guarded(laser, device_s=1.0)
    laser.hangs.add("fault")
    poll = threading.Thread(target=guard.poll)
    poll.start()
    seen = set()
    for _ in range(20):
        seen.add(guard.polled_ns)
        time.sleep(0.03)

    assert poll.is_alive()
    assert len(seen) >= 4
    poll.join(20)
    assert guard.tripped is not None


def test_a_laser_that_ignores_off_and_says_that_it_is_off_is_found_out_by_its_meter(
    unruly: Any, guarded: Guarded, rows: list[AuditRow], until: Until
) -> None:
    laser, said = unruly(), []
    laser.has_meter = True
    guard = guarded(laser, audit=rows.append, on_trip=said.append)
    watchdog = Watchdog([guard])
    watchdog.start()
    laser.ignores_off, laser.echo = True, 0.0

    failed = guard.shut_down("the run ends")

    assert failed == ["it is not confirmed dark: 10 mW are measured"]
    assert not guard.is_safe
    until(lambda: len(said) == 1)
    assert "not confirmed dark: 10 mW are measured; switch it off manually" in said[0]
    assert guard.not_confirmed == "10 mW are measured"
    n = laser.calls.count("make_safe")
    until(lambda: laser.calls.count("make_safe") > n + 3, "it is switched off again and again")
    assert len(texts(rows, "unconfirmed")) == len(said) == 1

    laser.ignores_off = False
    until(lambda: guard.is_safe)
    assert laser.light == 0.0
    assert guard.not_confirmed is None
    until(lambda: len(texts(rows, "confirmed")) == 1)
    watchdog.close()


def test_a_make_safe_that_hangs_is_reported_within_a_second_and_made_again_beside_it(
    unruly: Any, guarded: Guarded, rows: list[AuditRow], until: Until
) -> None:
    laser, said = unruly(), []
    guard = guarded(
        laser,
        audit=rows.append,
        on_trip=lambda text: said.append((time.monotonic(), text)),
        device_s=0.3,
    )
    watchdog = Watchdog([guard])
    watchdog.start()
    laser.hangs.add("make_safe")

    ordered_s = time.monotonic()
    assert took_s(lambda: guard.trip("a test")) < _ORDERED_S + _SLACK_S
    assert not guard.is_safe
    until(lambda: any("not confirmed dark" in text for _, text in said))

    assert said[-1][0] - ordered_s < 1.0 + _SLACK_S
    until(lambda: laser.calls.count("make_safe") >= 3)
    laser.hangs.clear()
    laser.go_on.set()
    until(lambda: guard.is_safe)
    assert laser.light == 0.0
    watchdog.close()


def test_it_is_dark_as_soon_as_a_port_that_hung_comes_back(
    unruly: Any, guarded: Guarded, until: Until
) -> None:
    laser = unruly()
    guard = guarded(laser, device_s=0.3)
    watchdog = Watchdog([guard])
    watchdog.start()
    laser.hangs.update({"set", "make_safe", "setpoint", "fault", "readback"})
    until(lambda: guard.tripped is not None)
    assert laser.light == 10.0

    laser.hangs.clear()
    laser.go_on.set()

    until(lambda: laser.light == 0.0 and guard.is_safe)
    watchdog.close()


@pytest.mark.parametrize("ends", ["returns", "raises", "exits"])
@pytest.mark.parametrize("order", ["trip", "shut_down"])
@pytest.mark.parametrize("is_given_up", [False, True])
def test_a_command_that_is_obeyed_after_an_order_to_go_dark_is_followed_by_dark(
    unruly: Any, guarded: Guarded, until: Until, ends: str, order: str, is_given_up: bool
) -> None:
    laser = unruly()
    guard = guarded(laser, device_s=0.3 if is_given_up else 10.0)
    laser.hangs.add("set")
    if ends != "returns":
        laser.raises["set"] = SystemExit(1) if ends == "exits" else OSError("serial error")
    command = threading.Thread(target=lambda: guard.command(20.0, WHY))
    command.start()
    until(lambda: laser.calls.count("set") == 2)
    if is_given_up:
        command.join(20)

    if order == "trip":
        guard.trip("a test")
    else:
        guard.shut_down("a test", wait_s=0.3)
    until(lambda: laser.light == 0.0)
    assert not guard.is_safe, "a command is still on its way"
    laser.go_on.set()

    until(lambda: not guard._device.is_setting)
    assert laser.light == 0.0
    command.join(20)
    guard.poll()
    assert guard.is_safe
    assert guard.sent == 0.0


def test_what_was_seen_before_a_command_confirms_no_order_after_it(
    unruly: Any, guarded: Guarded
) -> None:
    laser = unruly()
    guard = guarded(laser, power=0.0)
    dark = guard._readings.ask(guard._clock_ns())
    guard.command(10.0, WHY)
    laser.ignores_off = True
    guard.command(0.0, WHY)

    guard._dark.check(dark)

    assert laser.light == 10.0
    assert not guard.is_safe
    laser.ignores_off = False


def test_a_command_that_waits_for_its_turn_when_the_order_comes_is_never_sent(
    unruly: Any, guarded: Guarded, until: Until
) -> None:
    laser = unruly()
    guard = guarded(laser, device_s=10.0)
    laser.hangs.add("fault")
    poll = threading.Thread(target=guard.poll)
    poll.start()
    until(lambda: "fault" in laser.calls[4:])
    command = threading.Thread(target=lambda: guard.command(20.0, WHY))
    command.start()
    time.sleep(0.02)

    guard.trip("a test")
    laser.go_on.set()
    command.join(20)
    poll.join(20)

    assert laser.calls.count("set") == 1
    assert laser.light == 0.0


@pytest.mark.parametrize("error", [SystemExit(0), KeyboardInterrupt(), OSError("gone")])
@pytest.mark.parametrize("call", ["set", "setpoint", "fault", "readback", "make_safe"])
def test_whatever_a_driver_raises_its_guard_goes_on(
    unruly: Any, guarded: Guarded, until: Until, call: str, error: BaseException
) -> None:
    laser = unruly()
    laser.has_meter = True
    guard = guarded(laser)
    watchdog = Watchdog([guard])
    watchdog.start()
    laser.raises[call] = error
    if call == "set":
        guard.command(20.0, WHY)
    if call == "make_safe":
        guard.trip("a test")

    until(lambda: guard.tripped is not None)
    until(lambda: laser.light == 0.0)
    laser.raises.clear()
    until(lambda: guard.is_safe)
    watchdog.close()


@pytest.mark.parametrize("seed", range(5))
def test_in_any_interleaving_of_commands_and_orders_the_last_word_is_dark(
    unruly: Any, guarded: Guarded, until: Until, seed: int
) -> None:
    random_ = random.Random(seed)

    class Late(unruly):  # type: ignore[misc]  # obeys a while after it was called, and may raise
        def set(self, value: float) -> None:
            self.calls.append("set")
            time.sleep(random_.choice([0.0, 0.001, 0.01, 0.15]))
            self.light = value
            time.sleep(random_.choice([0.0, 0.001, 0.01]))
            if random_.random() < 0.2:
                raise random_.choice([OSError("late"), SystemExit(1)])

        def make_safe(self) -> list[str]:
            time.sleep(random_.choice([0.0, 0.001, 0.02]))
            return super().make_safe()

    for _ in range(3):
        laser = Late()
        guard = guarded(laser, power=0.0, device_s=0.1, confirm_s=0.2)
        stop = threading.Event()

        def command(guard: LaserGuard = guard, stop: threading.Event = stop) -> None:
            while not stop.is_set():
                guard.command(random_.choice([0.0, 5.0, 20.0, 45.0]), WHY)

        def poll(guard: LaserGuard = guard, stop: threading.Event = stop) -> None:
            while not stop.wait(0.005):
                guard.poll()

        threads = [threading.Thread(target=act) for act in (command, command, poll)]
        for thread in threads:
            thread.start()
        time.sleep(random_.uniform(0.0, 0.06))
        order = random_.choice([guard.trip, guard.shut_down])
        order("a test")
        until(lambda guard=guard: guard.is_safe)
        for _ in range(10):
            assert laser.light == 0.0, "it stays dark, whatever is still commanded"
            time.sleep(0.003)
        stop.set()
        for thread in threads:
            thread.join(20)
        assert laser.light == 0.0
        assert guard.sent == 0.0
        assert not math.isnan(guard.dose)
