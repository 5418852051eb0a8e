"""First frames against the calibration: said where they contradict it, silent where they do not."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.calibration import CameraCalibration
from rtsmlm.fitting.first_frames import remark_on_width, remarks_on_pixels
from rtsmlm.frames import Pixels
from rtsmlm.physics.gaussian import render_spots

SHAPE = (64, 64)
ASSUMED = ("pixel_nm", "offset_adu", "e_per_adu", "em_gain", "read_noise_e")
CALIBRATION = CameraCalibration(pixel_nm=100.0, offset_adu=100.0, e_per_adu=1.0, read_noise_e=1.6)


def frames(
    offset: float = 100.0,
    background: float = 15.0,
    read_noise_e: float = 1.6,
    e_per_adu: float = 1.0,
    n_emitters: int = 6,
    seed: int = 3,
) -> Pixels:
    random = np.random.default_rng(seed)
    stack = []
    for _ in range(12):
        x, y = random.uniform(4, 60, (2, n_emitters))
        mean = render_spots(SHAPE, x, y, np.full(n_emitters, 2000.0), 1.3, background)
        electrons = random.poisson(mean) + random.normal(0.0, read_noise_e, SHAPE)
        stack.append(np.clip(np.round(offset + electrons / e_per_adu), 0, 65535))
    return np.array(stack).astype(np.uint16)


def test_a_dark_value_that_lies_above_the_pixels_is_said_with_the_share_below_it() -> None:
    [assumed] = remarks_on_pixels(frames(offset=2), CALIBRATION, ASSUMED)
    [given] = remarks_on_pixels(frames(offset=2), CALIBRATION, ())

    assert assumed.startswith("99 % of the pixels lie below the dark value of 100 ADU that was ass")
    assert "their median is 17 ADU" in assumed
    assert "that is in force" in given


@pytest.mark.parametrize("offset", [40, 70, 85])
@pytest.mark.parametrize("background", [0.0, 5.0])
def test_a_dark_value_that_is_some_ten_adu_too_high_is_said(
    offset: float, background: float
) -> None:
    [remark] = remarks_on_pixels(frames(offset=offset, background=background), CALIBRATION, ASSUMED)

    assert "below the dark value" in remark


@pytest.mark.parametrize("background", [0.0, 1.0, 20.0, 300.0])
@pytest.mark.parametrize("read_noise_e", [0.5, 1.6, 6.0, 20.0])
@pytest.mark.parametrize("n_emitters", [0, 6, 60])
def test_frames_of_the_camera_that_is_assumed_are_not_remarked_on(
    background: float, read_noise_e: float, n_emitters: int
) -> None:
    pixels = frames(background=background, read_noise_e=read_noise_e, n_emitters=n_emitters)

    assert remarks_on_pixels(pixels, CALIBRATION, ASSUMED) == []


def test_an_scmos_gain_that_is_not_stated_is_not_taken_for_a_fault() -> None:
    assert remarks_on_pixels(frames(e_per_adu=0.46), CALIBRATION, ASSUMED) == []


@pytest.mark.parametrize(("offset", "e_per_adu"), [(600.0, 1.0), (100.0, 12.0)])
def test_frames_that_scatter_too_little_for_their_light_are_said(
    offset: float, e_per_adu: float
) -> None:
    pixels = frames(offset=offset, background=40.0, e_per_adu=e_per_adu)
    if e_per_adu > 1:
        pixels = frames(offset=offset, background=900.0, e_per_adu=e_per_adu)

    [remark] = remarks_on_pixels(pixels, CALIBRATION, ASSUMED)

    assert "times less than light of their brightness" in remark
    assert remarks_on_pixels(pixels, CALIBRATION, ("pixel_nm",)) == []


def test_maps_are_compared_pixel_by_pixel() -> None:
    offset = np.linspace(80, 400, SHAPE[1], dtype=np.float32) * np.ones(SHAPE, np.float32)
    light = frames(offset=0.0, background=30.0).astype(np.float32)
    pixels = np.round(light + offset).astype(np.uint16)
    maps = CameraCalibration(pixel_nm=100.0, offset_adu=offset, read_noise_e=1.6)
    swapped = CameraCalibration(pixel_nm=100.0, offset_adu=offset[:, ::-1], read_noise_e=1.6)

    assert remarks_on_pixels(pixels, maps, ()) == []
    assert "below the dark value" in remarks_on_pixels(pixels, swapped, ())[0]


@pytest.mark.parametrize("value", [0, 100, 65535])
def test_a_movie_of_one_value_is_said_and_nothing_else(value: int) -> None:
    [remark] = remarks_on_pixels(np.full((9, 32, 32), value, np.uint16), CALIBRATION, ASSUMED)

    assert f"all of the first 9 frames hold one value in all pixels ({value} ADU)" in remark


def test_blank_and_repeated_frames_are_counted_and_do_not_count_as_dark() -> None:
    pixels = frames()
    pixels[:4] = 0
    pixels[7] = pixels[6]

    blank, repeated = remarks_on_pixels(pixels, CALIBRATION, ASSUMED)

    assert "4 of the first 12 frames hold one value" in blank
    assert "1 of the first 12 frames are equal" in repeated


def test_a_plateau_is_said_before_the_run() -> None:
    [remark] = remarks_on_pixels(np.minimum(frames(), 200), CALIBRATION, ())

    assert "saturated (at 200 ADU)" in remark


@pytest.mark.parametrize(
    ("sigma_nm", "pixel_nm", "said"),
    [(130, 100, ""), (95, 160, "narrow"), (45, 100, "narrow"), (500, 100, "wide"),
     (330, 100, "wide"), (62, 50, "narrow"), (140, 65, ""), (110, 108, "")],
)  # fmt: skip
def test_a_width_that_no_microscope_has_speaks_against_the_pixel_size(
    sigma_nm: float, pixel_nm: float, said: str
) -> None:
    calibration = CameraCalibration(pixel_nm=pixel_nm)

    remark = remark_on_width(sigma_nm, calibration, ("pixel_nm",))

    assert bool(remark) == bool(said)
    assert said in remark
    if said:
        assert f"pixel of {pixel_nm:g} nm assumed" in remark


def test_the_width_is_not_judged_while_the_dark_value_is_wrong() -> None:
    remarks = remarks_on_pixels(frames(offset=2), CALIBRATION, ASSUMED, sigma_nm=20.0)

    assert [remark for remark in remarks if "narrow" in remark] == []


def test_large_frames_are_judged_by_some_of_their_rows() -> None:
    offset = np.linspace(80, 400, 700, dtype=np.float32)[:, None] * np.ones((700, 500), np.float32)
    random = np.random.default_rng(8)
    pixels = (random.poisson(20, (7, 700, 500)) + offset).astype(np.uint16)

    maps = CameraCalibration(pixel_nm=100.0, offset_adu=offset, read_noise_e=1.6)

    assert remarks_on_pixels(pixels, maps, ()) == []
