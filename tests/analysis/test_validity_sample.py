"""Sample of the validity meter: which emitters are chosen, what a refit and a patch measure."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.analysis.validity_monitor import ValidityMonitor
from rtsmlm.analysis.validity_sample import (
    BACKGROUND,
    CHI2_FIXED,
    CHI2_FREE,
    LONELY_SIGMA,
    N_PATCHES,
    PATCH_PX,
    PHOTONS,
    WIDTH,
    SpotSampler,
)
from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import CalibrationError
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.physics.gaussian import render_spots
from rtsmlm.settings.load import load

CALIBRATION = CameraCalibration(pixel_nm=100.0, offset_adu=100.0, e_per_adu=0.5, read_noise_e=1.0)
SIGMA_PX = 1.3
GRID_PX = np.arange(12.0, 116.0, 16.0)


def rows(
    x_px: np.ndarray, y_px: np.ndarray, photons: float = 3000.0, frame: int = 0
) -> Localizations:
    n = len(x_px)
    return Localizations.from_columns(
        {
            "frame": np.full(n, frame),
            "x_nm": 100.0 * x_px,
            "y_nm": 100.0 * y_px,
            "photons": np.full(n, photons),
            "background": np.full(n, 10.0),
            "std_x_nm": np.full(n, 3.0),
            "std_y_nm": np.full(n, 3.0),
        }
    )


def frames(
    locs: Localizations, rng: np.random.Generator, *, sigma_px: float = SIGMA_PX, n: int = 1
) -> FrameBatch:
    """Return frames of 128 x 128 pixels with these emitters, Poisson and read noise."""
    pixels = np.empty((n, 128, 128), np.uint16)
    for k in range(n):
        here = locs.take(locs.frame == k)
        mean = render_spots(
            (128, 128), here.x_nm / 100, here.y_nm / 100, here.photons, sigma_px, 10.0
        )
        electrons = rng.poisson(mean) + rng.normal(0, 1.0, mean.shape)
        pixels[k] = np.rint(100 + electrons / 0.5)
    return FrameBatch.from_pixels(pixels)


def grid(rng: np.random.Generator, n_frames: int = 1) -> Localizations:
    """Return emitters 16 pixels apart, anywhere within their pixel."""
    x, y = (axis.ravel() for axis in np.meshgrid(GRID_PX, GRID_PX))
    return Localizations.concatenate(
        [
            rows(x + rng.uniform(-0.5, 0.5, len(x)), y + rng.uniform(-0.5, 0.5, len(x)), frame=k)
            for k in range(n_frames)
        ]
    )


@pytest.fixture
def sampler() -> SpotSampler:
    return SpotSampler(CALIBRATION, 100 * SIGMA_PX, None)


def test_emitters_with_a_neighbour_within_reach_are_not_chosen(
    sampler: SpotSampler, rng: np.random.Generator
) -> None:
    reach_px = LONELY_SIGMA * SIGMA_PX + 1
    x = np.array([20.0, 20.0 + reach_px - 0.1, 60.0, 60.0 + reach_px + 0.1])
    locs = rows(x, np.full(4, 40.0))

    assert sampler.lone(locs, frames(locs, rng)).tolist() == [2, 3]


def test_an_emitter_of_another_frame_is_no_neighbour(
    sampler: SpotSampler, rng: np.random.Generator
) -> None:
    locs = Localizations.concatenate(
        [rows(np.array([40.0]), np.array([40.0]), frame=k) for k in (0, 1)]
    )

    assert sampler.lone(locs, frames(locs, rng, n=2)).tolist() == [0, 1]


def test_dim_emitters_and_those_at_the_edge_are_not_chosen(
    sampler: SpotSampler, rng: np.random.Generator
) -> None:
    locs = Localizations.concatenate(
        [
            rows(np.array([1.0, 126.0, 64.0]), np.array([64.0, 64.0, 1.0])),
            rows(np.array([30.0]), np.array([30.0]), photons=60.0),
            rows(np.array([90.0]), np.array([90.0])),
        ]
    )

    assert sampler.lone(locs, frames(locs, rng)).tolist() == [4]


@pytest.mark.parametrize("true_px", [1.1, 1.3, 1.6])
def test_the_free_width_is_that_of_the_light(
    sampler: SpotSampler, rng: np.random.Generator, true_px: float
) -> None:
    locs = grid(rng, n_frames=3)
    batch = frames(locs, rng, sigma_px=true_px, n=3)

    columns = sampler.refit(locs, batch, sampler.lone(locs, batch))

    assert len(columns) > 0.95 * len(locs)
    assert np.median(columns[:, WIDTH]) == pytest.approx(true_px / SIGMA_PX, rel=0.01)
    assert np.median(columns[:, PHOTONS]) == pytest.approx(3000, rel=0.03)
    assert np.median(columns[:, BACKGROUND]) == pytest.approx(10, rel=0.05)
    assert np.median(columns[:, CHI2_FREE]) == pytest.approx(1.0, abs=0.1)
    if true_px != SIGMA_PX:
        assert np.median(columns[:, CHI2_FIXED]) > 1.2


def test_no_chosen_row_is_no_refit(sampler: SpotSampler, rng: np.random.Generator) -> None:
    none = np.empty(0, np.int64)
    locs = Localizations.empty()

    assert sampler.lone(locs, frames(locs, rng)).tolist() == []
    assert len(sampler.refit(locs, frames(locs, rng), none)) == 0


@pytest.mark.parametrize("wrong", [0.5, 1.0, 2.0])
def test_the_noise_of_empty_patches_is_that_expected_times_the_error_of_the_gain(
    rng: np.random.Generator, wrong: float
) -> None:
    # Photons scale with the gain, their variance with its square: the ratio with the gain.
    stated = CameraCalibration(
        pixel_nm=100.0, offset_adu=100.0, e_per_adu=0.5 * wrong, read_noise_e=1.0 * wrong**0.5
    )
    sampler = SpotSampler(stated, 100 * SIGMA_PX, None)
    locs = grid(rng)
    batch = frames(locs, rng)

    measured = np.concatenate([sampler.noise(locs, batch, turn) for turn in range(40)])

    assert np.mean(measured[:, 0]) == pytest.approx(wrong, rel=0.12)
    assert np.mean(measured[:, 1]) == pytest.approx(10 * wrong, rel=0.05)


def test_patches_of_successive_calls_are_elsewhere_and_few(
    sampler: SpotSampler, rng: np.random.Generator
) -> None:
    locs = rows(np.array([64.0]), np.array([64.0]))
    batch = frames(locs, rng)

    first, second, again = (sampler.noise(locs, batch, turn) for turn in (0, 1, 0))

    assert len(first) <= N_PATCHES
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, again)


def test_frames_smaller_than_a_patch_have_none(sampler: SpotSampler) -> None:
    tiny = FrameBatch.from_pixels(np.full((2, PATCH_PX - 1, 40), 120, np.uint16))

    assert sampler.noise(Localizations.empty(), tiny, 0).shape == (0, 2)


def test_a_crowded_frame_has_no_empty_patch(sampler: SpotSampler, rng: np.random.Generator) -> None:
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(0, 128, 6.0), np.arange(0, 128, 6.0)))
    locs = rows(x, y)

    assert len(sampler.noise(locs, frames(locs, rng), 0)) == 0


def test_camera_maps_of_another_size_are_refused(rng: np.random.Generator) -> None:
    maps = CameraCalibration(pixel_nm=100.0, offset_adu=np.full((64, 64), 100, np.float32))
    locs = grid(rng)

    with pytest.raises(CalibrationError, match="same region of the chip"):
        SpotSampler(maps, 130.0, None).noise(locs, frames(locs, rng), 0)


def test_switched_off_the_monitor_measures_and_reports_nothing(rng: np.random.Generator) -> None:
    warned: list[str] = []
    monitor = ValidityMonitor(
        load(None, ["pipeline.validity=false"]), CALIBRATION, 130.0, warned.append
    )
    locs = grid(rng)

    monitor.sample(locs, frames(locs, rng))

    assert monitor.judge() == {}
    assert warned == []


def test_a_finding_is_reported_once_and_stays_in_the_figures(rng: np.random.Generator) -> None:
    warned: list[str] = []
    monitor = ValidityMonitor(load(None), CALIBRATION, 130.0, warned.append)
    for _ in range(30):
        locs = grid(rng)
        monitor.sample(locs, frames(locs, rng, sigma_px=1.7))

    verdicts = [monitor.judge() for _ in range(3)]

    assert len(warned) == len(verdicts[0]["findings"]) > 0
    assert "PSF" in warned[0]
    assert verdicts[2]["findings"] == verdicts[0]["findings"]
