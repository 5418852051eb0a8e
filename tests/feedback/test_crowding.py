"""The crowding alarm is silent where detection works, and never where light outnumbers it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtsmlm.bench.accuracy.scenes import Emitters, expose
from rtsmlm.calibration import CameraCalibration
from rtsmlm.feedback.density.crowding import WINDOW_PX, CrowdingMonitor
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.physics.camera import SensorType
from rtsmlm.physics.psf import AstigmaticPsf, GaussianPsf, Psf
from rtsmlm.pipeline.localizer import open_localizer
from rtsmlm.settings.load import load

SIDE_PX, N_FRAMES, SIGMA_NM = 96, 10, 130.0
ROUND = GaussianPsf(1.3)
FIT, NETWORK = "gaussian-mle", "flagship-2d-fast"
Movie = tuple[FrameBatch, CameraCalibration]


def movie(
    density_um2: float,
    *,
    photons: float = 1500.0,
    background: float = 20.0,
    psf: Psf = ROUND,
    half_range_nm: float = 0.0,
    fiducials: int = 0,
    camera: SensorType = "sCMOS",
    seed: int = 1,
) -> Movie:
    """Emitters of all brightnesses, elsewhere in every frame, and fiducials that stay."""
    rng = np.random.default_rng(seed)
    low, high = -5.0, SIDE_PX + 4.0
    frame = np.repeat(
        np.arange(N_FRAMES), rng.poisson(density_um2 * ((high - low) / 10.0) ** 2, N_FRAMES)
    )
    n, n_fixed = len(frame), fiducials * N_FRAMES
    fixed = np.tile(rng.uniform(10, SIDE_PX - 10, (2, fiducials)), (1, N_FRAMES))
    x, y = np.concatenate([rng.uniform(low, high, (2, n)), fixed], axis=1)
    light = np.concatenate([photons * rng.lognormal(-0.08, 0.4, n), np.full(n_fixed, 20_000.0)])
    z = np.concatenate([rng.uniform(-half_range_nm, half_range_nm, n), np.zeros(n_fixed)])
    frame = np.concatenate([frame, np.repeat(np.arange(N_FRAMES), fiducials)])
    order = np.argsort(frame, kind="stable")
    emitters = Emitters(
        frame=frame[order], x_px=x[order], y_px=y[order], z_nm=z[order], photons=light[order]
    )
    return expose(emitters, psf, background, np.arange(N_FRAMES), (SIDE_PX, SIDE_PX), rng, camera)


def localized(shown: Movie, name: str, sigma_nm: float = SIGMA_NM) -> Localizations:
    batch, calibration = shown
    settings = load(None, [f"localizer.name={name}", f"psf.sigma_nm={sigma_nm}"])
    return open_localizer(settings, calibration, sigma_nm)(batch)


def feed(monitor: CrowdingMonitor, batch: FrameBatch, locs: Localizations) -> tuple[float, bool]:
    for k in range(len(batch)):
        here = locs.take(locs.frame == batch.index[k])
        monitor.sample(batch.pixels[k], here.x_nm, here.y_nm, here.photons)
    return monitor.judge()


def judged(shown: Movie, locs: Localizations, sigma_nm: float = SIGMA_NM) -> tuple[float, bool]:
    batch, calibration = shown
    return feed(CrowdingMonitor(calibration, batch.shape, sigma_nm), batch, locs)


@pytest.mark.parametrize(
    ("photons", "background"), [(500, 1), (500, 50), (1500, 20), (5000, 1), (5000, 50)]
)
@pytest.mark.parametrize("name", [FIT, NETWORK])
def test_sparse_emitters_are_no_crowd(name: str, photons: float, background: float) -> None:
    shown = movie(0.1, photons=photons, background=background)

    unexplained, crowded = judged(shown, localized(shown, name))

    assert unexplained < 0.2
    assert not crowded


@pytest.mark.parametrize(("name", "density_um2"), [(FIT, 0.3), (NETWORK, 1.0), (NETWORK, 2.0)])
def test_what_the_localizer_can_resolve_is_no_crowd(name: str, density_um2: float) -> None:
    shown = movie(density_um2)

    unexplained, crowded = judged(shown, localized(shown, name))

    assert unexplained < 0.15
    assert not crowded


@pytest.mark.parametrize("density_um2", [12.0, 25.0, 50.0])
@pytest.mark.parametrize("name", [FIT, NETWORK, "flagship-2d"])
@pytest.mark.parametrize("photons", [500.0, 1500.0])
def test_where_the_count_is_a_fraction_of_the_truth_is_a_crowd(
    name: str, density_um2: float, photons: float
) -> None:
    shown = movie(density_um2, photons=photons)
    locs = localized(shown, name)
    assert len(locs) / N_FRAMES < 0.45 * density_um2 * (SIDE_PX / 10.0) ** 2

    assert judged(shown, locs)[1]


@pytest.mark.parametrize("name", [FIT, NETWORK, "flagship-2d"])
@pytest.mark.parametrize("photons", [500.0, 1500.0])
def test_where_a_network_still_finds_half_is_a_crowd(name: str, photons: float) -> None:
    shown = movie(10.0, photons=photons)

    assert judged(shown, localized(shown, name))[1]


def test_a_crowd_in_which_nothing_is_detected_is_not_taken_for_an_empty_field() -> None:
    shown = movie(20.0)

    unexplained, crowded = judged(shown, Localizations.empty())

    assert unexplained == 1.0
    assert crowded


@pytest.mark.parametrize("camera", ["ideal", "sCMOS", "EMCCD"])
def test_an_empty_field_tells_nothing(camera: SensorType) -> None:
    unexplained, crowded = judged(movie(0.0, camera=camera), Localizations.empty())

    assert np.isnan(unexplained)
    assert not crowded


@pytest.mark.parametrize("factor", [0.6, 1.6])
def test_a_wrong_gain_does_not_turn_noise_into_a_crowd(factor: float) -> None:
    batch, calibration = movie(0.0)
    wrong = replace(calibration, e_per_adu=np.float32(factor) * np.asarray(calibration.e_per_adu))

    assert not judged((batch, wrong), Localizations.empty())[1]


@pytest.mark.parametrize("name", [FIT, NETWORK])
@pytest.mark.parametrize("density_um2", [0.0, 0.05])
def test_fiducials_are_no_crowd(name: str, density_um2: float) -> None:
    shown = movie(density_um2, fiducials=5)

    unexplained, crowded = judged(shown, localized(shown, name))

    assert not unexplained > 0.2
    assert not crowded


def test_a_background_that_rises_is_no_crowd() -> None:
    y = np.arange(SIDE_PX)
    ramp = np.arange(N_FRAMES)[:, None, None] * (1.0 + np.sin(y / 30.0))[:, None] * np.ones(SIDE_PX)
    noisy = np.random.default_rng(3).poisson(20.0 + 5.0 * ramp) + 100
    lit = FrameBatch.from_pixels(noisy.astype(np.uint16))
    plain = CameraCalibration(pixel_nm=100.0)

    assert not judged((lit, plain), Localizations.empty())[1]


@pytest.mark.parametrize("told_nm", [104.0, 156.0])
@pytest.mark.parametrize("name", [FIT, NETWORK])
def test_a_width_that_is_a_fifth_off_is_no_crowd(name: str, told_nm: float) -> None:
    shown = movie(0.15, photons=4000.0, background=5.0)

    unexplained, crowded = judged(shown, localized(shown, name, told_nm), told_nm)

    assert unexplained < 0.2
    assert not crowded


@pytest.mark.parametrize("name", [FIT, NETWORK])
def test_an_astigmatic_psf_is_no_crowd(name: str) -> None:
    shown = movie(0.1, psf=AstigmaticPsf(pixel_nm=100.0), half_range_nm=400.0)

    unexplained, crowded = judged(shown, localized(shown, name, 170.0), 170.0)

    assert unexplained < 0.25
    assert not crowded


def test_only_two_ticks_in_a_row_change_the_alarm_but_the_first_may_raise_it() -> None:
    crowd, empty = movie(20.0), movie(0.1)
    few, none = localized(empty, FIT), Localizations.empty()
    monitor = CrowdingMonitor(crowd[1], crowd[0].shape, SIGMA_NM)

    def tick(shown: Movie, locs: Localizations) -> bool:
        monitor._before = None
        return feed(monitor, shown[0], locs)[1]

    assert tick(crowd, none)
    assert tick(empty, few), "one that is no crowd may be chance"
    assert not tick(empty, few)
    assert not tick(crowd, none)
    assert tick(crowd, none)


def test_large_frames_are_looked_at_in_windows_all_over() -> None:
    rng = np.random.default_rng(5)
    calibration = CameraCalibration(pixel_nm=100.0, read_noise_e=1.0)
    shape = (2 * WINDOW_PX, 3 * WINDOW_PX)
    monitor = CrowdingMonitor(calibration, shape, SIGMA_NM)
    frames = (100 + rng.poisson(20.0, (2, *shape))).astype(np.uint16)
    none = np.empty(0, np.float32)
    corners = set()
    for k in range(16):
        monitor.sample(frames[k % 2], none, none, none)
        corners.add(monitor._corner)

    assert len(corners) == 16
    assert max(top for top, _ in corners) > 0.75 * WINDOW_PX
    assert max(left for _, left in corners) > 1.5 * WINDOW_PX
    assert not monitor.judge()[1]


def test_what_cannot_be_judged_is_nan() -> None:
    tiny = CrowdingMonitor(CameraCalibration(pixel_nm=100.0), (5, 5), SIGMA_NM)
    nan = np.full(3, np.nan, np.float32)
    tiny.sample(np.zeros((5, 5), np.uint16), nan, nan, nan)
    usual = CrowdingMonitor(CameraCalibration(pixel_nm=100.0), (32, 32), SIGMA_NM)
    usual.sample(np.zeros((32, 32), np.uint16), nan, nan, nan)
    usual.sample(np.zeros((32, 32), np.uint16), np.full(3, np.inf, np.float32), nan, nan)

    assert np.isnan(tiny.judge()[0])
    assert np.isnan(usual.judge()[0])
