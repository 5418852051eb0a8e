"""Spectra: light that is divided is not lost, and falls where its wavelength says."""

from itertools import pairwise

import numpy as np
import pytest

from rtsmlm.physics.spectra import (
    DYES,
    Dispersion,
    Grating,
    Prism,
    Spectrum,
    band_fraction,
    dichroic,
    split_fractions,
)


def test_bands_that_follow_each_other_hold_all_the_light_of_a_dye() -> None:
    for spectrum in DYES.values():
        edges = [400.0, 583.0, 661.3, 690.0, 1000.0]
        parts = [band_fraction(spectrum, low, high) for low, high in pairwise(edges)]
        assert sum(parts) == pytest.approx(1.0, abs=1e-9)
    assert band_fraction(DYES["AF647"], 700.0, 650.0) == 0.0


def test_dyes_are_ordered_by_the_wavelength_of_their_photons() -> None:
    names = ("mEos3.2", "AF647", "CF660C", "CF680", "AF700")
    means = [DYES[name].mean_nm() for name in names]
    assert means == sorted(means)
    peaks = [DYES[name].wavelength_nm[DYES[name].density.argmax()] for name in names]
    assert peaks == [580.0, 670.0, 680.0, 695.0, 720.0]


def test_a_mirror_sends_more_of_a_redder_dye_onwards_and_loses_nothing() -> None:
    mirror = dichroic(690.0, 10.0)
    assert mirror(690.0) == pytest.approx(0.5)
    assert mirror(695.0) - mirror(685.0) == pytest.approx(0.8)
    blue, red = (split_fractions(DYES[name], mirror) for name in ("AF647", "CF680"))
    assert red[1] > blue[1] + 0.2
    assert sum(blue) == pytest.approx(1.0)
    passed = DYES["AF647"].through(mirror)
    assert passed.mean_nm() > DYES["AF647"].mean_nm() + 10.0


def test_a_dye_moved_by_ten_nanometres_has_photons_ten_nanometres_longer() -> None:
    dye = DYES["CF660C"]
    assert dye.moved(10.0).mean_nm() == pytest.approx(dye.mean_nm() + 10.0, abs=1e-6)


@pytest.mark.parametrize("disperser", [Grating(4.0), Prism(4.0)])
def test_the_place_of_light_gives_its_wavelength_back(disperser: Dispersion) -> None:
    nm = np.linspace(560.0, 820.0, 27)
    place = disperser.displacement_px(nm)
    assert np.all(np.diff(place) > 0.0)
    np.testing.assert_allclose(disperser.wavelength_nm(place), nm)
    step = disperser.displacement_px(690.5) - disperser.displacement_px(689.5)
    assert step == pytest.approx(0.25, rel=1e-3)


def test_a_prism_spreads_short_wavelengths_wider_than_long_ones() -> None:
    place = Prism(4.0).displacement_px([580.0, 590.0, 780.0, 790.0])
    assert place[1] - place[0] > 2.0 * (place[3] - place[2])
    assert np.isnan(Prism(4.0).wavelength_nm(1000.0))


def test_a_spectrum_without_light_or_order_is_refused() -> None:
    with pytest.raises(ValueError, match="must rise"):
        Spectrum(np.array([600.0, 590.0]), np.ones(2))
    with pytest.raises(ValueError, match="not all 0"):
        Spectrum(np.array([590.0, 600.0]), np.zeros(2))
