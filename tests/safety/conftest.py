"""A laser on a bench, in simulated time, that can be made to fail in every way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rtsmlm.errors import DeviceError
from rtsmlm.safety.laser_guard import LaserGuard
from rtsmlm.safety.records import AuditRow, CommandContext
from rtsmlm.settings.lasers import LaserSettings
from rtsmlm.settings.safety import SafetySettings


class Bench:
    """Time, and a laser as an eye would see it."""

    name, unit = "activation", "mW"

    def __init__(self) -> None:
        self.t_ns = 0
        self.shining = 0.0
        """What comes out of the laser."""
        self.range = (0.01, 100.0)
        self.fails: set[str] = set()
        """Calls that raise: limits, set, set late, make_safe, setpoint, readback, fault."""
        self.complaint: str | None = None
        self.meter: Callable[[float], float | None] = lambda power: power
        self.calls: list[str] = []
        self.after_put: Callable[[], None] = lambda: None

    def pass_time(self, seconds: float) -> None:
        self.t_ns += round(seconds * 1e9)

    def _maybe_fail(self, call: str) -> None:
        self.calls.append(call)
        if call in self.fails:
            raise DeviceError("serial command timed out")

    def limits(self) -> tuple[float, float]:
        self._maybe_fail("limits")
        return self.range

    def set(self, value: float) -> None:
        self._maybe_fail("set")
        assert self.range[0] <= value <= self.range[1]
        self.shining = value
        self._maybe_fail("set late")
        self.after_put()

    def make_safe(self) -> list[str]:
        self.calls.append("make_safe")
        if "make_safe" in self.fails:
            return ["emission: serial command timed out"]
        self.shining = 0.0
        return []

    def setpoint(self) -> float:
        self._maybe_fail("setpoint")
        return self.shining

    def readback(self) -> float | None:
        self._maybe_fail("readback")
        return self.meter(self.shining)

    def fault(self) -> str | None:
        self._maybe_fail("fault")
        return self.complaint

    def close(self) -> None:
        pass


class UnrulyLaser:
    """A laser in real time whose driver has no locks, and hangs, lies or raises on demand."""

    unit = "mW"

    def __init__(self, name: str = "activation") -> None:
        self.name = name
        self.light = 0.0
        """What comes out of the laser."""
        self.hangs: set[str] = set()
        """Calls that do not return before `go_on` is set; they act after that."""
        self.go_on = threading.Event()
        self.raises: dict[str, BaseException] = {}
        self.ignores_off = False
        self.echo: float | None = None
        """What it says of its set point; None is the truth."""
        self.has_meter = False
        self.calls: list[str] = []

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.hangs:
            self.go_on.wait(30)

    def _end(self, name: str) -> None:
        if name in self.raises:
            raise self.raises[name]

    def limits(self) -> tuple[float, float]:
        self._call("limits")
        self._end("limits")
        return 0.1, 100.0

    def set(self, value: float) -> None:
        self._call("set")
        self.light = value
        self._end("set")

    def make_safe(self) -> list[str]:
        self._call("make_safe")
        if not self.ignores_off:
            self.light = 0.0
        self._end("make_safe")
        return []

    def setpoint(self) -> float:
        self._call("setpoint")
        self._end("setpoint")
        return self.light if self.echo is None else self.echo

    def readback(self) -> float | None:
        self._call("readback")
        self._end("readback")
        return self.light if self.has_meter else None

    def fault(self) -> str | None:
        self._call("fault")
        self._end("fault")
        return None

    def close(self) -> None:
        pass


@pytest.fixture
def unruly() -> Iterator[type[UnrulyLaser]]:
    """The class; all lasers that were made are released at the end."""
    made: list[UnrulyLaser] = []

    class Tracked(UnrulyLaser):
        def __init__(self, name: str = "activation") -> None:
            super().__init__(name)
            made.append(self)

    yield Tracked
    for laser in made:
        laser.hangs.clear()
        laser.go_on.set()


@pytest.fixture
def guarded() -> Iterator[Callable[..., LaserGuard]]:
    """Return a function that arms and lights a laser in real time, with deadlines after that."""
    made: list[LaserGuard] = []

    def make(
        laser: UnrulyLaser,
        power: float = 10.0,
        *,
        device_s: float = 5.0,
        confirm_s: float = 1.0,
        **options: Any,
    ) -> LaserGuard:
        settings = LaserSettings(device="L", max_power=50.0, start_power=50.0)
        options = {"audit": lambda row: None} | options
        guard = LaserGuard(laser, settings, SafetySettings(device_s=10, confirm_s=10), **options)
        made.append(guard)
        guard.arm()
        if power:
            assert guard.command(power, CommandContext(reason="a test")) == power
        guard._safety = SafetySettings(device_s=device_s, confirm_s=confirm_s)
        guard._dark._safety = guard._safety
        guard._device._calls.deadline_s = device_s
        return guard

    yield make
    for guard in made:
        guard.shut_down("the end", wait_s=0.0)
        guard.close()


@pytest.fixture
def until() -> Callable[..., None]:
    """Return a function that waits for something to become true, with a generous deadline."""

    def wait(condition: Callable[[], object], what: str = "") -> None:
        deadline = time.monotonic() + 20.0
        while not condition():
            assert time.monotonic() < deadline, what or "it did not happen"
            time.sleep(0.005)

    return wait


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def rows() -> list[AuditRow]:
    return []


@pytest.fixture
def safety() -> SafetySettings:
    """Deadlines for devices in memory, which answer at once, on a machine that may be busy."""
    return SafetySettings(device_s=5.0, confirm_s=0.5)


@pytest.fixture
def make_guard(
    bench: Bench, rows: list[AuditRow], safety: SafetySettings
) -> Iterator[Callable[..., LaserGuard]]:
    made: list[LaserGuard] = []

    def make(
        max_rise: float = 0.2,
        silence_s: float | None = 3.0,
        safety: SafetySettings = safety,
        **settings: object,
    ) -> LaserGuard:
        guard = LaserGuard(
            bench,
            LaserSettings.model_validate({"device": "Laser405", "max_power": 50.0, **settings}),
            safety,
            max_rise=max_rise,
            silence_s=silence_s,
            audit=rows.append,
            clock_ns=lambda: bench.t_ns,
        )
        made.append(guard)
        return guard

    yield make
    for guard in made:
        guard.close()
