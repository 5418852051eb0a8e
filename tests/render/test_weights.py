"""Shares of a localization in the pixels of a row: each adds 1, at its place, with its width."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from rtsmlm.localizations import F32
from rtsmlm.render.weights import (
    GAUSS_REACH,
    LEAST_STD_NM,
    MOST_STD_NM,
    UNKNOWN_STD_NM,
    drawn_std_nm,
    gauss_weights,
    linear_weights,
)

FIELD = (0, 99)


def gauss(centre: float, std: float) -> tuple[F32, int]:
    """Return the weights of all pixels within reach and in the field, and the first pixel."""
    first = max(math.floor(centre - GAUSS_REACH * std), FIELD[0])
    last = min(math.floor(centre + GAUSS_REACH * std), FIELD[1])
    weights = np.zeros(last - first + 1, np.float32)
    gauss_weights(centre, std, (first, last), FIELD, weights)
    return weights, first


@settings(deadline=None)
@given(centre=st.floats(0, 99.99), std=st.floats(0.05, 12))
def test_a_gaussian_adds_1_also_at_the_edges_of_the_field(centre: float, std: float) -> None:
    weights, _ = gauss(centre, std)

    assert weights.min() >= -1e-6
    assert weights.sum(dtype=np.float64) == pytest.approx(1, abs=1e-5)


@settings(deadline=None)
@given(centre=st.floats(40, 60), std=st.floats(0.3, 12))
def test_each_pixel_gets_the_integral_of_the_cut_gaussian_over_it(
    centre: float, std: float
) -> None:
    weights, first = gauss(centre, std)

    edges = first + np.arange(len(weights) + 1)
    inside = np.clip((edges - centre) / std, -GAUSS_REACH, GAUSS_REACH)
    cut = ndtr(inside) / (1 - 2 * ndtr(-GAUSS_REACH))
    np.testing.assert_allclose(weights, np.diff(cut), atol=1e-5)


def test_a_part_of_a_row_gets_the_weights_of_the_whole_row() -> None:
    whole, first = gauss(50.3, 4.0)
    part = np.zeros(5, np.float32)

    gauss_weights(50.3, 4.0, (first + 6, first + 10), FIELD, part)

    np.testing.assert_allclose(part, whole[6:11], atol=1e-6)


@settings(deadline=None)
@given(centre=st.floats(0, 99.99))
def test_a_shared_point_adds_1_to_the_two_nearest_pixels(centre: float) -> None:
    ends = max(math.floor(centre - 0.5), 0), min(math.floor(centre + 0.5), 99)
    weights = np.zeros(ends[1] - ends[0] + 1, np.float32)

    linear_weights(centre, ends, FIELD, weights)

    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1, abs=1e-6)
    if 0.5 <= centre <= 99.5:
        mean = (weights * (np.arange(ends[0], ends[1] + 1) + 0.5)).sum()
        assert mean == pytest.approx(centre, abs=1e-4)


@pytest.mark.parametrize(
    ("stated_nm", "drawn_nm"),
    [
        (0.0, UNKNOWN_STD_NM),
        (0.5, LEAST_STD_NM),
        (12.0, 12.0),
        (5000.0, MOST_STD_NM),
        (math.inf, MOST_STD_NM),
        (math.nan, UNKNOWN_STD_NM),
    ],
)
def test_a_precision_is_drawn_within_limits(stated_nm: float, drawn_nm: float) -> None:
    assert drawn_std_nm(np.float32(stated_nm)) == pytest.approx(drawn_nm)
