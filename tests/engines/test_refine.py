"""Lone emitters are fitted once more; all others stay as the network has them."""

import numpy as np
import pytest

from rtsmlm.analysis.matching import match
from rtsmlm.bench.accuracy.scenes import PIXEL_NM, Emitters, Scene, expose
from rtsmlm.engines.refine import Refiner
from rtsmlm.localizations import Localizations
from rtsmlm.physics.astigmatism import WidthCurve, WidthCurves
from rtsmlm.physics.camera import SensorType
from rtsmlm.physics.fisher import astigmatic_crlb, gaussian_crlb
from rtsmlm.physics.psf import AstigmaticPsf, GaussianPsf, Psf

CURVES = WidthCurves(
    x=WidthCurve(sigma0_nm=130.0, focus_nm=220.0, depth_nm=400.0, quartic=0.1),
    y=WidthCurve(sigma0_nm=130.0, focus_nm=-220.0, depth_nm=400.0, quartic=0.1),
    z_min_nm=-500.0,
    z_max_nm=500.0,
)


SIDE_PX = 64
GRID_PX = 21
Places = list[tuple[np.ndarray, np.ndarray]]


def isolated_places(n_frames: int, rng: np.random.Generator) -> Places:
    """Four places per frame, far apart from each other and from the edges."""
    row, column = np.mgrid[:2, :2].reshape(2, -1) * float(GRID_PX)
    places = []
    for _ in range(n_frames):
        x0, y0 = rng.uniform(8.0, SIDE_PX - 9.0 - GRID_PX, 2)
        jitter = rng.uniform(-0.5, 0.5, (2, 4))
        places.append((x0 + column + jitter[0], y0 + row + jitter[1]))
    return places


def movie_of(
    places: Places,
    photons: float,
    rng: np.random.Generator,
    *,
    psf: Psf,
    sigma_px: float,
    background: float = 20.0,
    sensor: SensorType = "ideal",
    half_range_nm: float = 0.0,
) -> Scene:
    """Frames with emitters at the given places, anywhere within a range of z."""
    counts = [len(x) for x, _ in places]
    n = sum(counts)
    emitters = Emitters(
        frame=np.repeat(np.arange(len(places)), counts),
        x_px=np.concatenate([x for x, _ in places]),
        y_px=np.concatenate([y for _, y in places]),
        z_nm=rng.uniform(-half_range_nm, half_range_nm, n),
        photons=np.full(n, photons),
    )
    index = np.arange(len(places))
    batch, camera = expose(emitters, psf, background, index, (SIDE_PX, SIDE_PX), rng, sensor)
    return Scene(
        batch=batch, truth=emitters.table(), calibration=camera, sigma_nm=PIXEL_NM * sigma_px
    )


def round_movie(
    places: Places,
    photons: float,
    rng: np.random.Generator,
    sigma_px: float,
    background: float,
    sensor: SensorType = "sCMOS",
) -> Scene:
    """Frames of round spots."""
    return movie_of(
        places,
        photons,
        rng,
        psf=GaussianPsf(sigma_px),
        sigma_px=sigma_px,
        background=background,
        sensor=sensor,
    )


def astigmatic_movie(
    places: Places, photons: float, rng: np.random.Generator, sensor: SensorType = "ideal"
) -> Scene:
    """Frames of astigmatic spots anywhere along z, on 20 photons per pixel."""
    psf = AstigmaticPsf(pixel_nm=PIXEL_NM)
    return movie_of(places, photons, rng, psf=psf, sigma_px=1.3, sensor=sensor, half_range_nm=400.0)


def off_by(movie: Scene, error_nm: float, rng: np.random.Generator) -> Localizations:
    """What a network with this error would say of a movie."""
    truth = movie.truth
    n = len(truth)
    return Localizations.from_columns(
        {
            "frame": truth.frame,
            "x_nm": truth.x_nm + rng.normal(0, error_nm, n),
            "y_nm": truth.y_nm + rng.normal(0, error_nm, n),
            "photons": truth.photons,
            "background": np.full(n, 20.0),
            "std_x_nm": np.full(n, error_nm),
            "std_y_nm": np.full(n, error_nm),
            "std_photons": np.full(n, 100.0),
            "probability": np.full(n, 0.9),
        }
    )


@pytest.mark.parametrize("sensor", ["sCMOS", "EMCCD"])
def test_lone_bright_emitters_reach_the_bound(sensor: SensorType, rng: np.random.Generator) -> None:
    movie = round_movie(isolated_places(150, rng), 5000, rng, 1.3, 20.0, sensor)
    rough = off_by(movie, 8.0, rng)

    fine = Refiner(movie.calibration, movie.sigma_nm)(rough, movie.batch)

    pairs = match(fine, movie.truth, radius_nm=100.0)
    error = fine.x_nm[pairs.locs] - movie.truth.x_nm[pairs.truth]
    bound = gaussian_crlb(
        5000.0,
        20.0,
        1.3,
        box_px=GRID_PX,
        x_px=10.0 + rng.uniform(-0.5, 0.5, 100),
        y_px=10.0 + rng.uniform(-0.5, 0.5, 100),
        read_variance=float(np.median(movie.calibration.read_variance())),
        excess_noise=movie.calibration.excess_noise,
    )
    limit_nm = PIXEL_NM * np.sqrt(np.mean(np.square(bound.x_px)))
    assert error.std() / limit_nm < 1.12
    assert 0.9 < (error / fine.std_x_nm[pairs.locs]).std() < 1.12
    assert np.array_equal(fine.probability, rough.probability)
    assert np.array_equal(fine.frame, rough.frame)


def test_two_beside_each_other_are_fitted_together(rng: np.random.Generator) -> None:
    pair = (np.array([30.0, 33.0, 50.0]), np.array([30.0, 30.0, 50.0]))
    movie = round_movie([pair] * 10, 3000, rng, 1.2, 20.0)
    rough = off_by(movie, 7.0, rng)

    fine = Refiner(movie.calibration, movie.sigma_nm)(rough, movie.batch)

    moved = (fine.x_nm != rough.x_nm).reshape(10, 3)
    assert moved[:, :2].sum() >= 16
    assert moved[:, 2].sum() >= 7
    error = (fine.x_nm - movie.truth.x_nm).reshape(10, 3)[:, :2]
    assert np.sqrt(np.mean(error**2)) < 7.0


def test_five_beside_each_other_are_fitted_together(rng: np.random.Generator) -> None:
    row = (np.array([22.0, 25.0, 28.0, 31.0, 34.0]), np.full(5, 30.0))
    movie = round_movie([row] * 10, 3000, rng, 1.2, 20.0)
    rough = off_by(movie, 7.0, rng)

    fine = Refiner(movie.calibration, movie.sigma_nm)(rough, movie.batch)

    assert len(fine) == len(rough)
    assert np.mean(fine.x_nm != rough.x_nm) > 0.7
    assert np.sqrt(np.mean((fine.x_nm - movie.truth.x_nm) ** 2)) < 7.0


def test_spots_that_are_no_such_gaussian_stay(rng: np.random.Generator) -> None:
    movie = round_movie(isolated_places(10, rng), 20000, rng, 2.2, 5.0)
    rough = off_by(movie, 5.0, rng)

    fine = Refiner(movie.calibration, 110.0)(rough, movie.batch)

    assert np.array_equal(fine.x_nm, rough.x_nm)


def test_an_empty_table_stays_empty(rng: np.random.Generator) -> None:
    movie = round_movie(isolated_places(1, rng), 500, rng, 1.2, 5.0)

    assert len(Refiner(movie.calibration, 120.0)(Localizations.empty(), movie.batch)) == 0


def off_in_z(movie: Scene, rng: np.random.Generator) -> Localizations:
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


def test_wide_neighbours_are_fitted_together_along_z_too(rng: np.random.Generator) -> None:
    """Eight pixels apart, each shines into the box of the other."""
    pair = (np.array([20.0, 28.0]), np.array([30.0, 30.0]))
    movie = astigmatic_movie([pair] * 40, 4000, rng)
    rough = off_in_z(movie, rng)

    fine = Refiner(movie.calibration, 130.0, CURVES)(rough, movie.batch)

    assert np.mean(fine.z_nm != rough.z_nm) > 0.8
    for name in ("x_nm", "y_nm", "z_nm"):
        true = getattr(movie.truth, name)
        assert np.std(getattr(fine, name) - true) < 0.85 * np.std(getattr(rough, name) - true)


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
