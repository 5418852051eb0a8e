"""Wrong pixels: found where they are, and taken for none where light explains what is seen."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.calibration import MASKED_VARIANCE, CameraCalibration
from rtsmlm.fitting.frame_plan import make_plan
from rtsmlm.fitting.localizer import GaussianMleLocalizer
from rtsmlm.fitting.mending import PixelMender
from rtsmlm.fitting.wrong_pixels import (
    DEAD,
    FLICKERING,
    HOT,
    WrongPixels,
    find_wrong_pixels,
    segments_of,
)
from rtsmlm.frames import FrameBatch, Pixels
from rtsmlm.localizations import F32
from rtsmlm.models.inputs import padded_maps
from rtsmlm.physics.gaussian import render_spots
from rtsmlm.settings.run import LocalizerSettings

SHAPE = (64, 64)
N_FRAMES = 96
IDEAL = CameraCalibration(pixel_nm=100.0, offset_adu=100.0, read_noise_e=0.0)
EMCCD = CameraCalibration(pixel_nm=100.0, e_per_adu=45.0, em_gain=300.0, read_noise_e=74.4)


def blinking(
    rng: np.random.Generator, *, sigma_px: float = 1.1, per_frame: int = 3, photons: float = 3000.0
) -> F32:
    """Expected photons of frames with emitters that last three frames, (n, height, width)."""
    light = np.empty((N_FRAMES, *SHAPE), dtype=np.float32)
    for k in range(0, N_FRAMES, 3):
        x, y = rng.uniform(0, 63, (2, per_frame))
        light[k : k + 3] = render_spots(SHAPE, x, y, np.full(per_frame, photons), sigma_px, 20.0)
    return light


def recorded(rng: np.random.Generator, light: F32) -> Pixels:
    return (rng.poisson(light) + 100).astype(np.uint16)


def found(pixels: Pixels, calibration: CameraCalibration = IDEAL) -> WrongPixels:
    return find_wrong_pixels(
        (pixels[part.start : part.stop] for part in segments_of(len(pixels), SHAPE)), calibration
    )


def test_hot_dead_and_flickering_pixels_are_found(rng: np.random.Generator) -> None:
    light = blinking(rng)
    light[:, 10, 20] += 60.0
    light[:, 30, 31] += 2000.0
    light[:, 30, 32] += 1500.0  # one beside the other
    light[:, 50, 5] = 0.0
    light[:, 40, 40] += 300.0 * rng.integers(0, 2, N_FRAMES) - 150.0 * (rng.random(N_FRAMES) < 2)
    kind = found(recorded(rng, np.maximum(light, 0.0))).kind

    assert [int(kind[place]) for place in ((10, 20), (30, 31), (30, 32))] == [HOT] * 3
    assert kind[50, 5] == DEAD
    assert kind[40, 40] in (HOT, FLICKERING)
    assert np.count_nonzero(kind) == 5


@pytest.mark.parametrize("sigma_px", [0.8, 1.1, 1.6])
def test_a_fiducial_and_blinking_emitters_are_no_wrong_pixels(
    rng: np.random.Generator, sigma_px: float
) -> None:
    light = blinking(rng, sigma_px=sigma_px)
    places = (np.array([12.0, 30.5, 50.0]), np.array([12.0, 30.5, 40.5]))
    light += render_spots(SHAPE, *places, np.full(3, 20_000.0), sigma_px, 0.0)
    wrong = found(recorded(rng, light))

    assert not wrong.kind.any()
    assert wrong.note == ""


def test_a_pixel_that_is_hot_in_one_part_of_the_movie_is_left_to_the_localizer(
    rng: np.random.Generator,
) -> None:
    light = blinking(rng)
    light[: N_FRAMES // 2, 20, 20] += 500.0

    assert not found(recorded(rng, light)).kind.any()


def test_noise_and_dark_values_of_the_maps_are_no_faults(rng: np.random.Generator) -> None:
    offset = np.full(SHAPE, 100.0, dtype=np.float32)
    noise = np.full(SHAPE, 1.5, dtype=np.float32)
    offset[8, 8], noise[20, 20] = 160.0, 20.0
    light = blinking(rng)
    adu = rng.poisson(light) + offset + noise * rng.standard_normal(light.shape)
    pixels = np.clip(np.rint(adu), 0, 65535).astype(np.uint16)
    maps = CameraCalibration(pixel_nm=100.0, offset_adu=offset, read_noise_e=noise)

    assert found(pixels).kind[8, 8] == HOT
    assert found(pixels).kind[20, 20] == FLICKERING
    assert not found(pixels, maps).kind.any()


def test_where_many_pixels_stand_out_none_is_masked_and_that_is_said(
    rng: np.random.Generator,
) -> None:
    light = blinking(rng)
    light[:, rng.random(SHAPE) < 0.05] += 200.0
    wrong = found(recorded(rng, light))

    assert not wrong.kind.any()
    assert "camera.maps" in wrong.note


def test_the_sentence_counts_the_kinds(rng: np.random.Generator) -> None:
    light = blinking(rng)
    light[:, 10, 20] += 200.0
    light[:, 50, 5] = 0.0
    note = found(recorded(rng, light)).note

    assert note.startswith("2 pixels are masked: 1 hot, 1 dead;")
    assert "camera.wrong_pixels" in note


def test_the_neighbours_stand_for_a_masked_pixel_in_light(rng: np.random.Generator) -> None:
    offset = rng.uniform(90, 110, SHAPE).astype(np.float32)
    gain = rng.uniform(0.2, 0.3, SHAPE).astype(np.float32)
    masked = np.zeros(SHAPE, dtype=np.bool_)
    masked[0, 0] = masked[30, 30] = masked[30, 31] = True
    maps = CameraCalibration(pixel_nm=100.0, offset_adu=offset, e_per_adu=gain, masked=masked)
    pixels = rng.integers(200, 2000, (3, *SHAPE)).astype(np.uint16)
    before = maps.to_photons(pixels)
    mender = PixelMender(maps)
    after = maps.to_photons(mender(pixels.copy()))

    around = before[:, 29:32, 29:32].sum((1, 2)) - before[:, 30, 30] - before[:, 30, 31]
    np.testing.assert_allclose(after[:, 30, 30], around / 7, atol=0.16)  # half an ADU
    corner = before[:, 0, 1] + before[:, 1, 0] + before[:, 1, 1]
    np.testing.assert_allclose(after[:, 0, 0], corner / 3, atol=0.16)
    np.testing.assert_array_equal(after[:, ~masked], before[:, ~masked])


def test_mending_twice_changes_nothing_and_read_only_frames_are_copied(
    rng: np.random.Generator,
) -> None:
    masked = rng.random(SHAPE) < 0.02
    mender = PixelMender(IDEAL.with_masked(masked))
    raw = rng.integers(100, 300, (2, *SHAPE)).astype(np.uint16)
    kept = raw.copy()
    raw.flags.writeable = False
    once = mender(raw)

    np.testing.assert_array_equal(raw, kept)
    assert mender(once) is once
    np.testing.assert_array_equal(mender(once.copy()), once)


@pytest.mark.parametrize("calibration", [IDEAL, EMCCD], ids=["ideal", "EMCCD"])
def test_a_network_is_shown_the_variance_that_it_was_trained_with(
    calibration: CameraCalibration,
) -> None:
    masked = np.zeros(SHAPE, dtype=np.bool_)
    masked[7, 9] = True
    variance = padded_maps(calibration.with_masked(masked), SHAPE)[2]

    assert variance[7, 9] == MASKED_VARIANCE  # in light that is halved for an EMCCD
    assert variance[7, 8] < 1.0


def test_detection_keeps_its_threshold_beside_a_masked_pixel() -> None:
    masked = np.zeros(SHAPE, dtype=np.bool_)
    masked[30, 30] = True

    def threshold(calibration: CameraCalibration) -> F32:
        localizer = GaussianMleLocalizer(
            calibration=calibration, sigma_nm=130.0, settings=LocalizerSettings()
        )
        return make_plan(calibration, SHAPE, localizer._filter).filter.read_noise

    np.testing.assert_array_equal(threshold(IDEAL.with_masked(masked)), threshold(IDEAL))


def test_a_fit_finds_the_emitter_on_a_hot_pixel_once_it_is_masked(
    rng: np.random.Generator,
) -> None:
    n = 200
    light = np.stack(
        [
            render_spots(SHAPE, *rng.uniform(31.0, 33.0, (2, 1)), np.array([2000.0]), 1.3, 20.0)
            for _ in range(n)
        ]
    )
    truth = light.copy()
    light[:, 32, 31] += 400.0
    masked = np.zeros(SHAPE, dtype=np.bool_)
    masked[32, 31] = True

    def found_in(frames: F32, calibration: CameraCalibration, seed: int) -> tuple[int, float]:
        pixels = recorded(np.random.default_rng(seed), frames)
        localizer = GaussianMleLocalizer(
            calibration=calibration, sigma_nm=130.0, settings=LocalizerSettings()
        )
        pixels = PixelMender(calibration)(pixels)
        rows = localizer(FrameBatch.from_pixels(pixels))
        return len(rows), float(np.median(rows.photons))

    n_wanted, wanted = found_in(truth, IDEAL, 1)
    n_hot, hot = found_in(light, IDEAL, 1)
    n_masked, of_masked = found_in(light, IDEAL.with_masked(masked), 1)
    assert n_hot < 0.8 * n_wanted or hot > 1.1 * wanted
    assert n_masked >= n_wanted - 4
    assert of_masked == pytest.approx(wanted, rel=0.03)


def test_frames_that_are_repeated_tell_of_no_pixel(rng: np.random.Generator) -> None:
    light = blinking(rng)
    light[:, 10, 20] += 300.0
    pixels = recorded(rng, light)

    assert found(pixels).kind[10, 20] == HOT
    assert not found(np.tile(pixels[:5], (20, 1, 1))).kind.any()


def test_frames_of_a_camera_with_maps_and_no_wrong_pixel_stay_as_they_are() -> None:
    maps = CameraCalibration(pixel_nm=100.0, offset_adu=np.full(SHAPE, 99.0, dtype=np.float32))
    pixels = np.full((2, *SHAPE), 120, dtype=np.uint16)
    mender = PixelMender(maps)

    assert mender.n_pixels == 0
    assert mender(pixels) is pixels
