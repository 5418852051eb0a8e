"""Statistics of pixels: the same as from all frames at once, exact at the ends of the scale."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rtsmlm.calibrate.pixel_statistics import PixelStatistics
from rtsmlm.errors import CalibrationError
from rtsmlm.frames import Pixels

MOVIES = st.tuples(st.integers(2, 12), st.integers(1, 5), st.integers(1, 5)).flatmap(
    lambda shape: arrays(np.uint16, shape)
)


def statistics(*parts: Pixels) -> PixelStatistics:
    gathered = PixelStatistics("dark.tif")
    for part in parts:
        gathered.add(part)
    return gathered


@settings(deadline=None)
@given(movie=MOVIES, cut=st.integers(0, 12))
def test_any_two_parts_of_a_movie_give_the_statistics_of_the_whole(movie: Pixels, cut: int) -> None:
    found = statistics(movie[:cut], movie[cut:])

    exact = movie.astype(np.float64)
    assert found.n_frames == len(movie)
    np.testing.assert_allclose(found.mean, exact.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.variance, exact.var(axis=0, ddof=1), rtol=1e-9, atol=1e-6)
    np.testing.assert_array_equal(found.minimum, movie.min(axis=0))
    np.testing.assert_array_equal(found.maximum, movie.max(axis=0))
    np.testing.assert_allclose(found.frame_means, exact.mean(axis=(1, 2)), rtol=1e-12)


def test_a_long_movie_of_the_whole_scale_does_not_run_over() -> None:
    part = np.zeros((1000, 1, 2), np.uint16)
    part[::2] = 65535

    found = statistics(*[part] * 20)

    assert found.mean.tolist() == [[32767.5, 32767.5]]
    assert found.variance[0, 0] == pytest.approx(32767.5**2 * 20_000 / 19_999, rel=1e-12)


def test_equal_frames_have_no_variance_at_any_level() -> None:
    for value in (0, 40_000, 65_535):
        assert not statistics(np.full((50, 2, 2), value, np.uint16)).variance.any()


def test_frames_handed_in_may_change_afterwards() -> None:
    movie = np.full((3, 2, 2), 100, np.uint16)
    found = statistics(movie)
    movie[:] = 9

    found.add(np.full((3, 2, 2), 100, np.uint16))

    assert (found.mean == 100).all()
    assert not found.variance.any()


def test_frames_of_another_shape_are_refused_with_both_shapes() -> None:
    found = statistics(np.zeros((2, 3, 4), np.uint16))

    with pytest.raises(CalibrationError, match=r"dark\.tif.*\(3, 5\).*\(3, 4\)"):
        found.add(np.zeros((2, 3, 5), np.uint16))


def test_without_a_frame_there_is_no_mean_and_no_shape() -> None:
    empty = statistics(np.zeros((0, 3, 4), np.uint16))

    for ask in (lambda: empty.mean, lambda: empty.shape):
        with pytest.raises(CalibrationError, match=r"dark\.tif holds no frame"):
            ask()


@pytest.mark.parametrize("bits", [8, 12, 14, 16])
def test_pixels_cut_off_at_the_end_of_the_scale_are_saturated(
    bits: int, rng: np.random.Generator
) -> None:
    top = 2**bits - 1
    movie = rng.integers(50, 100, (20, 30, 30)).astype(np.uint16)
    movie[3, :5] = top

    found = statistics(movie).saturated

    assert found[:5].all()
    assert not found[5:].any()


def test_a_single_pixel_that_happens_to_be_at_4095_is_not_saturated(
    rng: np.random.Generator,
) -> None:
    movie = rng.integers(50, 100, (20, 60, 60)).astype(np.uint16)
    movie[3, 4, 5] = 4095

    assert not statistics(movie).saturated.any()


def test_a_rise_from_the_first_to_the_last_quarter_is_the_drift() -> None:
    ramp = (100 + np.arange(40))[:, None, None] * np.ones((40, 2, 2))

    assert statistics(ramp.astype(np.uint16)).drift_adu == pytest.approx(30.0)


@pytest.mark.parametrize("flicker", [0.0, 0.02])
def test_flicker_is_the_part_of_the_variance_that_all_pixels_share(
    flicker: float, rng: np.random.Generator
) -> None:
    light = 1000 * (1 + flicker * rng.standard_normal(400))
    # Few pixels: their own noise alone would count as a flicker of 1e-5.
    movie = rng.poisson(light[:, None, None] * np.ones((400, 10, 10)))

    found = statistics((movie + 100).astype(np.uint16)).flicker(100.0)

    assert found == pytest.approx(flicker**2, rel=0.25, abs=3e-6)
