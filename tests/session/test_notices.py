"""What went wrong in a run reaches its report, from any thread."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

from rtsmlm.errors import DeviceError
from rtsmlm.files.run.report import RunReport
from rtsmlm.session.notices import Notices


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
