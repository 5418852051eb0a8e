"""Gaussian beams: how much light is where."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsmlm.physics.illumination import beam_profile, peak_irradiance_w_cm2

widths_um = st.floats(1.0, 200.0)
places_nm = st.floats(-50_000.0, 50_000.0)


def test_a_milliwatt_in_ten_micrometres_is_nearly_a_kilowatt_per_square_centimetre() -> None:
    assert peak_irradiance_w_cm2(1.0, 10.0) == pytest.approx(882.5, rel=1e-3)


@given(st.floats(0.0, 500.0), widths_um, st.floats(0.1, 10.0))
def test_irradiance_grows_with_the_power_and_falls_with_the_area(
    power_mw: float, fwhm_um: float, factor: float
) -> None:
    before = peak_irradiance_w_cm2(power_mw, fwhm_um)

    assert peak_irradiance_w_cm2(factor * power_mw, fwhm_um) == pytest.approx(factor * before)
    assert peak_irradiance_w_cm2(power_mw, factor * fwhm_um) == pytest.approx(before / factor**2)


@given(widths_um, places_nm, places_nm, st.floats(0.0, 2 * math.pi))
def test_half_of_the_peak_is_left_half_a_width_away_in_every_direction(
    fwhm_um: float, x_nm: float, y_nm: float, angle: float
) -> None:
    radius_nm = 500.0 * fwhm_um
    x = np.array([x_nm, x_nm + radius_nm * math.cos(angle)])
    y = np.array([y_nm, y_nm + radius_nm * math.sin(angle)])

    centre, edge = beam_profile(x, y, (x_nm, y_nm), fwhm_um)

    assert centre == 1.0
    assert edge == pytest.approx(0.5, rel=1e-6)


def test_half_of_the_power_lies_within_the_full_width() -> None:
    step_nm = 100.0
    axis_nm = np.arange(-40_000.0, 40_000.0 + step_nm, step_nm)
    x_nm, y_nm = np.meshgrid(axis_nm, axis_nm)

    profile = beam_profile(x_nm, y_nm, (0.0, 0.0), 20.0)

    inside = np.hypot(x_nm, y_nm) <= 10_000.0
    assert profile[inside].sum() / profile.sum() == pytest.approx(0.5, abs=2e-3)


def test_the_profile_has_the_shape_of_the_places_it_is_asked_for() -> None:
    rows, columns = np.indices((3, 5)) * 100.0

    assert beam_profile(columns, rows, (200.0, 100.0), 1.0).shape == (3, 5)
    assert beam_profile(0.0, 0.0, (0.0, 0.0), 1.0).shape == ()
