"""The state of a run is published whatever fails, and what fails is warned of."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rtsmlm.feedback.records import DensityEstimate, LoopStatus
from rtsmlm.files.run.folder import RunFolder
from rtsmlm.pipeline.progress import PipelineProgress
from rtsmlm.realtime.ledger import LedgerTotals
from rtsmlm.session import status as status_module
from rtsmlm.session.status import RunStatus, StatusPublisher, run_message

WAIT_S = 20.0


@pytest.fixture(autouse=True)
def _without_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_module, "_PERIOD_S", 0.001)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def end(publisher: StatusPublisher) -> None:
    publisher.stop()
    publisher.join()


def test_the_newest_state_is_published_again_and_again_until_it_is_stopped() -> None:
    published: list[Mapping[str, Any]] = []
    publisher = StatusPublisher(lambda: {"n": len(published)}, published.append, pytest.fail)
    publisher.start()
    until(lambda: len(published) >= 3)
    end(publisher)

    assert [message["n"] for message in published[:3]] == [0, 1, 2]


def test_a_state_that_cannot_be_had_once_is_missed_and_warned_of_and_the_next_one_goes_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    published: list[Mapping[str, Any]] = []
    warnings: list[str] = []
    calls: list[int] = []

    def message() -> Mapping[str, Any]:
        calls.append(1)
        if len(calls) in {2, 3}:
            raise OSError(5, "the share does not answer")
        return {"n": len(calls)}

    publisher = StatusPublisher(message, published.append, warnings.append)
    publisher.start()
    until(lambda: len(published) >= 3)
    end(publisher)

    assert [entry["n"] for entry in published[:3]] == [1, 4, 5]
    assert warnings == [
        "the window missed a status of the run: OSError: [Errno 5] the share does not answer"
    ]
    assert [r.levelname for r in caplog.records if r.exc_info] == ["ERROR"]


def test_a_state_that_cannot_be_published_is_warned_of_once() -> None:
    warnings: list[str] = []
    tried: list[int] = []

    def publish(message: Mapping[str, Any]) -> None:
        tried.append(1)
        raise ValueError("not JSON")

    publisher = StatusPublisher(dict, publish, warnings.append)
    publisher.start()
    until(lambda: len(tried) > 5)
    end(publisher)

    assert warnings == ["the window missed a status of the run: ValueError: not JSON"]


def test_the_death_of_its_thread_reaches_the_warnings() -> None:
    warnings: list[str] = []

    def message() -> Mapping[str, Any]:
        raise SystemExit("ended by a library")

    publisher = StatusPublisher(message, lambda status: None, warnings.append)
    publisher.start()
    until(lambda: warnings)
    publisher.join()  # no second report

    assert warnings == [
        "the window gets no status any more, the run goes on: SystemExit: ended by a library"
    ]


ESTIMATE = DensityEstimate(
    first_frame=0,
    last_frame=9,
    n_frames=10,
    t_exposure_end_ns=1,
    mean_per_um2=0.2,
    std_per_um2=0.01,
    local_per_um2=math.nan,
    new_per_um2=0.1,
    unexplained=math.nan,
    crowded=False,
    area_um2=50.0,
)
LOOP = LoopStatus(
    laser="activation",
    unit="mW",
    power=2.0,
    cap=10.0,
    wanted=2.0,
    armed=True,
    tripped=None,
    state="steer",
    dose=math.nan,
    target_per_um2=0.2,
    estimate=ESTIMATE,
    powers={"activation": 2.0},
)
STATUS = RunStatus(
    totals=LedgerTotals(10, 9, 8, 7, 1, 1, 1),
    frames_per_s=100.0,
    localizations=70,
    emitters_per_frame=math.nan,
    p50_ms=math.nan,
    p99_ms=9.0,
    backlog=1,
    recorder_backlog=2,
    loop=LOOP,
)


def message(folder: Path, status: RunStatus = STATUS) -> dict[str, Any]:
    camera: Any = SimpleNamespace(shape=(512, 256), exposure_ms=10.0)
    return run_message(
        status,
        PipelineProgress(validity={"verdict": "fits"}, restarts=1),
        camera=camera,
        folder=RunFolder(folder),
        recording=True,
        warnings=["a", "b"],
    )


def test_a_status_is_plain_data_and_what_is_not_known_is_null(tmp_path: Path) -> None:
    data = message(tmp_path)

    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert (data["p50_ms"], data["emitters_per_frame"]) == (None, None)
    assert data["loop"]["dose"] is None
    assert data["loop"]["powers"] == {"activation": 2.0}
    assert data["totals"]["received"] == 9
    assert (data["validity"]["verdict"], data["restarts"]) == ("fits", 1)
    assert data["warnings"] == ["a", "b"]


def test_the_rate_of_the_disk_is_that_of_the_pixels(tmp_path: Path) -> None:
    data = message(tmp_path)

    assert data["disk_mb_per_s"] == pytest.approx(100 * 512 * 256 * 2 / 2**20)
    assert data["disk_free_mb"] > 0


def test_a_disk_that_does_not_answer_costs_its_figure_and_not_the_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> None:
        raise OSError(5, "input/output error")

    monkeypatch.setattr(shutil, "disk_usage", fail)

    data = message(tmp_path)

    assert data["disk_free_mb"] is None
    assert data["frames_per_s"] == 100.0
