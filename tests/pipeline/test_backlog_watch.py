"""A backlog counts as growing when it has grown for two seconds, and not when it comes and goes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rtsmlm.pipeline.backlog_watch import GROWS_S, BacklogWatch

PERIOD_S = 0.01


def first_alarm_s(
    backlog_at: Callable[[float], float], *, seconds: float = 20.0, capacity: int = 1000
) -> float | None:
    """Return when a backlog that goes like this counts as growing."""
    watch = BacklogWatch(capacity)
    for k in range(int(seconds / PERIOD_S)):
        t_s = k * PERIOD_S
        if watch.grows(int(backlog_at(t_s)), int(t_s * 1e9)):
            return t_s
    return None


@pytest.mark.parametrize("per_s", [3.0, 20.0, 500.0])
def test_a_backlog_that_grows_is_seen_after_two_seconds_and_no_sooner(per_s: float) -> None:
    found_s = first_alarm_s(lambda t_s: 2 + per_s * t_s)

    assert found_s is not None
    assert GROWS_S <= found_s <= GROWS_S + 2.0


@pytest.mark.parametrize(
    "backlog_at",
    [
        lambda t_s: 1 + (t_s * 100) % 4,  # batches of a few frames
        lambda t_s: max(0.0, 150 - 100 * t_s),  # a stall is worked off
        lambda t_s: 100 * (t_s % 1.5),  # one stall after the other
        lambda t_s: 400.0,  # behind, and as fast as the camera
    ],
    ids=["batches", "stall", "stalls", "steady"],
)
def test_a_backlog_that_comes_and_goes_is_none(backlog_at: Callable[[float], float]) -> None:
    assert first_alarm_s(backlog_at) is None


def test_a_ring_that_stays_full_counts_as_growing() -> None:
    found_s = first_alarm_s(lambda t_s: 1000.0)

    assert found_s is not None
    assert found_s >= GROWS_S


def test_another_localizer_begins_with_a_time_of_its_own() -> None:
    watch = BacklogWatch(1000)
    times = [k * 0.1 for k in range(60)]
    first = next(t for t in times if watch.grows(int(50 * t), int(t * 1e9)))

    watch.reset()

    again = next(t for t in times if watch.grows(int(50 * t), int((first + t) * 1e9)))
    assert again >= GROWS_S
