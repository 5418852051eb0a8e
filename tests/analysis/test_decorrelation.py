"""Decorrelation finds where the signal of an image ends; sampling sets a limit of its own."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.fft

from rtsmlm.analysis.decorrelation import decorrelation_bins, nyquist_nm
from rtsmlm.analysis.resolution import ResolutionMeter, ring_sums
from rtsmlm.bench.accuracy.drift_scene import blinking

SIDE = 512
WITHIN = 0.1


def _cut_off(rng: np.random.Generator, at: float, noise: float) -> np.ndarray:
    """Return points seen through an optics that passes frequencies up to a part of Nyquist's."""
    points = (rng.random((SIDE, SIDE)) < 0.01).astype(np.float64)
    frequency = scipy.fft.fftfreq(SIDE, 0.5)
    radius = np.hypot(*np.meshgrid(frequency, frequency))
    passed = np.sqrt(np.clip(1 - radius / at, 0, None))
    image = scipy.fft.ifft2(scipy.fft.fft2(points) * passed).real
    return (image + rng.normal(0, noise * image.std(), image.shape)).astype(np.float32)


@pytest.mark.parametrize("cut_off", [0.1, 0.2, 0.4, 0.6])
def test_the_cut_off_of_an_optics_is_found(rng: np.random.Generator, cut_off: float) -> None:
    image = _cut_off(rng, cut_off, 0.1)

    assert decorrelation_bins(*ring_sums(image)) == pytest.approx(2 / cut_off, rel=WITHIN)


def test_more_noise_never_makes_it_look_sharper(rng: np.random.Generator) -> None:
    found = [decorrelation_bins(*ring_sums(_cut_off(rng, 0.4, noise))) for noise in (0.1, 1, 5)]

    assert found == sorted(found)


def test_neither_the_scale_nor_the_level_of_an_image_matters(rng: np.random.Generator) -> None:
    image = _cut_off(rng, 0.3, 0.1)

    scaled = decorrelation_bins(*ring_sums((40 * image + 1000).astype(np.float32)))

    assert scaled == pytest.approx(decorrelation_bins(*ring_sums(image)), rel=1e-3)


def test_an_image_without_anything_has_no_resolution() -> None:
    assert math.isnan(decorrelation_bins(*ring_sums(np.zeros((64, 64), np.float32))))
    assert math.isnan(decorrelation_bins(np.zeros(4), np.zeros(4), np.ones(4)))


@pytest.mark.parametrize("per_um2", [100.0, 2500.0])
def test_the_sampling_limit_is_two_over_the_root_of_the_density(
    rng: np.random.Generator, per_um2: float
) -> None:
    counts = rng.poisson(per_um2 * 0.005**2, (1000, 1000)).astype(np.float32)

    assert nyquist_nm(counts, 5.0) == pytest.approx(2000 / math.sqrt(per_um2), rel=0.15)


def test_empty_parts_of_the_field_do_not_count_for_the_sampling(rng: np.random.Generator) -> None:
    counts = np.zeros((1000, 1000), np.float32)
    counts[:400, :400] = rng.poisson(0.05, (400, 400))

    assert nyquist_nm(counts, 5.0) == pytest.approx(nyquist_nm(counts[:400, :400], 5.0), rel=0.05)
    assert math.isnan(nyquist_nm(np.zeros((100, 100), np.float32), 5.0))
    assert math.isnan(nyquist_nm(np.ones((4, 4), np.float32), 5.0))
    assert math.isnan(nyquist_nm(np.eye(100, dtype=np.float32) * [*[0] * 99, 1], 5.0)), "alone"


def test_all_figures_of_a_sharper_image_are_smaller(rng: np.random.Generator) -> None:
    figures = []
    for std_nm in (10.0, 20.0):
        meter = ResolutionMeter((64, 64), 100.0)
        meter.add(blinking(rng, np.zeros((40_000, 3)), per_frame=10.0, std_nm=std_nm).rows)
        figures.append(meter.figures())

    sharp, blurred = figures
    assert sharp.frc_nm < blurred.frc_nm
    assert sharp.decorrelation_nm < blurred.decorrelation_nm
    # Both see about twice to three times the standard deviation of a place.
    for found, std_nm in zip(figures, (10.0, 20.0), strict=True):
        assert 1.5 * std_nm < found.frc_nm < 6 * std_nm
        assert 1.5 * std_nm < found.decorrelation_nm < 6 * std_nm
        assert found.nyquist_nm < found.frc_nm


def test_a_meter_without_rows_knows_nothing() -> None:
    figures = ResolutionMeter((64, 64), 100.0).figures()

    assert math.isnan(figures.frc_nm)
    assert math.isnan(figures.decorrelation_nm)
    assert math.isnan(figures.nyquist_nm)
