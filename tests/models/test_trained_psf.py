"""A network that was trained for one PSF says so where the camera shows another one."""

from __future__ import annotations

import pytest

from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.selection import LOCALIZING
from rtsmlm.errors import CalibrationError
from rtsmlm.models.catalog import find_model, model_folders
from rtsmlm.models.manifest import read_manifest
from rtsmlm.models.trained_psf import check_pixel, pixel_note, trained_spot_px
from rtsmlm.pipeline.localizer import localizer_note
from rtsmlm.settings.load import load

TETRAPOD = read_manifest(find_model("deepstorm3d"))


def camera(pixel_nm: float) -> CameraCalibration:
    return CameraCalibration(pixel_nm=pixel_nm)


@pytest.mark.parametrize("name", model_folders())
def test_every_network_for_one_psf_states_its_pixel_and_its_spots(name: str) -> None:
    manifest = read_manifest(find_model(name))
    knows_psf = manifest.z_range_nm is not None or bool(manifest.colours)
    sees_spots = manifest.task == "box-classes" and manifest.inputs[0].name == "photons"
    is_for_one = (knows_psf and manifest.task in LOCALIZING) or sees_spots
    assert (manifest.pixel_nm is not None) == is_for_one
    assert (trained_spot_px(name) is not None) == is_for_one


def test_the_pixel_of_the_training_is_nothing_to_speak_of() -> None:
    assert pixel_note(TETRAPOD, camera(110.0)) == ""
    assert pixel_note(TETRAPOD, camera(111.0)) == ""
    check_pixel(TETRAPOD, camera(118.0), "set localizer.name to gaussian-mle")


def test_a_pixel_that_is_a_little_off_is_one_sentence_for_a_run() -> None:
    settings = load(None, ["localizer.name=deepstorm3d"])
    note = localizer_note(settings, camera(118.0), 150.0)
    assert "trained for pixels of 110 nm" in note
    assert "118 nm, 7 % away" in note
    assert not localizer_note(settings, camera(110.0), 150.0)
    assert not localizer_note(load(None, ["localizer.name=gaussian-mle"]), camera(160.0), 150.0)


@pytest.mark.parametrize("pixel_nm", [90.0, 160.0])
def test_a_pixel_that_is_far_off_is_refused_with_what_to_do(pixel_nm: float) -> None:
    with pytest.raises(CalibrationError, match=r"set localizer\.name to gaussian-mle"):
        check_pixel(TETRAPOD, camera(pixel_nm), "set localizer.name to gaussian-mle")


def test_a_localizer_that_takes_the_psf_in_force_has_no_spots_of_its_own() -> None:
    for name in ("flagship-2d", "gaussian-mle", "auto", "no-such-model"):
        assert trained_spot_px(name) is None
