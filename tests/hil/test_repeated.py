"""Drills again and again: their figures, and faults at random."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from rtsmlm.drivers.simulated.head_file import HeadFile
from rtsmlm.files.run.laser_log import read_laser_log
from rtsmlm.hil import repeated
from rtsmlm.hil.drills import DARK_DRILLS, DRILLS, Drill
from rtsmlm.hil.repeated import lit_lasers, repeat, soak, summary
from rtsmlm.hil.result import DrillResult, NotForThisRig
from rtsmlm.hil.rig import HilRig
from rtsmlm.settings.load import load

SMALL = (
    "micromanager.properties.Camera.Width=64",
    "micromanager.properties.Camera.Height=64",
    "hil.dark_s=5",  # the machine that runs these tests has other things to do
    "hil.sentinel_s=10",
)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[HilRig]:
    opened = HilRig(load(Path("hil_sim.toml"), SMALL), tmp_path, arm=True)
    yield opened
    opened.close()


def found(dark_s: float, *, passed: bool = True) -> DrillResult:
    return DrillResult("d", passed, f"dark {dark_s}", {"dark_s": dark_s, "limit_s": 1.0})


def test_figures_are_median_and_worst_and_one_failure_is_a_failure() -> None:
    good = summary("d", [found(0.1), found(0.3), found(0.2)])
    bad = summary("d", [found(0.1), found(math.inf, passed=False), found(0.2)])

    assert good.passed
    assert good.what == "3 times: dark after 0.20 s (median), 0.30 s (worst), limit 1 s"
    assert good.details["all_dark_s"] == [0.1, 0.3, 0.2]
    assert bad.failed
    assert "1 of 3 times" in bad.what
    assert "the first that failed: dark inf" in bad.what


def test_a_drill_that_does_not_apply_is_not_tried_again(
    rig: HilRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def refuse(rig: HilRig) -> DrillResult:
        tried.append(1)
        raise NotForThisRig("not here")

    drill = Drill("d", refuse)
    monkeypatch.setattr(repeated, "DARK_DRILLS", (drill,))

    assert repeat(drill, rig, 20).what == "not here"
    assert tried == [1]


def test_every_drill_with_a_time_to_dark_is_in_the_rehearsal() -> None:
    assert {drill.name for drill in DARK_DRILLS} < {drill.name for drill in DRILLS}


def test_a_laser_that_is_lit_after_a_drill_is_a_failure(
    rig: HilRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = rig.traits_of("readout").light_file
    assert path is not None
    head = HeadFile(path, 1.0)

    def forget(rig: HilRig) -> DrillResult:
        head.put_on(True)
        return found(0.1)

    monkeypatch.setattr(repeated, "DARK_DRILLS", (Drill("d", forget),))
    monkeypatch.setattr(repeated, "_STAYS_DARK_S", 0.01)
    [result] = soak(rig, 1, seed=0)

    assert lit_lasers(rig) == ["readout"]
    assert result.failed
    assert result.what.startswith("readout on")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_after_any_fault_at_any_moment_no_light_stays_and_the_audit_tells_why(
    rig: HilRig,
) -> None:
    for result in soak(rig, 6, seed=7):
        assert not result.failed, f"{result.name}: {result.what}"
        if result.passed:
            assert rig.last_run is not None
            rows = list(read_laser_log(rig.last_run.lasers))
            assert any(result.details["reason"] == row["reason"] for row in rows)
