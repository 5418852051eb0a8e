"""The simulated microscope with two dyes in one view, through a mask that tells them apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtsmlm.drivers.simulated.microscope import SimMicroscope
from rtsmlm.drivers.simulated.optics import DyePsfs, make_psf
from rtsmlm.drivers.simulated.settings import MicroscopeSettings
from rtsmlm.physics.phase_masks import load_mask
from rtsmlm.physics.pupil import Optics
from rtsmlm.settings.load import load, packaged


@pytest.fixture
def settings(tmp_path: Path) -> MicroscopeSettings:
    """Return a small microscope whose mask is two radians of astigmatism."""
    axis = (np.arange(64) - 31.5) / 32.0
    u, v = np.meshgrid(axis, axis)
    np.save(tmp_path / "mask.npy", 4.0 * (u**2 - v**2))
    return MicroscopeSettings(
        width=32, height=32, pixel_nm=110.0, na=1.45, wavelength_nm=650.0, depth_nm=100.0,
        psf="colour-mask", psf_file=str(tmp_path / "mask.npy"), emission="mEos3.2",
        second_emission="AF647", emitter_count=60, all_on=True,
    )  # fmt: skip


def test_each_dye_has_a_spot_of_its_own_shape_and_all_of_its_light(
    settings: MicroscopeSettings,
) -> None:
    psf = make_psf(settings)
    assert isinstance(psf, DyePsfs)
    places = (np.array([16.0]), np.array([15.0]), np.zeros(1))
    spots = []
    for dye in (0, 1):
        spot = np.zeros((32, 32), dtype=np.float32)
        psf.render_dyes(spot, places, np.array([1000.0]), np.array([dye], dtype=np.uint8))
        assert spot.sum() == pytest.approx(1000.0, rel=0.01)
        spots.append(spot)

    assert np.abs(spots[0] - spots[1]).sum() > 60.0
    # Shorter waves meet more radians of the mask, and their focused spots are smaller.
    assert spots[0].max() != pytest.approx(spots[1].max(), rel=0.02)


def test_frames_have_emitters_of_both_dyes(settings: MicroscopeSettings) -> None:
    microscope = SimMicroscope(settings)

    frames = microscope.frames(2)

    assert set(np.unique(microscope.emitters_in(0).channel)) == {0, 1}
    assert frames.max() > 120


def test_the_packaged_configuration_names_the_dyes_of_its_network() -> None:
    wanted = load(packaged("sim_colour_mask.toml"))

    assert wanted.localizer.name == "hershko"
    assert wanted.channels.names == ("mEos3.2", "AF647")


def test_a_mask_has_more_radians_for_shorter_waves(settings: MicroscopeSettings) -> None:
    mask = load_mask(Path(settings.psf_file))
    optics = Optics(na=1.45, wavelength_nm=650.0, mask=mask)

    assert isinstance(optics.at(520.0).mask, np.ndarray)
    np.testing.assert_allclose(optics.at(520.0).mask, 1.25 * mask)
    assert Optics(mask="tetrapod").at(520.0).mask == "tetrapod"
