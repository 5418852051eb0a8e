"""Percentiles that never flatter, rates that are right, whatever the durations."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsmlm.realtime.frame_ranges import FrameRanges
from rtsmlm.realtime.latency import STAGES, LatencyHistogram, LatencyStages, RateMeter
from rtsmlm.realtime.ledger import Ledger

durations_ns = st.lists(st.integers(1_000, 10**12), min_size=1, max_size=40)


def histogram_of(durations: list[int]) -> LatencyHistogram:
    histogram = LatencyHistogram()
    histogram.add(np.array(durations, np.int64))
    return histogram


@given(durations_ns, st.floats(1.0, 100.0))
def test_a_percentile_lies_at_or_above_the_true_one_by_a_bin_at_most(
    durations: list[int], percent: float
) -> None:
    ranked = sorted(durations)
    true_ms = ranked[max(math.ceil(percent / 100 * len(ranked)) - 1, 0)] / 1e6

    said_ms = histogram_of(durations).percentile_ms(percent)

    assert said_ms >= true_ms * (1 - 1e-9)
    assert said_ms <= true_ms * 10 ** (1 / 100) * (1 + 1e-9)


@given(durations_ns)
def test_percentiles_rise_up_to_the_longest(durations: list[int]) -> None:
    summary = histogram_of(durations).summary()

    assert summary["p50"] <= summary["p95"] <= summary["p99"] <= summary["max"]
    assert summary["max"] == max(durations) / 1e6
    assert summary["count"] == len(durations)


@given(durations_ns, st.integers(0, 40))
def test_it_does_not_matter_in_which_portions_durations_come(
    durations: list[int], cut: int
) -> None:
    whole, parts = histogram_of(durations), LatencyHistogram()
    parts.add(np.array(durations[:cut], np.int64))
    parts.add(np.array(durations[cut:], np.int64))

    assert parts.summary() == whole.summary()


def test_a_wait_of_an_hour_is_not_reported_as_a_shorter_one() -> None:
    hour_ns = 3600 * 10**9

    assert histogram_of([hour_ns]).percentile_ms(50) == 3_600_000.0
    assert histogram_of([hour_ns, 10**9]).percentile_ms(99) == 3_600_000.0


def test_a_clock_that_is_a_little_off_counts_as_no_time() -> None:
    histogram = histogram_of([-500, -3_000_000, 0])

    assert len(histogram) == 3
    assert 0 <= histogram.percentile_ms(99) < 1.1e-3


@given(st.integers(1, 20), st.integers(0, 10**9), st.integers(0, 10**9))
def test_every_frame_of_a_batch_counts_in_every_stage(n: int, wait_ns: int, work_ns: int) -> None:
    stages = LatencyStages()
    t_end = np.arange(n, dtype=np.int64) * 1_000_000
    t_ring = t_end + 2_000_000
    taken = int(t_ring[-1]) + wait_ns

    stages.add(t_end, t_ring, taken, taken + work_ns, taken + work_ns + 1_000)

    summary = stages.summary()
    assert {summary[stage]["count"] for stage in STAGES} == {n}
    assert summary["first frame"]["count"] == 1
    assert summary["first second"]["count"] == n
    assert summary["localize"]["max"] == work_ns / 1e6
    assert summary["total"]["max"] == pytest.approx((taken + work_ns + 1_000) / 1e6), (
        "the oldest frame waited longest"
    )


@given(st.integers(0, 1000), st.integers(1, 10**8), st.integers(3, 60))
def test_a_steady_rate_is_reported_as_it_is_from_the_second_point_on(
    per_step: int, step: int, n: int
) -> None:
    meter = RateMeter(window=10.0 * step)

    rates = [meter.update(k * per_step, k * step) for k in range(n)]

    assert rates[0] == 0.0
    assert rates[1:] == pytest.approx([per_step / step] * (n - 1))


def test_a_run_that_begins_anew_does_not_give_a_negative_rate() -> None:
    meter = RateMeter(window=1e9)
    for second in range(5):
        meter.update(100 * second, second * 10**9)

    assert meter.update(0, 10**9) == 0.0
    assert meter.update(50, 2 * 10**9) == pytest.approx(50e-9)


def test_two_readings_at_one_time_are_no_division_by_zero() -> None:
    meter = RateMeter()
    meter.update(0, 5)

    assert meter.update(10, 5) == 0.0


# -- what the ledger says of single frames -----------------------------------------------------


@given(st.sets(st.integers(0, 60)))
def test_ranges_for_json_name_first_and_last_frame(frames: set[int]) -> None:
    ranges = FrameRanges([(index, index + 1) for index in sorted(frames)])

    listed = ranges.as_list()

    assert {i for first, last in listed for i in range(first, last + 1)} == frames
    assert len(ranges) == len(frames)
    assert all(b[0] > a[1] + 1 for a, b in pairwise(listed)), "merged"


def test_empty_and_reversed_ranges_hold_nothing() -> None:
    assert list(FrameRanges([(5, 5), (9, 2)])) == []


def test_frames_that_never_came_cannot_fail() -> None:
    ledger = Ledger()
    for index in (0, 1, 4, 5):
        ledger.receive(index, queued=True)
    ledger.release(4)

    ledger.fail(1, 5)

    assert ledger.skipped().as_list() == [[1, 1], [4, 4]]
    assert ledger.totals().localized == 2
    assert ledger.totals().balances


@settings(max_examples=40)
@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(0, 30))
def test_the_oldest_frame_without_a_result_is_the_first_that_is_still_queued(
    queued: list[bool], released: int
) -> None:
    ledger = Ledger()
    for index, is_queued in enumerate(queued):
        ledger.receive(index, queued=is_queued)
    ledger.release(released)

    waiting = [index for index, is_queued in enumerate(queued) if is_queued][released:]

    assert ledger.next_undelivered() == (waiting[0] if waiting else len(queued))
    assert ledger.totals().in_ring == len(waiting)


def test_frames_that_were_not_recorded_are_listed_in_the_account() -> None:
    ledger = Ledger()
    for index in range(10):
        ledger.receive(index, queued=True)
    ledger.record(0, 4)
    ledger.record(6, 9)

    assert ledger.as_dict()["ranges"]["not_recorded"] == [[4, 5], [9, 9]]
    assert "7 recorded" in ledger.verdict(recording=True)
    assert "not recorded" in ledger.verdict(recording=False)
