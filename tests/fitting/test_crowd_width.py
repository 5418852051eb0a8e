"""The width of the PSF is measured in each frame, and taken where it is surely not that stated."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.fitting import crowd_island as crowds
from rtsmlm.fitting.crowd_pairs import Rules
from rtsmlm.fitting.crowd_tiles import TILE_PX, fit_crowds
from rtsmlm.fitting.crowd_width import LEAST_MEASURED, MOST_MEASURED, measured_width
from rtsmlm.physics.gaussian import render_spots

STATED = (1.3, 1.3)


def measured(rng: np.random.Generator, n: int, excess: float, scatter: float) -> np.ndarray:
    values = np.zeros(1 + MOST_MEASURED)
    values[0] = n
    values[1 : 1 + n] = rng.normal(excess, scatter, n)
    return values


def test_a_width_that_is_not_surely_another_stays(rng: np.random.Generator) -> None:
    n_same = sum(
        measured_width(STATED, measured(rng, MOST_MEASURED, 0.0, 0.3)) == STATED for _ in range(500)
    )

    # The median of so few values is about normal: 2.5 deviations are passed in one of eighty.
    assert n_same >= 470


@pytest.mark.parametrize("excess", [-0.3, 0.2, 0.4])
def test_a_width_that_surely_is_another_is_taken(rng: np.random.Generator, excess: float) -> None:
    few = measured(rng, LEAST_MEASURED - 1, excess, 0.05)
    enough = measured(rng, MOST_MEASURED, excess, 0.05)

    assert measured_width(STATED, few) == STATED
    assert measured_width(STATED, enough)[0] == pytest.approx(np.sqrt(1.69 + excess), rel=0.02)


def test_the_ellipse_of_the_psf_keeps_its_form(rng: np.random.Generator) -> None:
    wide, high = measured_width((1.5, 1.2), measured(rng, MOST_MEASURED, 0.5, 0.05))

    assert wide > 1.5
    assert wide / high == pytest.approx(1.25)


@pytest.mark.parametrize("side_px", [96, 2 * TILE_PX])
@pytest.mark.parametrize("scale", [0.92, 1.0, 1.08])
def test_photons_in_are_photons_out_whatever_width_was_stated(
    rng: np.random.Generator, side_px: int, scale: float
) -> None:
    """In one tile the fit goes on from what was measured in it; of several one is first."""
    photons, background = 3000.0, 15.0
    n = round(0.006 * side_px**2)
    x, y = rng.uniform(0, side_px, (2, n))
    width = scale * STATED[0]
    mean = render_spots((side_px, side_px), x, y, np.full(n, photons), width, background)
    frames = (rng.poisson(mean)[None] + 100).astype(np.uint16)
    frames.flags.writeable = False
    rows = np.zeros((n, crowds.STD_PHOTONS + 1))
    rows[:, 0], rows[:, 1] = x + rng.normal(0.0, 0.1, n), y + rng.normal(0.0, 0.1, n)
    rows[:, crowds.PHOTONS], rows[:, crowds.BACKGROUND] = photons, background
    order = np.argsort(rows[:, 1])
    one = np.ones((side_px, side_px), np.float32)

    fits = fit_crowds(
        frames, (100.0 * one, one, 0.0 * one), np.zeros(n, np.int32), rows[order].copy(),
        np.ones(n, np.bool_), STATED, 1.0, Rules(),
    )  # fmt: skip

    away = np.hypot(fits[:n, 0] - x[order], fits[:n, 1] - y[order])
    assert np.all(fits[:n, crowds.IS_FITTED] >= 0.0)
    assert np.median(fits[:n, crowds.PHOTONS]) == pytest.approx(photons, rel=0.02)
    assert 0.8 < np.median(fits[:n, crowds.CHI2]) < 1.05, "the spots are drawn as they are"
    assert np.median(away) < 0.06
    # Crowds are not split because their width was stated wrongly.
    assert len(fits) - n < 0.03 * n
