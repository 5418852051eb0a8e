"""Calibration of several cameras side by side: numbers and maps of each, and of the whole frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtsmlm.calibration import CameraCalibration, StatedCalibration, StatedPart, agreed
from rtsmlm.errors import CalibrationError, ConfigError
from rtsmlm.files.camera_maps import names_assumed, resolve_calibration
from rtsmlm.settings.camera import CameraMaps, CameraSettings, EachCameraSettings
from rtsmlm.settings.load import load
from rtsmlm.settings.resolve import resolve, what_was_overruled
from rtsmlm.settings.run import RunSettings

NOTHING = StatedCalibration()
SIZES = ((8, 6), (5, 6))
"""Width and height of the parts."""


def two(left: StatedCalibration = NOTHING, right: StatedCalibration = NOTHING) -> StatedCalibration:
    return agreed([StatedPart(SIZES[0], left), StatedPart(SIZES[1], right)])


def each(*cameras: dict[str, Any], **of_all: Any) -> CameraSettings:
    return CameraSettings(each=tuple(EachCameraSettings(**c) for c in cameras), **of_all)


def halves(values: Any) -> tuple[np.ndarray, np.ndarray]:
    assert np.shape(values) == (6, 13)
    return values[:, :8], values[:, 8:]


def photons(calibration: CameraCalibration, adu: int = 500) -> tuple[np.ndarray, np.ndarray]:
    return halves(calibration.to_photons(np.full((6, 13), adu, np.uint16)))


def test_cameras_that_agree_have_one_number() -> None:
    like = StatedCalibration(offset_adu=98.0, e_per_adu=0.5, read_noise_e=1.1, pixel_nm=107.0)

    calibration = resolve_calibration(CameraSettings(), two(like, like))

    assert (calibration.offset_adu, calibration.e_per_adu) == (98.0, 0.5)
    assert (calibration.read_noise_e, calibration.pixel_nm) == (1.1, 107.0)
    assert calibration.map_shape is None


def test_what_each_camera_states_holds_in_its_part() -> None:
    stated = two(
        StatedCalibration(offset_adu=98.0, e_per_adu=0.5, pixel_nm=107.0),
        StatedCalibration(offset_adu=200.0, e_per_adu=2.0, pixel_nm=110.0),
    )

    calibration = resolve_calibration(CameraSettings(read_noise_e=1.5), stated)

    left, right = photons(calibration)
    assert left == pytest.approx((500 - 98) * 0.5)
    assert right == pytest.approx((500 - 200) * 2.0)
    assert calibration.read_noise_e == 1.5
    assert calibration.pixel_nm == 107.0  # places refer to the first camera
    assert names_assumed(CameraSettings(), stated) == ("em_gain", "read_noise_e")


def test_settings_of_each_win_over_those_of_all_and_over_what_is_stated() -> None:
    stated = two(StatedCalibration(offset_adu=98.0), StatedCalibration(offset_adu=98.0))
    settings = each({"offset_adu": 110.0}, {"read_noise_e": 3.0}, read_noise_e=1.0)

    calibration = resolve_calibration(settings, stated)

    assert [float(part[0, 0]) for part in halves(calibration.offset_adu)] == [110.0, 98.0]
    assert [float(part[0, 0]) for part in halves(calibration.read_noise_e)] == [1.0, 3.0]
    assert what_was_overruled(settings, stated) == [
        "camera.offset_adu = 110 replaces the 98 that is stated"
    ]


def test_maps_of_each_camera_are_cut_to_its_region_of_its_chip(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    chip = rng.uniform(90, 110, (20, 30)).astype(np.float32)
    np.save(tmp_path / "offset.npy", chip)
    maps = {"offset": tmp_path / "offset.npy"}
    stated = two(StatedCalibration(region=(4, 2, 8, 6)), StatedCalibration(region=(20, 10, 5, 6)))

    calibration = resolve_calibration(each({"maps": maps}, {"maps": maps}), stated)

    left, right = halves(calibration.offset_adu)
    np.testing.assert_array_equal(left, chip[2:8, 4:12])
    np.testing.assert_array_equal(right, chip[10:16, 20:25])


def test_maps_of_the_whole_frame_win_over_the_numbers_of_each(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    whole = rng.uniform(90, 110, (6, 13)).astype(np.float32)
    variance = rng.uniform(4, 9, (6, 13)).astype(np.float32)
    np.save(tmp_path / "offset.npy", whole)
    np.save(tmp_path / "variance.npy", variance)
    maps = CameraMaps(offset=tmp_path / "offset.npy", variance=tmp_path / "variance.npy")
    settings = each({"e_per_adu": 0.5}, {"e_per_adu": 2.0}, offset_adu=50.0, maps=maps)

    calibration = resolve_calibration(settings, two())

    np.testing.assert_array_equal(calibration.offset_adu, whole)
    left, right = halves(calibration.read_noise_e)
    assert left == pytest.approx(np.sqrt(variance[:, :8]) * 0.5)
    assert right == pytest.approx(np.sqrt(variance[:, 8:]) * 2.0)
    assert names_assumed(settings, two()) == ("pixel_nm", "em_gain")


def test_different_em_gains_give_the_photons_and_the_noise_of_each_camera() -> None:
    settings = each(
        {"em_gain": 100.0, "e_per_adu": 10.0, "read_noise_e": 50.0},
        {"em_gain": 300.0, "e_per_adu": 12.0, "read_noise_e": 60.0},
        offset_adu=100.0,
    )

    calibration = resolve_calibration(settings, two())

    left, right = photons(calibration)
    assert left == pytest.approx(400 * 10 / 100)
    assert right == pytest.approx(400 * 12 / 300)
    noise = halves(calibration.read_variance())
    assert [float(part[0, 0]) for part in noise] == pytest.approx([0.5**2, 0.2**2])
    assert calibration.excess_noise == 2.0


@pytest.mark.parametrize(
    ("settings", "stated", "error", "message"),
    [
        (each({"em_gain": 100.0}, {}), two(), CalibrationError, "EM gains of 100, 1;"),
        (each({}, {}, {}), two(), ConfigError, "has 3 cameras, and there are 2"),
        (each({}, {}), NOTHING, ConfigError, r"set camera\.each\.size = \[width, height\]"),
        (each({"size": (9, 6)}, {}), two(), ConfigError, r"camera 1 is \[9, 6\], .* \[8, 6\]"),
        (
            each({"size": (8, 6)}, {"size": (5, 7)}), NOTHING,
            CalibrationError, "6 and 7 pixels high",
        ),
    ],
)  # fmt: skip
def test_cameras_that_do_not_fit_are_refused(
    settings: CameraSettings, stated: StatedCalibration, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        resolve_calibration(settings, stated)


def test_what_is_written_to_the_run_gives_the_same_calibration_without_the_cameras(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    np.save(tmp_path / "gain.npy", rng.uniform(1, 3, (20, 30)).astype(np.float32))
    settings = each(
        {"maps": {"gain": tmp_path / "gain.npy"}}, {"offset_adu": 101.0}, read_noise_e=1.2
    )
    stated = two(
        StatedCalibration(offset_adu=98.0, region=(4, 2, 8, 6)),
        StatedCalibration(e_per_adu=0.7, pixel_nm=99.0),
    )
    calibration = resolve_calibration(settings, stated)

    written = resolve(RunSettings(camera=settings), calibration=calibration).camera

    again = resolve_calibration(written, NOTHING)
    for name in ("pixel_nm", "offset_adu", "e_per_adu", "em_gain", "read_noise_e"):
        np.testing.assert_array_equal(getattr(again, name), getattr(calibration, name), name)


def test_files_of_maps_of_each_camera_lie_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "rig.toml").write_text(
        '[[camera.each]]\nmaps.offset = "left.npy"\n[[camera.each]]\noffset_adu = 101\n'
    )

    camera = load(tmp_path / "rig.toml").camera

    assert camera.each[0].maps.offset == (tmp_path / "left.npy").resolve()
    assert camera.each[1].offset_adu == 101.0
