"""The rate of a localizer: frames over time, on frames like those of a run."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from rtsmlm.calibration import CameraCalibration
from rtsmlm.fitting.psf_width import estimate_sigma_px
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.pipeline.rate import (
    DENSITY_PER_UM2,
    MARGIN,
    keeps_up,
    measure_rate,
    simulated_frames,
)
from rtsmlm.protocols import ALL, AS_FOUND

CAMERA = CameraCalibration(pixel_nm=100.0, offset_adu=98.0, e_per_adu=0.5, read_noise_e=1.5)


class Clocked:
    """A localizer that takes a stated time per frame, of a clock of its own."""

    name, neighbours, uses_all_cores = "clocked", 0, False
    max_local_per_um2, recall = math.inf, AS_FOUND

    def __init__(self, ms_per_frame: float, hiccup_ms: float = 0.0) -> None:
        self.t_ns, self.calls = 0, 0
        self._ms, self._hiccup_ms = ms_per_frame, hiccup_ms

    def warm_up(self, shape: tuple[int, int]) -> None:
        pass

    def __call__(self, batch: FrameBatch, targets: slice = ALL) -> Localizations:
        self.t_ns += int(1e6 * (self._ms * len(batch) + self._hiccup_ms * (self.calls == 0)))
        self.calls += 1
        return Localizations.empty()


@pytest.fixture
def frames() -> FrameBatch:
    return simulated_frames((64, 48), CAMERA, 130.0, 8)


@pytest.mark.parametrize("hiccup_ms", [0.0, 80.0])
def test_the_rate_is_that_of_the_localizer_whatever_hinders_its_first_batch(
    frames: FrameBatch, hiccup_ms: float
) -> None:
    localizer = Clocked(4.0, hiccup_ms)

    rate = measure_rate(localizer, frames, clock=lambda: localizer.t_ns)

    assert rate == pytest.approx(250.0)
    assert 0.3 <= localizer.t_ns / 1e9 < 0.3 + 2 * 0.032 + hiccup_ms / 1e3


def test_a_localizer_that_takes_longer_than_the_time_is_measured_on_one_batch(
    frames: FrameBatch,
) -> None:
    localizer = Clocked(1000.0)

    assert measure_rate(localizer, frames, clock=lambda: localizer.t_ns) == pytest.approx(1.0)
    assert localizer.calls == 1


def test_it_keeps_up_with_the_margin_that_is_stated_or_where_no_rate_is_known() -> None:
    assert keeps_up(MARGIN * 100.0, 100.0)
    assert not keeps_up(MARGIN * 100.0 - 1.0, 100.0)
    assert keeps_up(1.0, math.nan)
    assert keeps_up(math.nan, 100.0)


def test_simulated_frames_have_the_light_the_width_and_the_noise_of_a_run() -> None:
    batch = simulated_frames((256, 300), CAMERA, 150.0, 24)
    photons = CAMERA.to_photons(batch.pixels)

    assert batch.shape == (256, 300)
    assert batch.index.max() < 0, "none can be taken for a frame of the run"
    area_um2 = 25.6 * 30.0
    light = photons.sum() / len(batch) - 20.0 * photons[0].size
    assert light / 1000.0 == pytest.approx(DENSITY_PER_UM2 * area_um2, rel=0.15)
    assert estimate_sigma_px(photons) == pytest.approx(1.5, rel=0.03)
    dark = np.median(photons)
    assert dark == pytest.approx(20.0, abs=1.0)
    differs = [not np.array_equal(a, b) for a, b in pairwise(photons)]
    assert all(differs)


def test_large_frames_are_as_many_as_fit_into_64_mib() -> None:
    assert len(simulated_frames((2048, 2048), CAMERA, 130.0, 16)) == 8
