"""ImageDrift: what lies still in the sample shows its drift, and noise alone shows nothing."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.analysis.drift import DriftTracker
from rtsmlm.analysis.image_drift import ImageDrift, ImageShift
from rtsmlm.localizations import Localizations
from rtsmlm.physics.psf import GaussianPsf

SIDE, PIXEL_NM, BLOCK = 128, 100.0, 100
STEP_PX = np.array([0.27, -0.18])
"""Drift from block to block."""


def recording(
    rng: np.random.Generator, *, haze: float, camera_adu: float, n_blocks: int = 8
) -> list[np.ndarray]:
    """Return blocks of frames: hazy spots that drift, emitters that blink, a camera's own pattern.

    A photon is 2.2 ADU, 5 of them lie on each pixel, a hazy spot has so many each frame.
    """
    x, y = rng.uniform(-10, SIDE + 10, (2, 400))
    light = rng.exponential(haze, 400) if haze else np.zeros(400)
    offset = 100 + rng.normal(0, camera_adu, (SIDE, SIDE))
    blurred, sharp = GaussianPsf(2.2), GaussianPsf(1.3)
    blocks = []
    for k in range(n_blocks):
        still = np.full((SIDE, SIDE), 5.0, np.float32)
        blurred.render(still, x + k * STEP_PX[0], y + k * STEP_PX[1], 0 * x, light)
        frames = np.empty((BLOCK, SIDE, SIDE), np.float32)
        for frame in frames:
            frame[:] = still
            n = rng.poisson(2)
            at = rng.uniform(0, SIDE, (2, n))
            sharp.render(frame, at[0], at[1], np.zeros(n), np.full(n, 1500.0))
        adu = rng.poisson(frames) * 2.2 + offset + rng.normal(0, 1.5, frames.shape)
        blocks.append(np.rint(adu).astype(np.uint16))
    return blocks


def shifts_of(blocks: list[np.ndarray], batch: int = 7) -> list[ImageShift]:
    meter = ImageDrift((SIDE, SIDE), PIXEL_NM, block_frames=BLOCK)
    pixels = np.concatenate(blocks)
    found = []
    for k in range(0, len(pixels), batch):
        part = pixels[k : k + batch]
        shift = meter.add(part, np.arange(k, k + len(part)), np.zeros(2))
        found += [] if shift is None else [shift]
    return found


@pytest.mark.parametrize("camera_adu", [0.0, 1.5])
def test_a_structured_background_shows_the_drift_within_its_stated_error(
    rng: np.random.Generator, camera_adu: float
) -> None:
    found = shifts_of(recording(rng, haze=30.0, camera_adu=camera_adu), batch=10)
    assert len(found) == 7
    std = np.sqrt([shift.variance for shift in found])
    truth = [(k + 1) * STEP_PX * PIXEL_NM for k in range(7)]
    off = np.array([shift.drift_nm for shift in found]) - truth
    assert (std < 30).all(), "a third of a pixel"
    assert np.sqrt((off / std) ** 2).mean() < 1.5
    # Each is held against the first block, whose error all of them share.
    assert (np.sqrt((off - off.mean(axis=0)) ** 2).mean(axis=0) < 5).all()


@pytest.mark.parametrize("camera_adu", [0.0, 2.0])
def test_noise_without_a_structure_says_nothing(
    rng: np.random.Generator, camera_adu: float
) -> None:
    found = shifts_of(recording(rng, haze=0.0, camera_adu=camera_adu), batch=10)
    assert found
    assert all(np.isinf(shift.variance).all() for shift in found)


def test_frames_one_by_one_make_the_same_blocks(rng: np.random.Generator) -> None:
    blocks = recording(rng, haze=30.0, camera_adu=1.0, n_blocks=3)
    whole, single = shifts_of(blocks, batch=10), shifts_of(blocks, batch=1)
    assert [s.drift_nm.tolist() for s in whole] == [s.drift_nm.tolist() for s in single]
    assert (whole[0].first_frame, whole[0].last_frame) == (BLOCK, 2 * BLOCK - 1)


def test_a_field_that_is_too_small_is_left_alone() -> None:
    meter = ImageDrift((32, 200), PIXEL_NM)
    assert meter.add(np.zeros((900, 32, 200), np.uint16), np.arange(900), np.zeros(2)) is None


def _shift(k: int, nm: float, std_nm: float) -> ImageShift:
    return ImageShift(
        200 * k, 200 * k + 199, np.array([nm, -nm]), np.full(2, float(std_nm) ** 2), -100.5
    )


def test_without_localizations_the_drift_is_that_of_the_image() -> None:
    tracker = DriftTracker(6400.0)
    for k in range(10):
        assert tracker.add_image(_shift(k, 4.0 * k, 3.0))
    assert not tracker.add_image(_shift(10, 0.0, np.inf))
    assert tracker.sources == ["image"] * 11
    assert tracker.trace.drift_nm[-1, 0] == pytest.approx(36, abs=5)
    assert tracker.newest.std_x_nm == pytest.approx(3.0)
    assert np.isnan(tracker.newest.z_nm)
    assert (np.diff(tracker.trace.frame) > 0).all()


def test_where_localizations_say_more_the_image_is_not_taken(rng: np.random.Generator) -> None:
    places = rng.uniform(0, 6400, (300, 2))
    tracker = DriftTracker(6400.0)
    for k in range(2000):
        x, y = (places[rng.integers(0, 300, 20)] + rng.normal(0, 8, (20, 2))).T
        tracker.add(
            Localizations.from_columns(
                {"frame": np.full(20, k), "x_nm": x, "y_nm": y,
                 "std_x_nm": np.full(20, 8.0), "std_y_nm": np.full(20, 8.0)}
            )
        )  # fmt: skip
        if k % 200 == 199:
            tracker.add_image(_shift(k // 200, 40.0, 6.0))
    assert "image" not in tracker.sources[1:]
    assert np.abs(tracker.trace.drift_nm[-1, :2]).max() < 5
    assert (np.diff(tracker.trace.frame) >= 0).all()
