"""Stray light: bounded, periodic, repeatable, and nothing from emitters outside of the map."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsmlm.physics.background import Background, haze_map

SHAPE = (40, 56)


def background(contrast: float = 0.2, seed: int = 3) -> Background:
    return Background(SHAPE, np.random.default_rng(seed), contrast)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.0, 3.0), st.floats(0.0, 600.0), st.integers(0, 1000))
def test_no_pixel_is_ever_darker_than_a_tenth_of_the_mean(
    contrast: float, t_s: float, seed: int
) -> None:
    seen = background(contrast, seed).relative(t_s)

    assert seen.dtype == np.float32
    assert seen.shape == SHAPE
    assert seen.min() >= np.float32(0.1)


@pytest.mark.parametrize("t_s", [0.0, 7.5, 41.0])
def test_structure_comes_back_after_a_minute_and_is_inverted_after_half_of_it(t_s: float) -> None:
    stray = background(contrast=0.1)

    now, half_later, later = (stray.relative(t_s + wait_s) for wait_s in (0.0, 30.0, 60.0))

    np.testing.assert_allclose(later, now, atol=1e-5)
    np.testing.assert_allclose(half_later, 2.0 - now, atol=1e-5)


def test_the_same_seed_draws_the_same_structure_and_another_one_another() -> None:
    first, again, other = (background(seed=seed).relative(5.0) for seed in (3, 3, 4))

    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_without_contrast_the_light_is_even_at_all_times() -> None:
    stray = background(contrast=0.0)

    assert all((stray.relative(t_s) == 1.0).all() for t_s in (0.0, 12.0, 45.0))


def test_contrast_is_the_spread_of_the_light_over_its_mean() -> None:
    for contrast in (0.05, 0.1, 0.2):
        seen = background(contrast).relative(0.0)

        assert seen.std() / seen.mean() == pytest.approx(contrast, rel=0.05)


def test_a_structure_wholly_outside_of_the_map_gives_no_haze() -> None:
    outside = haze_map(np.array([-40.0, 200.0]), np.array([10.0, 10.0]), SHAPE, 3.0)

    assert outside.shape == SHAPE
    assert outside.sum() == 0.0


def test_no_emitters_give_no_haze() -> None:
    assert haze_map(np.empty(0), np.empty(0), SHAPE, 3.0).sum() == 0.0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 300), st.floats(0.5, 12.0))
def test_haze_sums_to_one_whatever_the_structure_and_the_blur(
    seed: int, n: int, blur_px: float
) -> None:
    rng = np.random.default_rng(seed)
    x_px, y_px = rng.uniform(0, SHAPE[1] - 1, n), rng.uniform(0, SHAPE[0] - 1, n)

    haze = haze_map(x_px, y_px, SHAPE, blur_px)

    assert haze.sum() == pytest.approx(1.0, rel=1e-4)
    assert haze.min() >= 0.0


def test_the_blur_is_the_standard_deviation_of_the_haze_of_a_point() -> None:
    haze = haze_map(np.array([30.0]), np.array([30.0]), (61, 61), 4.0).astype(np.float64)

    across = haze.sum(axis=0)
    place = np.arange(61)
    mean = across @ place
    assert mean == pytest.approx(30.0, abs=1e-3)
    assert np.sqrt(across @ (place - mean) ** 2) == pytest.approx(4.0, rel=0.02)
