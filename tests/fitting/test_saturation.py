"""Where a camera is full, from frames alone."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.fitting.saturation import SaturationCounter, plateau_adu
from rtsmlm.frames import Pixels


def spots(
    peak_adu: float, ceiling: float = 65535, step: int = 1, seed: int = 1, n: int = 6
) -> Pixels:
    """Frames of 48 x 48 pixels with nine spots each, cut off at a ceiling."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:48, :48]
    frames = np.full((n, 48, 48), 20.0)
    for frame in frames:
        for place in random.uniform(5, 43, (9, 2)):
            frame += peak_adu * np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / 3.4)
    adu = random.poisson(frames) + 100 + random.normal(0, 2, frames.shape)
    return (np.clip(np.round(adu / step) * step, 0, ceiling)).astype(np.uint16)


@pytest.mark.parametrize("ceiling", [255, 1023, 4095, 3171, 16383, 61203])
def test_spots_cut_off_at_any_value_show_where_the_camera_is_full(ceiling: int) -> None:
    frames = spots(2.0 * ceiling, ceiling)
    counter = SaturationCounter((48, 48))
    counter.add(frames[:2])
    counter.add(frames[2:])
    assert counter.plateau_adu == ceiling
    assert counter.n_saturated == np.count_nonzero(frames == ceiling)


def test_the_steps_of_a_12_bit_camera_in_16_bits_do_not_hide_the_ceiling() -> None:
    assert plateau_adu(spots(9e4, 65520, step=16).max(axis=0)) == 65520


@pytest.mark.parametrize("peak", [30, 300, 3000, 30_000])
@pytest.mark.parametrize("step", [1, 4, 16])
def test_spots_that_are_not_cut_off_show_no_ceiling(peak: float, step: int) -> None:
    for seed in range(4):
        frames = spots(peak, step=step, seed=seed)
        assert plateau_adu(frames.max(axis=0)) is None


def test_a_few_hot_pixels_are_no_ceiling_and_hide_none() -> None:
    frames = spots(3000)
    frames[:, 3, 4] = 65535
    assert plateau_adu(frames.max(axis=0)) is None
    full = spots(9000, 4095)
    full[:, 3, 4] = 65535
    counter = SaturationCounter((48, 48))
    counter.add(full)
    assert counter.plateau_adu == 4095
    assert counter.n_saturated == np.count_nonzero(full == 4095)


def test_even_light_whose_noise_reaches_the_ceiling_shows_it() -> None:
    random = np.random.default_rng(3)
    light = np.minimum(random.poisson(3960, (50, 40, 40)), 4095).astype(np.uint16)
    assert plateau_adu(light.max(axis=0)) == 4095
    dim = random.poisson(1000, (50, 40, 40)).astype(np.uint16)
    assert plateau_adu(dim.max(axis=0)) is None


def test_a_constant_or_dark_movie_shows_no_ceiling() -> None:
    assert plateau_adu(np.full((16, 16), 65535, dtype=np.uint16)) is None
    for mean in (0.02, 0.2, 2.0):
        dark = np.random.default_rng(4).poisson(mean, (30, 32, 32)) + 3
        assert plateau_adu(dark.astype(np.uint16).max(axis=0)) is None
