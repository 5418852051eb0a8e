"""The accuracy bench gives the fitter, whose accuracy is known, what it deserves."""

import numpy as np
import pytest

from rtsmlm.calibration import CameraCalibration
from rtsmlm.config import LocalizerSettings
from rtsmlm.fitting.localizer import GaussianMleLocalizer
from rtsmlm.models.evaluation import (
    GRID_PX,
    SIDE_PX,
    crowded_places,
    isolated_places,
    make_movie,
    measure_isolated,
)


def open_fitter(calibration: CameraCalibration, sigma_nm: float) -> GaussianMleLocalizer:
    return GaussianMleLocalizer(
        calibration=calibration, sigma_nm=sigma_nm, settings=LocalizerSettings()
    )


@pytest.mark.parametrize("sensor", ["sCMOS", "EMCCD"])
def test_maximum_likelihood_reaches_the_bound_and_states_it(sensor: str) -> None:
    result = measure_isolated(
        open_fitter,
        photons=2000,
        background=20,
        sigma_px=1.3,
        sensor=sensor,  # type: ignore[arg-type]
    )

    assert 0.94 < result.ratio_x < 1.10
    assert 0.94 < result.ratio_y < 1.10
    assert 0.93 < result.std_z < 1.08
    assert result.phase_bias_nm < 1.0
    assert result.photons_ratio == pytest.approx(1.0, abs=0.02)
    assert result.recall > 0.995
    assert result.false_per_frame < 0.05


def test_isolated_emitters_are_isolated_in_space_and_time(rng: np.random.Generator) -> None:
    places = isolated_places(50, rng)

    for x, y in places:
        distance = np.hypot(x[:, None] - x, y[:, None] - y)[~np.eye(len(x), dtype=bool)]
        assert distance.min() > GRID_PX - 1.5
        assert min(x.min(), y.min()) > 6.0
        assert max(x.max(), y.max()) < SIDE_PX - 7.0
    first = np.array([x[0] for x, _ in places])
    assert np.mean(np.abs(np.diff(first)) < 2.0) < 0.3


def test_crowds_have_the_density_asked_for(rng: np.random.Generator) -> None:
    movie = make_movie(
        crowded_places(2.0, 50, rng), photons=1000, background=10, sigma_px=1.1, seed=1
    )

    inside = (movie.truth.x_nm > 0) & (movie.truth.x_nm < 6000)
    inside &= (movie.truth.y_nm > 0) & (movie.truth.y_nm < 6000)
    assert inside.sum() / 50 / 36.0 == pytest.approx(2.0, rel=0.05)


def test_frames_hold_the_photons_of_their_emitters() -> None:
    movie = make_movie(
        [(np.array([30.0, 12.0]), np.array([40.0, 20.0]))] * 20,
        photons=5000,
        background=10,
        sigma_px=1.2,
    )

    photons = movie.calibration.to_photons(movie.batch.pixels).sum(axis=(1, 2))
    assert photons.mean() == pytest.approx(2 * 5000 + 10 * SIDE_PX**2, rel=0.01)
    assert movie.crlb_nm == pytest.approx(2.0, abs=0.3)
