"""The fit of a measured PSF reaches the bound of that PSF, where a Gaussian does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import LocalizerError
from rtsmlm.fitting import boxes
from rtsmlm.fitting.psf_spline import BY_X, BY_Y, BY_Z, VALUE, make_scratch, spline_of, write_images
from rtsmlm.fitting.spline_localizer import (
    SplineMle,
    SplineMleLocalizer,
    load_table,
    open_spline_mle,
)
from rtsmlm.frames import FrameBatch
from rtsmlm.physics.psf import AstigmaticPsf, TablePsf, table_from_planes
from rtsmlm.physics.psf_bound import psf_crlb
from rtsmlm.physics.psf_file import save_psf
from rtsmlm.plugins import find_localizer
from rtsmlm.settings.load import load
from rtsmlm.settings.psf import PsfSettings
from rtsmlm.settings.run import LocalizerSettings, RunSettings

BOX_PX, PIXEL_NM = 21, 100.0
PHOTONS, BACKGROUND = 2000.0, 20.0
GAUSSIAN = AstigmaticPsf(pixel_nm=PIXEL_NM)
CALIBRATION = CameraCalibration(pixel_nm=PIXEL_NM, offset_adu=0.0)


@pytest.fixture(scope="module")
def table() -> TablePsf:
    """Return a PSF with a quarter of its light in a halo that wanders with z."""
    fine, side = 4, 33
    grid = (np.arange(fine * side) - 0.5 * (fine * side - 1)) / fine

    def spot(x: float, y: float, sigma_x: float, sigma_y: float) -> np.ndarray:
        along_x = np.exp(-0.5 * ((grid - x) / sigma_x) ** 2)
        along_y = np.exp(-0.5 * ((grid - y) / sigma_y) ** 2)
        image = np.outer(along_y, along_x)
        return np.asarray(image / image.sum())

    planes = []
    for z in np.arange(-600.0, 601.0, 25.0):
        sigma_x, sigma_y = (float(s) / PIXEL_NM for s in GAUSSIAN.sigmas_nm(z))
        halo = spot(1.5 + z / 1000.0, -1.0, 2.5, 2.5)
        planes.append(0.75 * spot(0.0, 0.0, sigma_x, sigma_y) + 0.25 * halo)
    return table_from_planes(np.stack(planes), fine_per_px=fine, z_first_nm=-600.0, z_step_nm=25.0)


def test_the_spline_is_the_table_and_its_slopes_are_those_of_the_image(
    table: TablePsf, rng: np.random.Generator
) -> None:
    spline = spline_of(table)
    scratch, images = make_scratch(BOX_PX), np.empty((4, BOX_PX, BOX_PX))
    other = np.empty_like(images)
    for _ in range(10):
        x, y = 0.5 * BOX_PX + rng.uniform(-2.0, 2.0, 2)
        z = rng.uniform(-550.0, 550.0)
        write_images(spline, x, y, z, BOX_PX, BOX_PX, scratch, images)
        drawn = np.zeros((BOX_PX, BOX_PX), np.float32)
        table.render(drawn, *(np.array([v]) for v in (x, y, z, 1.0)))
        # Between its points the table is linear, which is what it is off by.
        np.testing.assert_allclose(images[VALUE], drawn, atol=8e-3 * drawn.max())
        for image, step in ((BY_X, (1e-3, 0, 0)), (BY_Y, (0, 1e-3, 0)), (BY_Z, (0, 0, 0.5))):
            ahead = np.array([x, y, z]) + step
            back = np.array([x, y, z]) - step
            write_images(spline, *ahead, BOX_PX, BOX_PX, scratch, other)
            slope = other[VALUE].copy()
            write_images(spline, *back, BOX_PX, BOX_PX, scratch, other)
            slope = (slope - other[VALUE]) / (2.0 * max(step))
            np.testing.assert_allclose(
                images[image], slope, atol=2e-3 * np.abs(slope).max(), err_msg=str(image)
            )


def test_beyond_the_table_it_is_dark(table: TablePsf) -> None:
    spline = spline_of(table)
    images = np.empty((4, BOX_PX, BOX_PX))

    write_images(spline, 35.0, 35.0, 0.0, BOX_PX, BOX_PX, make_scratch(BOX_PX), images)

    assert np.all(np.abs(images[VALUE][:8, :8]) < 1e-6)


@pytest.mark.parametrize("z_nm", [-400.0, 0.0, 300.0])
def test_lone_emitters_are_found_at_the_bound_without_bias(
    table: TablePsf, rng: np.random.Generator, z_nm: float
) -> None:
    n = 500
    x, y = BOX_PX // 2 + rng.uniform(-0.5, 0.5, (2, n))
    light = np.full((n, BOX_PX, BOX_PX), BACKGROUND, np.float32)
    for k in range(n):
        table.render(light[k], *(np.array([v]) for v in (x[k], y[k], z_nm, PHOTONS)))
    photons = rng.poisson(light).astype(np.float32)
    rows = boxes.fit_table(n)
    fit = SplineMle(table, box_px=BOX_PX, excess_noise=1.0, max_iterations=30)
    start = np.full(n, BOX_PX // 2, np.float32)

    fit(photons, np.zeros_like(photons), start, start, rows)

    good = rows[:, boxes.STATUS] == boxes.CONVERGED
    assert good.mean() > 0.98
    middle = np.array([BOX_PX / 2 - 0.5])
    bound = psf_crlb(table, middle, middle, np.array([z_nm]), PHOTONS, BACKGROUND, box_px=BOX_PX)[0]
    for column, std, true, limit in (
        (boxes.X, boxes.STD_X, x, bound[0]),
        (boxes.Y, boxes.STD_Y, y, bound[1]),
        (boxes.Z, boxes.STD_Z, np.full(n, z_nm), bound[2]),
    ):
        error = (rows[:, column] - true)[good]
        # 500 errors: their spread is known to 3 %, their mean to 4 % of it.
        assert np.sqrt(np.mean(error**2)) == pytest.approx(limit, rel=0.12), column
        assert np.std(error / rows[good, std]) == pytest.approx(1.0, abs=0.12), column
        assert abs(np.mean(error)) < 0.15 * limit, column
    assert np.mean(rows[good, boxes.CHI2]) == pytest.approx(1.0, abs=0.02)
    assert np.mean(rows[good, boxes.PHOTONS]) == pytest.approx(PHOTONS, rel=0.02)


def _settings(path: Path) -> RunSettings:
    return RunSettings(psf=PsfSettings(table=path))


def test_frames_are_localized_by_name_with_the_file_of_the_settings(
    table: TablePsf, tmp_path: Path, rng: np.random.Generator
) -> None:
    path = tmp_path / "psf_table.npz"
    save_psf(path, table, pixel_nm=PIXEL_NM, origin="A test.")
    (tmp_path / "run.toml").write_text('[psf]\ntable = "psf_table.npz"\n', encoding="utf-8")
    settings = load(tmp_path / "run.toml")
    assert settings.psf.table == path
    localizer = find_localizer("spline-mle")(settings, CALIBRATION, 1.0)
    assert isinstance(localizer, SplineMleLocalizer)
    assert localizer.name.startswith("spline-mle, z -576 to 576 nm")
    y, x = (part.ravel() for part in np.meshgrid(*2 * (np.arange(30.0, 230.0, 40.0),)))
    image = np.full((256, 256), BACKGROUND, np.float32)
    z = rng.uniform(-400.0, 400.0, len(x))
    table.render(image, x, y, z, np.full(len(x), 5000.0))
    frames = rng.poisson(image, (1, 256, 256)).astype(np.uint16)

    found = localizer(FrameBatch.from_pixels(frames))

    assert len(found) == len(x)
    order = np.lexsort((found.x_nm.round(-3), found.y_nm.round(-3)))
    want = np.lexsort((x, y))
    assert np.abs(found.x_nm[order] - PIXEL_NM * x[want]).max() < 30.0
    assert np.abs(found.z_nm[order] - z[want]).max() < 120.0


def test_what_is_wrong_with_a_table_is_one_sentence(table: TablePsf, tmp_path: Path) -> None:
    with pytest.raises(LocalizerError, match=r"psf\.table, the file with it, is not set"):
        open_spline_mle(RunSettings(), CALIBRATION, 130.0)
    path = tmp_path / "other.npz"
    save_psf(path, table, pixel_nm=160.0, origin="A test.")
    with pytest.raises(LocalizerError, match=r"pixels of 160 nm, and camera\.pixel_nm is 100"):
        open_spline_mle(_settings(path), CALIBRATION, 130.0)
    flat = TablePsf(sums=table.sums[:1], fine_per_px=4.0, z_first_nm=0.0, z_step_nm=25.0)
    save_psf(path, flat, pixel_nm=PIXEL_NM, origin="A test.")
    with pytest.raises(LocalizerError, match="one plane, so that nothing tells z"):
        load_table(path, PIXEL_NM)


def test_the_box_is_odd_and_can_be_set(table: TablePsf) -> None:
    of_settings = SplineMleLocalizer(
        calibration=CALIBRATION, table=table, settings=LocalizerSettings(box_px=15)
    )

    assert of_settings.name.endswith("box 15 px")
