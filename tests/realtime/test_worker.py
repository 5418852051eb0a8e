"""A worker that dies is reported once: to its owner, or in the log and by `join`."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable

import pytest

from rtsmlm.errors import DeviceError, WorkerError
from rtsmlm.realtime.worker import Worker, one_line


def dies(error: BaseException) -> Callable[[threading.Event], None]:
    def work(stop: threading.Event) -> None:
        raise error

    return work


def test_an_error_goes_to_on_death_and_join_does_not_raise_it_again() -> None:
    reported: list[BaseException] = []
    worker = Worker("test", dies(RuntimeError("no more frames")), on_death=reported.append)
    worker.start()

    worker.join(5.0)

    assert [str(error) for error in reported] == ["no more frames"]
    assert worker.error is reported[0]


def test_on_death_is_called_while_the_worker_still_counts_as_alive() -> None:
    alive: list[bool] = []
    worker = Worker("test", dies(RuntimeError()), on_death=lambda error: alive.append(worker.alive))
    worker.start()

    worker.join(5.0)

    assert alive == [True]


def test_join_raises_what_a_worker_without_on_death_died_of() -> None:
    cause = ValueError("no such\n   column")
    worker = Worker("history", dies(cause))
    worker.start()

    with pytest.raises(WorkerError, match=r"^the history thread died: ValueError: no such column$"):
        worker.join(5.0)
    with pytest.raises(WorkerError) as again:  # as often as it is asked
        worker.join(5.0)

    assert again.value.__cause__ is cause


def test_the_death_of_a_worker_without_on_death_is_logged_as_an_error_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    worker = Worker("history", dies(ValueError("no such column")))
    worker.start()
    assert worker.wait(5.0)

    [record] = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert record.getMessage() == "the history thread died"
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "no such column"


def test_a_report_that_fails_hides_neither_error(caplog: pytest.LogCaptureFixture) -> None:
    def report(error: BaseException) -> None:
        raise KeyError("report")

    worker = Worker("test", dies(OSError("disk full")), on_death=report)
    worker.start()

    with pytest.raises(WorkerError, match="the test thread died: OSError: disk full"):
        worker.join(5.0)

    logged = [
        str(r.exc_info[1]) for r in caplog.records if r.levelno >= logging.ERROR and r.exc_info
    ]
    assert logged == ["'report'", "disk full"]


def test_waiting_never_raises(caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker("test", dies(ValueError("broken")))
    assert worker.wait(0.0)  # not even started
    worker.start()

    assert worker.wait(5.0)


def test_stopping_ends_a_wait_at_once() -> None:
    worker = Worker("test", lambda stop: (stop.wait(60), None)[1])
    worker.start()

    worker.stop()

    worker.join(5.0)
    assert not worker.alive


def test_a_worker_that_does_not_end_in_time_is_reported() -> None:
    release = threading.Event()
    worker = Worker("stubborn", lambda stop: (release.wait(30), None)[1])
    worker.start()

    with pytest.raises(WorkerError, match="the stubborn thread did not end"):
        worker.join(0.05)

    release.set()
    worker.join(5.0)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (DeviceError("laser 488 does\nnot answer"), "laser 488 does not answer"),
        (KeyError("sigma_nm"), "KeyError: 'sigma_nm'"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_an_error_fits_on_one_line(error: BaseException, line: str) -> None:
    assert one_line(error) == line


@pytest.mark.skipif(sys.platform != "linux", reason="each thread has its own priority on Linux")
def test_only_a_worker_that_has_time_comes_after_the_threads_that_answer() -> None:
    found: dict[bool, int] = {}

    def note(has_time: bool) -> None:
        found[has_time] = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    for has_time in (True, False):
        worker = Worker("test", lambda _stop, t=has_time: note(t), has_time=has_time)
        worker.start()
        worker.join(10)

    assert found == {True: max(before, 10), False: before}
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


def test_the_end_of_a_worker_that_hangs_or_died_is_a_warning_and_never_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    let_go = threading.Event()
    hanging = Worker("hanging", lambda _stop: let_go.wait(30) or None)
    dying = Worker("dying", dies(DeviceError("the lamp is off")))
    for worker, timeout_s in ((hanging, 0.05), (dying, 10.0)):
        worker.start()
        worker.end(timeout_s)
    let_go.set()
    hanging.wait(10)

    warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert any("did not end within 0.05 s" in text for text in warnings)
    assert any("the lamp is off" in text for text in warnings)
