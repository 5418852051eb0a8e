"""Percentiles and rates against what numpy says."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.cli.status import status_line
from rtsmlm.realtime.latency import LatencyHistogram, LatencyStages, RateMeter
from rtsmlm.realtime.ledger import LedgerTotals
from rtsmlm.session.status import RunStatus


@pytest.mark.parametrize("percent", [50, 95, 99])
def test_percentiles_are_right_within_the_width_of_a_bin(
    rng: np.random.Generator, percent: float
) -> None:
    durations_ns = (rng.lognormal(1.5, 0.8, 20_000) * 1e6).astype(np.int64)
    histogram = LatencyHistogram()
    for part in np.array_split(durations_ns, 50):
        histogram.add(part)

    exact_ms = float(np.percentile(durations_ns, percent)) / 1e6

    assert histogram.percentile_ms(percent) == pytest.approx(exact_ms, rel=0.04)
    assert histogram.percentile_ms(percent) >= exact_ms * 0.999, "a figure must not flatter"


def test_the_longest_is_exact_and_bounds_every_percentile() -> None:
    histogram = LatencyHistogram()
    histogram.add(np.array([1_000_000, 7_123_456], dtype=np.int64))

    assert histogram.summary()["max"] == pytest.approx(7.123456)
    assert histogram.percentile_ms(99) <= 7.123456


def test_no_durations_give_no_number() -> None:
    assert np.isnan(LatencyHistogram().percentile_ms(50))


def test_the_stages_of_a_frame_add_up_to_its_total() -> None:
    latency = LatencyStages()
    t_end, t_ring = np.array([0], np.int64), np.array([2_000_000], np.int64)

    latency.add(t_end, t_ring, 5_000_000, 9_000_000, 10_000_000)

    longest = {name: stage["max"] for name, stage in latency.summary().items()}
    assert longest == {"acquire": 2, "wait": 3, "localize": 4, "publish": 1, "total": 10}


def test_the_rate_follows_the_last_seconds_only() -> None:
    meter = RateMeter(window=2e9)
    for second in range(10):
        rate = meter.update(100 * second, second * 10**9)
    for second in range(10, 20):
        rate = meter.update(900 + 20 * (second - 9), second * 10**9)

    assert rate * 1e9 == pytest.approx(20, rel=0.01)


def test_the_status_line_fits_a_terminal_of_eighty_columns() -> None:
    totals = LedgerTotals(123456, 123456, 123456, 123450, 0, 0, 6)
    status = RunStatus(totals, 100.2, 7_000_000, 59.83, 4.42, 12.31, 12, 0, "model ok")

    line = status_line(status)

    assert len(line) <= 80
    for figure in (
        "123456 frames",
        "100/s",
        "59.8/frame",
        "p50 4.4",
        "p99 12.3",
        "lost 0",
        "model ok",
    ):
        assert figure in line
