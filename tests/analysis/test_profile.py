"""Distances and widths that are known: the fit finds them within its own errors."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from rtsmlm.analysis.measurement import csv_text, write_csv
from rtsmlm.analysis.profile import FWHM_PER_STD, Line, fit_peak, line_profile
from rtsmlm.errors import SinkError


def filament(
    rng: np.random.Generator, fwhm_nm: float, n: int, ground: int = 0, angle_deg: float = 30.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return positions of a straight filament through (5000, 3000), and an even ground around."""
    along, across = rng.uniform(-600, 600, n), rng.normal(0, fwhm_nm / FWHM_PER_STD, n)
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    x, y = along * c - across * s, along * s + across * c
    more = rng.uniform(-600, 600, (2, ground))
    return np.append(x, more[0]) + 5000, np.append(y, more[1]) + 3000


def line_across(angle_deg: float = 30.0, reach_nm: float = 300.0) -> Line:
    """Return the line at right angles to that filament."""
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    return Line(5000 + reach_nm * s, 3000 - reach_nm * c, 5000 - reach_nm * s, 3000 + reach_nm * c)


def test_a_line_of_3_4_5_is_as_long_as_known_and_its_angle_is_that_on_the_screen() -> None:
    line = Line(100, 900, 400, 500)

    assert line.length_nm == pytest.approx(500)
    assert line.angle_deg == pytest.approx(53.1301, abs=1e-3)
    assert line.measurement().get("distance") == pytest.approx(500)


@pytest.mark.parametrize(
    ("fwhm_nm", "n", "ground"), [(20, 400, 0), (40, 3000, 4000), (90, 900, 500)]
)
def test_the_width_of_a_drawn_filament_is_found_within_its_error(
    rng: np.random.Generator, fwhm_nm: float, n: int, ground: int
) -> None:
    x, y = filament(rng, fwhm_nm, n, ground)

    profile = line_profile(x, y, line_across(), width_nm=400)

    assert profile.fit is not None
    assert abs(profile.fit.fwhm_nm - fwhm_nm) < 3.5 * profile.fit.fwhm_error_nm
    assert profile.fit.fwhm_error_nm < 0.1 * fwhm_nm
    assert abs(profile.fit.centre_nm - 300) < 4 * profile.fit.centre_error_nm


def test_the_stated_error_is_the_spread_of_repeated_fits(rng: np.random.Generator) -> None:
    fits = [
        fit_peak(np.append(rng.normal(100, 15, 150), rng.uniform(0, 200, 100)).clip(0, 200), 200)[0]
        for _ in range(60)
    ]

    widths = np.array([fit.fwhm_nm for fit in fits if fit is not None])
    stated = np.median([fit.fwhm_error_nm for fit in fits if fit is not None])
    assert len(widths) == 60
    assert 0.7 < widths.std() / stated < 1.4
    assert abs(widths.mean() - 15 * FWHM_PER_STD) < 4 * stated / math.sqrt(60)


def test_a_peak_that_the_end_of_the_line_cuts_is_not_taken_for_narrow(
    rng: np.random.Generator,
) -> None:
    at = rng.normal(20, 20, 4000)

    fit, _ = fit_peak(at[(at >= 0) & (at <= 300)], 300)

    assert fit is not None
    assert abs(fit.fwhm_nm - 20 * FWHM_PER_STD) < 4 * fit.fwhm_error_nm


def test_a_profile_counts_what_lies_in_its_strip_and_nothing_else() -> None:
    x = np.array([10.0, 50.0, 90.0, 50.0, 50.0, -5.0, 105.0])
    y = np.array([0.0, 4.9, -4.9, 5.1, -5.1, 0.0, 0.0])

    profile = line_profile(x, y, Line(0, 0, 100, 0), width_nm=10)

    assert profile.n_rows == 3
    assert profile.counts.sum() == 3


def test_the_fitted_curve_adds_up_to_the_counts(rng: np.random.Generator) -> None:
    x, y = filament(rng, 40, 2000, 2000)

    profile = line_profile(x, y, line_across(), width_nm=400)

    assert profile.fit is not None
    assert profile.fit.expected(profile.edges_nm).sum() == pytest.approx(profile.n_rows, rel=0.01)


def test_without_a_peak_a_sentence_stands_for_the_width(rng: np.random.Generator) -> None:
    few, why_few = fit_peak(rng.uniform(0, 100, 5), 100)
    even, why_even = fit_peak(np.linspace(0.5, 99.5, 100), 100)

    assert few is None
    assert "too few" in why_few
    assert even is None
    assert "draw" in why_even


def test_a_line_of_no_length_is_no_error() -> None:
    profile = line_profile(np.zeros(20), np.zeros(20), Line(0, 0, 0, 0), 10.0)

    assert profile.fit is None
    assert profile.why_no_fit


def test_measurements_become_a_table_with_units(tmp_path: Path) -> None:
    found = [Line(0, 0, 30, 40).measurement(), Line(0, 0, 0, 1000).measurement()]

    write_csv(tmp_path / "m.csv", found)

    lines = (tmp_path / "m.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "measurement,kind,quantity,value,unit"
    assert lines[1] == "1,distance,distance,50,nm"
    assert "2,distance,distance,1000,nm" in lines
    assert csv_text(found, "\t").splitlines()[1].split("\t")[3] == "50"
    with pytest.raises(SinkError, match="cannot write"):
        write_csv(tmp_path / "none" / "m.csv", found)
