"""Threads that draw: each job once, errors reach the caller, the deadline is kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from rtsmlm.render.draw_threads import DrawThreads


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[DrawThreads]:
    opened = DrawThreads(request.param)
    yield opened
    opened.close()


def test_each_job_is_done_once(threads: DrawThreads) -> None:
    done: list[int] = []

    threads.map(range(200), done.append)

    assert sorted(done) == list(range(200))


def test_no_job_is_no_work(threads: DrawThreads) -> None:
    threads.map([], lambda job: pytest.fail("called without a job"))


def test_an_error_reaches_the_caller_and_the_threads_go_on_to_work(threads: DrawThreads) -> None:
    def fail(job: int) -> None:
        if job == 5:
            raise ValueError("job 5")

    with pytest.raises(ValueError, match="job 5"):
        threads.map(range(9), fail)

    done: list[int] = []
    threads.map(range(9), done.append)
    assert len(done) == 9


def test_after_the_deadline_each_thread_ends_with_the_job_it_has(threads: DrawThreads) -> None:
    done: list[int] = []

    threads.map(range(100), done.append, deadline_s=0.0)

    assert 1 <= len(done) <= threads.n_threads
    assert done == sorted(done)


def test_one_thread_works_in_the_order_of_the_jobs() -> None:
    threads = DrawThreads(1)
    done: list[int] = []

    threads.map([3, 1, 2], done.append)

    assert done == [3, 1, 2]


def test_threads_draw_at_the_same_time() -> None:
    threads = DrawThreads(3)
    together = threading.Barrier(3, timeout=20)
    try:
        threads.map(range(3), lambda job: together.wait())
    finally:
        threads.close()

    assert not together.broken


def test_closed_it_still_draws_in_the_calling_thread() -> None:
    threads = DrawThreads(3)
    threads.close()
    threads.close()
    drawn_by: set[str] = set()

    threads.map(range(5), lambda job: drawn_by.add(threading.current_thread().name))

    assert drawn_by == {threading.current_thread().name}
