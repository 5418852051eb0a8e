"""Percentiles and rates against what numpy says."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.cli.status import status_line
from rtsmlm.realtime.latency import (
    STAGES,
    LatencyHistogram,
    LatencyStages,
    RateMeter,
    RecentLatencyMeter,
    duration_text,
)
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

    longest = {name: latency.summary()[name]["max"] for name in STAGES}
    assert longest == {"acquire": 2, "wait": 3, "localize": 4, "publish": 1, "total": 10}


def test_a_slow_first_second_is_forgotten_after_ten_seconds() -> None:
    meter, second_ns = RecentLatencyMeter(), 10**9
    meter.add(np.full(100, 427_000_000), second_ns)
    for second in range(2, 11):
        meter.add(np.full(100, 20_000_000), second * second_ns)
    before = meter.latency(10 * second_ns)
    meter.add(np.full(100, 30_000_000), 11 * second_ns)
    after = meter.latency(11 * second_ns)

    assert before.p99_ms == pytest.approx(427, rel=0.03)
    assert after.p99_ms == pytest.approx(30, rel=0.03)
    assert after.p50_ms == pytest.approx(20, rel=0.03)
    assert after.newest_ms == 30.0
    assert np.isnan(meter.latency(40 * second_ns).p99_ms), "no frame for ten seconds"


@pytest.mark.parametrize(
    ("value_ms", "text"),
    [(float("nan"), "-"), (0.04, "0.0 ms"), (4.42, "4.4 ms"), (9.96, "10 ms"), (45.2, "45 ms"),
     (999.4, "999 ms"), (999.6, "1.0 s"), (6760.0, "6.8 s"), (99_960.0, "100 s"),
     (float("inf"), "inf s")],
)  # fmt: skip
def test_seconds_are_written_as_seconds(value_ms: float, text: str) -> None:
    assert duration_text(value_ms) == text


def test_the_rate_follows_the_last_seconds_only() -> None:
    meter = RateMeter(window=2e9)
    for second in range(10):
        rate = meter.update(100 * second, second * 10**9)
    for second in range(10, 20):
        rate = meter.update(900 + 20 * (second - 9), second * 10**9)

    assert rate * 1e9 == pytest.approx(20, rel=0.01)


def test_the_status_line_fits_a_terminal_of_eighty_columns() -> None:
    totals = LedgerTotals(123456, 123456, 123456, 123450, 0, 0, 6)
    status = RunStatus(totals, 100.2, 7_000_000, 59.83, 4.42, 12.31, 12, 0, "model ok",
                       recent_p50_ms=4.42, recent_p99_ms=12.31)  # fmt: skip

    line = status_line(status)

    assert len(line) <= 80
    for figure in (
        "123456 frames",
        "100/s",
        "59.8/frame",
        "p50 4.4",
        "p99 12 ms",
        "lost 0",
        "model ok",
    ):
        assert figure in line


def test_the_first_frame_and_the_first_second_are_stated_by_themselves() -> None:
    latency = LatencyStages()
    for k in range(30):
        t_end = np.array([50_000_000 * k + 7], np.int64)
        late_ns = 80_000_000 if k == 0 else 5_000_000 if k < 20 else 900_000_000
        latency.add(t_end, t_end, int(t_end[0]), int(t_end[0]), int(t_end[0]) + late_ns)

    found = latency.summary()
    assert (found["first frame"]["count"], found["first frame"]["max"]) == (1, 80.0)
    assert (found["first second"]["count"], found["first second"]["max"]) == (20, 80.0)
    assert found["first second"]["p50"] == pytest.approx(5.0, rel=0.03)
    assert found["total"]["count"] == 30
    assert "first second" not in LatencyStages(from_start=False).summary(), "after a crash"
