"""Gain and dark value by the noise of the frames: found where they show, and not where they do not.

The movies blink: an emitter is on for some frames, as in a real one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtsmlm.calibration import CameraCalibration
from rtsmlm.fitting.camera_estimate import CameraEstimate, estimate_camera
from rtsmlm.fitting.photon_transfer import photon_transfer, steady_samples
from rtsmlm.frames import Pixels
from rtsmlm.physics.gaussian import render_spots

SHAPE = (96, 96)
N_FRAMES = 96
ASSUMED = CameraCalibration(pixel_nm=100.0, read_noise_e=1.6)
BOTH = ("offset_adu", "e_per_adu")


def light(
    rng: np.random.Generator, *, background: float = 20.0, uneven: float = 0.0, on: int = 4
) -> np.ndarray:
    """Expected photons, (n, height, width); with `on` frames an emitter shines."""
    across = 1.0 + uneven * np.cos(np.pi * np.arange(SHAPE[1]) / SHAPE[1])
    frames = np.empty((N_FRAMES, *SHAPE))
    n = 12
    x, y = rng.uniform(0, 95, (2, n))
    photons = 2000.0 * rng.gamma(4.0, 0.25, n)
    for frame in frames:
        changes = rng.random(n) < 1.0 / on
        x[changes], y[changes] = rng.uniform(0, 95, (2, int(changes.sum())))
        frame[:] = background * across + render_spots(SHAPE, x, y, photons, 1.3, 0.0)
    return frames


def record(
    rng: np.random.Generator,
    expected: np.ndarray,
    *,
    e_per_adu: float,
    offset: float,
    em: bool = False,
    highest: int = 65535,
) -> Pixels:
    electrons = rng.poisson(expected).astype(float)
    if em:
        electrons = rng.gamma(np.maximum(electrons, 1e-9)) * (electrons > 0)
    electrons += (0.2 if em else 1.6) * rng.standard_normal(electrons.shape)
    return np.clip(np.rint(electrons / e_per_adu + offset), 0, highest).astype(np.uint16)


def estimate(
    pixels: Pixels,
    calibration: CameraCalibration = ASSUMED,
    assumed: tuple[str, ...] = BOTH,
    *,
    is_wanted: bool = True,
) -> CameraEstimate:
    none = np.zeros(SHAPE, dtype=np.bool_)
    parts = [steady_samples(part, none) for part in np.array_split(pixels, 4)]
    return estimate_camera(photon_transfer(parts), calibration, assumed, is_wanted=is_wanted)


@pytest.mark.parametrize(
    ("e_per_adu", "offset", "background", "uneven"),
    [
        (0.46, 100.0, 20.0, 0.0),
        (0.46, 10.0, 20.0, 0.0),
        (0.24, 400.0, 50.0, 0.7),
        (0.46, 300.0, 0.2, 0.0),
    ],
    ids=["sCMOS", "low dark value", "uneven light", "no background"],
)
def test_gain_and_dark_value_are_found(
    rng: np.random.Generator, e_per_adu: float, offset: float, background: float, uneven: float
) -> None:
    expected = light(rng, background=background, uneven=uneven)
    found = estimate(record(rng, expected, e_per_adu=e_per_adu, offset=offset))

    assert found.values["e_per_adu"] == pytest.approx(e_per_adu, rel=0.15)
    assert found.values["offset_adu"] == pytest.approx(offset, abs=4.0 / e_per_adu)
    assert "camera.e_per_adu and camera.offset_adu not stated" in found.note
    assert not found.doubt


def test_a_movie_of_eight_bits_is_understood(rng: np.random.Generator) -> None:
    pixels = record(rng, light(rng), e_per_adu=8.0, offset=5.0, highest=255)
    found = estimate(pixels)

    assert found.values["e_per_adu"] == pytest.approx(8.0, rel=0.15)
    assert found.values["offset_adu"] == pytest.approx(5.0, abs=0.5)


def test_of_an_emccd_only_the_product_of_all_gains_shows(rng: np.random.Generator) -> None:
    expected = light(rng)
    pixels = record(rng, expected, e_per_adu=0.15, offset=100.0, em=True)
    unknown = estimate(pixels)
    # With its excess noise light counts half, which is what the variance equals.
    assert unknown.values["e_per_adu"] == pytest.approx(0.075, rel=0.15)

    stated = replace(ASSUMED, em_gain=300.0, read_noise_e=60.0)
    known = estimate(pixels, stated)
    assert known.values["e_per_adu"] == pytest.approx(45.0, rel=0.15)


def test_what_is_assumed_rightly_stays(rng: np.random.Generator) -> None:
    found = estimate(record(rng, light(rng), e_per_adu=1.0, offset=100.0))

    assert found == CameraEstimate(values={})


@pytest.mark.parametrize("name", BOTH)
def test_what_is_stated_is_kept_and_the_other_is_found(rng: np.random.Generator, name: str) -> None:
    pixels = record(rng, light(rng), e_per_adu=0.46, offset=10.0)
    stated = replace(ASSUMED, offset_adu=10.0) if name == "e_per_adu" else ASSUMED
    stated = replace(stated, e_per_adu=0.46) if name == "offset_adu" else stated
    found = estimate(pixels, stated, (name,))

    assert list(found.values) == [name]
    truth = {"e_per_adu": 0.46, "offset_adu": 10.0}[name]
    assert found.values[name] == pytest.approx(truth, rel=0.15, abs=4.0)


def test_stated_values_stay_in_force_and_are_contradicted(rng: np.random.Generator) -> None:
    pixels = record(rng, light(rng), e_per_adu=0.46, offset=100.0)

    assert estimate(pixels, replace(ASSUMED, e_per_adu=0.46), ()).doubt == ""
    wrong = estimate(pixels, replace(ASSUMED, e_per_adu=0.9), ())
    assert not wrong.values
    assert "0.9 electrons per ADU" in wrong.doubt
    assert "stay in force" in wrong.doubt
    shifted = estimate(pixels, replace(ASSUMED, e_per_adu=0.46, offset_adu=60.0), ())
    assert "60 ADU" in shifted.doubt


def test_a_wrong_assumption_is_a_doubt_where_no_estimate_is_wanted(
    rng: np.random.Generator,
) -> None:
    pixels = record(rng, light(rng), e_per_adu=0.3, offset=20.0)
    found = estimate(pixels, is_wanted=False)

    assert not found.values
    assert "camera.estimate" in found.doubt


def test_even_light_without_emitters_tells_a_gain_for_the_dark_value_alone(
    rng: np.random.Generator,
) -> None:
    still = np.full((N_FRAMES, *SHAPE), 20.0)
    found = estimate(record(rng, still, e_per_adu=0.46, offset=100.0))

    assert found.values["e_per_adu"] == pytest.approx(0.46, rel=0.1)
    assert found.values["offset_adu"] == 100.0


def test_independent_frames_do_not_pass_for_steady_light(rng: np.random.Generator) -> None:
    pixels = record(rng, light(rng, on=1), e_per_adu=0.46, offset=100.0)
    found = estimate(pixels)

    assert found.values["e_per_adu"] == pytest.approx(0.46, rel=0.15)


def test_a_dark_movie_of_a_noisy_camera_says_nothing(rng: np.random.Generator) -> None:
    pixels = np.rint(100.0 + 20.0 * rng.standard_normal((N_FRAMES, *SHAPE))).astype(np.uint16)

    assert estimate(pixels) == CameraEstimate(values={})


def test_camera_maps_are_not_second_guessed(rng: np.random.Generator) -> None:
    pixels = record(rng, light(rng), e_per_adu=0.46, offset=100.0)
    maps = replace(ASSUMED, e_per_adu=np.full(SHAPE, 2.0, dtype=np.float32))

    assert estimate(pixels, maps, ("offset_adu",)) == CameraEstimate(values={})
