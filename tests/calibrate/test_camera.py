from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from typer.testing import CliRunner

from rtsmlm.calibrate.camera import MeasuredCamera, calibrate_camera
from rtsmlm.calibrate.pixel_statistics import PixelStatistics
from rtsmlm.calibration import StatedCalibration
from rtsmlm.cli.calibrate import app
from rtsmlm.errors import CalibrationError
from rtsmlm.files.camera_maps import resolve_calibration
from rtsmlm.frames import Pixels
from rtsmlm.physics.camera import Sensor, emccd_sensor, scmos_sensor
from rtsmlm.physics.sampling import new_state
from rtsmlm.settings.load import load

SHAPE = (64, 80)
N_DARK, N_LIGHT = 600, 400
LEVELS_E = (50.0, 200.0, 1000.0)
QUANTIZATION_ADU2 = 1.0 / 12.0


def frames(
    sensor: Sensor, mean_e: NDArray[np.floating] | float, n: int, seed: int, flicker: float = 0.0
) -> Pixels:
    shape = sensor.offset_adu.shape
    rng = np.random.default_rng(seed)
    state = new_state(np.random.SeedSequence(seed))
    out = np.empty((n, *shape), dtype=np.uint16)
    for frame in out:
        light = np.broadcast_to(mean_e, shape) * (1 + flicker * rng.standard_normal())
        sensor.expose(light.astype(np.float32), frame, state)
    return out


def statistics(pixels: Pixels, name: str = "movie.tif") -> PixelStatistics:
    out = PixelStatistics(name)
    for first in range(0, len(pixels), 37):
        out.add(pixels[first : first + 37])
    return out


@pytest.fixture(scope="module")
def sensor() -> Sensor:
    made = scmos_sensor(SHAPE, np.random.default_rng(5))
    made.offset_adu[10, 20] = 400.0
    made.offset_adu[33, 7] = 250.0
    made.adu_per_e[5, 5] *= 0.6
    return made


@pytest.fixture(scope="module")
def dark(sensor: Sensor) -> PixelStatistics:
    return statistics(frames(sensor, 0.0, N_DARK, 1), "dark.tif")


@pytest.fixture(scope="module")
def light(sensor: Sensor) -> list[PixelStatistics]:
    return [
        statistics(frames(sensor, level, N_LIGHT, 2 + k), f"light{k}.tif")
        for k, level in enumerate(LEVELS_E)
    ]


@pytest.fixture(scope="module")
def measured(dark: PixelStatistics, light: list[PixelStatistics]) -> MeasuredCamera:
    return calibrate_camera(dark, light)


def test_statistics_over_batches_equal_those_of_the_whole_movie(rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 65536, (101, 7, 9)).astype(np.uint16)

    stats = statistics(pixels)

    np.testing.assert_allclose(stats.mean, pixels.mean(axis=0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(
        stats.variance, pixels.astype(np.float64).var(axis=0, ddof=1), rtol=1e-12
    )
    np.testing.assert_array_equal(stats.maximum, pixels.max(axis=0))
    np.testing.assert_allclose(stats.frame_means, pixels.mean(axis=(1, 2)), rtol=1e-12)


def test_offsets_lie_within_their_standard_error(sensor: Sensor, measured: MeasuredCamera) -> None:
    variance = sensor.read_variance_adu2 + QUANTIZATION_ADU2

    error = (measured.offset_adu - sensor.offset_adu) / np.sqrt(variance / N_DARK)

    assert error.std() == pytest.approx(1.0, abs=0.05)
    assert np.abs(error).max() < 5.5


def test_read_variances_scatter_as_chi_squared(sensor: Sensor, measured: MeasuredCamera) -> None:
    truth = sensor.read_variance_adu2 + QUANTIZATION_ADU2

    error = (measured.read_variance_adu2 / truth - 1) / np.sqrt(2 / (N_DARK - 1))

    assert error.mean() == pytest.approx(0.0, abs=0.08)
    assert error.std() == pytest.approx(1.0, abs=0.05)


def test_the_typical_gain_is_right_within_a_third_of_a_percent(
    sensor: Sensor, measured: MeasuredCamera
) -> None:
    assert measured.gain is not None
    truth = float(np.mean(sensor.adu_per_e))

    assert measured.gain.typical == pytest.approx(truth, rel=0.003)
    assert abs(measured.gain.typical - truth) < 4 * measured.gain.typical_std
    assert measured.e_per_adu == pytest.approx(1 / truth, rel=0.003)
    for _, gain in measured.gain.levels:
        assert gain == pytest.approx(truth, rel=0.01)


def test_the_true_spread_of_gains_is_told_from_their_sampling_error(
    sensor: Sensor, measured: MeasuredCamera
) -> None:
    assert measured.gain is not None
    truth = float(np.std(sensor.adu_per_e / sensor.adu_per_e.mean()))

    assert measured.gain.pixel_std / measured.gain.typical > 1.5 * truth
    assert measured.gain.spread / measured.gain.typical == pytest.approx(truth, rel=0.35)


def test_the_gain_map_is_nearer_to_the_truth_than_slopes_and_than_one_number(
    sensor: Sensor, measured: MeasuredCamera
) -> None:
    assert measured.gain is not None
    error = measured.gain.adu_per_e / sensor.adu_per_e - 1
    one_number = measured.gain.typical / sensor.adu_per_e - 1

    rest = np.abs(one_number) < 0.2
    assert error[rest].std() < 0.97 * one_number[rest].std()
    assert error[rest].std() < 0.5 * measured.gain.pixel_std / measured.gain.typical


def test_a_pixel_far_from_the_family_keeps_its_own_gain(
    sensor: Sensor, measured: MeasuredCamera
) -> None:
    assert measured.gain is not None

    assert measured.gain.n_defects >= 1
    assert measured.gain.adu_per_e[5, 5] == pytest.approx(sensor.adu_per_e[5, 5], rel=0.2)


def test_hot_pixels_are_found_where_they_are(measured: MeasuredCamera) -> None:
    assert measured.hot[10, 20]
    assert measured.hot[33, 7]
    assert measured.hot.mean() < 0.01


def test_flickering_light_does_not_raise_the_gain(sensor: Sensor, dark: PixelStatistics) -> None:
    flickering = statistics(frames(sensor, 1000.0, N_LIGHT, 9, flicker=0.03), "lamp.tif")

    measured = calibrate_camera(dark, [flickering])

    assert measured.gain is not None
    assert measured.gain.typical == pytest.approx(float(np.mean(sensor.adu_per_e)), rel=0.01)
    assert any("flickered or drifted" in note for note in measured.notes)


def test_uneven_light_gives_the_same_gain(sensor: Sensor, dark: PixelStatistics) -> None:
    slope = np.linspace(100.0, 1500.0, SHAPE[1])[None, :]
    uneven = statistics(frames(sensor, slope, N_LIGHT, 10), "lamp.tif")

    measured = calibrate_camera(dark, [uneven])

    assert measured.gain is not None
    assert measured.gain.typical == pytest.approx(float(np.mean(sensor.adu_per_e)), rel=0.005)


def test_the_excess_noise_of_an_emccd_is_taken_out() -> None:
    emccd = emccd_sensor((48, 48))
    dark = statistics(frames(emccd, 0.0, 300, 1), "dark.tif")
    light = [statistics(frames(emccd, level, 300, 2), "light.tif") for level in (100.0, 400.0)]

    measured = calibrate_camera(dark, light, em_gain=300.0)

    assert measured.e_per_adu == pytest.approx(45.0, rel=0.01)
    assert measured.read_noise_e == pytest.approx(74.4, rel=0.1)


def test_without_light_there_is_no_gain(dark: PixelStatistics) -> None:
    measured = calibrate_camera(dark)

    assert measured.gain is None
    assert measured.e_per_adu is None


def test_frames_in_light_that_are_darker_than_the_dark_are_refused(
    dark: PixelStatistics, light: list[PixelStatistics]
) -> None:
    with pytest.raises(CalibrationError, match="must be brighter than those in the dark"):
        calibrate_camera(light[0], [dark])


def test_movies_of_different_size_are_refused(dark: PixelStatistics) -> None:
    small = statistics(np.full((20, 8, 8), 500, dtype=np.uint16), "small.tif")

    with pytest.raises(CalibrationError, match="same region"):
        calibrate_camera(dark, [small])


@pytest.mark.parametrize("bits", [12, 16])
def test_saturated_frames_are_refused(sensor: Sensor, dark: PixelStatistics, bits: int) -> None:
    top = 2**bits - 1
    bright = np.minimum(frames(sensor, 0.48 * top, 20, 4), top)

    with pytest.raises(CalibrationError, match="saturated"):
        calibrate_camera(dark, [statistics(bright, "bright.tif")])


@pytest.mark.parametrize("n", [1, 0])
def test_one_frame_has_no_variance(dark: PixelStatistics, n: int) -> None:
    few = statistics(np.full((n, *SHAPE), 100, dtype=np.uint16), "few.tif")

    with pytest.raises(CalibrationError, match=r"few\.tif"):
        calibrate_camera(few)
    with pytest.raises(CalibrationError, match=r"few\.tif"):
        calibrate_camera(dark, [few])


def test_averaged_frames_are_refused(
    sensor: Sensor, dark: PixelStatistics, rng: np.random.Generator
) -> None:
    still = np.broadcast_to(frames(sensor, 500.0, 1, 6), (50, *SHAPE))

    with pytest.raises(CalibrationError, match="does not grow with the light"):
        calibrate_camera(dark, [statistics(np.ascontiguousarray(still), "averaged.tif")])


def test_an_offset_at_zero_is_pointed_out(sensor: Sensor) -> None:
    low = np.maximum(frames(sensor, 0.0, 100, 1).astype(np.int32) - 100, 0).astype(np.uint16)

    assert any("black level" in note for note in calibrate_camera(statistics(low)).notes)


def test_what_the_command_writes_is_what_a_run_reads(sensor: Sensor, tmp_path: Path) -> None:
    movies = {"dark.tif": 0.0, "light1.tif": 200.0, "light2.tif": 800.0}
    for k, (name, level) in enumerate(movies.items()):
        tifffile.imwrite(tmp_path / name, frames(sensor, level, 120, k))
    out = tmp_path / "camera"

    paths = [str(tmp_path / name) for name in movies]
    result = CliRunner().invoke(app, ["camera", *paths, "--out", str(out)])

    assert result.exception is None, result.output
    settings = load(out / "camera.toml")
    used = resolve_calibration(settings.camera, StatedCalibration())
    truth = sensor.calibration(100.0)
    assert isinstance(used.offset_adu, np.ndarray)
    assert np.abs(used.offset_adu - truth.offset_adu).mean() < 0.3
    assert np.median(used.e_per_adu) == pytest.approx(np.median(truth.e_per_adu), rel=0.01)
    assert np.median(used.read_noise_e) == pytest.approx(np.median(truth.read_noise_e), rel=0.05)
    assert settings.camera.e_per_adu == pytest.approx(np.median(truth.e_per_adu), rel=0.01)


def test_the_command_says_that_a_gain_is_missing(sensor: Sensor, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "dark.tif", frames(sensor, 0.0, 50, 1))
    out = tmp_path / "camera"

    result = CliRunner().invoke(app, ["camera", str(tmp_path / "dark.tif"), "--out", str(out)])

    assert result.exception is None, result.output
    assert not (out / "gain.npy").exists()
    assert load(out / "camera.toml").camera.e_per_adu is None
    assert "data sheet" in (out / "camera.toml").read_text()


def test_a_real_chip_is_found_again_from_simulated_movies(
    data_dir: Callable[[str], Path],
) -> None:
    maps = np.load(data_dir("storm_scmos") / "calib.npy")[:, :64, :64].astype(np.float32)
    chip = Sensor(kind="sCMOS", offset_adu=maps[0], read_variance_adu2=maps[1], adu_per_e=maps[2])
    dark = statistics(frames(chip, 0.0, 500, 1), "dark.tif")
    light = [statistics(frames(chip, level, 300, 2), "light.tif") for level in (100.0, 500.0)]

    measured = calibrate_camera(dark, light)

    assert measured.gain is not None
    assert measured.gain.typical == pytest.approx(float(np.mean(maps[2])), rel=0.01)
    variance = maps[1] + QUANTIZATION_ADU2
    offset_error = (measured.offset_adu - maps[0]) / np.sqrt(variance / 500)
    variance_error = (measured.read_variance_adu2 / variance - 1) / np.sqrt(2 / 499)
    assert offset_error.std() == pytest.approx(1.0, abs=0.05)
    assert variance_error.std() == pytest.approx(1.0, abs=0.1)
