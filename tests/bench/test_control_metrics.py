"""Figures of a rehearsal on courses whose figures are known, and properties of the peers' laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsmlm.bench.control import comparison, metrics
from rtsmlm.bench.control.comparison import LawTable, behind, markdown
from rtsmlm.bench.control.peer_laws import AlicaLaw, AutoLaseLaw, HtSmlmLaw
from rtsmlm.bench.control.rehearsal import CAP_W_CM2, Trace
from rtsmlm.bench.control.simulated_field import FieldSpec
from rtsmlm.physics.dyes import ON, POOL

FRAME_S = 0.05
PER_S = round(1 / FRAME_S)


def trace(true: np.ndarray, w_cm2: np.ndarray | float = 0.1) -> Trace:
    return Trace(FRAME_S, true, np.broadcast_to(np.asarray(w_cm2, float), true.shape).copy())


def steady(seconds: float, per_frame: float = 40.0) -> np.ndarray:
    return np.full(round(seconds * PER_S), per_frame)


def test_a_course_on_target_has_no_bias_no_spread_and_is_there_at_once() -> None:
    course = trace(steady(30))

    assert metrics.settle_s(course, 40.0) == 0.0
    assert metrics.reach_s(course, 40.0) == pytest.approx(2.0)
    assert metrics.overshoot(course, 40.0) == pytest.approx(0.0)
    assert metrics.bias(course, 40.0) == pytest.approx(0.0)
    assert metrics.spread(course, 40.0) == pytest.approx(0.0)
    assert metrics.power_jitter(trace(steady(60))) == pytest.approx(0.0, abs=1e-9)


@given(late_s=st.integers(3, 20), stays_s=st.integers(5, 30))
def test_a_step_settles_within_the_mean_of_two_seconds_after_it(late_s: int, stays_s: int) -> None:
    course = trace(np.concatenate([steady(late_s, 10.0), steady(stays_s)]))

    settled = metrics.settle_s(course, 40.0)

    assert late_s <= settled <= late_s + 2.1
    assert metrics.reach_s(course, 40.0) == pytest.approx(settled, abs=2 * FRAME_S)


def test_what_leaves_the_band_at_the_end_has_reached_and_never_settled() -> None:
    course = trace(np.concatenate([steady(20), steady(5, 80.0)]))

    assert metrics.settle_s(course, 40.0) == math.inf
    assert metrics.reach_s(course, 40.0) == pytest.approx(2.0)
    assert metrics.reach_s(trace(steady(20, 10.0)), 40.0) == math.inf


def test_an_excursion_of_five_seconds_is_the_overshoot_and_a_short_one_a_part_of_it() -> None:
    long = trace(np.concatenate([steady(10), steady(6, 60.0), steady(10)]))
    short = trace(np.concatenate([steady(10), steady(1, 60.0), steady(10)]))

    assert metrics.overshoot(long, 40.0) == pytest.approx(0.5)
    assert metrics.overshoot(short, 40.0) == pytest.approx(0.1)


def test_the_stretch_before_the_cap_ends_where_the_power_first_reaches_it() -> None:
    power = np.concatenate([np.full(200, 0.1), np.full(100, CAP_W_CM2), np.full(100, 0.1)])

    assert metrics.until_cap(trace(steady(20), power)).duration_s == pytest.approx(10.0)
    assert metrics.until_cap(trace(steady(20))).duration_s == pytest.approx(20.0)


@given(factor=st.floats(0.01, 100))
def test_the_jitter_of_a_power_does_not_depend_on_its_unit(factor: float) -> None:
    rng = np.random.default_rng(3)
    power = 1e-2 * np.exp(0.1 * rng.standard_normal(60 * PER_S))

    once, scaled = (metrics.power_jitter(trace(steady(60), k * power)) for k in (1.0, factor))

    assert once == pytest.approx(scaled, rel=1e-6)


def test_a_power_along_the_hyperbola_is_off_by_nothing_and_another_by_its_error() -> None:
    spec = FieldSpec()
    k_off, k_bleach = spec.rates
    n_on = 30.0
    n = round(0.7 * spec.n_emitters / (k_bleach * n_on) / FRAME_S)
    dark = spec.n_emitters - n_on * (1 + k_bleach * np.arange(n) * FRAME_S)
    needed_per_s = (k_off + k_bleach) * n_on / dark
    thermal_per_s = spec.make().rate(POOL, ON, {})
    per_w_cm2 = spec.make().rate(POOL, ON, {405: 1.0}) - thermal_per_s
    power = (needed_per_s - thermal_per_s) / per_w_cm2
    course = np.full(n, n_on * spec.per_frame_over_on)

    assert power[0] == pytest.approx(spec.needed_w_cm2(course[0]), rel=1e-3)
    assert metrics.from_hyperbola(trace(course, power), spec, 20.0) < 0.01
    off = metrics.from_hyperbola(trace(course, 1.5 * power), spec, 20.0)
    assert off == pytest.approx(0.5, abs=0.02)


def test_a_law_at_its_cap_from_the_start_has_no_figures_of_steadiness() -> None:
    steered = metrics.until_cap(trace(steady(60), CAP_W_CM2))

    assert steered.duration_s == 0
    for figure in (
        metrics.bias(steered, 40.0), metrics.spread(steered, 40.0),
        metrics.power_jitter(steered), metrics.swing(steered),
    ):  # fmt: skip
        assert math.isnan(figure)


@given(signal=st.lists(st.floats(0, 1000), min_size=1, max_size=60), target=st.floats(0.1, 100))
def test_no_law_leaves_its_limits_whatever_it_sees(signal: list[float], target: float) -> None:
    laws = (
        (HtSmlmLaw(target=target, power=0.5), 1.0),
        (AutoLaseLaw(low_s=0.1, high_s=0.2, power=0.1), 0.25),
        (AlicaLaw(target=target), 1.0),
    )

    for law, most in laws:
        for value in signal:
            assert 0 <= law.decide(value) <= most + 1e-9


@pytest.mark.parametrize("law", [HtSmlmLaw(target=5.0, power=0.5), AlicaLaw(target=5.0)])
def test_without_frames_the_power_stays(law: HtSmlmLaw | AlicaLaw) -> None:
    law.decide(3.0)
    before = law.power

    assert [law.decide(math.nan) for _ in range(5)] == [before] * 5


def table(**laws: list[float]) -> LawTable:
    """Return a table in which every figure of a law has these values."""
    by_law = {
        name: [dict.fromkeys(comparison.ROWS, value) for value in values]
        for name, values in laws.items()
    }
    return LawTable((1, 2, 3), by_law)


def test_median_and_worst_are_those_of_all_seeds() -> None:
    figures = table(ours=[0.1, -0.5, 0.2])

    assert figures.median("ours", "bias") == 0.1
    assert figures.worst("ours", "bias") == -0.5
    assert figures.all("ours", "bias") == [0.1, -0.5, 0.2]


def test_a_figure_that_is_missing_on_one_seed_does_not_hide_the_others() -> None:
    figures = table(ours=[math.nan, 0.3, 0.1])

    assert figures.median("ours", "bias") == 0.3
    assert math.isnan(figures.worst("ours", "bias"))


def test_what_never_happens_is_a_dash_in_the_table() -> None:
    page = markdown(table(ours=[math.inf] * 3, other=[1.25, 1.25, 2.5]))

    assert "Median and, in brackets, the worst of 3 seeds" in page
    assert "| - (-) | 1.2 (2.5) |" in page
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert len(rows) == len(comparison.ROWS) + 2


def test_a_course_that_never_changes_does_not_swing() -> None:
    assert metrics.swing(trace(steady(60))) == 0.0


def test_only_figures_with_a_better_rival_are_named_as_behind() -> None:
    worse = behind(table(rtsmlm=[1.0] * 3, other=[0.5] * 3, third=[2.0] * 3))

    assert len(worse) == len(comparison.ROWS) - len(comparison.NO_BETTER_WHEN_LESS)
    assert all("other" in line and "third" not in line for line in worse)
    assert behind(table(rtsmlm=[0.5] * 3, other=[0.5] * 3)) == []
    assert not any(line.startswith("- same") for line in worse)
