"""DeviceCalls: a driver that hangs, raises or answers late holds up nothing but itself."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from rtsmlm.errors import DeviceError
from rtsmlm.safety import device_calls
from rtsmlm.safety.device_calls import DeviceCalls, NoAnswerError

Until = Callable[..., None]


@pytest.fixture
def go_on() -> Iterator[threading.Event]:
    """Release for calls that hang."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def late() -> list[str]:
    return []


@pytest.fixture
def calls(go_on: threading.Event, late: list[str]) -> Iterator[DeviceCalls]:
    calls = DeviceCalls("laser 405", 0.1, on_late=late.append)
    yield calls
    go_on.set()
    calls.close()


def test_calls_of_a_device_are_made_one_after_the_other_in_one_thread(calls: DeviceCalls) -> None:
    inside, most, threads = 0, 0, set()
    lock = threading.Lock()

    def call() -> int:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.002)
        threads.add(threading.get_ident())
        with lock:
            inside -= 1
        return inside

    callers = [threading.Thread(target=calls.run, args=("asked", call)) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(20)

    assert most == 1
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_a_call_returns_and_raises_what_the_driver_does(calls: DeviceCalls) -> None:
    def fail() -> None:
        raise OSError("port is gone")

    assert calls.run("asked", lambda: 3) == 3
    assert calls.run("asked", lambda: None) is None
    with pytest.raises(OSError, match="port is gone"):
        calls.run("asked", fail)
    assert calls.run("asked", lambda: 4) == 4


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_what_would_end_a_program_is_an_error_of_the_device_and_its_thread_goes_on(
    calls: DeviceCalls, error: BaseException
) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(DeviceError, match=type(error).__name__):
        calls.run("its power was set", fail)
    assert calls.run("asked", lambda: 5) == 5


def test_a_call_that_hangs_is_given_up_and_the_next_one_is_made(
    calls: DeviceCalls, go_on: threading.Event, late: list[str], until: Until
) -> None:
    message = "laser 405 did not answer within 0.1 s while its power was set"
    with pytest.raises(NoAnswerError, match=message):
        calls.run("its power was set", lambda: go_on.wait(30))

    assert calls.run("asked", lambda: 6) == 6
    assert calls.stuck == 1
    assert late == []
    go_on.set()
    until(lambda: calls.stuck == 0)
    until(lambda: late == ["its power was set"])


def test_an_urgent_call_passes_one_that_hangs_long_before_the_deadline(
    go_on: threading.Event,
) -> None:
    calls = DeviceCalls("laser", 30.0)
    calls.start("set", lambda: go_on.wait(30))
    dark = threading.Event()

    job = calls.start("switched off", dark.set, urgent=True)

    assert job.wait(10.0)
    assert dark.is_set()
    assert not go_on.is_set()
    go_on.set()
    calls.close()


def test_an_urgent_call_comes_before_those_that_wait(
    calls: DeviceCalls, go_on: threading.Event
) -> None:
    order: list[str] = []
    calls.deadline_s = 30.0
    calls.start("first", lambda: go_on.wait(30))
    last = calls.start("second", lambda: order.append("second"))
    calls.start("urgent", lambda: order.append("urgent"), urgent=True)

    go_on.set()

    assert last.wait(20)
    assert order == ["urgent", "second"]


def test_no_more_than_three_calls_hang_and_the_last_is_kept_for_going_dark(
    calls: DeviceCalls, go_on: threading.Event, until: Until
) -> None:
    for _ in range(2):
        with pytest.raises(NoAnswerError, match="did not answer"):
            calls.run("asked", lambda: go_on.wait(30))

    with pytest.raises(NoAnswerError, match="2 calls of its driver hang"):
        calls.run("asked", lambda: 1)
    urgent = calls.start("switched off", lambda: go_on.wait(30), urgent=True)
    assert not urgent.wait(0.2)
    with pytest.raises(NoAnswerError, match="3 calls of its driver hang"):
        calls.start("switched off", lambda: go_on.wait(30), urgent=True)
    go_on.set()
    until(lambda: calls.stuck == 0)
    assert calls.run("asked", lambda: 7) == 7


def test_a_device_that_hung_three_times_is_still_switched_off_now_and_then(
    calls: DeviceCalls, go_on: threading.Event, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_calls, "_TRY_AGAIN_S", 0.3)
    for _ in range(3):
        calls.start("switched off", lambda: go_on.wait(30), urgent=True).wait(0.2)
    dark = threading.Event()

    def is_dark() -> bool:
        with contextlib.suppress(NoAnswerError):
            calls.start("switched off", dark.set, urgent=True).wait(0.1)
        return dark.is_set()

    until(is_dark)
    assert not go_on.is_set()


def test_a_call_that_never_had_its_turn_is_never_made(
    calls: DeviceCalls, go_on: threading.Event, until: Until
) -> None:
    made = threading.Event()
    hangs = calls.start("first", lambda: go_on.wait(30))
    with pytest.raises(NoAnswerError):
        calls.run("second", made.set, timeout_s=0.02)

    go_on.set()

    assert hangs.wait(20)
    assert calls.run("third", lambda: 1, timeout_s=20.0) == 1
    assert not made.is_set()


def test_who_waits_is_called_back_all_the_time(go_on: threading.Event) -> None:
    here: list[int] = []
    calls = DeviceCalls("laser", 0.4, on_wait=lambda: here.append(threading.get_ident()))

    with pytest.raises(NoAnswerError):
        calls.run("asked", lambda: go_on.wait(30))

    assert len(here) >= 4
    assert set(here) == {threading.get_ident()}
    go_on.set()
    calls.close()


def test_a_callback_that_fails_keeps_no_call_from_being_made(go_on: threading.Event) -> None:
    def fail(*_: object) -> None:
        raise ValueError("a fault in the callback")

    calls = DeviceCalls("laser", 0.1, on_late=fail, on_wait=fail)
    with pytest.raises(NoAnswerError):
        calls.run("asked", lambda: go_on.wait(30))
    go_on.set()

    assert calls.run("asked", lambda: 8) == 8
    calls.close()


def test_without_new_threads_at_the_end_of_the_program_a_call_is_made_all_the_same(
    calls: DeviceCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    assert calls.start("switched off", lambda: 9, urgent=True).result() == 9
    assert calls.run("asked", lambda: 10) == 10


def test_the_thread_of_a_device_ends_when_it_is_closed_and_comes_back_when_it_is_needed(
    calls: DeviceCalls, until: Until
) -> None:
    calls.run("asked", lambda: 1)
    calls.close()
    until(lambda: not [t for t in threading.enumerate() if t.name == "rtsmlm-device-laser-405"])

    assert calls.run("switched off", lambda: 2) == 2
