"""What went wrong in a run reaches its report, from any thread and in plain data."""

from __future__ import annotations

import json
import logging
import math
import threading
from pathlib import Path

import pytest

from rtsmlm.errors import DeviceError
from rtsmlm.feedback.records import DensityEstimate, LoopStatus
from rtsmlm.files.run.report import RunReport
from rtsmlm.realtime.ledger import LedgerTotals
from rtsmlm.session.notices import Notices
from rtsmlm.session.status import RunStatus, status_message


@pytest.fixture
def report() -> RunReport:
    return RunReport(Path("run"))


def test_a_failure_makes_the_run_fail_and_a_warning_does_not(
    report: RunReport, caplog: pytest.LogCaptureFixture
) -> None:
    notices = Notices(report)

    notices.warn("the disk is nearly full")
    notices.fail("the camera stalled")

    assert report.warnings == ["the disk is nearly full"]
    assert report.failures == ["the camera stalled"]
    levels = {record.message: record.levelno for record in caplog.records}
    assert levels["the disk is nearly full"] == logging.WARNING
    assert levels["the camera stalled"] == logging.ERROR


def test_failures_come_before_warnings_whatever_came_first(report: RunReport) -> None:
    notices = Notices(report)
    notices.warn("a")
    notices.fail("b")
    notices.warn("c")

    assert notices.so_far() == ["b", "a", "c"]


def test_a_text_with_percent_signs_is_kept_as_it_is(report: RunReport) -> None:
    Notices(report).warn("disk at 97 % of 100 %s")

    assert report.warnings == ["disk at 97 % of 100 %s"]


def test_every_step_of_leaving_is_taken_whatever_the_one_before_did(report: RunReport) -> None:
    notices, taken = Notices(report), []

    def step(name: str, error: Exception | None = None) -> None:
        taken.append(name)
        if error is not None:
            raise error

    notices.run_step(lambda: step("laser", DeviceError("laser 405 does not answer")))
    notices.run_step(lambda: step("camera", ZeroDivisionError("in the driver")))
    notices.run_step(lambda: step("files"))

    assert taken == ["laser", "camera", "files"]
    assert report.failures == [
        "laser 405 does not answer",
        "ZeroDivisionError: in the driver",
    ], "our own errors are sentences; others are named by their type"


def test_an_interrupt_by_the_user_is_not_swallowed(report: RunReport) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Notices(report).run_step(interrupted)


def test_notices_of_several_threads_are_all_kept(report: RunReport) -> None:
    notices = Notices(report)

    def write(name: str) -> None:
        for number in range(200):
            notices.warn(f"{name} {number}")

    threads = [threading.Thread(target=write, args=(f"thread {k}",)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(report.warnings)) == 800
    for k in range(4):
        own = [text for text in report.warnings if text.startswith(f"thread {k}")]
        assert own == [f"thread {k} {number}" for number in range(200)], "in their order"


TOTALS = LedgerTotals(camera=10, received=9, recorded=9, localized=5, skipped=1, lost=1, in_ring=3)
ESTIMATE = DensityEstimate(
    first_frame=0, last_frame=9, n_frames=10, t_exposure_end_ns=7, mean_per_um2=0.1,
    std_per_um2=0.01, local_per_um2=math.nan, new_per_um2=math.nan, unexplained=math.nan,
    crowded=False, area_um2=100.0,
)  # fmt: skip


def status(loop: LoopStatus | None = None) -> RunStatus:
    return RunStatus(
        totals=TOTALS, frames_per_s=50.0, localizations=70, emitters_per_frame=math.nan,
        p50_ms=4.0, p99_ms=math.inf, backlog=3, recorder_backlog=0, loop=loop,
    )  # fmt: skip


def loop_status(estimate: DensityEstimate | None) -> LoopStatus:
    return LoopStatus(
        laser="activation", unit="mW", power=1.0, cap=10.0, wanted=1.0, armed=True, tripped=None,
        state="steer", dose=3.5, target_per_um2=0.1, estimate=estimate,
        powers={"activation": 1.0, "readout": math.nan},
    )  # fmt: skip


@pytest.mark.parametrize("loop", [None, loop_status(None), loop_status(ESTIMATE)])
def test_a_status_is_json_that_every_language_can_read(loop: LoopStatus | None) -> None:
    message = status_message(status(loop), {"latency_ms": {"total": {"p50": math.nan}}})

    back = json.loads(json.dumps(message, allow_nan=False))

    assert back == message
    assert back["totals"]["received"] == 9
    assert back["emitters_per_frame"] is None
    assert back["p99_ms"] is None
    assert back["latency_ms"]["total"]["p50"] is None
    assert (back["loop"] is None) == (loop is None)


def test_an_estimate_travels_within_the_status_of_its_loop() -> None:
    message = status_message(status(loop_status(ESTIMATE)), {})

    assert message["loop"]["powers"] == {"activation": 1.0, "readout": None}
    assert message["loop"]["estimate"]["mean_per_um2"] == 0.1
    read = DensityEstimate.from_dict(message["loop"]["estimate"])
    assert math.isnan(read.local_per_um2)
    assert read.area_um2 == ESTIMATE.area_um2
