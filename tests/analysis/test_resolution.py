"""Fourier ring correlation finds the resolution that theory expects; NeNA finds the precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq

from rtsmlm.analysis.nena import nena_nm
from rtsmlm.analysis.resolution import ResolutionMeter, resolution_bins, ring_correlation
from rtsmlm.localizations import Localizations

SIDE_NM = 10_000.0
LINE_NM = 200_000.0
"""Length of all lines together."""


def _rows(frame: np.ndarray, x_nm: np.ndarray, y_nm: np.ndarray) -> Localizations:
    return Localizations.from_columns({"frame": frame, "x_nm": x_nm, "y_nm": y_nm})


def _lines(rng: np.random.Generator, n: int, sigma_nm: float) -> Localizations:
    """Localizations spread evenly along straight lines of any direction."""
    n_lines = 60
    angle = rng.uniform(0, np.pi, n_lines)
    line = rng.integers(0, n_lines, n)
    along = rng.uniform(-0.5, 0.5, n) * LINE_NM / n_lines
    x = rng.uniform(0, SIDE_NM, n_lines)[line] + along * np.cos(angle[line])
    y = rng.uniform(0, SIDE_NM, n_lines)[line] + along * np.sin(angle[line])
    x, y = (v % SIDE_NM + rng.normal(0, sigma_nm, n) for v in (x, y))
    return _rows(rng.integers(0, 10_000, n), x, y)


def _expected_nm(n: int, sigma_nm: float) -> float:
    """Resolution of lines of any direction, by the expectation of FRC (Nieuwenhuizen et al. 2013).

    With L localizations per nm of line in each image, a ring of frequency q holds the signal
    L² exp(-4 pi² s² q²) / (pi q) per nm of line and the noise L; their ratio is 1/6 where FRC, the
    part of signal in the sum of both, is 1/7.
    """
    per_nm = n / 2 / LINE_NM

    def above(q: float) -> float:
        return math.log(6 * per_nm / (math.pi * q)) - 4 * math.pi**2 * sigma_nm**2 * q**2

    return 1 / float(brentq(above, 1e-6, 1.0))


def _meter() -> ResolutionMeter:
    return ResolutionMeter((100, 100), SIDE_NM / 100)


@pytest.mark.parametrize("sigma_nm", [8.0, 15.0])
def test_resolution_of_lines_is_that_of_theory_and_falls_with_density(
    rng: np.random.Generator, sigma_nm: float
) -> None:
    found = []
    for n in (20_000, 80_000, 320_000):
        meter = _meter()
        meter.add(_lines(rng, n, sigma_nm))
        found.append(meter.resolution_nm())
        assert found[-1] == pytest.approx(_expected_nm(n, sigma_nm), rel=0.08)
    assert found[0] > found[1] > found[2] > 2.355 * sigma_nm


def test_it_does_not_matter_in_which_portions_rows_come(rng: np.random.Generator) -> None:
    rows = _lines(rng, 30_000, 10.0)
    at_once, in_parts = _meter(), _meter()
    at_once.add(rows)
    for start in range(0, len(rows), 777):
        in_parts.add(rows.take(slice(start, start + 777)))
    assert at_once.n_inside == in_parts.n_inside > 25_000
    assert at_once.resolution_nm() == in_parts.resolution_nm()


@pytest.mark.parametrize("n", [0, 1, 3000, 300_000])
def test_places_without_structure_never_converge(rng: np.random.Generator, n: int) -> None:
    meter = _meter()
    x, y = rng.uniform(0, SIDE_NM, (2, n))
    meter.add(_rows(rng.integers(0, 10_000, n), x, y))
    assert math.isnan(meter.resolution_nm())


def test_rows_without_a_place_and_rows_outside_are_left_out(rng: np.random.Generator) -> None:
    meter = _meter()
    places = np.array([np.nan, np.inf, -1e30, 1e30, 5000.0])
    meter.add(_rows(np.zeros(5), places, np.full(5, 5000.0)))
    meter.add(_rows(np.zeros(5), np.full(5, 5000.0), places))
    assert meter.n_inside == 2


def test_of_a_large_field_the_densest_part_is_looked_at(rng: np.random.Generator) -> None:
    rows = _lines(rng, 200_000, 8.0)
    far_nm = 52_000.0
    n = 60_000
    haze = _rows(rng.integers(0, 10_000, n), *rng.uniform(0, 100_000, (2, n)))
    meter = ResolutionMeter((1000, 1000), 100.0)
    order = rng.permutation(n + len(rows))
    moved = _rows(rows.frame, rows.x_nm + far_nm, rows.y_nm + far_nm / 2)
    together = Localizations.concatenate([haze, moved]).take(order)
    for start in range(0, len(together), 5000):
        meter.add(together.take(slice(start, start + 5000)))

    assert meter.n_inside > 0.8 * len(rows)  # a crop in the middle of the field has none of them
    assert meter.resolution_nm() == pytest.approx(_expected_nm(200_000, 8.0), rel=0.15)


def test_a_field_that_is_not_square_gives_the_same_resolution(rng: np.random.Generator) -> None:
    rows = _lines(rng, 320_000, 12.0)
    meter = ResolutionMeter((100, 40), SIDE_NM / 100)
    meter.add(rows)
    assert meter.resolution_nm() == pytest.approx(_expected_nm(320_000, 12.0), rel=0.1)


def test_a_ring_correlation_knows_equal_and_foreign_images(rng: np.random.Generator) -> None:
    one, other = rng.poisson(3.0, (2, 128, 96)).astype(np.float32)
    assert np.allclose(ring_correlation(one, one), 1.0)
    foreign = ring_correlation(one, other)
    assert len(foreign) == 65
    # Ring k has some pi k places; the mean of the outer ones scatters by less than a hundredth.
    assert abs(np.nanmean(foreign[16:48])) < 0.05
    assert np.isnan(ring_correlation(one * 0, other)).all()
    with pytest.raises(ValueError, match="no rings in common"):
        ring_correlation(one, other[:64])


def test_the_crossing_is_found_between_two_rings() -> None:
    falling = np.linspace(1.0, 0.0, 201)  # straight, so that smoothing leaves it
    assert resolution_bins(falling) == pytest.approx(400 / (200 * 6 / 7), rel=1e-6)
    assert math.isnan(resolution_bins(np.ones(201)))
    assert math.isnan(resolution_bins(np.full(201, np.nan)))


def _blinks(rng: np.random.Generator, n: int, sigma_nm: float) -> Localizations:
    """Emitters anywhere, each on for some three frames."""
    on = rng.geometric(1 / 3, n)
    frame = np.repeat(rng.integers(0, 1000, n), on) + np.concatenate([np.arange(k) for k in on])
    x, y = (np.repeat(v, on) for v in rng.uniform(0, 20_000, (2, n)))
    return _rows(frame, x + rng.normal(0, sigma_nm, len(x)), y + rng.normal(0, sigma_nm, len(x)))


@pytest.mark.parametrize("sigma_nm", [4.0, 10.0, 25.0])
@pytest.mark.parametrize("n", [1000, 40_000])
def test_nena_finds_the_precision(rng: np.random.Generator, n: int, sigma_nm: float) -> None:
    rows = _blinks(rng, n, sigma_nm)
    assert nena_nm(rows) == pytest.approx(sigma_nm, rel=0.1)


def test_nena_finds_none_where_nothing_repeats(rng: np.random.Generator) -> None:
    x, y = rng.uniform(0, 20_000, (2, 50_000))
    assert math.isnan(nena_nm(_rows(rng.integers(0, 1000, 50_000), x, y)))
    assert math.isnan(nena_nm(Localizations.empty()))
