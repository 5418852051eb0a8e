"""LaserGuard in any order of events: within its limits, or dark."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtsmlm.errors import ConfigError, DeviceError
from rtsmlm.safety.laser_guard import LaserGuard
from rtsmlm.safety.records import CommandContext

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
        st.sets(st.sampled_from(["set", "set late", "make_safe", "readback", "fault", "limits"])),
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
    guard = make_guard(max_dose=500.0)
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
        _happen(bench, guard, "fail", set())
        guard.shut_down("the end")
        guard.poll()
        assert bench.shining == 0.0 or not guard.armed
    finally:
        bench.fails = set()
        guard.shut_down("the end")


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
