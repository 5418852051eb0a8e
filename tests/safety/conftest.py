"""A laser on a bench, in simulated time, that can be made to fail in every way."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from rtsmlm.errors import DeviceError
from rtsmlm.safety.laser_guard import LaserGuard
from rtsmlm.safety.records import AuditRow
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


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def rows() -> list[AuditRow]:
    return []


@pytest.fixture
def safety() -> SafetySettings:
    """Deadlines as short as the settings allow: devices in memory answer at once."""
    return SafetySettings(device_s=0.3, confirm_s=0.1)


@pytest.fixture
def make_guard(
    bench: Bench, rows: list[AuditRow], safety: SafetySettings
) -> Iterator[Callable[..., LaserGuard]]:
    made: list[LaserGuard] = []

    def make(
        max_rise: float = 0.2, silence_s: float | None = 3.0, **settings: object
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
