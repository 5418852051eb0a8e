"""The drills on the simulated rig: they pass there, and they fail where something is wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rtsmlm.errors import ConfigError, DeviceError
from rtsmlm.files.run.laser_log import read_laser_log
from rtsmlm.hil.drills import DRILLS, named, run_drill
from rtsmlm.hil.faults import FaultClock, FaultyLaser
from rtsmlm.hil.result import DrillResult
from rtsmlm.hil.rig import HilRig, check_dark
from rtsmlm.safety.laser_guard import LaserGuard
from rtsmlm.safety.records import CommandContext
from rtsmlm.settings.load import load

BUSY = "hil.dark_s=2"  # the machine that runs these tests has other things to do


def open_rig(folder: Path, *overrides: str, arm: bool = True) -> HilRig:
    return HilRig(load(Path("hil_sim.toml"), [BUSY, *overrides]), folder, arm=arm)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[HilRig]:
    opened = open_rig(tmp_path)
    yield opened
    opened.close()


def run(rig: HilRig, name: str) -> DrillResult:
    (drill,) = named([name])
    return run_drill(drill, rig)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["analysis-killed", "camera-frozen", "controller-fails"])
def test_a_fault_makes_it_dark_and_the_log_tells_why(rig: HilRig, name: str) -> None:
    result = run(rig, name)

    assert result.passed, result.what
    assert 0 <= result.details["dark_s"] <= result.details["limit_s"]
    assert rig.last_run is not None
    rows = [r for r in read_laser_log(rig.last_run.lasers) if r["actuator"] == "activation"]
    assert any(float(r["sent"] or 0) == 2.0 for r in rows), "there was light to begin with"
    assert rows[-1]["sent"] == "0"
    assert any(r["reason"] == result.details["reason"] for r in rows)
    check_dark(rig.lasers)


def test_the_checks_of_the_lasers_pass_and_leave_them_dark(rig: HilRig) -> None:
    for name in ("laser-limits", "cap-refused", "read-back"):
        result = run(rig, name)
        assert result.passed, result.what
    check_dark(rig.lasers)


@pytest.mark.slow
def test_where_readings_are_not_compared_the_drill_fails(
    rig: HilRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LaserGuard, "_judge", lambda self, reading: None)

    result = run(rig, "read-back-wrong")

    assert result.failed
    assert "it was not latched" in result.what
    check_dark(rig.lasers)


@pytest.mark.slow
def test_a_guard_that_does_not_latch_is_found_out(
    rig: HilRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    trip = LaserGuard.trip

    def forgetful(self: LaserGuard, reason: str) -> None:
        trip(self, reason)
        self.tripped = None

    monkeypatch.setattr(LaserGuard, "trip", forgetful)

    result = run(rig, "serial-error")

    assert result.failed
    assert "it was not latched" in result.what


def test_without_arm_nothing_that_needs_light_is_run_and_no_laser_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched: list[str] = []
    rig = open_rig(tmp_path, "hil.camera_s=1", "feedback.arm=false", arm=False)
    for laser in rig.lasers.values():
        monkeypatch.setattr(laser, "set", lambda value: touched.append("set"))
        monkeypatch.setattr(laser, "make_safe", lambda: touched.append("rest") or [])
    results = {drill.name: run_drill(drill, rig) for drill in DRILLS}
    rig.close()

    assert touched == []
    waiting = {d.name for d in DRILLS if d.needs_light}
    assert {name for name, r in results.items() if r.what == "not run: needs --arm"} == waiting
    assert {name for name, r in results.items() if r.passed} >= {"laser-limits", "cap-refused"}


def test_arm_on_the_command_line_alone_lets_no_light_through(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"feedback\.arm = true"):
        open_rig(tmp_path, "feedback.arm=false")


def test_the_power_of_drills_is_twice_the_least_and_never_above_the_cap(tmp_path: Path) -> None:
    rig = open_rig(tmp_path)
    assert rig.drill_power("activation") == 2.0
    assert rig.drill_power("readout") == 2.0
    rig.close()
    rig = open_rig(tmp_path, "hil.drill_power=500")
    assert rig.drill_power("activation") == 60.0
    assert rig.drill_power("readout") == 2.0, "the others are none of its business"
    rig.close()
    rig = open_rig(tmp_path, "hil.drill_power=0.5")
    with pytest.raises(ConfigError, match=r"0\.5 mW, but it gives 1 at least"):
        rig.drill_power("activation")
    rig.close()


def test_a_rig_without_a_steered_laser_is_told_so(tmp_path: Path) -> None:
    rig = open_rig(tmp_path, "feedback.laser=none")
    result = run(rig, "serial-error")
    rig.close()

    assert result.passed is None
    assert "feedback.laser" in result.what


def test_an_unknown_drill_is_named() -> None:
    with pytest.raises(ConfigError, match="no drill 'fire'; there are camera-rate"):
        named(["fire"])


def test_whoever_asks_to_stop_gets_a_dark_rig(tmp_path: Path) -> None:
    stop = threading.Event()
    rig = HilRig(load(Path("hil_sim.toml")), tmp_path, arm=True, stop=stop)
    rig.lasers["activation"].set(2.0)
    stop.set()
    with pytest.raises(KeyboardInterrupt):
        rig.pause(60)
    with pytest.raises(DeviceError, match="activation is at 2 mW"):
        check_dark(rig.lasers)
    microscope, core = rig.microscope, rig.core
    before = microscope.laser_mw(405)
    told: list[float] = []
    close = core.unloadAllDevices
    core.unloadAllDevices = lambda: (told.append(microscope.laser_mw(405)), close())
    rig.close()
    assert before > 0
    assert told == [0.0], "dark before the devices are let go"


def test_a_refused_command_strikes_once_and_rest_fails_for_its_time(rig: HilRig) -> None:
    clock = FaultClock()
    laser = FaultyLaser(rig.lasers["activation"], clock)
    guard = LaserGuard(laser, rig.settings.lasers["activation"], audit=lambda row: None)
    guard.arm()
    guard.command(2.0, CommandContext(reason="test"))
    laser.safe_fails_s, laser.refuse_next_set = 60.0, True

    guard.command(2.5, CommandContext(reason="test"))

    assert clock.injected.is_set()
    assert guard.tripped is not None
    assert not guard.is_safe
    assert laser.real.setpoint() == 2.0, "a laser that does not answer shines on"
    laser.safe_fails_s = 0.0
    guard.poll()
    assert laser.real.setpoint() == 0.0
    guard.shut_down("the test is over")
