"""Ellipticity and halo of a PSF, by lone spots; neither is found where there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtsmlm.fitting.round_psf import RoundShape, measure_round_shape
from rtsmlm.fitting.widths import integrals

SIGMA_PX, SHAPE = 1.3, (120, 120)
ZERO = np.zeros(SHAPE, np.float32)


def drawn(
    rng: np.random.Generator,
    n_frames: int,
    *,
    ellipticity: float = 1.0,
    halo: float = 0.0,
    wide: float = 3.0,
    n_spots: int = 7,
) -> np.ndarray:
    """Return frames of spots of 1000 to 4000 photons on 20, some of them near each other."""
    frames = np.full((n_frames, *SHAPE), 20.0)
    root = math.sqrt(ellipticity)
    for frame in frames:
        center = rng.uniform(0, SHAPE[0] - 1, (n_spots, 2))
        light = rng.uniform(1000, 4000, n_spots)
        for share, factor in ((1 - halo, 1.0), (halo, wide)):
            sigma = np.full(n_spots, factor * SIGMA_PX)
            along_x = integrals(center[:, 0], sigma * root, SHAPE[1])[0]
            along_y = integrals(center[:, 1], sigma / root, SHAPE[0])[0]
            frame += np.einsum("n,ny,nx->yx", share * light, along_y, along_x)
    return rng.poisson(frames).astype(np.float32)


def measured(frames: np.ndarray) -> RoundShape:
    return measure_round_shape(frames, ZERO, SIGMA_PX)


def test_the_ellipticity_is_found_within_its_error_and_two_per_cent(
    rng: np.random.Generator,
) -> None:
    shape = measured(drawn(rng, 40, ellipticity=1.15))

    assert shape.ellipticity == pytest.approx(1.15, abs=min(4 * shape.ellipticity_std, 0.02))
    assert shape.sigma_px == pytest.approx(SIGMA_PX, rel=0.01)


@pytest.mark.parametrize("n_spots", [4, 20])
def test_a_round_psf_without_a_halo_is_found_as_such_also_where_spots_are_many(
    rng: np.random.Generator, n_spots: int
) -> None:
    shape = measured(drawn(rng, 40, n_spots=n_spots))

    assert shape.ellipticity == pytest.approx(1.0, abs=4 * shape.ellipticity_std)
    assert abs(shape.halo) < 4 * shape.halo_std < 0.03


@pytest.mark.parametrize("wide", [2.5, 3.0])
def test_of_a_halo_most_that_a_fit_does_not_see_is_found(
    rng: np.random.Generator, wide: float
) -> None:
    """Of 15 % in a ring of 2.5 and 3 widths a fit in its box does not see 13 and 14 %."""
    shape = measured(drawn(rng, 60, halo=0.15, wide=wide, n_spots=5))

    assert 0.08 < shape.halo < 0.15
    assert shape.halo > 4 * shape.halo_std


def test_few_spots_tell_nothing(rng: np.random.Generator) -> None:
    shape = measured(drawn(rng, 5, ellipticity=1.5, n_spots=4))

    assert math.isnan(shape.ellipticity)
    assert math.isnan(shape.halo)
    assert math.isnan(shape.sigma_px)


def test_excess_noise_of_an_emccd_changes_neither(rng: np.random.Generator) -> None:
    frames = drawn(rng, 60, ellipticity=1.15)
    amplified = rng.gamma(np.maximum(frames, 1e-6)).astype(np.float32)

    shape = measure_round_shape(amplified, ZERO, SIGMA_PX, excess_noise=2.0)

    assert shape.ellipticity == pytest.approx(1.15, abs=min(4 * shape.ellipticity_std, 0.03))
    assert abs(shape.halo) < max(4 * shape.halo_std, 0.03)


def test_a_pair_that_shines_all_the_time_says_nothing_of_the_psf(
    rng: np.random.Generator,
) -> None:
    """Twelve pairs in each of 60 frames are 720 elongated spots, at twelve places."""
    frame = np.full(SHAPE, 20.0)
    for row in (20, 45, 70, 95):
        for column in (20, 60, 100):
            for step in (-0.5, 0.5):
                center = np.array([column + step]), np.array([float(row)])
                along_x, along_y = (integrals(c, np.array([SIGMA_PX]), 120)[0] for c in center)
                frame += 2000 * np.outer(along_y, along_x)

    shape = measured(rng.poisson(np.stack([frame] * 60)).astype(np.float32))

    assert math.isnan(shape.ellipticity)
    assert math.isnan(shape.halo)
