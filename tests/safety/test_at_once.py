"""at_once: tasks at the same time; one that hangs or fails is an answer, not an exception."""

from __future__ import annotations

import threading

import pytest

from rtsmlm.errors import DeviceError
from rtsmlm.safety.at_once import at_once


def test_all_tasks_run_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=20)

    found = at_once(dict.fromkeys("abc", meeting.wait), 20.0)

    assert sorted(found.values()) == [0, 1, 2]


def test_a_task_that_hangs_is_an_error_and_delays_no_other() -> None:
    go_on = threading.Event()

    found = at_once({"a": lambda: go_on.wait(30), "b": lambda: "dark"}, 0.1)

    assert found["b"] == "dark"
    assert isinstance(found["a"], DeviceError)
    assert "not finished within 0.1 s" in str(found["a"])
    go_on.set()


@pytest.mark.parametrize("error", [ValueError("bad"), SystemExit(1), KeyboardInterrupt()])
def test_whatever_a_task_raises_is_its_answer(error: BaseException) -> None:
    def fail() -> None:
        raise error

    found = at_once({"a": fail, "b": lambda: 1}, 20.0)

    assert found["b"] == 1
    assert isinstance(found["a"], DeviceError)
    assert type(error).__name__ in str(found["a"])


def test_who_waits_is_called_back() -> None:
    go_on = threading.Event()
    n = 0

    def count() -> None:
        nonlocal n
        n += 1
        if n == 3:
            go_on.set()

    at_once({"a": lambda: go_on.wait(30)}, 20.0, while_waiting=count)

    assert n >= 3


def test_without_new_threads_the_tasks_are_done_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    assert at_once({"a": lambda: 1, "b": lambda: 2}, 1.0) == {"a": 1, "b": 2}


def test_no_tasks_are_done_at_once() -> None:
    assert at_once({}, 1.0) == {}
