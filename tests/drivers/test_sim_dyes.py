"""Dyes behind a grating, and dyes whose spots are as wide as their light is red."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.drivers.simulated.microscope import SimMicroscope
from rtsmlm.drivers.simulated.optics import DyePsfs, make_psf
from rtsmlm.drivers.simulated.settings import MicroscopeSettings
from rtsmlm.drivers.simulated.spectral import (
    REFERENCE_NM,
    SPOT_SHARE,
    draw_spectral,
    spectral_views,
)
from rtsmlm.drivers.simulated.truth import FrameTruth
from rtsmlm.errors import ConfigError
from rtsmlm.physics.psf import GaussianPsf
from rtsmlm.physics.spectra import DYES, Grating
from rtsmlm.settings.load import load, packaged

GRATING = MicroscopeSettings(
    width=200, height=48, views=2, dispersion_nm_per_px=5.0, emission="AF647",
    second_emission="CF680",
)  # fmt: skip


def one_emitter(dye: int, x_px: float = 45.0, y_px: float = 22.0) -> FrameTruth:
    """Return the truth of a frame with one emitter of 10 000 photons."""
    at = np.array([x_px, y_px]) * 100.0
    return FrameTruth(
        frame=0, emitter=np.zeros(1, np.int64), x_nm=at[:1], y_nm=at[1:], z_nm=np.zeros(1),
        photons=np.array([1e4]), background=np.zeros(1), drift_nm=np.zeros(3),
        dye=np.array([dye], np.uint8),
    )  # fmt: skip


def test_a_spot_and_its_spectrum_share_the_light_of_an_emitter() -> None:
    dark = np.zeros((48, 100), dtype=np.float32)
    image = draw_spectral(GRATING, GaussianPsf(1.3), dark, one_emitter(0))
    assert image[:, :100].sum() == pytest.approx(1e4 * SPOT_SHARE, rel=1e-3)
    assert image[:, 100:].sum() == pytest.approx(1e4 * (1 - SPOT_SHARE), rel=1e-3)


def test_the_spectrum_of_a_redder_dye_lies_as_far_along_as_its_mean_wavelength() -> None:
    centers = []
    for dye in (0, 1):
        dark = np.zeros((48, 100), dtype=np.float32)
        image = draw_spectral(GRATING, GaussianPsf(1.3), dark, one_emitter(dye))[:, 100:]
        centers.append(float((image.sum(axis=0) @ np.arange(100.0)) / image.sum()))
    apart_nm = DYES["CF680"].mean_nm() - DYES["AF647"].mean_nm()
    assert 5.0 * (centers[1] - centers[0]) == pytest.approx(apart_nm, abs=0.7)
    reference = spectral_views(GRATING)[1].from_first(np.array([[45.0, 22.0]]))[0]
    assert centers[0] - reference[0] == pytest.approx(
        (DYES["AF647"].mean_nm() - 690.0) / 5.0, abs=0.2
    )


def test_one_view_shows_two_dyes_only_by_the_shape_of_their_spots() -> None:
    with pytest.raises(ConfigError, match="PSF"):
        MicroscopeSettings(second_emission="AF647", emission="mEos3.2")
    settings = MicroscopeSettings(
        width=64, height=64, psf="dyes", na=1.4, emission="mEos3.2", second_emission="AF647",
        depth_nm=100.0, focus_nm=-50.0,
    )  # fmt: skip
    psf = make_psf(settings)
    assert isinstance(psf, DyePsfs)
    peaks = []
    for one in psf.each:
        image = np.zeros((31, 31), dtype=np.float32)
        one.render(image, np.array([15.0]), np.array([15.0]), np.zeros(1), np.ones(1))
        peaks.append(float(image.max()))
    assert peaks[0] > 1.15 * peaks[1]


def test_a_focal_plane_below_the_sample_puts_all_emitters_on_one_side() -> None:
    settings = MicroscopeSettings(
        width=64, height=64, depth_nm=400.0, focus_nm=-200.0, all_on=True, emitter_count=200
    )
    microscope = SimMicroscope(settings)
    microscope.frames(1)
    z_nm = microscope.emitters_in(0).z_nm
    assert z_nm.min() >= 0.0
    assert z_nm.max() > 300.0


def test_the_configuration_states_the_views_of_its_simulation() -> None:
    settings = load(packaged("sim_spectral.toml"))
    simulated = spectral_views(
        MicroscopeSettings(width=320, height=256, views=2, dispersion_nm_per_px=5.0)
    )
    assert settings.channels.layout() == simulated
    assert settings.spectrum.dispersion() == Grating(5.0, REFERENCE_NM)
