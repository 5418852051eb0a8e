"""A status out of turn: made after the call, and never waited for beyond its time-out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rtsmlm.session import status as status_module
from rtsmlm.session.status import StatusPublisher

PATIENCE_S = 20.0


class Receiver:
    """Takes statuses; holds the publisher up where the test says so."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.warnings: list[str] = []
        self.is_open = threading.Event()
        self.is_open.set()
        self.entered = threading.Event()

    def __call__(self, message: Any) -> None:
        self.entered.set()
        self.is_open.wait(PATIENCE_S)
        self.got.append(dict(message))


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def publisher(receiver: Receiver) -> Iterator[Callable[..., StatusPublisher]]:
    """Return a function that starts a publisher of numbers that rise."""
    made: list[StatusPublisher] = []

    def start(first: int = 0) -> StatusPublisher:
        numbers = iter(range(first, 1_000_000))
        made.append(
            StatusPublisher(lambda: {"number": next(numbers)}, receiver, receiver.warnings.append)
        )
        made[-1].start()
        return made[-1]

    yield start
    receiver.is_open.set()
    for each in made:
        each.stop()
        each.join()


def test_out_of_turn_means_a_status_made_after_the_call(
    publisher: Any, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_module, "_PERIOD_S", 1000.0)
    one = publisher()
    assert receiver.got == []

    assert one.publish_now(PATIENCE_S)
    assert receiver.got == [{"number": 0}]
    assert one.publish_now(PATIENCE_S)
    assert receiver.got == [{"number": 0}, {"number": 1}]


def test_a_status_that_is_on_its_way_is_not_taken_for_the_one_out_of_turn(
    publisher: Any, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_module, "_PERIOD_S", 0.01)
    receiver.is_open.clear()
    one = publisher()
    assert receiver.entered.wait(PATIENCE_S)
    monkeypatch.setattr(status_module, "_PERIOD_S", 1000.0)

    assert not one.publish_now(0.05), "the receiver is frozen with the status before"
    receiver.is_open.set()
    assert one.publish_now(PATIENCE_S)

    assert len(receiver.got) >= 2


def test_a_frozen_receiver_holds_nobody_up_beyond_the_time_out(
    publisher: Any, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_module, "_PERIOD_S", 1000.0)
    receiver.is_open.clear()
    one = publisher()

    assert not one.publish_now(0.05)
    one.stop()  # returns at once, the thread ends with its receiver
    receiver.is_open.set()
    one.join()

    assert receiver.got == [{"number": 0}]


def test_after_the_stop_nothing_is_published(
    publisher: Any, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_module, "_PERIOD_S", 1000.0)
    one = publisher()
    one.stop()
    one.join()

    assert not one.publish_now(0.01)
    assert receiver.got == []
