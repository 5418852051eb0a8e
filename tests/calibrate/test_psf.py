from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from scipy.stats import norm
from typer.testing import CliRunner

from rtsmlm.calibrate.astigmatic import calibrate_astigmatic
from rtsmlm.calibrate.bead_windows import Planes, find_beads
from rtsmlm.calibrate.beads import measure_beads
from rtsmlm.calibrate.curves import fit_curve
from rtsmlm.calibrate.psf import calibrate_focus, calibrate_in_focus
from rtsmlm.cli import app as whole_app
from rtsmlm.cli.calibrate import app
from rtsmlm.errors import CalibrationError
from rtsmlm.files.tables.read import read_table
from rtsmlm.fitting.psf_width import estimate_sigma_px
from rtsmlm.fitting.widths import SIGMA_X, SIGMA_Y, fit_widths
from rtsmlm.localizations import F32
from rtsmlm.physics.astigmatism import WidthCurve, WidthCurves
from rtsmlm.settings.load import load

PIXEL_NM = 100.0
SHAPE = (96, 120)
PLACES = [(24.3, 20.7), (70.0, 24.4), (97.6, 60.2), (30.8, 66.5), (62.4, 70.9)]
BACKGROUND = 20.0
X_CURVE = WidthCurve(sigma0_nm=130.0, focus_nm=-220.0, depth_nm=380.0, cubic=0.05, quartic=0.05)
Y_CURVE = WidthCurve(sigma0_nm=125.0, focus_nm=240.0, depth_nm=400.0, cubic=-0.05, quartic=0.05)

Floats = NDArray[np.float64]


def bead_image(
    x_px: float, y_px: float, photons: float, sigma_x_px: float, sigma_y_px: float
) -> Floats:
    """One elliptical spot, integrated over pixels by the normal distribution of scipy."""
    height, width = SHAPE
    columns = np.diff(norm.cdf(np.arange(width + 1) - 0.5, x_px, sigma_x_px))
    rows = np.diff(norm.cdf(np.arange(height + 1) - 0.5, y_px, sigma_y_px))
    return np.asarray(photons * rows[:, None] * columns[None, :], dtype=np.float64)


def stack(
    z_nm: Floats,
    x_curve: WidthCurve,
    y_curve: WidthCurve,
    rng: np.random.Generator,
    *,
    photons: float = 20_000.0,
    heights_nm: tuple[float, ...] = (0.0,) * len(PLACES),
) -> Floats:
    """Photon counts of beads in planes at z."""
    mean = np.full((len(z_nm), *SHAPE), BACKGROUND)
    for (x, y), height in zip(PLACES, heights_nm, strict=True):
        for k, z in enumerate(z_nm + height):
            widths = (float(c.sigma_nm(z)) / PIXEL_NM for c in (x_curve, y_curve))
            mean[k] += bead_image(x, y, photons, *widths)
    return rng.poisson(mean).astype(np.float64)


def planes(photons: NDArray[np.floating]) -> Planes:
    def again() -> Iterator[F32]:
        for first in range(0, len(photons), 7):
            yield photons[first : first + 7].astype(np.float32)

    return again


def test_widths_of_many_spots_are_unbiased_and_reach_the_precision_of_their_photons(
    rng: np.random.Generator,
) -> None:
    n, photons = 300, 5000.0
    place = 60 + rng.uniform(-0.5, 0.5, (2, n))
    sigma = rng.uniform(1.0, 2.5, (2, n))
    boxes = np.empty((n, 17, 17))
    for k in range(n):
        image = bead_image(place[0, k], place[1, k] - 20, photons, sigma[0, k], sigma[1, k])
        boxes[k] = rng.poisson(image[32:49, 52:69] + 5.0)

    theta, good = fit_widths(boxes)

    assert good.all()
    error = theta[:, [SIGMA_X, SIGMA_Y]].T / sigma - 1
    # A width from n photons alone is known to 1 / sqrt(2 n), 1 % here; background doubles it.
    assert np.abs(error.mean(axis=1)).max() < 0.003
    assert error.std() < 0.025


def test_a_round_psf_is_measured_at_its_best_focus(rng: np.random.Generator) -> None:
    curve = WidthCurve(sigma0_nm=128.0, focus_nm=0.0, depth_nm=400.0)
    z_nm = np.arange(-600.0, 601.0, 50.0) + 30.0
    photons = stack(z_nm, curve, curve, rng, heights_nm=(0.0, 40.0, -60.0, 10.0, 0.0))

    found = calibrate_focus(measure_beads([planes(photons)], PIXEL_NM, defocus=False), 50.0)

    assert len(found.sigma_x_nm) == len(PLACES)
    assert found.sigma_nm == pytest.approx(128.0, rel=0.02)
    assert found.ellipticity == pytest.approx(1.0, abs=0.02)
    assert np.sort(found.focus_nm) == pytest.approx([530.0, 560.0, 570.0, 570.0, 630.0], abs=15)
    assert found.notes == ()


def test_beads_in_focus_need_no_z(rng: np.random.Generator) -> None:
    x = WidthCurve(sigma0_nm=140.0, focus_nm=0.0, depth_nm=400.0)
    y = WidthCurve(sigma0_nm=125.0, focus_nm=0.0, depth_nm=400.0)
    photons = stack(np.zeros(3), x, y, rng)

    found = calibrate_in_focus(measure_beads([planes(photons)], PIXEL_NM, defocus=False))

    assert found.sigma_nm == pytest.approx(np.sqrt(140.0 * 125.0), rel=0.02)
    assert found.ellipticity == pytest.approx(140 / 125, rel=0.02)
    assert any("not round" in note for note in found.notes)


def test_a_z_stack_without_its_step_is_noticed(rng: np.random.Generator) -> None:
    photons = stack(np.arange(-500.0, 501.0, 100.0), X_CURVE, X_CURVE, rng)

    widths = measure_beads([planes(photons)], PIXEL_NM, defocus=False)

    with pytest.raises(CalibrationError, match="--z-step-nm"):
        calibrate_in_focus(widths)


def test_astigmatic_curves_are_found_within_2_percent_and_15_nm(
    rng: np.random.Generator,
) -> None:
    z_nm = np.arange(-700.0, 701.0, 25.0)
    photons = stack(z_nm, X_CURVE, Y_CURVE, rng)
    truth = WidthCurves(x=X_CURVE, y=Y_CURVE, z_min_nm=-500.0, z_max_nm=500.0)
    zero = truth.crossing_nm()

    found = calibrate_astigmatic(measure_beads([planes(photons)], PIXEL_NM, defocus=True), 25.0)

    curves = found.curves.moved(zero)
    assert found.zero_nm == pytest.approx(700.0 + zero, abs=15)
    assert curves.x.focus_nm == pytest.approx(X_CURVE.focus_nm, abs=15)
    assert curves.y.focus_nm == pytest.approx(Y_CURVE.focus_nm, abs=15)
    inside = np.linspace(-450.0, 450.0, 50)
    for got, true in ((curves.x, X_CURVE), (curves.y, Y_CURVE)):
        np.testing.assert_allclose(got.sigma_nm(inside), true.sigma_nm(inside), rtol=0.02)
    assert curves.z_min_nm < -450 < 450 < curves.z_max_nm
    assert found.residual_nm < 15
    assert found.held_out_nm < 15


def test_a_stack_taken_the_other_way_gives_the_same_curves(rng: np.random.Generator) -> None:
    z_nm = np.arange(-600.0, 601.0, 40.0)
    photons = stack(z_nm, X_CURVE, Y_CURVE, rng)

    found = [
        calibrate_astigmatic(measure_beads([planes(p)], PIXEL_NM, defocus=True), step).curves
        for p, step in ((photons, 40.0), (photons[::-1], -40.0))
    ]

    for a, b in ((found[0].x, found[1].x), (found[0].y, found[1].y)):
        assert a.focus_nm == pytest.approx(b.focus_nm, abs=3)
        assert a.sigma0_nm == pytest.approx(b.sigma0_nm, rel=0.01)


def test_beads_at_different_heights_are_aligned(rng: np.random.Generator) -> None:
    heights = (0.0, 60.0, -60.0, 30.0, -90.0)
    z_nm = np.arange(-600.0, 601.0, 40.0)
    photons = stack(z_nm, X_CURVE, Y_CURVE, rng, heights_nm=heights)
    widths = measure_beads([planes(photons)], PIXEL_NM, defocus=True)

    found = calibrate_astigmatic(widths, 40.0)
    rigid = calibrate_astigmatic(widths, 40.0, align=False)

    # A bead that lies further along z at the same plane has its zero at an earlier plane.
    assert np.sort(found.bead_shift_nm) == pytest.approx(np.sort(-np.array(heights)), abs=12)
    assert found.residual_nm < 0.5 * rigid.residual_nm


def test_z_is_found_where_the_widths_say(rng: np.random.Generator) -> None:
    curves = WidthCurves(x=X_CURVE, y=Y_CURVE, z_min_nm=-500.0, z_max_nm=500.0)
    z_nm = rng.uniform(-490, 490, 200)

    found, distance = curves.z_nm(X_CURVE.sigma_nm(z_nm), Y_CURVE.sigma_nm(z_nm))

    np.testing.assert_allclose(found, z_nm, atol=0.1)
    assert distance.max() < 0.05
    assert np.isnan(curves.z_nm(np.array([np.nan]), np.array([150.0]))[0]).all()


@pytest.mark.parametrize("skew", [True, False])
def test_a_curve_withstands_outliers(rng: np.random.Generator, skew: bool) -> None:
    z_nm = np.linspace(-600, 300, 60)
    curve = X_CURVE if skew else WidthCurve(sigma0_nm=130.0, focus_nm=-150.0, depth_nm=400.0)
    sigma = curve.sigma_nm(z_nm) * (1 + 0.01 * rng.standard_normal(60))
    sigma[::10] *= 2.0
    sigma[5] = np.nan

    found = fit_curve(z_nm, sigma, skew=skew)

    assert found.focus_nm == pytest.approx(curve.focus_nm, abs=15)
    assert found.sigma0_nm == pytest.approx(curve.sigma0_nm, rel=0.02)
    assert skew or found.cubic == 0.0


def test_beads_that_touch_are_left_out(rng: np.random.Generator) -> None:
    mean = np.full(SHAPE, BACKGROUND)
    for x, y in [(25.0, 25.0), (80.0, 40.0), (85.0, 44.0), (60.0, 75.0)]:
        mean += bead_image(x, y, 20_000.0, 1.3, 1.3)
    photons = rng.poisson(mean)[None].astype(np.float64)

    widths = measure_beads([planes(photons)], PIXEL_NM, defocus=False)

    assert sorted(map(tuple, widths.position_px)) == [(25.0, 25.0), (60.0, 75.0)]
    assert widths.n_rejected == 2


def test_the_size_of_the_beads_is_taken_out(rng: np.random.Generator) -> None:
    bead_nm = 180.0
    seen_nm = np.sqrt(120.0**2 + bead_nm**2 / 20)
    curve = WidthCurve(sigma0_nm=float(seen_nm), focus_nm=0.0, depth_nm=400.0)
    photons = stack(np.zeros(2), curve, curve, rng)

    widths = measure_beads([planes(photons)], PIXEL_NM, defocus=False, bead_nm=bead_nm)

    assert calibrate_in_focus(widths).sigma_nm == pytest.approx(120.0, rel=0.01)


def test_noise_holds_no_beads(rng: np.random.Generator) -> None:
    noise = rng.poisson(100.0, (1, *SHAPE)).astype(np.float64)

    assert len(find_beads(noise[0].astype(np.float32))) == 0
    with pytest.raises(CalibrationError, match="no isolated bead"):
        measure_beads([planes(noise)], PIXEL_NM, defocus=False)


def test_a_round_psf_is_no_input_for_astigmatic_curves(rng: np.random.Generator) -> None:
    curve = WidthCurve(sigma0_nm=128.0, focus_nm=0.0, depth_nm=400.0)
    photons = stack(np.arange(-500.0, 501.0, 40.0), curve, curve, rng)
    widths = measure_beads([planes(photons)], PIXEL_NM, defocus=True)

    with pytest.raises(CalibrationError, match="cylindrical lens"):
        calibrate_astigmatic(widths, 40.0)


def test_an_astigmatic_stack_measured_as_round_is_noticed(rng: np.random.Generator) -> None:
    photons = stack(np.arange(-600.0, 601.0, 40.0), X_CURVE, Y_CURVE, rng)

    found = calibrate_focus(measure_beads([planes(photons)], PIXEL_NM, defocus=False), 40.0)

    assert any("--astigmatic" in note for note in found.notes)


def test_a_stack_that_does_not_reach_focus_is_refused(rng: np.random.Generator) -> None:
    curve = WidthCurve(sigma0_nm=128.0, focus_nm=0.0, depth_nm=300.0)
    photons = stack(np.arange(200.0, 501.0, 50.0), curve, curve, rng)
    widths = measure_beads([planes(photons)], PIXEL_NM, defocus=False)

    with pytest.raises(CalibrationError, match="through focus"):
        calibrate_focus(widths, 50.0)


def write_movie(path: Path, photons: Floats) -> Path:
    tifffile.imwrite(path, (photons + 100).astype(np.uint16), photometric="minisblack")
    return path


def test_the_width_that_the_command_writes_is_read_as_a_setting(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    curve = WidthCurve(sigma0_nm=128.0, focus_nm=0.0, depth_nm=400.0)
    movie = write_movie(
        tmp_path / "beads.tif", stack(np.arange(-500.0, 501.0, 50.0), curve, curve, rng)
    )
    options = ["--z-step-nm", "50", "--pixel-nm", "100", "--out", str(tmp_path / "psf")]

    result = CliRunner().invoke(app, ["psf", str(movie), *options])

    assert result.exception is None, result.output
    assert load(tmp_path / "psf" / "psf.toml").psf.sigma_nm == pytest.approx(128.0, rel=0.02)
    assert ElementTree.parse(tmp_path / "psf" / "psf.svg").getroot().tag.endswith("svg")  # noqa: S314


def test_the_command_measures_a_movie_in_focus(tmp_path: Path, rng: np.random.Generator) -> None:
    curve = WidthCurve(sigma0_nm=128.0, focus_nm=0.0, depth_nm=400.0)
    movie = write_movie(tmp_path / "beads.tif", stack(np.zeros(70), curve, curve, rng))

    result = CliRunner().invoke(
        app, ["psf", str(movie), "--pixel-nm", "100", "--out", str(tmp_path / "psf")]
    )

    assert result.exception is None, result.output
    assert load(tmp_path / "psf" / "psf.toml").psf.sigma_nm == pytest.approx(128.0, rel=0.01)


def test_the_command_writes_astigmatic_curves_for_several_stacks_in_a_file(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    z_nm = np.arange(-600.0, 601.0, 50.0)
    both = np.concatenate([stack(z_nm, X_CURVE, Y_CURVE, rng) for _ in range(2)])
    movie = write_movie(tmp_path / "beads.tif", both)
    options = ["--z-step-nm", "50", "--pixel-nm", "100", "--astigmatic", "--planes", str(len(z_nm))]

    result = CliRunner().invoke(app, ["psf", str(movie), *options, "--out", str(tmp_path)])

    assert result.exception is None, result.output
    path = tmp_path / "psf_astigmatic.toml"
    astigmatism = load(path).psf.astigmatism
    assert astigmatism is not None
    curves = astigmatism.curves()
    separation = curves.y.focus_nm - curves.x.focus_nm
    assert separation == pytest.approx(Y_CURVE.focus_nm - X_CURVE.focus_nm, abs=20)
    assert curves.z_min_nm < 0 < curves.z_max_nm
    assert curves.crossing_nm() == pytest.approx(0.0, abs=1)
    text = path.read_text(encoding="utf-8")
    assert f"# Beads: {2 * len(PLACES)}, in boxes of" in text
    assert "astigmatic-mle" in result.output


def test_the_file_that_the_command_writes_localizes_a_movie_in_three_dimensions(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    z_nm = np.arange(-600.0, 601.0, 50.0)
    movie = write_movie(tmp_path / "beads.tif", stack(z_nm, X_CURVE, Y_CURVE, rng))
    camera = tmp_path / "camera.toml"
    camera.write_text("[camera]\npixel_nm = 100\noffset_adu = 100\n", encoding="utf-8")
    run, configuration = CliRunner().invoke, ["-c", str(camera), "-c"]
    options = ["--z-step-nm", "50", "--astigmatic", "-c", str(camera), "--out", str(tmp_path)]
    calibrated = run(whole_app, ["calibrate", "psf", str(movie), *options])
    assert calibrated.exception is None, calibrated.output
    overrides = ["--set", "localizer.name=astigmatic-mle", "--set", "psf.sigma_nm=150"]

    result = run(
        whole_app,
        [
            *("reconstruct", str(movie), *configuration, str(tmp_path / "psf_astigmatic.toml")),
            *(*overrides, "--out", str(tmp_path / "run")),
        ],
    )

    assert result.exception is None, result.output
    locs = read_table(tmp_path / "run").localizations
    zero = WidthCurves(x=X_CURVE, y=Y_CURVE, z_min_nm=-500.0, z_max_nm=500.0).crossing_nm()
    stage_nm = z_nm[locs.frame] - zero
    inside = np.abs(stage_nm) < 400
    assert np.count_nonzero(inside) == pytest.approx(17 * len(PLACES), abs=8)
    # A bead of 20 000 photons gives z to 5 nm; the rest is the error of the curves.
    assert np.std((locs.z_nm - stage_nm)[inside]) < 15
    assert abs(np.median((locs.z_nm - stage_nm)[inside])) < 15


def test_the_slope_of_a_curve_is_that_of_its_widths() -> None:
    z_nm = np.linspace(-600.0, 600.0, 25)

    slope = (X_CURVE.sigma_nm(z_nm + 0.5) - X_CURVE.sigma_nm(z_nm - 0.5)) / 1.0

    np.testing.assert_allclose(X_CURVE.slope(z_nm), slope, atol=1e-5)


def test_real_astigmatic_beads_give_z_within_25_nm_of_the_stage(
    data_dir: Callable[[str], Path],
) -> None:
    movie = tifffile.imread(data_dir("challenge2016_beads") / "beads_as.tif")
    widths = measure_beads([planes(movie - 100.0)], PIXEL_NM, defocus=True)
    stage_nm = np.arange(-750.0, 751.0, 10.0)
    inside = np.abs(stage_nm) <= 400
    others = np.arange(len(widths.position_px)) % 2 == 0

    found = calibrate_astigmatic(widths.take(others), 10.0, align=False)

    separation = found.curves.y.focus_nm - found.curves.x.focus_nm
    assert 250 < separation < 450
    held = widths.take(~others)
    pairs = held.sigma_x_nm[:, inside], held.sigma_y_nm[:, inside]
    z_nm = found.curves.z_nm(*(p.ravel() for p in pairs))[0].reshape(pairs[0].shape)
    error = z_nm + found.zero_nm - 750 - stage_nm[inside]
    assert np.isfinite(error).all()
    assert np.sqrt(np.mean(error**2)) < 25


def test_real_round_beads_have_the_width_that_localization_finds(
    data_dir: Callable[[str], Path],
) -> None:
    movie = tifffile.imread(data_dir("challenge2016_beads") / "beads_2d.tif")
    photons = (movie - 100.0).astype(np.float32)

    found = calibrate_focus(measure_beads([planes(photons)], PIXEL_NM, defocus=False), 10.0)

    assert len(found.sigma_x_nm) == 6
    assert found.spread_nm < 3
    assert found.ellipticity == pytest.approx(1.0, abs=0.03)
    best = round(float(np.median(found.focus_nm)) / 10)
    automatic_px = estimate_sigma_px(photons[best - 4 : best + 5], read_variance=3.0)
    assert found.sigma_nm == pytest.approx(PIXEL_NM * automatic_px, rel=0.03)


def test_94_real_beads_agree_with_each_other(data_dir: Callable[[str], Path]) -> None:
    movies = tifffile.imread(data_dir("beads_astigmatic_94") / "beads.tif") - 200.0

    widths = measure_beads([planes(movie) for movie in movies], PIXEL_NM, defocus=True)
    found = calibrate_astigmatic(widths, 50.0)

    assert len(found.bead_shift_nm) > 60
    assert found.held_out_nm < 40
