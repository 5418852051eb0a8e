"""The score test of a spot's second moments: one emitter, two, and what else is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from rtsmlm.fitting import boxes
from rtsmlm.fitting.gaussian_mle import fit_gaussian_mle
from rtsmlm.fitting.spot_shape import shape_misfits
from rtsmlm.physics.gaussian import render_spots

BOX, N = 9, 3000
MIDDLE = 4.0


def misfits(
    rng: np.random.Generator,
    apart_px: float = 0.0,
    sigma_px: float = 1.3,
    excess: int = 1,
    read_variance: float = 0.0,
) -> np.ndarray:
    """Of N spots of 3000 photons on 20; two emitters share them where they lie apart."""
    light = np.empty((N, BOX, BOX), np.float32)
    for spot in light:
        angle = rng.uniform(0, np.pi)
        x, y = MIDDLE + rng.uniform(-0.5, 0.5, 2)
        step = 0.5 * apart_px * np.array([-1, 1])
        places = x + step * np.cos(angle), y + step * np.sin(angle)
        mean = render_spots((BOX, BOX), *places, np.full(2, 1500.0), sigma_px, 20.0)
        spot[:] = (
            rng.poisson(mean) if excess == 1 else rng.gamma(np.maximum(rng.poisson(mean), 1e-9))
        )
    light += rng.normal(0.0, np.sqrt(read_variance), light.shape).astype(np.float32)
    variance = np.full_like(light, read_variance)
    rows = boxes.fit_table(N)
    start = np.full(N, MIDDLE, np.float32)
    fit_gaussian_mle(light, variance, start, start, 1.3, False, float(excess), 15, rows)
    found = np.empty(N)
    widths_px = (1.3, 1.3)
    shape_misfits(light, variance, rows, widths_px, float(excess), found, np.zeros((len(rows), 3)))
    return found


@pytest.mark.parametrize(("excess", "read_variance"), [(1, 0.0), (1, 30.0), (2, 0.0)])
def test_single_emitters_misfit_as_chi2_of_three_degrees_of_freedom(
    rng: np.random.Generator, excess: int, read_variance: float
) -> None:
    found = misfits(rng, excess=excess, read_variance=read_variance)

    # 3000 spots know the mean to 0.045 and the share beyond 9 (2.9 %) to 0.3 %.
    assert found.mean() == pytest.approx(3.0, abs=0.25)
    assert np.mean(found > 9.0) == pytest.approx(stats.chi2.sf(9.0, 3), abs=0.012)


def test_two_emitters_within_a_width_are_seen_by_the_shape_where_the_goodness_of_fit_is_blind(
    rng: np.random.Generator,
) -> None:
    found = misfits(rng, apart_px=1.5)

    assert np.mean(found > 9.0) > 0.97


def test_a_wider_spot_than_the_psf_misfits(rng: np.random.Generator) -> None:
    assert np.median(misfits(rng, sigma_px=1.5)) > 9.0 > np.median(misfits(rng))
