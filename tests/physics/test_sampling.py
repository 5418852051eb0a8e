from __future__ import annotations

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray
from scipy import stats

from rtsmlm.physics.sampling import F64, State, gamma, new_state, normal, poisson, uniform


@njit
def _draw(state: State, kind: int, parameter: float, n: int) -> F64:
    values = np.empty(n)
    for i in range(n):
        if kind == 0:
            values[i] = uniform(state)
        elif kind == 1:
            values[i] = normal(state)
        elif kind == 2:
            values[i] = poisson(state, parameter)
        else:
            values[i] = gamma(state, parameter)
    return values


@pytest.fixture(scope="module")
def state() -> State:
    return new_state(np.random.SeedSequence(5))


def _chi2_p_value(counts: NDArray[np.int64], expected: F64) -> float:
    common = expected > 20
    observed = np.append(counts[common], counts[~common].sum())
    wanted = np.append(expected[common], expected[~common].sum())
    return float(stats.chi2.sf(((observed - wanted) ** 2 / wanted).sum(), len(wanted) - 1))


def test_uniform_deviates_fill_the_unit_interval_and_are_never_zero(state: State) -> None:
    values = _draw(state, 0, 0.0, 200_000)

    assert values.min() > 0.0
    assert values.max() <= 1.0
    assert stats.kstest(values, "uniform").pvalue > 1e-3


def test_normal_deviates_follow_the_normal_distribution_into_its_tails(state: State) -> None:
    values = _draw(state, 1, 0.0, 1_000_000)

    assert stats.kstest(values, "norm").pvalue > 1e-3
    assert values.var() == pytest.approx(1.0, abs=0.005)
    assert np.mean(np.abs(values) > 3.5) == pytest.approx(2 * stats.norm.sf(3.5), rel=0.15)


@pytest.mark.parametrize("mean", [0.02, 1.0, 3.9, 4.1, 8.0, 30.0, 400.0])
def test_poisson_counts_follow_the_poisson_distribution(state: State, mean: float) -> None:
    n = 300_000
    values = _draw(state, 2, mean, n).astype(np.int64)

    top = int(mean + 12 * np.sqrt(mean) + 12)
    expected = n * stats.poisson.pmf(np.arange(top), mean)
    assert _chi2_p_value(np.bincount(values, minlength=top)[:top], expected) > 1e-3
    assert values.mean() == pytest.approx(mean, abs=5 * np.sqrt(mean / n))
    assert values.var() == pytest.approx(mean, rel=0.015, abs=0.002)


def test_no_light_gives_no_counts(state: State) -> None:
    assert not _draw(state, 2, 0.0, 1000).any()
    assert not _draw(state, 2, -1.0, 1000).any()


@pytest.mark.parametrize("shape", [1.0, 2.0, 50.0])
def test_gamma_deviates_follow_the_gamma_distribution(state: State, shape: float) -> None:
    values = _draw(state, 3, shape, 100_000)

    assert stats.kstest(values, stats.gamma(shape).cdf).pvalue > 1e-3


def test_streams_of_one_seed_agree_and_of_two_seeds_differ() -> None:
    first, again = (_draw(new_state(np.random.SeedSequence(1)), 1, 0.0, 100) for _ in range(2))
    other = _draw(new_state(np.random.SeedSequence(2)), 1, 0.0, 100)

    assert np.array_equal(first, again)
    assert not np.isin(other, first).any()
