"""The models that ship: whole, small, and as accurate as their manifest says."""

import numpy as np
import pytest

from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.openvino import OpenVinoLocalizer
from rtsmlm.models.evaluation import (
    crowded_places,
    make_movie,
    measure_isolated,
    nearest,
)
from rtsmlm.models.manifest import load_manifest, weights_folder

NAME = "flagship-2d"
FOLDER = weights_folder(NAME)


def open_model(calibration: CameraCalibration, sigma_nm: float) -> OpenVinoLocalizer:
    return OpenVinoLocalizer(FOLDER, calibration=calibration, sigma_nm=sigma_nm)


def test_the_model_is_whole_small_and_says_how_it_was_trained() -> None:
    manifest = load_manifest(FOLDER)

    assert manifest.name == NAME
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 4_000_000
    assert manifest.training.recipe["simulation"]["sigma_px"] == [0.8, 2.4]
    assert manifest.training.steps > 10_000


@pytest.mark.parametrize(
    ("photons", "background", "sigma_px", "most"),
    [(1000, 10, 1.3, 1.3), (2000, 30, 1.0, 1.3), (5000, 50, 1.3, 1.6), (2000, 30, 2.2, 1.5)],
)
def test_isolated_emitters_are_found_near_the_bound(
    photons: float, background: float, sigma_px: float, most: float
) -> None:
    result = measure_isolated(
        open_model, photons=photons, background=background, sigma_px=sigma_px, n_frames=120
    )

    assert max(result.ratio_x, result.ratio_y) < most
    assert 0.7 < result.std_z < 1.25
    assert result.phase_bias_nm < 5.0
    assert result.photons_ratio == pytest.approx(1.0, abs=0.08)
    assert result.recall > 0.98
    assert result.false_per_frame < 0.05


def test_overlapping_emitters_are_told_apart(rng: np.random.Generator) -> None:
    movie = make_movie(
        crowded_places(2.0, 12, rng), photons=2000, background=20, sigma_px=1.1, seed=2
    )

    locs = open_model(movie.calibration, movie.sigma_nm)(movie.batch)

    inside = (movie.truth.x_nm > 450) & (movie.truth.x_nm < 5850)
    inside &= (movie.truth.y_nm > 450) & (movie.truth.y_nm < 5850)
    found, matched = nearest(locs, movie.truth, radius_nm=100.0)
    recall = len(np.unique(found[inside[matched]])) / inside.sum()
    assert recall > 0.8


def test_dark_frames_have_no_emitters() -> None:
    nothing = [(np.empty(0), np.empty(0))] * 60
    movie = make_movie(nothing, photons=1, background=20, sigma_px=1.1, seed=4)

    assert len(open_model(movie.calibration, movie.sigma_nm)(movie.batch)) == 0
