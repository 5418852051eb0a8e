"""Figures against what precision and sampling let expect: FRC of sites, and NeNA of a run."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq

from rtsmlm.analysis.nena import RunningNena, nena_nm
from rtsmlm.analysis.resolution import ResolutionMeter
from rtsmlm.localizations import Localizations

SIDE_NM = 10_000.0
N_FRAMES = 20_000


def _visits(
    rng: np.random.Generator, n_sites: int, visits: float, on_frames: float, std_nm: float
) -> Localizations:
    """Sites anywhere, each visited so often at random times, and on for some frames each time."""
    site = rng.integers(0, n_sites, rng.poisson(n_sites * visits))
    length = rng.geometric(1 / on_frames, len(site))
    since = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    frame = np.repeat(rng.integers(0, N_FRAMES, len(site)), length) + since
    places = rng.uniform(0, SIDE_NM, (n_sites, 2))[np.repeat(site, length)]
    x, y = (places + rng.normal(0, std_nm, places.shape)).T
    order = np.argsort(frame, kind="stable")
    return Localizations.from_columns({"frame": frame[order], "x_nm": x[order], "y_nm": y[order]})


def _expected_nm(visits: float, on_frames: float, std_nm: float) -> float:
    """Return one over the frequency where the expectation of the correlation is 1/7.

    In each image a site has half of its visits. Sites are points, so that the signal is the square
    of their localizations, times what the precision leaves of it at a frequency; the noise is that
    of visits, whose localizations lie at one place. The correlation is 1/7 where the signal is a
    sixth of the noise (Nieuwenhuizen et al. 2013).
    """
    per_image = visits / 2
    pairs = 2 * (1 - 1 / on_frames) * on_frames**2  # of localizations of one visit, on average

    def above(q: float) -> float:
        left = math.exp(-4 * math.pi**2 * std_nm**2 * q**2)
        signal = (per_image * on_frames) ** 2 * left
        noise = per_image * (on_frames + pairs * left)
        return signal - noise / 6

    return 1 / float(brentq(above, 1e-6, 1.0))


@pytest.mark.parametrize(
    ("visits", "on_frames", "std_nm"),
    [(6.0, 1.0, 8.0), (40.0, 1.0, 8.0), (20.0, 1.0, 15.0), (10.0, 3.0, 8.0), (30.0, 4.0, 12.0)],
)
def test_the_correlation_is_within_a_tenth_of_what_precision_and_sampling_let_expect(
    rng: np.random.Generator, visits: float, on_frames: float, std_nm: float
) -> None:
    meter = ResolutionMeter((100, 100), SIDE_NM / 100)
    meter.add(_visits(rng, 4000, visits, on_frames, std_nm))
    expected = _expected_nm(visits, on_frames, std_nm)
    assert meter.resolution_nm() == pytest.approx(expected, rel=0.10)


def _parts(rows: Localizations, size: int) -> list[Localizations]:
    return [rows.take(slice(k, k + size)) for k in range(0, len(rows), size)]


@pytest.mark.parametrize("std_nm", [5.0, 12.0])
@pytest.mark.parametrize("size", [97, 5000])
def test_nena_of_a_run_is_the_precision_however_the_rows_come(
    rng: np.random.Generator, std_nm: float, size: int
) -> None:
    rows = _visits(rng, 2000, 4.0, 3.0, std_nm)
    running = RunningNena()
    for part in _parts(rows, size):  # cuts frames in two
        running.add(part)
    assert running.value_nm() == pytest.approx(std_nm, rel=0.05)
    assert running.value_nm() == pytest.approx(nena_nm(rows), rel=0.02)


def test_nena_of_a_run_forgets_what_is_long_ago(rng: np.random.Generator) -> None:
    sharp, blurred = (_visits(rng, 2000, 4.0, 3.0, std_nm) for std_nm in (5.0, 15.0))
    running = RunningNena(rows=10_000)
    for part in _parts(sharp, 1000) + _parts(blurred, 1000):
        running.add(part)
    assert running.value_nm() == pytest.approx(15.0, rel=0.1)


def test_nena_of_a_run_is_not_known_where_nothing_repeats(rng: np.random.Generator) -> None:
    running = RunningNena()
    assert math.isnan(running.value_nm())
    running.add(Localizations.empty())
    running.add(_visits(rng, 40_000, 1.0, 1.0, 10.0))
    assert math.isnan(running.value_nm())


def test_the_figures_of_a_run_hold_the_precision_beside_the_resolution(
    rng: np.random.Generator,
) -> None:
    rows = _visits(rng, 4000, 6.0, 3.0, 9.0)
    watched, plain = (
        ResolutionMeter((100, 100), SIDE_NM / 100, repeats=repeats) for repeats in (True, False)
    )
    for meter in (watched, plain):
        meter.add(rows)
    assert watched.figures().nena_nm == pytest.approx(9.0, rel=0.05)
    assert watched.figures().frc_nm == plain.figures().frc_nm
    assert math.isnan(plain.figures().nena_nm)
