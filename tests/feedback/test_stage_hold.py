"""StageHold: a drifting sample is held by its stages, within bounds, or no stage is moved."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from rtsmlm.analysis.drift import DriftTracker
from rtsmlm.analysis.drift_trace import DriftEstimate
from rtsmlm.drivers.simulated.microscope import SimMicroscope
from rtsmlm.drivers.simulated.settings import MicroscopeSettings
from rtsmlm.errors import ConfigError, DeviceError
from rtsmlm.feedback.stage_hold import StageHold
from rtsmlm.localizations import Localizations
from rtsmlm.safety.records import AuditRow
from rtsmlm.safety.stage_guard import StageGuard
from rtsmlm.settings.drift import DriftSettings
from rtsmlm.settings.lasers import StageSettings
from rtsmlm.settings.load import from_mapping

FRAME_NS = 20_000_000
STD_NM = 10.0
SETTINGS = DriftSettings(hold="move")


class AxisOfStage:
    """An axis of a stage, with what it was sent."""

    unit = "um"

    def __init__(self, axis: str, microscope: SimMicroscope | None = None) -> None:
        self.name = self.axis = axis
        self.microscope = microscope
        self.at_um = 50.0
        self.sent_um: list[float] = []
        self.is_silent = False

    def limits(self) -> tuple[float, float]:
        return 48.0, 52.0

    def set(self, value: float) -> None:
        self.at_um = value
        self.sent_um.append(value)
        if self.microscope is not None:
            self.microscope.move_stage(**{f"{self.axis}_nm": (value - 50.0) * 1e3})

    def make_safe(self) -> list[str]:
        return []

    def setpoint(self) -> float:
        if self.is_silent:
            raise DeviceError("no answer")
        return self.at_um

    def readback(self) -> float | None:
        return None

    def fault(self) -> str | None:
        return None

    def close(self) -> None:
        pass


@dataclass
class Bench:
    """Stages, their guards and a clock; `hold` acts on `estimate`."""

    stages: dict[str, AxisOfStage]
    guards: dict[str, StageGuard]
    settings: dict[str, StageSettings]
    rows: list[AuditRow]
    warnings: list[str] = field(default_factory=list)
    t_ns: int = 10**9
    estimate: DriftEstimate = field(default_factory=DriftEstimate)

    def hold(self, settings: DriftSettings = SETTINGS, *, armed: bool = True) -> StageHold:
        if armed:
            for guard in self.guards.values():
                guard.arm()
        hold = StageHold(
            self.guards, self.settings, settings, armed=armed, drift=lambda: self.estimate,
            warn=self.warnings.append, clock_ns=lambda: self.t_ns,
        )  # fmt: skip
        hold.begin()
        return hold

    def see(self, hold: StageHold, z_nm: float, std_nm: float = 1.0, after_s: float = 5.0) -> None:
        """Let the hold act on a drift that was measured on frames of just now."""
        self.t_ns += round(after_s * 1e9)
        frame = self.estimate.last_frame + 100
        self.estimate = DriftEstimate(
            first_frame=frame - 99, last_frame=frame, t_first_ns=self.t_ns - 10**9,
            z_nm=z_nm, std_z_nm=std_nm,
        )  # fmt: skip
        hold.decide()


def bench_of(axes: str, microscope: SimMicroscope | None = None) -> Bench:
    rows: list[AuditRow] = []
    stages = {axis: AxisOfStage(axis, microscope) for axis in axes}
    settings: dict[str, StageSettings] = {
        axis: StageSettings(device="Stage", axis=axis, direction=-1 if axis == "z" else 1)
        for axis in axes
    }  # type: ignore[arg-type]
    bench = Bench(stages, {}, settings, rows)
    for axis, stage in stages.items():
        bench.guards[axis] = StageGuard(
            stage, settings[axis], audit=rows.append, clock_ns=lambda: bench.t_ns
        )
    return bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = bench_of("z")
    yield bench
    for guard in bench.guards.values():
        guard.close()


def rows_of(microscope: SimMicroscope, rng: np.random.Generator) -> Localizations:
    """Return what a localizer of a known precision finds in the newest frame."""
    truth = microscope.emitters_in(microscope.frame - 1, min_photons=200.0)
    n = len(truth)
    columns: dict[str, Any] = {
        "frame": truth.frame, "photons": truth.photons,
        "std_x_nm": np.full(n, STD_NM), "std_y_nm": np.full(n, STD_NM),
        "std_z_nm": np.full(n, 2.5 * STD_NM),
    }  # fmt: skip
    for axis, std in (("x", STD_NM), ("y", STD_NM), ("z", 2.5 * STD_NM)):
        columns[f"{axis}_nm"] = getattr(truth, f"{axis}_nm") + rng.normal(0, std, n)
    return Localizations.from_columns(columns)


def run_of(hold_mode: str) -> tuple[Bench, np.ndarray]:
    """Simulate 24 s of a sample that drifts; return the bench, and where the sample was seen.

    Drift in the image, in nm, (frames, 3).
    """
    microscope = SimMicroscope(
        MicroscopeSettings(
            width=32, height=32, exposure_ms=20.0, dye="DNA-PAINT", imager_nm=40.0, depth_nm=400.0,
            drift_nm_per_s=8.0, drift_z_nm_per_s=4.0, seed=3,
        ),
        power_mw={405: 3.0, 640: 80.0},
    )  # fmt: skip
    rng = np.random.default_rng(1)
    bench = bench_of("xyz", microscope)
    hold = bench.hold(DriftSettings.model_validate({"hold": hold_mode}))
    tracker = DriftTracker(3200.0)
    seen = np.zeros((1200, 3))
    pixels = np.empty(microscope.shape, np.uint16)
    block_ns = None
    for frame in range(len(seen)):
        microscope.expose(pixels)
        stage_nm = np.array(microscope.stage_nm) * [1, 1, -1]
        seen[frame] = np.array(microscope.drift_nm(frame)) + stage_nm
        bench.t_ns += FRAME_NS
        rows = rows_of(microscope, rng)
        if len(rows):
            block_ns = block_ns or bench.t_ns
            before = tracker.newest
            tracker.add(rows)
            if tracker.newest is not before:
                found = tracker.newest
                bench.estimate = DriftEstimate(
                    **{
                        **{n: getattr(found, n) for n in DriftEstimate.__dataclass_fields__},
                        "t_first_ns": block_ns,
                    }
                )
            if not tracker.is_within_block:
                block_ns = None
        hold.decide()
    for guard in bench.guards.values():
        guard.close()
    return bench, seen


def test_a_drifting_sample_is_held_within_its_error_and_the_set_points_within_their_bounds() -> (
    None
):
    bench, seen = run_of("move")
    held = seen[300:]
    # In two seconds and half a block it drifts by 15 nm along x, by 9 along y and z.
    assert (np.sqrt((held**2).mean(axis=0)) < [15, 10, 10]).all()
    assert not bench.warnings
    for stage in bench.stages.values():
        path = np.array([50.0, *stage.sent_um])
        assert (np.abs(np.diff(path)) <= 0.020 + 1e-9).all()
        assert (np.abs(path - 50.0) <= 0.5 + 1e-9).all()


def test_monitoring_notes_the_set_point_and_never_moves_the_stage() -> None:
    bench, seen = run_of("monitor")
    assert all(not stage.sent_um for stage in bench.stages.values())
    assert np.linalg.norm(seen[-1]) > 200, "the sample drifts on"
    noted = [row for row in bench.rows if row.kind == "monitor"]
    assert noted
    last = {row.actuator: (row.wanted - 50.0) * 1e3 for row in noted}
    assert last["x"] == pytest.approx(-seen[-1, 0], abs=25), "as far as it was two seconds ago"
    assert last["z"] == pytest.approx(seen[-1, 2], abs=25)


def test_it_pauses_while_the_drift_is_not_known_and_goes_on_after(bench: Bench) -> None:
    hold = bench.hold()
    bench.see(hold, 50.0, std_nm=20.0)
    bench.see(hold, math.nan, std_nm=math.nan)
    assert bench.stages["z"].sent_um == []
    assert hold.axes["z"].state.startswith("pauses")
    bench.see(hold, 50.0)
    assert bench.stages["z"].sent_um == [pytest.approx(50.020)]


def test_frames_of_before_a_step_lead_to_no_second_step(bench: Bench) -> None:
    hold = bench.hold()
    bench.see(hold, 15.0)
    bench.see(hold, 15.0, after_s=1.2)
    assert len(bench.stages["z"].sent_um) == 1, "too early, and the frames began before the step"
    bench.see(hold, 5.0)
    assert bench.stages["z"].sent_um == [pytest.approx(50.015), pytest.approx(50.020)]


def test_it_ends_where_its_range_is_used_up(bench: Bench) -> None:
    hold = bench.hold(DriftSettings(hold="move", hold_range_nm=50.0))
    for _ in range(6):
        bench.see(hold, 18.0)
    assert bench.stages["z"].at_um == pytest.approx(50.036)
    assert "range of 50 nm" in bench.warnings[0]
    bench.see(hold, -30.0)
    assert bench.stages["z"].at_um == pytest.approx(50.036), "it has ended for good"


def test_a_direction_that_is_wrong_ends_it_before_it_went_far(bench: Bench) -> None:
    hold = bench.hold()
    for _ in range(20):  # the rows rise as the stage does
        bench.see(hold, 4.0 + (bench.stages["z"].at_um - 50.0) * 1e3)
    assert "direction" in bench.warnings[0]
    assert abs(bench.stages["z"].at_um - 50.0) < 0.060


@pytest.mark.parametrize("when", ["start", "later"])
def test_a_stage_that_does_not_report_is_not_moved(bench: Bench, when: str) -> None:
    stage = bench.stages["z"]
    bench.guards["z"].arm()
    stage.is_silent = when == "start"
    hold = bench.hold(armed=False) if when == "start" else bench.hold()
    stage.is_silent = True
    bench.see(hold, 20.0)
    assert stage.sent_um == []
    assert "does not report" in bench.warnings[0]


def test_a_stage_that_something_else_moved_is_left_alone(bench: Bench) -> None:
    hold = bench.hold()
    bench.see(hold, 10.0)
    bench.stages["z"].at_um += 0.5
    bench.see(hold, 10.0)
    assert len(bench.stages["z"].sent_um) == 1
    assert "from where it was sent" in bench.warnings[0]


def test_it_never_outlives_the_run(bench: Bench) -> None:
    hold = bench.hold()
    bench.guards["z"].shut_down("the run ends")
    bench.see(hold, 10.0)
    assert bench.stages["z"].sent_um == []


def test_a_run_that_is_not_armed_only_monitors(bench: Bench) -> None:
    hold = bench.hold(armed=False)
    bench.see(hold, 10.0)
    assert bench.stages["z"].sent_um == []
    status = hold.status()
    assert status is not None
    assert (status.mode, status.set_point_nm) == ("monitor", {"z": 10.0})


def test_moving_needs_the_direction_of_the_stage() -> None:
    stage = {"device": "Z"}
    with pytest.raises(ConfigError, match="direction is not stated"):
        from_mapping({"drift": {"hold": "move"}, "stages": {"focus": stage}})
    from_mapping({"drift": {"hold": "move"}, "stages": {"focus": {**stage, "direction": -1}}})
    from_mapping({"stages": {"focus": stage}})
