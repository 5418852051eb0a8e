"""wrong_pixels.csv: it brings back what was written, and says what is wrong with another file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtsmlm.calibration import CameraCalibration, StatedCalibration
from rtsmlm.errors import CalibrationError
from rtsmlm.files.camera_maps import resolve_calibration
from rtsmlm.files.wrong_pixels import read_wrong_pixels, with_wrong_pixels, write_wrong_pixels
from rtsmlm.settings.camera import CameraSettings
from rtsmlm.settings.load import load

SHAPE = (20, 30)


def test_what_is_written_is_read_again(rng: np.random.Generator, tmp_path: Path) -> None:
    kind = (rng.integers(0, 4, SHAPE) * (rng.random(SHAPE) < 0.1)).astype(np.uint8)
    write_wrong_pixels(tmp_path / "wrong_pixels.csv", kind)

    np.testing.assert_array_equal(read_wrong_pixels(tmp_path / "wrong_pixels.csv", SHAPE), kind)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot be read"),
        ("x_px,y_px,kind\n1,1,hot\n", "size of the frames"),
        ("# frames of 30 x 20 pixels\nx_px,y_px,kind\n30,1,hot\n", "outside of the frames"),
        ("# frames of 30 x 20 pixels\nx_px,y_px,kind\n3,1,cold\n", "cannot be read"),
        ("# frames of 999999 x 20 pixels\nx_px,y_px,kind\n3,1,hot\n", "none of a camera"),
        ("# frames of 64 x 64 pixels\nx_px,y_px,kind\n3,1,hot\n", "set it to auto"),
    ],
)
def test_another_file_is_refused_with_what_to_do(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "wrong_pixels.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CalibrationError, match=says):
        read_wrong_pixels(path, SHAPE)


def test_the_setting_names_a_file_beside_its_configuration(tmp_path: Path) -> None:
    kind = np.zeros(SHAPE, dtype=np.uint8)
    kind[3, 4] = 1
    write_wrong_pixels(tmp_path / "wrong_pixels.csv", kind)
    (tmp_path / "run.toml").write_text('[camera]\nwrong_pixels = "wrong_pixels.csv"\n')
    camera = load(tmp_path / "run.toml").camera
    calibration = with_wrong_pixels(CameraCalibration(pixel_nm=100.0), camera, SHAPE)

    assert calibration.masked is not None
    assert np.argwhere(calibration.masked).tolist() == [[3, 4]]
    off = with_wrong_pixels(calibration, CameraSettings(wrong_pixels="off"), SHAPE)
    assert off.masked is None


def test_maps_state_pixels_that_say_nothing(rng: np.random.Generator, tmp_path: Path) -> None:
    gain = rng.uniform(2.0, 2.2, SHAPE).astype(np.float32)
    variance = rng.uniform(4.0, 9.0, SHAPE).astype(np.float32)
    gain[2, 3] = 0.0
    variance[5, 6] = np.nan
    variance[7, 8] = (500.0 * gain[7, 8]) ** 2
    np.save(tmp_path / "gain.npy", gain)
    np.save(tmp_path / "variance.npy", variance)
    maps = {"gain": tmp_path / "gain.npy", "variance": tmp_path / "variance.npy"}
    calibration = resolve_calibration(CameraSettings(maps=maps), StatedCalibration())

    assert calibration.masked is not None
    assert np.argwhere(calibration.masked).tolist() == [[2, 3], [5, 6], [7, 8]]
