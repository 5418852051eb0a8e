"""Read noise that nobody has stated is seen in the frames, and the light of emitters is not."""

import numpy as np
import pytest

from rtsmlm.calibration import CameraCalibration
from rtsmlm.fitting.noise_floor import measured_read_noise_e
from rtsmlm.physics.gaussian import render_spots

SHAPE = (128, 128)
ASSUMED = CameraCalibration(pixel_nm=100.0, offset_adu=100.0, e_per_adu=1.0, read_noise_e=1.6)


def frames(
    rng: np.random.Generator, n_emitters: int, background: float, read_noise_e: float
) -> np.ndarray:
    x, y = rng.uniform(0, 127, (2, n_emitters))
    mean = render_spots(SHAPE, x, y, np.full(n_emitters, 2000.0), 1.2, background)
    counts = rng.poisson(mean, (8, *SHAPE)) + rng.normal(0.0, read_noise_e, (8, *SHAPE))
    return np.clip(np.round(counts + 100.0), 0, 65535).astype(np.uint16)


@pytest.mark.parametrize("read_noise_e", [12.0, 22.0])
@pytest.mark.parametrize("n_emitters", [0, 30])
def test_noise_beyond_that_of_the_light_is_measured(
    rng: np.random.Generator, n_emitters: int, read_noise_e: float
) -> None:
    pixels = frames(rng, n_emitters, 3.0, read_noise_e)

    assert measured_read_noise_e(ASSUMED, pixels) == pytest.approx(read_noise_e, rel=0.12)


@pytest.mark.parametrize("density_um2", [0.0, 0.5, 4.0])
@pytest.mark.parametrize("background", [5.0, 50.0])
def test_light_is_no_read_noise(
    rng: np.random.Generator, density_um2: float, background: float
) -> None:
    pixels = frames(rng, round(density_um2 * 163.84), background, 1.6)

    assert measured_read_noise_e(ASSUMED, pixels) == 0.0


def test_frames_smaller_than_a_patch_tell_nothing() -> None:
    assert measured_read_noise_e(ASSUMED, np.full((4, 12, 12), 100, np.uint16)) == 0.0
