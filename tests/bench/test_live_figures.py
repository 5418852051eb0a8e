"""Tables of what camera and recorder cost beside the localizer, and the command for them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import rtsmlm.cli.bench_live as bench_live
from rtsmlm.bench.speed.live import ALL, ONE, LiveRun, TakenFrames
from rtsmlm.bench.speed.live_page import backlog_table, cost_table, paced_table
from rtsmlm.calibration import StatedCalibration
from rtsmlm.cli.bench import app
from rtsmlm.errors import ConfigError
from rtsmlm.realtime import cores


def run(**changes: object) -> LiveRun:
    facts: dict[str, object] = {
        "source": "memory", "raw": False, "cores": 2, "asked_per_s": 100.0, "frames_per_s": 100.0,
        "received": 500, "skipped": 3, "lost": 0, "p50_ms": 5.0, "p99_ms": 10.0,
        "core_ms": {"session": 0.5, "analysis": 2.0},
    }  # fmt: skip
    return LiveRun(**{**facts, **changes})  # type: ignore[arg-type]


PACED = [
    run(),
    run(raw=True, p99_ms=12.0, core_ms={"session": 0.75, "analysis": 2.0}),
    run(source="camera", p99_ms=9.0, core_ms={"session": 1.5, "analysis": None}),
    run(source="camera", raw=True, p99_ms=20.0, core_ms={"session": 2.0, "analysis": 2.5}),
]


def test_what_is_added_is_the_difference_to_frames_from_memory_without_a_raw_file() -> None:
    assert paced_table(PACED).rows[1] == ["memory", "yes", "3", "5", "12", "0.75", "2"]
    assert paced_table(PACED).title == "At 100 frames/s"
    assert cost_table(PACED).rows == [
        ["raw file", "+2.00", "+0.25", "+0.00"],
        ["camera", "-1.00", "+1.00", "-"],
        ["camera and raw file", "+10.00", "+1.50", "+0.50"],
    ]


def test_all_cores_are_compared_with_one() -> None:
    runs = [run(cores=1, frames_per_s=200.0), run(frames_per_s=380.0), run(raw=True)]

    table = backlog_table(runs, {ONE: 4.0, ALL: 2.5})

    assert table.rows == [
        ["run", "1", "200", "1"],
        ["run", "2", "380", "1.9"],
        ["run with a raw file", "2", "100", "0.5"],
        ["localizer alone", "1", "250", "1"],
        ["localizer alone", "2", "400", "1.6"],
    ]


def test_what_is_not_a_number_is_null_in_json() -> None:
    assert run(p50_ms=math.nan).as_json()["p50_ms"] is None
    assert json.dumps(run().as_json(), allow_nan=False)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Put stated figures in the place of runs; return what was asked for."""
    asked: list[dict[str, object]] = []

    def live_run(
        settings: object, taken: object, n_frames: int, _: object, **kind: object
    ) -> LiveRun:
        asked.append({"n": n_frames, **kind})
        given = {"source": kind.get("source", "memory"), "raw": kind["raw"]}
        return run(**given, cores=1 if kind.get("one_core") else 2, frames_per_s=10.0 * len(asked))

    taken = TakenFrames(
        pixels=np.zeros((5, 8, 16), np.uint16), stated=StatedCalibration(), frames_per_s=50.0
    )
    monkeypatch.setattr(bench_live, "take_frames", lambda *_: taken)
    monkeypatch.setattr(bench_live, "live_run", live_run)
    monkeypatch.setattr(
        bench_live, "localizer_cost", lambda *_: ({ONE: 2.0, ALL: 1.0}, "the network")
    )
    monkeypatch.setattr(bench_live, "usable_cores", lambda: 2)
    monkeypatch.setattr(bench_live, "can_bind", lambda: True)
    return asked


def test_the_command_runs_every_kind_and_writes_page_and_figures(
    measured: list[dict[str, object]], tmp_path: Path
) -> None:
    page, figures = tmp_path / "new" / "live.md", tmp_path / "live.json"

    done = CliRunner().invoke(
        app,
        [
            "live",
            "--seconds",
            "2",
            "--frames",
            "60",
            "--markdown",
            str(page),
            "--json",
            str(figures),
        ],
    )

    assert done.exit_code == 0, done.output
    assert [(one.get("source"), one["raw"], one["n"]) for one in measured[:4]] == [
        ("memory", False, 100), ("memory", True, 100),
        ("camera", False, 100), ("camera", True, 100),
    ]  # fmt: skip
    assert [(one.get("one_core"), one["raw"], one["n"]) for one in measured[4:]] == [
        (True, False, 60), (False, False, 60), (False, True, 60),
    ] * 2  # fmt: skip
    assert all(one["paced"] is False for one in measured[4:])
    text = page.read_text(encoding="utf-8")
    assert "`rtsmlm bench live --seconds 2 --frames 60`" in text
    assert "Localizer: the network; frames of 16 x 8 pixels from the camera of demo.toml." in text
    assert "| run | 1 | 80 | 1 |" in text, "the faster of the fifth and the eighth run"
    assert "| localizer alone | 2 | 1,000 | 2 |" in text
    data = json.loads(figures.read_text(encoding="utf-8"))
    assert (len(data["paced"]), len(data["backlog"])) == (4, 3)
    assert data["localizer_alone_ms"] == {ONE: 2.0, ALL: 1.0}


def test_where_nothing_can_be_bound_to_a_core_the_page_says_so(
    measured: list[dict[str, object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_live, "can_bind", lambda: False)
    page = tmp_path / "live.md"

    done = CliRunner().invoke(app, ["live", "--seconds", "2", "--markdown", str(page)])

    assert done.exit_code == 0, done.output
    assert not any(one.get("one_core") for one in measured)
    assert "- one core is not compared with all" in page.read_text(encoding="utf-8")


def test_a_width_that_is_not_known_is_refused() -> None:
    done = CliRunner().invoke(app, ["live", "--set", 'psf.sigma_nm="auto"'])

    assert isinstance(done.exception, ConfigError)
    assert "set psf.sigma_nm" in str(done.exception)


@pytest.mark.skipif(not cores.can_bind(), reason="this system does not bind programs to cores")
def test_on_one_core_there_is_one_and_afterwards_as_many_as_before() -> None:
    before = cores.usable_cores()

    with cores.on_one_core():
        assert cores.usable_cores() == 1
        with pytest.raises(ZeroDivisionError), cores.on_one_core():
            _ = 1 / 0
        assert cores.usable_cores() == 1

    assert cores.usable_cores() == before
