"""The settings in force hold what was found out, and nothing that the user did not leave open."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.calibration import CameraCalibration
from rtsmlm.settings.load import from_mapping
from rtsmlm.settings.resolve import resolve
from rtsmlm.settings.run import RunSettings


def test_the_calibration_of_an_open_camera_is_written_out() -> None:
    calibration = CameraCalibration(
        pixel_nm=108.0, offset_adu=99.0, e_per_adu=0.46, em_gain=1.0, read_noise_e=1.4
    )

    camera = resolve(RunSettings(), calibration=calibration).camera

    assert (camera.pixel_nm, camera.offset_adu, camera.e_per_adu) == (108.0, 99.0, 0.46)
    assert (camera.em_gain, camera.read_noise_e) == (1.0, 1.4)


def test_values_that_come_from_maps_stay_files() -> None:
    settings = from_mapping({"camera": {"maps": {"variance": "variance.npy"}}})
    calibration = CameraCalibration(
        pixel_nm=108.0, offset_adu=99.0, e_per_adu=0.46, read_noise_e=np.full((4, 4), 1.5)
    )

    camera = resolve(settings, calibration=calibration).camera

    assert camera.maps == settings.camera.maps
    assert (camera.e_per_adu, camera.read_noise_e) == (None, None)
    assert camera.offset_adu == 99.0


def test_the_width_of_the_psf_and_the_read_noise_follow_when_they_are_measured() -> None:
    settings = resolve(RunSettings(), calibration=CameraCalibration(pixel_nm=100.0))

    settings = resolve(settings, measured={"read_noise_e": 2.5})
    settings = resolve(settings, sigma_nm=131.0)

    assert settings.psf.known_sigma_nm == 131.0
    assert settings.camera.read_noise_e == 2.5
    assert settings.camera.pixel_nm == 100.0


@pytest.mark.parametrize("stated", [{}, {"psf": {"sigma_nm": 120.0}}])
def test_with_nothing_found_out_the_settings_are_what_they_were(stated: dict[str, object]) -> None:
    settings = from_mapping(stated)

    assert resolve(settings) == settings
