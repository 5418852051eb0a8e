"""A worker that dies is heard of."""

from __future__ import annotations

import threading

import pytest

from rtsmlm.errors import WorkerError
from rtsmlm.realtime.worker import Worker


def test_the_error_of_a_worker_reaches_its_owner_and_the_hook_before() -> None:
    heard: list[BaseException] = []

    def work(stop: threading.Event) -> None:
        raise RuntimeError("no more frames")

    worker = Worker("test", work, on_death=heard.append)
    worker.start()
    worker.join(5.0)

    assert str(heard[0]) == "no more frames"
    assert worker.error is heard[0]


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
