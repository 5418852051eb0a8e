"""LaserGuard in any order of events: within its limits, or dark."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtsmlm.errors import ConfigError, DeviceError
from rtsmlm.safety.laser_guard import LaserGuard
from rtsmlm.safety.records import CommandContext
from rtsmlm.settings.lasers import LaserSettings
from rtsmlm.settings.safety import SafetySettings

WHY = CommandContext(reason="a test", frame=7)
MakeGuard = Callable[..., LaserGuard]

_POWERS = st.one_of(
    st.floats(0.0, 60.0), st.sampled_from([math.nan, math.inf, -1.0, 0.0, 1e9, 1e-12])
)
_EVENTS = st.one_of(
    st.tuples(st.just("command"), _POWERS),
    st.tuples(st.just("time"), st.floats(0.0, 5.0)),
    st.tuples(
        st.just("fail"),
        st.sets(
            st.sampled_from(
                ["set", "set late", "make_safe", "readback", "setpoint", "fault", "limits"]
            )
        ),
    ),
    st.tuples(st.just("complaint"), st.sampled_from([None, "Interlock is OPEN"])),
    st.tuples(st.just("meter"), st.sampled_from([1.0, 1.5, math.nan])),
    st.tuples(
        st.sampled_from(["beat", "poll", "trip", "dark", "reset", "arm", "jump", "hand"]),
        st.just(None),
    ),
)


@given(events=st.lists(_EVENTS, max_size=60))
@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_in_any_order_of_events_it_is_within_its_limits_or_dark(
    bench: Any, make_guard: MakeGuard, events: list[tuple[str, Any]]
) -> None:
    bench.__init__()  # type: ignore[misc]  # hypothesis calls with one fixture many times
    quick = SafetySettings(device_s=0.5, confirm_s=0.1)  # a meter may never show dark here
    guard = make_guard(max_dose=500.0, safety=quick)
    try:
        for event, value in events:
            was_tripped, before = guard.tripped, bench.shining
            was_allowed = guard.armed and was_tripped is None
            _happen(bench, guard, event, value)

            if not was_allowed:
                assert bench.shining <= before  # nothing gets brighter
            if guard.tripped is not None and guard.is_safe and event != "hand":
                assert bench.shining == 0.0
            if was_tripped is not None and event != "reset":
                assert guard.tripped == was_tripped
            if event != "hand" and bench.shining > before:
                assert guard.armed
                assert bench.shining <= 50.0
        for event in ("fail", "meter"):
            _happen(bench, guard, event, set() if event == "fail" else 1.0)
        was_armed = guard._ours
        guard.shut_down("the end")
        for _ in range(8):
            bench.pass_time(0.5)
            guard.poll()
        assert bench.shining == 0.0 or not was_armed
        assert guard.is_safe
        if was_armed:
            bench.shining = 5.0
            guard.poll()
            assert bench.shining == 0.0, "nor does it stay lit by hand"
    finally:
        bench.fails = set()
        guard.shut_down("the end")
        guard.close()


def _happen(bench: Any, guard: LaserGuard, event: str, value: Any) -> None:
    acts: dict[str, Callable[[], object]] = {
        "command": lambda: guard.command(value, WHY),
        "time": lambda: bench.pass_time(value),
        "fail": lambda: setattr(bench, "fails", value),
        "complaint": lambda: setattr(bench, "complaint", value),
        "meter": lambda: setattr(bench, "meter", lambda power: value * power),
        "beat": guard.beat,
        "poll": guard.poll,
        "trip": lambda: guard.trip("a drill"),
        "dark": lambda: guard.shut_down("a drill", wait_s=0.0),
        "reset": lambda: guard.reset("a person"),
        "arm": guard.arm,
        "jump": guard.allow_jump,
        "hand": lambda: setattr(bench, "shining", min(bench.shining, 5.0)),
    }
    try:
        acts[event]()
    except (ConfigError, DeviceError):
        assert event in {"arm", "reset"}


_FAULTS = st.sampled_from(["none", "hangs", "hangs for ever", "raises", "acts late", "exits"])
_DOES = st.lists(
    st.one_of(
        st.tuples(st.just("command"), st.sampled_from([0.0, 10.0, 45.0])),
        st.tuples(st.sampled_from(["poll", "pause", "trip"]), st.just(0.0)),
        st.tuples(st.sampled_from(["set", "setpoint", "readback", "fault", "make_safe"]), _FAULTS),
    ),
    min_size=1,
    max_size=10,
)


class FaultyLaser:
    """A driver without locks; `make_safe` fails for a while, all else for as long as it likes."""

    name, unit = "activation", "mW"

    def __init__(self) -> None:
        self.light = 0.0
        self.faults: dict[str, str] = {}
        self.end = threading.Event()
        self.recovers_s = math.inf

    def _fail(self, call: str, act: Callable[[], None] = lambda: None) -> None:
        fault = self.faults.get(call, "none")
        if call == "make_safe" and time.monotonic() > self.recovers_s:
            fault = "none"
        if fault == "acts late":
            self.end.wait(0.05)
        act()
        if fault == "hangs":
            self.end.wait(0.15)
        if fault == "hangs for ever":
            self.end.wait(30)
            act()  # and obeys once more, when nothing is expected of it any longer
        if fault == "raises":
            raise OSError("serial error")
        if fault == "exits":
            raise SystemExit(1)

    def limits(self) -> tuple[float, float]:
        return 0.1, 100.0

    def set(self, value: float) -> None:
        self._fail("set", lambda: setattr(self, "light", value))

    def make_safe(self) -> list[str]:
        self._fail("make_safe")
        self.light = 0.0
        return []

    def setpoint(self) -> float:
        self._fail("setpoint")
        return self.light

    def readback(self) -> float | None:
        self._fail("readback")
        return self.light

    def fault(self) -> str | None:
        self._fail("fault")
        return None

    def close(self) -> None:
        pass


@given(does=_DOES, ends=st.sampled_from(["trip", "shut_down"]), in_flight=st.booleans())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_after_any_faults_and_commands_an_order_to_go_dark_is_dark_and_stays_so(
    does: list[tuple[str, Any]], ends: str, in_flight: bool
) -> None:
    laser = FaultyLaser()
    guard = LaserGuard(
        laser,
        LaserSettings(device="L", max_power=50.0, start_power=50.0),
        SafetySettings(device_s=10, confirm_s=10),
        audit=lambda row: None,
    )
    guard.arm()
    guard._safety = guard._dark._safety = SafetySettings(device_s=0.1, confirm_s=0.2)
    guard._device._calls.deadline_s = 0.1
    last = threading.Thread(target=lambda: guard.command(20.0, WHY))
    try:
        for what, value in does:
            if what == "command":
                guard.command(value, WHY)
            elif what == "poll":
                guard.poll()
            elif what == "trip":
                guard.trip("a test")
            elif what == "pause":
                threading.Event().wait(0.01)
            else:
                laser.faults[what] = value
        if in_flight:
            last.start()
        laser.recovers_s = time.monotonic() + 0.1

        ordered_s = time.monotonic()
        getattr(guard, ends)("the end")
        while laser.light > 0 and time.monotonic() < ordered_s + 20.0:
            guard.poll()

        assert laser.light == 0.0
        laser.end.set()  # whatever hung comes back now
        if in_flight:
            last.join(20)
        while guard._device._calls.stuck and time.monotonic() < ordered_s + 40.0:
            threading.Event().wait(0.002)
        laser.faults.clear()
        guard._device._calls.deadline_s = 10.0
        while not guard.is_safe and time.monotonic() < ordered_s + 60.0:
            guard.poll()
        assert laser.light == 0.0
        assert guard.is_safe
    finally:
        laser.end.set()
        guard.shut_down("the end", wait_s=0.0)
        guard.close()


def test_the_same_power_sent_again_excuses_no_meter_that_differs(
    bench: Any, make_guard: Callable[..., LaserGuard]
) -> None:
    guard = make_guard(start_power=50.0)
    guard.arm()
    guard.beat()
    guard.command(50.0, WHY)
    bench.meter = lambda power: 2 * power

    for _ in range(2):  # at the cap, with ticks as short as two polls
        guard.poll()
        guard.poll()
        guard.command(50.0, WHY)

    assert guard.tripped is not None
    assert bench.shining == 0.0
