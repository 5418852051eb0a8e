"""Lone emitters are fitted once more; all others stay as the network has them."""

import numpy as np
import pytest

from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.models.evaluation import PIXEL_NM, SIDE_PX, Movie, isolated_places, make_movie, nearest
from rtsmlm.models.refine import Refiner
from rtsmlm.physics.camera import SensorType, make_sensor
from rtsmlm.physics.fisher import astigmatic_crlb
from rtsmlm.physics.psf import AstigmaticPsf
from rtsmlm.physics.sampling import new_state
from rtsmlm.width_curves import WidthCurve, WidthCurves

CURVES = WidthCurves(
    x=WidthCurve(sigma0_nm=130.0, focus_nm=220.0, depth_nm=400.0, quartic=0.1),
    y=WidthCurve(sigma0_nm=130.0, focus_nm=-220.0, depth_nm=400.0, quartic=0.1),
    z_min_nm=-500.0,
    z_max_nm=500.0,
)


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


def astigmatic_movie(
    places: list[tuple[np.ndarray, np.ndarray]],
    photons: float,
    rng: np.random.Generator,
    sensor: SensorType = "ideal",
) -> Movie:
    """Frames of astigmatic spots anywhere along z, on 20 photons per pixel."""
    shape = (SIDE_PX, SIDE_PX)
    chip, state = make_sensor(sensor, shape, rng), new_state(np.random.SeedSequence(0))
    pixels = np.empty((len(places), *shape), dtype=np.uint16)
    z_nm = [rng.uniform(-400, 400, len(x)) for x, _ in places]
    for frame, ((x, y), z) in enumerate(zip(places, z_nm, strict=True)):
        mean = np.full(shape, 20.0, dtype=np.float32)
        AstigmaticPsf(pixel_nm=PIXEL_NM).render(mean, x, y, z, np.full(len(x), photons))
        chip.expose(mean, pixels[frame], state)
    truth = Localizations.from_columns(
        {
            "frame": np.repeat(np.arange(len(places)), [len(x) for x, _ in places]),
            "x_nm": PIXEL_NM * np.concatenate([x for x, _ in places]),
            "y_nm": PIXEL_NM * np.concatenate([y for _, y in places]),
            "z_nm": np.concatenate(z_nm),
            "photons": np.full(sum(len(x) for x, _ in places), photons),
        }
    )
    calibration, batch = chip.calibration(PIXEL_NM), FrameBatch.from_pixels(pixels)
    return Movie(batch=batch, truth=truth, calibration=calibration, sigma_nm=np.nan, crlb_nm=np.nan)


def off_in_z(movie: Movie, rng: np.random.Generator) -> Localizations:
    """What a network with errors of 8 nm laterally and 25 nm axially would say of a movie."""
    columns = off_by(movie, 8.0, rng).columns()
    columns["z_nm"] = movie.truth.z_nm + rng.normal(0, 25.0, len(movie.truth)).astype(np.float32)
    columns["std_z_nm"] = np.full(len(movie.truth), 25.0, dtype=np.float32)
    return Localizations(**columns)


@pytest.mark.parametrize("sensor", ["ideal", "EMCCD"])
def test_lone_astigmatic_emitters_reach_the_bound_along_z_too(
    sensor: SensorType, rng: np.random.Generator
) -> None:
    movie = astigmatic_movie(isolated_places(150, rng), 5000, rng, sensor)
    rough = off_in_z(movie, rng)

    fine = Refiner(movie.calibration, 130.0, CURVES)(rough, movie.batch)

    moved = fine.z_nm != rough.z_nm
    assert moved.mean() > 0.9
    got, true = fine.take(moved), movie.truth.take(moved)
    bound = astigmatic_crlb(
        5000,
        20,
        true.z_nm,
        CURVES,
        pixel_nm=PIXEL_NM,
        box_px=13,
        excess_noise=movie.calibration.excess_noise,
    )
    for error, limit, stated in (
        (got.x_nm - true.x_nm, PIXEL_NM * bound.x_px, got.std_x_nm),
        (got.y_nm - true.y_nm, PIXEL_NM * bound.y_px, got.std_y_nm),
        (got.z_nm - true.z_nm, bound.z_nm, got.std_z_nm),
    ):
        # Some 560 errors: their spread is known to 3 %.
        assert 0.9 < np.std(error / limit) < 1.1
        assert 0.9 < np.std(error / stated) < 1.1
    assert np.array_equal(fine.probability, rough.probability)
    assert np.array_equal(fine.x_nm[~moved], rough.x_nm[~moved])


def test_wide_neighbours_stay_as_the_network_has_them(rng: np.random.Generator) -> None:
    pair = (np.array([20.0, 28.0, 50.0]), np.array([30.0, 30.0, 45.0]))
    movie = astigmatic_movie([pair] * 10, 4000, rng)
    rough = off_in_z(movie, rng)

    fine = Refiner(movie.calibration, 130.0, CURVES)(rough, movie.batch)

    moved = (fine.z_nm != rough.z_nm).reshape(10, 3)
    assert not moved[:, :2].any()
    assert moved[:, 2].sum() >= 8


def test_a_z_that_contradicts_the_spot_stays_with_the_network(rng: np.random.Generator) -> None:
    movie = astigmatic_movie(isolated_places(10, rng), 5000, rng)
    columns = off_in_z(movie, rng).columns()
    columns["z_nm"] = np.where(movie.truth.z_nm < 0, 400.0, -400.0).astype(np.float32)
    columns["std_z_nm"] = np.full(len(movie.truth), 20.0, dtype=np.float32)
    rough = Localizations(**columns)

    fine = Refiner(movie.calibration, 130.0, CURVES)(rough, movie.batch)

    assert np.array_equal(fine.z_nm, rough.z_nm)


def test_a_network_without_z_gets_one(rng: np.random.Generator) -> None:
    movie = astigmatic_movie(isolated_places(10, rng), 5000, rng)
    rough = off_by(movie, 8.0, rng)

    fine = Refiner(movie.calibration, 130.0, CURVES)(rough, movie.batch)

    known = np.isfinite(fine.std_z_nm)
    assert known.mean() > 0.8
    assert np.abs(fine.z_nm - movie.truth.z_nm)[known].max() < 60.0
