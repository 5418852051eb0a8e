"""Checks and faults of the drills on a bench without hardware: each fault of a rig is found out."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsmlm.errors import ConfigError, DeviceError
from rtsmlm.feedback.records import DensityEstimate
from rtsmlm.files.run.report import RunReport
from rtsmlm.hil import camera_checks, drills, interlock, laser_checks
from rtsmlm.hil.camera_checks import camera_rate, latency, no_frame_lost
from rtsmlm.hil.faults import (
    FaultClock,
    FaultyLaser,
    FreezableCamera,
    Perturbation,
    not_a_number,
    raising,
)
from rtsmlm.hil.result import DrillResult, NotForThisRig
from rtsmlm.hil.rig import HilRig, check_dark, power_now
from rtsmlm.hil.step_figures import Course, bias, overshoot, settle_s
from rtsmlm.hil.traits import traits_of
from rtsmlm.realtime.ledger import LedgerTotals
from rtsmlm.settings.lasers import LaserSettings


class Laser:
    """A laser that does what it is asked, with faults on demand."""

    name, unit = "uv", "mW"

    def __init__(self, *, scale: float = 1.0, meter: float | None = 1.0) -> None:
        self.power = 0.0
        self.scale, self.meter = scale, meter
        self.range = (1.0, 100.0)
        self.complaint: str | None = None
        self.answers = True

    def limits(self) -> tuple[float, float]:
        return self.range

    def set(self, value: float) -> None:
        self.power = value * self.scale

    def make_safe(self) -> list[str]:
        self.power = 0.0
        return []

    def setpoint(self) -> float:
        if not self.answers:
            raise DeviceError("no answer")
        return self.power

    def readback(self) -> float | None:
        return None if self.meter is None else self.meter * self.power

    def fault(self) -> str | None:
        return self.complaint

    def close(self) -> None:
        pass


def rig_of(laser: Laser | None, max_power: float | None = 50.0, **more: Any) -> HilRig:
    """Return what the checks ask of a rig, with one laser or none."""
    lasers = {} if laser is None else {"uv": laser}
    settings = {
        name: LaserSettings.model_validate({"device": "D", "max_power": max_power})
        for name in lasers
    }
    rig = SimpleNamespace(
        lasers=lasers,
        settings=SimpleNamespace(lasers=settings),
        drill_power=lambda name: 10.0,
        pause=lambda seconds: None,
        kept={},
        arm=True,
        **more,
    )
    return cast("HilRig", rig)


# -- lasers ----------------------------------------------------------------------------------


def test_limits_are_shown_with_the_cap() -> None:
    result = laser_checks.laser_limits(rig_of(Laser()))

    assert result.passed
    assert result.what == "uv 1 to 100 mW, cap 50"
    assert result.details["uv"] == {"least": 1.0, "most": 100.0, "cap": 50.0, "unit": "mW"}


@pytest.mark.parametrize(
    ("change", "cap", "found"),
    [
        ({"range": (5.0, 5.0)}, 4.0, "uv reports limits of 5 to 5 mW"),
        ({"range": (-1.0, 100.0)}, 50.0, "uv reports limits of -1 to 100 mW"),
        ({"range": (math.nan, math.nan)}, 50.0, "uv reports limits of nan to nan mW"),
        ({}, 100.5, "the cap of uv is 100.5, the device gives 100 at most"),
        ({}, None, "the cap of uv is none"),
        ({"complaint": "its interlock is open"}, 50.0, "uv reports a fault: its interlock is open"),
    ],
)
def test_limits_and_caps_without_sense_and_faults_are_found(
    change: dict[str, Any], cap: float | None, found: str
) -> None:
    laser = Laser()
    for name, value in change.items():
        setattr(laser, name, value)

    result = laser_checks.laser_limits(rig_of(laser, cap))

    assert result.failed
    assert found in result.what


def test_a_cap_beyond_the_device_is_refused_without_light() -> None:
    laser = Laser()

    result = laser_checks.cap_refused(rig_of(laser))

    assert result.passed
    assert laser.power == 0.0
    assert "200" in result.what


def test_the_read_back_of_a_good_laser_is_within_a_tenth_and_leaves_it_dark() -> None:
    laser = Laser()

    result = laser_checks.read_back(rig_of(laser))

    assert result.passed, result.what
    assert "within 0.0% of what was set" in result.what
    assert "measured power: uv" in result.what
    assert [step["set"] for step in result.details["uv"]] == [6.0, 10.0, 8.0]
    assert laser.power == 0.0


def test_a_laser_without_a_meter_is_judged_by_its_set_point() -> None:
    result = laser_checks.read_back(rig_of(Laser(meter=None)))

    assert result.passed
    assert "measured power: none" in result.what


@pytest.mark.parametrize(
    "laser", [Laser(scale=0.8), Laser(meter=1.3)], ids=["set point", "measured"]
)
def test_a_power_that_is_not_the_one_set_fails_and_ends_dark(laser: Laser) -> None:
    rig = rig_of(laser)

    drill = drills.Drill("read-back", laser_checks.read_back)
    result = drills.run_drill(drill, rig)

    assert result.failed
    assert "uv" in result.what
    assert laser.power == 0.0


def test_a_rig_without_lasers_is_not_checked() -> None:
    for check in (laser_checks.laser_limits, laser_checks.cap_refused, laser_checks.read_back):
        with pytest.raises(NotForThisRig, match=r"no \[lasers\]"):
            check(rig_of(None))


def test_a_laser_that_does_not_answer_is_not_dark() -> None:
    laser = Laser()
    check_dark({"uv": laser})
    laser.answers = False

    assert math.isnan(power_now(laser))
    with pytest.raises(DeviceError, match="uv is at nan mW where it should be dark"):
        check_dark({"uv": laser})


# -- camera ----------------------------------------------------------------------------------

TOTALS = LedgerTotals(
    camera=100, received=100, recorded=100, localized=100, skipped=0, lost=0, in_ring=0
)
STAGES = {
    name: {"p50": 1.0, "p95": 2.0, "p99": p99, "max": 9.0}
    for name, p99 in (("wait", 3.0), ("total", 40.0), ("laser", 55.0))
}


def camera_rig(
    report: RunReport, *, rate: float = 99.0, gaps: int = 0, p99_ms: float = 100.0
) -> HilRig:
    rig = rig_of(None, limits=SimpleNamespace(rate_tolerance=0.02, p99_ms=p99_ms))
    rig.kept[camera_checks._KEPT] = camera_checks._CameraRun(10.0, rate, gaps, report)
    return rig


def report(totals: LedgerTotals | None = TOTALS, **more: Any) -> RunReport:
    return RunReport(folder=cast("Any", None), totals=totals, **more)


@pytest.mark.parametrize(("rate", "passed"), [(100.0, True), (98.0, True), (97.9, False)])
def test_a_rate_is_that_of_the_exposure_within_the_tolerance(rate: float, passed: bool) -> None:
    result = camera_rate(camera_rig(report(), rate=rate))

    assert result.passed is passed
    assert "at an exposure of 10 ms (at least 98.0)" in result.what


def test_every_frame_accounted_for_passes_and_one_lost_or_a_gap_fails() -> None:
    lost = LedgerTotals(
        camera=101, received=100, recorded=100, localized=100, skipped=0, lost=1, in_ring=0
    )
    unbalanced = LedgerTotals(
        camera=100, received=100, recorded=100, localized=98, skipped=0, lost=0, in_ring=0
    )

    assert no_frame_lost(camera_rig(report())).passed
    assert no_frame_lost(camera_rig(report(), gaps=1)).failed
    assert no_frame_lost(camera_rig(report(lost))).failed
    broken = no_frame_lost(camera_rig(report(unbalanced)))
    assert broken.failed
    assert "the ledger does not balance" in broken.what


def test_a_run_that_failed_or_never_began_is_named() -> None:
    assert no_frame_lost(camera_rig(report(failures=["disk full"]))).what == "disk full"
    assert no_frame_lost(camera_rig(report(None))).what == "no frames came"


@pytest.mark.parametrize(("limit", "passed"), [(56.0, True), (55.0, False)])
def test_the_slowest_stage_is_held_against_the_limit(limit: float, passed: bool) -> None:
    result = latency(camera_rig(report(latency_ms=STAGES), p99_ms=limit))

    assert result.passed is passed
    assert "99th percentile of laser 55.0 ms, to the laser 55.0 ms" in result.what


def test_without_a_localized_frame_there_is_no_latency_to_pass() -> None:
    assert latency(camera_rig(report())).failed


# -- faults ----------------------------------------------------------------------------------

ESTIMATE = DensityEstimate(
    first_frame=0, last_frame=9, n_frames=10, t_exposure_end_ns=0, mean_per_um2=0.1,
    std_per_um2=0.01, local_per_um2=0.2, new_per_um2=0.02, unexplained=0.0, crowded=False,
    area_um2=50.0,
)  # fmt: skip


def test_the_first_fault_counts() -> None:
    clock = FaultClock()
    assert not clock.injected.is_set()

    clock.mark()
    first = clock.t_ns
    clock.mark()

    assert clock.injected.is_set()
    assert clock.t_ns == first > 0


def test_a_frozen_camera_yields_nothing_more_while_the_real_one_runs_on() -> None:
    taken: list[int] = []

    def stream(stop: object, n_frames: int | None) -> Any:
        for k in range(10):
            taken.append(k)
            yield k

    clock = FaultClock()
    real = SimpleNamespace(name="cam", shape=(2, 3), exposure_ms=5.0, stated=None, stream=stream)
    camera = FreezableCamera(cast("Any", real), clock)

    seen = []
    for frame in camera.stream(cast("Any", None)):
        seen.append(frame)
        if frame == 3:
            camera.freeze()

    assert seen == [0, 1, 2, 3]
    assert taken == list(range(10)), "its buffer does not fill up"
    assert clock.injected.is_set()
    assert (camera.name, camera.shape, camera.exposure_ms) == ("cam", (2, 3), 5.0)


def test_a_faulty_laser_is_the_real_one_until_a_fault_is_injected() -> None:
    real, clock = Laser(), FaultClock()
    laser = FaultyLaser(cast("Any", real), clock)

    laser.set(5.0)
    assert (laser.setpoint(), laser.readback(), laser.fault()) == (5.0, 5.0, None)
    assert laser.limits() == real.range

    laser.meter, laser.complaint = "1", "hot"
    assert (laser.readback(), laser.fault()) == (10.0, "hot")

    laser.refuse_next_set = True
    with pytest.raises(DeviceError, match="no answer"):
        laser.set(7.0)
    assert real.power == 5.0
    assert clock.injected.is_set()
    laser.set(7.0)
    assert real.power == 7.0, "one command is refused, not the next"


def test_a_laser_that_cannot_be_switched_off_reports_that_for_its_time() -> None:
    real, clock = Laser(), FaultClock()
    laser = FaultyLaser(cast("Any", real), clock)
    laser.set(5.0)
    laser.safe_fails_s = 60.0
    assert laser.make_safe() == [], "not before the fault"

    laser.set(5.0)
    clock.mark()
    assert laser.make_safe() != []
    assert real.power == 5.0
    laser.safe_fails_s = 0.0
    assert laser.make_safe() == []
    assert real.power == 0.0


def test_estimates_pass_unchanged_until_they_are_perturbed() -> None:
    clock = FaultClock()
    between = Perturbation(clock)
    assert between(ESTIMATE) is ESTIMATE
    assert not clock.injected.is_set()

    between.perturb = not_a_number
    wrong = between(ESTIMATE)

    assert math.isnan(wrong.mean_per_um2)
    assert wrong.last_frame == ESTIMATE.last_frame
    assert clock.injected.is_set()
    with pytest.raises(ZeroDivisionError):
        raising(ESTIMATE)


def test_a_real_interlock_is_never_touched_by_software() -> None:
    touched: list[str] = []
    core = SimpleNamespace(setProperty=lambda *args: touched.append("core"))
    clock = FaultClock()
    scene = SimpleNamespace(
        rig=rig_of(
            Laser(), traits_of=lambda name: traits_of(cast("Any", Laser()), core), core=core
        ),
        steered="uv",
        laser=FaultyLaser(cast("Any", Laser()), clock),
        clock=clock,
    )

    interlock.trip_interlock(cast("Any", scene))
    interlock.restore_interlocks(scene.rig)

    assert touched == []
    assert "interlock is open" in (scene.laser.fault() or "")
    assert clock.injected.is_set()


# -- results and figures ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("passed", "word"), [(True, "passed"), (False, "failed"), (None, "not run")]
)
def test_a_result_is_passed_failed_or_not_run(passed: bool | None, word: str) -> None:
    result = DrillResult("d", passed, "what", {"x": 1}, 1.23456)

    assert result.word == word
    assert result.failed is (passed is False)
    assert result.as_dict() == {
        "name": "d", "result": word, "what": "what", "seconds": 1.235, "details": {"x": 1}
    }  # fmt: skip


def test_an_error_of_a_drill_is_its_failure_and_not_the_end() -> None:
    def refuse(rig: HilRig) -> DrillResult:
        raise ConfigError("no cap")

    def skip(rig: HilRig) -> DrillResult:
        raise NotForThisRig("no laser is steered")

    rig = rig_of(None)

    assert drills.run_drill(drills.Drill("a", refuse), rig).what == "no cap"
    assert drills.run_drill(drills.Drill("a", refuse), rig).failed
    assert drills.run_drill(drills.Drill("b", skip), rig).passed is None


def test_drills_come_in_their_order_whatever_order_they_are_named_in() -> None:
    names = [drill.name for drill in drills.named(["program-killed", "latency", "camera-rate"])]

    assert names == ["camera-rate", "latency", "program-killed"]
    assert len(drills.named([])) == len(drills.DRILLS)
    assert len({drill.name for drill in drills.DRILLS}) == len(drills.DRILLS)


def course(ratio: list[float], tick_s: float) -> Course:
    n = len(ratio)
    target = np.full(n, 0.05)
    return Course(np.arange(n) * tick_s, np.array(ratio) * target, target, np.ones(n))


@given(
    tick_s=st.sampled_from([0.25, 0.5, 1.0]),
    late=st.integers(0, 20),
    level=st.floats(0.85, 1.15),
)
def test_a_step_that_stays_is_settled_within_the_mean_after_it(
    tick_s: float, late: int, level: float
) -> None:
    ratio = [0.0] * late + [level] * 30

    settled = settle_s(course(ratio, tick_s), 0.0)

    assert late * tick_s <= settled <= late * tick_s + 2.0
    assert overshoot(course(ratio, tick_s)) == pytest.approx(level - 1, abs=1e-9)
    assert bias(course([level] * 5, tick_s)) == pytest.approx(level - 1)


def test_a_laser_of_a_labs_own_driver_is_taken_for_real() -> None:
    traits = traits_of(cast("Any", Laser()), None)

    assert traits.outlives_process
    assert traits.interlock is None
    assert traits.light_file is None
