"""Lone emitters are fitted once more; all others stay as the network has them."""

import numpy as np
import pytest

from rtsmlm.localizations import Localizations
from rtsmlm.models.evaluation import Movie, isolated_places, make_movie, nearest
from rtsmlm.models.refine import Refiner


def off_by(movie: Movie, error_nm: float, rng: np.random.Generator) -> Localizations:
    """What a network with this error would say of a movie."""
    truth = movie.truth
    n = len(truth)
    return Localizations.from_columns(
        {
            "frame": truth.frame,
            "x_nm": truth.x_nm + rng.normal(0, error_nm, n),
            "y_nm": truth.y_nm + rng.normal(0, error_nm, n),
            "photons": truth.photons,
            "background": truth.background,
            "std_x_nm": np.full(n, error_nm),
            "std_y_nm": np.full(n, error_nm),
            "std_photons": np.full(n, 100.0),
            "probability": np.full(n, 0.9),
        }
    )


@pytest.mark.parametrize("sensor", ["sCMOS", "EMCCD"])
def test_lone_bright_emitters_reach_the_bound(sensor: str, rng: np.random.Generator) -> None:
    movie = make_movie(
        isolated_places(150, rng),
        photons=5000,
        background=20,
        sigma_px=1.3,
        sensor=sensor,  # type: ignore[arg-type]
    )
    rough = off_by(movie, 8.0, rng)

    fine = Refiner(movie.calibration, movie.sigma_nm)(rough, movie.batch)

    rows, emitters = nearest(fine, movie.truth, radius_nm=100.0)
    error = fine.x_nm[rows] - movie.truth.x_nm[emitters]
    assert error.std() / movie.crlb_nm < 1.12
    assert 0.9 < (error / fine.std_x_nm[rows]).std() < 1.12
    assert np.array_equal(fine.probability, rough.probability)
    assert np.array_equal(fine.frame, rough.frame)


def test_neighbours_stay_as_the_network_has_them(rng: np.random.Generator) -> None:
    pair = (np.array([30.0, 33.0, 50.0]), np.array([30.0, 30.0, 50.0]))
    movie = make_movie([pair] * 10, photons=3000, background=20, sigma_px=1.2)
    rough = off_by(movie, 7.0, rng)

    fine = Refiner(movie.calibration, movie.sigma_nm)(rough, movie.batch)

    moved = (fine.x_nm != rough.x_nm).reshape(10, 3)
    assert not moved[:, :2].any()
    assert moved[:, 2].sum() >= 7


def test_spots_that_are_no_such_gaussian_stay(rng: np.random.Generator) -> None:
    movie = make_movie(isolated_places(10, rng), photons=20000, background=5, sigma_px=2.2)
    rough = off_by(movie, 5.0, rng)

    fine = Refiner(movie.calibration, 110.0)(rough, movie.batch)

    assert np.array_equal(fine.x_nm, rough.x_nm)


def test_an_empty_table_stays_empty(rng: np.random.Generator) -> None:
    movie = make_movie(isolated_places(1, rng), photons=500, background=5, sigma_px=1.2)

    assert len(Refiner(movie.calibration, 120.0)(Localizations.empty(), movie.batch)) == 0
