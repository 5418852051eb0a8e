from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsmlm.frames import Pixels
from rtsmlm.physics.camera import Sensor, emccd_sensor, ideal_sensor, scmos_sensor
from rtsmlm.physics.sampling import new_state

QUANTIZATION_ADU2 = 1.0 / 12.0


def _frames(sensor: Sensor, mean_e: float, n: int) -> Pixels:
    shape = sensor.offset_adu.shape
    mean = np.full(shape, mean_e, dtype=np.float32)
    frames = np.empty((n, *shape), dtype=np.uint16)
    state = new_state(np.random.SeedSequence(3))
    for frame in frames:
        sensor.expose(mean, frame, state)
    return frames


def _moments(frames: Pixels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return frames.mean(axis=0), frames.var(axis=0, ddof=1)


def test_scmos_pixels_have_the_mean_and_variance_of_their_maps(rng: np.random.Generator) -> None:
    sensor = scmos_sensor((24, 20), rng)
    n = 4000

    mean, variance = _moments(_frames(sensor, 50.0, n))

    expected_mean = sensor.offset_adu + sensor.adu_per_e * 50.0
    expected_variance = sensor.adu_per_e**2 * 50.0 + sensor.read_variance_adu2
    expected_variance = expected_variance + QUANTIZATION_ADU2
    deviation = (mean - expected_mean) / np.sqrt(expected_variance / n)
    assert np.abs(deviation).max() < 5.0
    assert deviation.std() == pytest.approx(1.0, abs=0.15)
    ratio = variance / expected_variance
    assert ratio.mean() == pytest.approx(1.0, abs=0.01)
    assert ratio.std() == pytest.approx(np.sqrt(2.0 / n), rel=0.25)


def test_scmos_read_noise_has_the_median_of_a_data_sheet_and_a_tail_of_noisy_pixels() -> None:
    sensor = scmos_sensor((300, 300), np.random.default_rng(1))
    read_noise_e = np.sqrt(sensor.read_variance_adu2) / sensor.adu_per_e

    assert np.median(read_noise_e) == pytest.approx(1.38, abs=0.03)
    assert 0 < np.mean(read_noise_e > 10.0) < 0.01


def test_emccd_doubles_the_shot_noise_variance() -> None:
    sensor = emccd_sensor((40, 40))
    calibration = sensor.calibration(100.0)
    mean_e = 60.0

    photons = calibration.to_photons(_frames(sensor, mean_e, 400))

    read_variance = (74.4 / 300.0) ** 2 + QUANTIZATION_ADU2 * (45.0 / 300.0) ** 2
    assert photons.mean() == pytest.approx(mean_e, rel=0.002)
    assert (photons.var() - read_variance) / mean_e == pytest.approx(2.0, rel=0.02)


def test_emccd_pixels_mostly_read_the_offset_in_the_dark() -> None:
    frames = _frames(emccd_sensor((50, 50)), 0.0, 20)

    # 0.2 % of pixels multiply a spurious electron to 300, which is about 7 ADU.
    assert np.median(frames) == 100
    assert 0.0002 < np.mean(frames > 108) < 0.003


def test_ideal_camera_counts_photons() -> None:
    frames = _frames(ideal_sensor((40, 40)), 25.0, 200)

    assert frames.mean() - 100 == pytest.approx(25.0, rel=0.005)
    assert frames.var() == pytest.approx(25.0, rel=0.02)


def test_bright_light_saturates_and_does_not_wrap() -> None:
    assert (_frames(ideal_sensor((8, 8)), 1e6, 1) == 65535).all()


def test_calibration_of_the_chip_turns_adu_back_into_photons(rng: np.random.Generator) -> None:
    sensor = scmos_sensor((32, 32), rng)

    photons = sensor.calibration(100.0).to_photons(_frames(sensor, 30.0, 500))

    assert photons.mean(axis=0).std() < 1.4 * np.sqrt(33.0 / 500)
    assert photons.mean() == pytest.approx(30.0, rel=0.002)


def test_a_region_of_the_chip_keeps_its_own_pixels(rng: np.random.Generator) -> None:
    sensor = scmos_sensor((32, 32), rng)
    dark = np.zeros((8, 6), dtype=np.float32)
    frames = np.empty((300, 8, 6), dtype=np.uint16)
    state = new_state(np.random.SeedSequence(4))

    for frame in frames:
        sensor.expose(dark, frame, state, x=10, y=20)

    offset = sensor.offset_adu[20:28, 10:16]
    variance = sensor.read_variance_adu2[20:28, 10:16] + QUANTIZATION_ADU2
    deviation = (frames.mean(axis=0) - offset) / np.sqrt(variance / 300)
    assert np.abs(deviation).max() < 5.0
