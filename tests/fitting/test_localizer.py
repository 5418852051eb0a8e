"""Whole frames in, localizations out."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import CalibrationError, LocalizerError
from rtsmlm.fitting.boxes import cut_boxes
from rtsmlm.fitting.detection import detect_in_batch
from rtsmlm.fitting.gaussian_mle import fit_gaussian_mle
from rtsmlm.fitting.localizer import (
    GaussianMleLocalizer,
    open_elliptical_lsq,
    open_gaussian_mle,
)
from rtsmlm.fitting.selection import select_rows
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.physics.fisher import gaussian_crlb
from rtsmlm.physics.gaussian import render_spots
from rtsmlm.protocols import Localizer
from rtsmlm.settings.run import LocalizerSettings, RunSettings


def elliptical_lsq(
    *, calibration: CameraCalibration, sigma_nm: float, settings: LocalizerSettings
) -> Localizer:
    return open_elliptical_lsq(RunSettings(localizer=settings), calibration, sigma_nm)


BOTH = pytest.mark.parametrize("kind", [GaussianMleLocalizer, elliptical_lsq])


def _localizer(
    kind: Callable[..., Any], calibration: CameraCalibration, sigma_px: float = 1.3, **settings: Any
) -> Any:
    return kind(
        calibration=calibration,
        sigma_nm=sigma_px * calibration.pixel_nm,
        settings=LocalizerSettings(**settings),
    )


def _pair(locs: Localizations, movie: Any, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Errors in px and the rows of the localizations nearest to each emitter."""
    rows = np.flatnonzero(locs.frame == movie.batch.index[frame])
    x_px = locs.x_nm[rows] / movie.calibration.pixel_nm
    y_px = locs.y_nm[rows] / movie.calibration.pixel_nm
    apart = np.hypot(x_px - movie.x_px[frame][:, None], y_px - movie.y_px[frame][:, None])
    nearest = apart.argmin(axis=1)
    return apart.min(axis=1), rows[nearest]


@BOTH
def test_every_emitter_is_found_once_at_its_place_with_its_photons(
    make_movie: Callable[..., Any], kind: Callable[..., Any]
) -> None:
    movie = make_movie(6)

    locs = _localizer(kind, movie.calibration)(movie.batch)

    assert len(locs) == movie.x_px.size
    for frame in range(6):
        error_px, rows = _pair(locs, movie, frame)
        assert error_px.max() < 0.4
        assert np.median(locs.photons[rows]) == pytest.approx(1000.0, rel=0.05)
    assert np.median(locs.background) == pytest.approx(10.0, rel=0.05)
    assert np.all(np.diff(locs.frame) >= 0)
    assert np.all(np.isnan(locs.std_z_nm))
    assert np.all(locs.z_nm == 0)
    assert np.all(locs.probability == 1)


def test_whole_frame_precision_is_that_of_the_bound(make_movie: Callable[..., Any]) -> None:
    movie = make_movie(20)
    bound = gaussian_crlb(1000.0, 10.0, 1.3, box_px=9, read_variance=1.6**2)

    locs = _localizer(GaussianMleLocalizer, movie.calibration)(movie.batch)

    x_errors = []
    for frame in range(20):
        _, rows = _pair(locs, movie, frame)
        x_errors.append(locs.x_nm[rows] / 100.0 - movie.x_px[frame])
    x_error = np.concatenate(x_errors)
    # 720 emitters: the spread is known to 2.6 %.
    assert x_error.std() / bound.x_px[0] == pytest.approx(1.0, abs=0.08)
    assert abs(x_error.mean()) < 0.1 * bound.x_px[0]
    assert np.median(locs.std_x_nm) / 100.0 == pytest.approx(bound.x_px[0], rel=0.05)


@BOTH
def test_rows_of_a_frame_do_not_depend_on_how_frames_are_batched(
    make_movie: Callable[..., Any], kind: Callable[..., Any]
) -> None:
    movie = make_movie(16, photons=500.0)
    localizer = _localizer(kind, movie.calibration)

    together = localizer(movie.batch)
    alone = Localizations.concatenate([localizer(movie.batch.frames(i, i + 1)) for i in range(16)])

    for name, column in together.columns().items():
        assert column.tobytes() == alone.columns()[name].tobytes(), name


def test_a_busy_batch_that_outgrows_its_memory_gives_the_same_rows(
    make_movie: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    movie = make_movie(8)
    expected = _localizer(GaussianMleLocalizer, movie.calibration)(movie.batch)
    monkeypatch.setattr("rtsmlm.fitting.spot_localizer.FIRST_CAPACITY", 5)
    monkeypatch.setattr("rtsmlm.fitting.spot_localizer.FITS_AT_ONCE", 7)

    locs = _localizer(GaussianMleLocalizer, movie.calibration)(movie.batch)

    for name, column in expected.columns().items():
        assert column.tobytes() == locs.columns()[name].tobytes(), name


def test_two_threads_may_share_a_localizer(make_movie: Callable[..., Any]) -> None:
    movie = make_movie(16)
    localizer = _localizer(GaussianMleLocalizer, movie.calibration)
    parts = [movie.batch.frames(i, i + 4) for i in range(0, 16, 4)]
    expected = [localizer(part) for part in parts]

    with ThreadPoolExecutor(2) as pool:
        for _ in range(5):
            for locs, alone in zip(pool.map(localizer, parts), expected, strict=True):
                assert locs.x_nm.tobytes() == alone.x_nm.tobytes()


def test_frame_numbers_and_the_pixel_size_go_into_the_table(make_movie: Callable[..., Any]) -> None:
    movie = make_movie(3)
    index = np.array([7, 90, 4_000_000_000], dtype=np.int64)
    finer = replace(movie.calibration, pixel_nm=50.0)

    locs = _localizer(GaussianMleLocalizer, movie.calibration)(movie.batch)
    numbered = _localizer(GaussianMleLocalizer, finer)(
        FrameBatch.from_pixels(movie.batch.pixels, index=index)
    )

    assert set(numbered.frame) == set(index)
    np.testing.assert_allclose(numbered.x_nm, 0.5 * locs.x_nm, rtol=1e-6)
    np.testing.assert_allclose(numbered.std_x_nm, 0.5 * locs.std_x_nm, rtol=1e-6)


def test_per_pixel_maps_do_the_work_of_the_numbers_they_hold(
    make_movie: Callable[..., Any],
) -> None:
    movie = make_movie(3)
    shape = movie.batch.shape
    maps = replace(
        movie.calibration,
        offset_adu=np.full(shape, 100.0, np.float32),
        e_per_adu=np.full(shape, 0.5, np.float32),
        read_noise_e=np.full(shape, 1.6, np.float32),
    )

    by_number = _localizer(GaussianMleLocalizer, movie.calibration)(movie.batch)
    by_map = _localizer(GaussianMleLocalizer, maps)(movie.batch)

    np.testing.assert_allclose(by_map.x_nm, by_number.x_nm, rtol=1e-6)
    np.testing.assert_allclose(by_map.photons, by_number.photons, rtol=1e-6)


def test_an_offset_map_flattens_a_fixed_pattern(
    rng: np.random.Generator, make_movie: Callable[..., Any]
) -> None:
    movie = make_movie(4)
    pattern = np.rint(rng.gamma(0.2, 60.0, movie.batch.shape)).astype(np.float32)
    pixels = (movie.batch.pixels + pattern).astype(np.uint16)
    corrected = replace(movie.calibration, offset_adu=100.0 + pattern)

    plain = _localizer(GaussianMleLocalizer, movie.calibration)(movie.batch)
    locs = _localizer(GaussianMleLocalizer, corrected)(FrameBatch.from_pixels(pixels))

    np.testing.assert_allclose(locs.x_nm, plain.x_nm, rtol=1e-6)


@BOTH
def test_empty_black_and_saturated_frames_give_empty_tables(kind: Callable[..., Any]) -> None:
    localizer = _localizer(kind, CameraCalibration(pixel_nm=100.0))

    for value in (0, 100, 65535):
        pixels = np.full((2, 40, 50), value, dtype=np.uint16)
        assert len(localizer(FrameBatch.from_pixels(pixels))) == 0
    assert len(localizer(FrameBatch.from_pixels(np.zeros((0, 40, 50), np.uint16)))) == 0


@BOTH
def test_a_spot_that_saturates_is_reported_at_most_once(
    make_movie: Callable[..., Any], kind: Callable[..., Any]
) -> None:
    movie = make_movie(1, photons=2e6, size_px=33, pitch_px=32.0)

    locs = _localizer(kind, movie.calibration)(movie.batch)

    assert movie.batch.pixels.max() == 65535
    assert np.all(np.isfinite(locs.x_nm))
    apart_nm = np.hypot(locs.x_nm - 100 * movie.x_px[0, 0], locs.y_nm - 100 * movie.y_px[0, 0])
    assert np.count_nonzero(apart_nm < 300) <= 1


def test_spots_at_the_border_are_localized_inside_the_frame(rng: np.random.Generator) -> None:
    x_px, y_px = np.array([1.2, 30.0, 57.7, 30.0]), np.array([30.0, 1.4, 30.0, 57.6])
    mean = render_spots((60, 60), x_px, y_px, 3000.0, 1.3, 10.0)
    pixels = (rng.poisson(mean) + 100).astype(np.uint16)[None]

    locs = _localizer(GaussianMleLocalizer, CameraCalibration(pixel_nm=100.0))(
        FrameBatch.from_pixels(pixels)
    )

    assert len(locs) == 4
    apart = np.hypot(locs.x_nm[:, None] / 100 - x_px, locs.y_nm[:, None] / 100 - y_px)
    assert apart.min(axis=0).max() < 0.2


def test_a_free_width_keeps_the_photons_of_spots_wider_than_stated(
    make_movie: Callable[..., Any],
) -> None:
    movie = make_movie(4, photons=3000.0, sigma_px=1.5)

    free = _localizer(GaussianMleLocalizer, movie.calibration, fit_sigma=True)(movie.batch)
    fixed = _localizer(GaussianMleLocalizer, movie.calibration)(movie.batch)

    assert np.median(free.photons) == pytest.approx(3000.0, rel=0.03)
    assert np.median(fixed.photons) < 2850.0


def test_warm_up_leaves_nothing_to_compile(make_movie: Callable[..., Any]) -> None:
    movie = make_movie(1)
    pixels = movie.batch.pixels
    frozen = pixels.copy()
    frozen.flags.writeable = False
    maps = np.full(movie.batch.shape, 100.0, np.float32)
    maps.flags.writeable = False
    localizer = _localizer(GaussianMleLocalizer, replace(movie.calibration, offset_adu=maps))
    localizer.warm_up(movie.batch.shape)
    compiled = [detect_in_batch, cut_boxes, fit_gaussian_mle, select_rows]
    before = [len(function.signatures) for function in compiled]

    for variant in (pixels, frozen, np.asfortranarray(pixels), pixels[:, ::-1]):
        localizer(FrameBatch.from_pixels(variant))

    assert [len(function.signatures) for function in compiled] == before


def test_maps_of_another_shape_are_refused(make_movie: Callable[..., Any]) -> None:
    movie = make_movie(1)
    wrong = replace(movie.calibration, offset_adu=np.full((8, 8), 100.0, np.float32))

    with pytest.raises(CalibrationError, match="same region of the chip"):
        _localizer(GaussianMleLocalizer, wrong)(movie.batch)


def test_what_cannot_be_fitted_is_refused_with_the_limit(make_movie: Callable[..., Any]) -> None:
    calibration = CameraCalibration(pixel_nm=100.0)

    with pytest.raises(LocalizerError, match=r"0\.3 to 8 px"):
        _localizer(GaussianMleLocalizer, calibration, sigma_px=20.0)
    with pytest.raises(LocalizerError, match="must be odd"):
        _localizer(GaussianMleLocalizer, calibration, box_px=8)
    with pytest.raises(LocalizerError, match="smaller than the box"):
        _localizer(GaussianMleLocalizer, calibration)(
            FrameBatch.from_pixels(np.zeros((1, 6, 50), np.uint16))
        )
    with pytest.raises(LocalizerError, match="uint16"):
        _localizer(GaussianMleLocalizer, calibration)(
            FrameBatch.from_pixels(np.zeros((1, 50, 50), np.float32))
        )


def test_the_entry_points_give_localizers_that_tell_their_name() -> None:
    calibration = CameraCalibration(pixel_nm=100.0)

    mle: Localizer = open_gaussian_mle(RunSettings(), calibration, 130.0)
    lsq: Localizer = open_elliptical_lsq(RunSettings(), calibration, 130.0)

    assert mle.name == "gaussian-mle, sigma 130.0 nm, box 9 px"
    assert lsq.name.startswith("elliptical-lsq")


@BOTH
def test_public_data_are_localized_as_their_truth_says(
    data_dir: Callable[[str], Path], kind: Callable[..., Any]
) -> None:
    folder = data_dir("tubulins1_2013")
    pixels = tifffile.imread(folder / "frames.tif")
    table = np.genfromtxt(folder / "truth.csv", delimiter=",", skip_header=1)
    truth = {"frame": table[:, 1] - 1, "x_nm": table[:, 2] - 75, "y_nm": table[:, 3] - 75}
    # The read noise of 22 photons is not stated: the localizer has to notice.
    calibration = CameraCalibration(pixel_nm=150.0, read_noise_e=1.6)

    locs = kind(calibration=calibration, sigma_nm=133.0, settings=LocalizerSettings())(
        FrameBatch.from_pixels(pixels)
    )

    true_positives, jaccard, rmse_nm = _score(locs, truth, width_nm=256 * 150.0)
    assert true_positives > 280
    assert jaccard >= 0.95
    assert rmse_nm <= 20.0


def _score(
    locs: Localizations,
    truth: dict[str, np.ndarray],
    width_nm: float,
    radius_nm: float = 250.0,
    border_nm: float = 450.0,
) -> tuple[int, float, float]:
    """Greedy nearest matching per frame, as the SMLM challenge of 2016 does it."""
    hits, squares, n_found, n_true = 0, 0.0, 0, 0
    for frame in np.unique(truth["frame"]):
        places = []
        for table in (locs.columns(), truth):
            here = table["frame"] == frame
            xy = np.stack([table["x_nm"][here], table["y_nm"][here]], axis=1).astype(float)
            places.append(xy[np.all((xy > border_nm) & (xy < width_nm - border_nm), axis=1)])
        found, true = places
        n_found, n_true = n_found + len(found), n_true + len(true)
        apart = np.hypot(*(found[:, None] - true).T)
        while apart.size and apart.min() <= radius_nm:
            i, j = np.unravel_index(apart.argmin(), apart.shape)
            hits, squares = hits + 1, squares + apart[i, j] ** 2
            apart[i, :] = apart[:, j] = np.inf
    return hits, hits / (n_found + n_true - hits), np.sqrt(squares / hits)


@pytest.mark.parametrize("sigma_px", [0.85, 1.3, 2.0])
def test_a_hot_pixel_is_no_emitter_and_an_emitter_is_no_hot_pixel(
    rng: np.random.Generator, sigma_px: float
) -> None:
    shape, n = (128, 128), 40
    hot = rng.poisson(10, (n, *shape)).astype(np.float64)
    spots = rng.poisson(10, (n, *shape)).astype(np.float64)
    for k in range(n):
        y, x = rng.uniform(20, 108, 2)
        hot[k, int(y), int(x)] += rng.poisson(rng.uniform(40, 100))
        spots[k] = rng.poisson(render_spots(shape, np.array([x]), np.array([y]),
                                            np.array([800.0]), sigma_px, 10.0))  # fmt: skip
    localize = GaussianMleLocalizer(
        calibration=CameraCalibration(pixel_nm=100.0, offset_adu=0.0),
        sigma_nm=100 * sigma_px,
        settings=LocalizerSettings(),
    )

    false = localize(FrameBatch.from_pixels(hot.astype(np.uint16)))
    true = localize(FrameBatch.from_pixels(spots.astype(np.uint16)))

    assert len(false) <= 2, "hot pixels of 40 to 100 photons"
    assert len(true) >= n - 1
