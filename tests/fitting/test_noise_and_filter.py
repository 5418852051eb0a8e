"""Background, noise and the matched filter of a frame: unbiased, even at edges, and calibrated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsmlm.errors import LocalizerError
from rtsmlm.fitting.bands import filter_frame, make_scratch
from rtsmlm.fitting.filtering import Filter, make_filter
from rtsmlm.fitting.noise import (
    background_at,
    make_tiles,
    measure_tiles,
    over_tiles,
    variance_beyond,
)
from rtsmlm.localizations import F32
from rtsmlm.physics.gaussian import render_spots

SHAPE = (64, 80)
TILES = (4, 5)


def measured(
    photons: np.ndarray, read_variance: float = 1.0, excess_noise: float = 1.0
) -> tuple[F32, float]:
    """Return the background of all tiles and the unexplained variance."""
    tiles = make_tiles(TILES, SHAPE)
    read = np.full(TILES, read_variance, np.float32)
    for i, rows in enumerate(np.split(photons.astype(np.float32), TILES[0])):
        measure_tiles(rows, rows.shape[1], i, read, excess_noise, tiles)
    return tiles.background, variance_beyond(tiles)


def frame(
    rng: np.random.Generator, mean: np.ndarray | float, read_variance: float = 1.0
) -> np.ndarray:
    expected = np.broadcast_to(mean, SHAPE)
    noise = rng.normal(0, np.sqrt(read_variance), SHAPE)
    light: np.ndarray = rng.poisson(expected) + noise
    return light


@pytest.mark.parametrize("level", [0.0, 5.0, 50.0, 500.0])
def test_an_even_background_is_found_and_nothing_is_unexplained(
    rng: np.random.Generator, level: float
) -> None:
    found = [measured(frame(rng, level)) for _ in range(10)]

    mean = np.mean([background.mean() for background, _ in found])
    assert mean == pytest.approx(level, rel=0.03, abs=0.25)
    assert [beyond for _, beyond in found] == [0.0] * 10


def test_emitters_do_not_raise_the_background_by_more_than_their_tails(
    rng: np.random.Generator,
) -> None:
    x, y = rng.uniform(0, 64, (2, 12))
    crowd = render_spots(SHAPE, x, y, np.full(12, 2000.0), 1.3, 20.0)

    background, beyond = measured(frame(rng, crowd))

    assert np.median(background) == pytest.approx(20.0, rel=0.1)
    assert crowd.mean() > 23, "the plain mean is off by more"
    assert beyond == 0.0


def test_a_smooth_gradient_is_no_noise(rng: np.random.Generator) -> None:
    ramp = np.linspace(10, 200, SHAPE[1])

    background, beyond = measured(frame(rng, ramp))

    assert (np.diff(background.mean(axis=0)) > 0).all()
    assert beyond == 0.0


def test_read_noise_that_is_not_stated_is_measured_within_a_fifth(rng: np.random.Generator) -> None:
    found = [
        measured(frame(rng, 5.0, read_variance=100.0), read_variance=0.0)[1] for _ in range(20)
    ]

    assert np.mean(found) == pytest.approx(100.0, rel=0.2)


def test_a_gain_register_is_no_unexplained_noise(rng: np.random.Generator) -> None:
    multiplied = rng.gamma(np.maximum(rng.poisson(20.0, SHAPE), 1e-9), 1.0)

    assert measured(multiplied, 0.01, excess_noise=2.0)[1] == 0.0
    assert measured(multiplied, 0.01, excess_noise=1.0)[1] == pytest.approx(20.0, rel=0.4)


def test_means_of_tiles_are_those_of_their_pixels_also_where_sizes_do_not_divide() -> None:
    values = np.arange(7 * 11, dtype=np.float64).reshape(7, 11)

    means = over_tiles(values, (2, 3), np.mean)

    assert means.shape == (2, 3)
    assert means[0, 0] == pytest.approx(values[:3, :3].mean())
    assert means[1, 2] == pytest.approx(values[3:, 7:].mean())
    np.testing.assert_array_equal(over_tiles(np.full((5, 5), 2.5), (1, 1), np.mean), [[2.5]])
    assert over_tiles(values, (2, 3), np.min)[1, 2] == values[3, 7]


@settings(deadline=None)
@given(y=st.integers(0, 63), x=st.integers(0, 79), seed=st.integers(0, 99))
def test_between_tiles_the_background_stays_between_theirs(y: int, x: int, seed: int) -> None:
    tiles = np.random.default_rng(seed).uniform(0, 100, TILES).astype(np.float32)

    here = background_at(tiles, *SHAPE, y, x)

    assert tiles.min() <= here <= tiles.max() + 1e-4
    even = np.full(TILES, 7.0, np.float32)
    assert background_at(even, *SHAPE, y, x) == pytest.approx(7.0)


def test_a_background_that_rises_evenly_is_found_in_every_pixel_of_the_middle() -> None:
    tiles = np.tile(np.arange(5, dtype=np.float32) * 16, (4, 1))  # its slope: one per pixel

    along = [background_at(tiles, *SHAPE, 30, x) for x in range(8, 72)]

    np.testing.assert_allclose(np.diff(along), 1.0, rtol=1e-5)


def plan_of(read_variance: float = 1.0, sigma_px: float = 1.3) -> Filter:
    read = np.full(SHAPE, read_variance, np.float32)
    return make_filter(read, sigma_px, threshold=5.0)


def filtered(photons: np.ndarray, plan: Filter) -> np.ndarray:
    passed = np.full(SHAPE, np.nan, np.float32)
    filter_frame(photons.astype(np.float32), plan, make_scratch(plan), passed)
    return passed


def test_an_even_frame_is_filtered_to_nothing_up_to_its_edges() -> None:
    assert np.abs(filtered(np.full(SHAPE, 1000.0), plan_of())).max() < 0.01


def test_the_filter_is_linear_and_the_same_in_every_direction(rng: np.random.Generator) -> None:
    plan = plan_of()
    a, b = rng.uniform(0, 100, (2, *SHAPE))

    together = filtered(2 * a + b, plan)

    np.testing.assert_allclose(together, 2 * filtered(a, plan) + filtered(b, plan), atol=1e-2)
    np.testing.assert_allclose(
        filtered(a[::-1, ::-1], plan), filtered(a, plan)[::-1, ::-1], atol=1e-3
    )


@pytest.mark.parametrize("sigma_px", [0.9, 1.3, 2.0])
def test_a_spot_is_highest_at_its_pixel_and_a_wide_one_far_lower(sigma_px: float) -> None:
    plan = plan_of(sigma_px=sigma_px)
    spot = render_spots(SHAPE, [40.0], [32.0], [1000.0], sigma_px)
    haze = render_spots(SHAPE, [40.0], [32.0], [1000.0], 8.0)

    peak = filtered(spot, plan)

    assert np.unravel_index(peak.argmax(), SHAPE) == (32, 40)
    assert filtered(haze, plan).max() < 0.1 * peak.max()


def test_filtered_noise_has_the_variance_that_the_filter_states_also_at_the_edges(
    rng: np.random.Generator,
) -> None:
    plan = plan_of(read_variance=4.0)
    passed = np.stack([filtered(frame(rng, 25.0, 4.0), plan) for _ in range(200)])

    stated = 25.0 * plan.shot_gain + plan.read_noise
    ratio = passed.var(axis=0) / stated

    assert ratio.mean() == pytest.approx(1.0, rel=0.02)
    for edge in (ratio[0], ratio[-1], ratio[:, 0], ratio[:, -1]):
        assert edge.mean() == pytest.approx(1.0, rel=0.08)


def test_memory_used_again_leaves_no_trace_of_the_frame_before(rng: np.random.Generator) -> None:
    plan = plan_of()
    scratch = make_scratch(plan)
    first, second = rng.uniform(0, 1000, (2, *SHAPE)).astype(np.float32)
    passed = np.empty(SHAPE, np.float32)
    filter_frame(first, plan, scratch, passed)

    filter_frame(second, plan, scratch, passed)

    np.testing.assert_array_equal(passed, filtered(second, plan))


def test_frames_smaller_than_a_spot_are_refused_with_both_sizes() -> None:
    with pytest.raises(LocalizerError, match=r"8 x 80 pixels .* 9 pixels of a spot of sigma 1\.30"):
        make_filter(np.ones((8, 80), np.float32), 1.3, threshold=5.0)
    make_filter(np.ones((9, 80), np.float32), 1.3, threshold=5.0)
