"""Accidents in calibration movies do not move the gain; what cannot be mended is said."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from rtsmlm.calibrate.camera import MeasuredCamera, calibrate_camera
from rtsmlm.calibrate.pixel_statistics import PixelStatistics
from rtsmlm.errors import CalibrationError
from rtsmlm.frames import Pixels

GAIN, READ_ADU, SHAPE, N = 2.2, 2.5, (64, 72), 200
STANDARD_ERROR = 0.012
"""Of the gain from these movies, by counting statistics: half a percent."""


def movie(mean_e: np.ndarray | float, seed: int, top: int = 65535) -> Pixels:
    """Frames of even light, or of a map or a series of maps of electrons per pixel."""
    random = np.random.default_rng(seed)
    light = np.broadcast_to(mean_e, (N, *SHAPE))
    adu = 100 + GAIN * random.poisson(light) + random.normal(0, READ_ADU, (N, *SHAPE))
    return np.clip(np.round(adu), 0, top).astype(np.uint16)


def measured(dark: Pixels, *light: Pixels) -> MeasuredCamera:
    def statistics(pixels: Pixels, name: str) -> PixelStatistics:
        gathered = PixelStatistics(name)
        gathered.add(pixels)
        return gathered

    lights = [statistics(pixels, f"light{k}.tif") for k, pixels in enumerate(light)]
    return calibrate_camera(statistics(dark, "dark.tif"), lights)


def blinking(dark: Pixels, light: Pixels) -> None:
    dark[::2, 9, 9] = light[::2, 9, 9] = 3000


def telegraph(dark: Pixels, light: Pixels) -> None:
    for k in range(30):
        dark[k % 5 :: 3, 2 * k, 7], light[k % 4 :: 4, 2 * k, 7] = 1900, 2100


def cosmic_in_light(dark: Pixels, light: Pixels) -> None:
    light[70, 20:22] += 1500


def cosmic_in_the_dark(dark: Pixels, light: Pixels) -> None:
    dark[10, 30:33, 5:60] += 3000


def dead_and_stuck(dark: Pixels, light: Pixels) -> None:
    dark[:, 4, 7] = light[:, 4, 7] = 0
    dark[:, 30, 40] = light[:, 30, 40] = 65535


def hot(dark: Pixels, light: Pixels) -> None:
    random = np.random.default_rng(8)
    places = random.random(SHAPE) < 0.01
    for pixels in (dark, light):
        pixels += (places * random.poisson(300, pixels.shape)).astype(np.uint16)


@pytest.mark.parametrize(
    "accident", [blinking, telegraph, cosmic_in_light, cosmic_in_the_dark, dead_and_stuck, hot]
)
def test_the_gain_stays_right_whatever_a_few_pixels_do(
    accident: Callable[[Pixels, Pixels], None],
) -> None:
    dark, light = movie(0, 1), movie(50, 2)
    accident(dark, light)

    gain = measured(dark, light).gain

    assert gain is not None
    assert gain.typical == pytest.approx(GAIN, abs=4 * STANDARD_ERROR)
    [(_, at_level)] = gain.levels
    assert at_level == pytest.approx(GAIN, abs=4 * STANDARD_ERROR)


def test_light_that_drifts_changes_neither_the_gain_nor_how_much_pixels_seem_to_differ() -> None:
    drift = np.linspace(0.9, 1.1, N)[:, None, None]

    camera = measured(movie(0, 1), movie(50 * drift, 2), movie(200 * drift, 3))

    assert camera.gain is not None
    assert camera.gain.typical == pytest.approx(GAIN, abs=4 * STANDARD_ERROR)
    assert camera.gain.spread < 0.03 * GAIN
    assert any("flickered or drifted" in note for note in camera.notes)


@pytest.mark.parametrize("top", [3171, 4095])
def test_a_saturated_part_is_refused_and_single_full_pixels_are_left_out(top: int) -> None:
    light = np.full(SHAPE, 200.0)
    light[:, :5] = 9000
    with pytest.raises(CalibrationError, match=rf"saturated \(at {top} ADU\)"):
        measured(movie(0, 1), movie(light, 2, top))
    light[:, :5] = 200
    light[:10, 0] = 9000

    gain = measured(movie(0, 1), movie(light, 2, top)).gain

    assert gain is not None
    assert gain.n_unknown == 10
    assert gain.typical == pytest.approx(GAIN, abs=4 * STANDARD_ERROR)


def test_light_in_the_dark_movie_is_pointed_out_by_its_noise_or_by_its_pattern() -> None:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    spot = np.exp(-((x - 36) ** 2 + (y - 32) ** 2) / 2 / 25**2)

    even = measured(movie(100, 1), movie(250, 2))
    pattern = measured(movie(5 * spot, 1), movie(200 * spot, 2))
    good = measured(movie(0, 1), movie(200 * spot, 2))

    [noise_e] = [float(note.split()[3]) for note in even.notes if "dark.tif scatters by" in note]
    assert noise_e == pytest.approx(10.0, rel=0.05)
    assert any("pattern of dark.tif follows that of light0.tif" in note for note in pattern.notes)
    assert not any("dark.tif" in note for note in good.notes)
