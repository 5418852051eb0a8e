"""The five numbers of a calibration: those that no camera has are refused, or not stated."""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest

from rtsmlm.calibration import CameraCalibration, StatedCalibration
from rtsmlm.errors import CalibrationError
from rtsmlm.files.camera_maps import resolve_calibration, what_was_assumed
from rtsmlm.settings.camera import CameraSettings

NAMES = [
    f.name
    for f in fields(CameraCalibration)
    if f.name not in ("maps_roi", "notes", "parts", "masked")
]
MAPS = ["offset_adu", "e_per_adu", "read_noise_e"]
POSITIVE = ["pixel_nm", "e_per_adu", "em_gain"]
NOT_FINITE = [math.nan, math.inf, -math.inf]


def made(**numbers: object) -> CameraCalibration:
    return CameraCalibration(**{"pixel_nm": 100.0, **numbers})  # type: ignore[arg-type]


def test_there_are_five_numbers() -> None:
    assert len(NAMES) == 5
    stated = [field.name for field in fields(StatedCalibration)]
    others = ("pixel_height_nm", "region", "parts", "usual")
    assert [name for name in stated if name not in others] == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", NOT_FINITE)
def test_a_calibration_that_is_not_finite_is_refused_by_the_name_of_its_setting(
    name: str, value: float
) -> None:
    with pytest.raises(CalibrationError, match=rf"camera\.{name} is -?(nan|inf)"):
        made(**{name: value})


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("value", NOT_FINITE)
def test_one_pixel_of_a_map_that_is_not_finite_is_enough(name: str, value: float) -> None:
    values = np.full((8, 8), 2.0, np.float32)
    values[3, 5] = value

    with pytest.raises(CalibrationError, match=rf"camera\.{name} is -?(nan|inf)"):
        made(**{name: values})


@pytest.mark.parametrize(
    ("name", "value"), [*((name, 0.0) for name in POSITIVE), ("read_noise_e", -0.1)]
)
def test_a_gain_of_0_and_a_negative_noise_are_refused(name: str, value: float) -> None:
    with pytest.raises(CalibrationError, match=rf"camera\.{name} is {value:g}"):
        made(**{name: value})


def test_a_negative_offset_and_no_noise_are_possible() -> None:
    assert made(offset_adu=-3.0, read_noise_e=0.0).offset_adu == -3


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", NOT_FINITE)
def test_what_a_camera_states_as_nan_is_not_stated_and_its_default_is_named(
    name: str, value: float
) -> None:
    stated = StatedCalibration(**{name: value})

    assert stated == StatedCalibration()
    assert any(f"camera.{name}" in text for text in what_was_assumed(CameraSettings(), stated))
    resolve_calibration(CameraSettings(), stated)


@pytest.mark.parametrize("name", POSITIVE)
def test_a_gain_of_0_is_not_stated_either(name: str) -> None:
    assert getattr(StatedCalibration(**{name: 0.0}), name) is None
    assert getattr(StatedCalibration(**{name: 0.5}), name) == 0.5
