"""Frames of astigmatic spots in, x, y and z out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from rtsmlm.analysis.metrics import Field, Protocol, evaluate
from rtsmlm.calibrate.astigmatic import calibrate_astigmatic
from rtsmlm.calibrate.beads import measure_beads
from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import LocalizerError
from rtsmlm.files.tables.read import read_table
from rtsmlm.fitting.astigmatic_localizer import AstigmaticMleLocalizer, open_astigmatic_mle
from rtsmlm.fitting.astigmatic_mle import fit_astigmatic_mle
from rtsmlm.fitting.boxes import astigmatic_box_px
from rtsmlm.fitting.localizer import GaussianMleLocalizer
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import F32, Localizations
from rtsmlm.physics.astigmatism import WidthCurve, WidthCurves
from rtsmlm.physics.fisher import astigmatic_crlb
from rtsmlm.physics.psf import AstigmaticPsf
from rtsmlm.plugins import find_localizer
from rtsmlm.protocols import Localizer
from rtsmlm.settings.psf import AstigmatismSettings, PsfSettings
from rtsmlm.settings.run import LocalizerSettings, RunSettings

PIXEL_NM = 100.0
SIDE_PX = 96
PITCH_PX = 24.0
PHOTONS, BACKGROUND, READ_NOISE_E = 3000.0, 20.0, 1.6
PSF = AstigmaticPsf(pixel_nm=PIXEL_NM)
CURVES = WidthCurves(
    x=WidthCurve(sigma0_nm=130.0, focus_nm=220.0, depth_nm=400.0, quartic=0.1),
    y=WidthCurve(sigma0_nm=130.0, focus_nm=-220.0, depth_nm=400.0, quartic=0.1),
    z_min_nm=-500.0,
    z_max_nm=500.0,
)
CALIBRATION = CameraCalibration(
    pixel_nm=PIXEL_NM, offset_adu=100.0, e_per_adu=0.5, read_noise_e=READ_NOISE_E
)


def _movie(
    n_frames: int, rng: np.random.Generator, *, z_nm: tuple[float, float] = (-400.0, 400.0)
) -> tuple[FrameBatch, Localizations]:
    """Return frames of lone emitters anywhere along z, and where they are."""
    ticks = np.arange(PITCH_PX / 2, SIDE_PX, PITCH_PX)
    grid_y, grid_x = (g.ravel() for g in np.meshgrid(ticks, ticks, indexing="ij"))
    n = len(grid_x)
    x_px = grid_x + rng.uniform(-1, 1, (n_frames, n))
    y_px = grid_y + rng.uniform(-1, 1, (n_frames, n))
    z = rng.uniform(*z_nm, (n_frames, n))
    pixels = np.empty((n_frames, SIDE_PX, SIDE_PX), dtype=np.uint16)
    for frame in range(n_frames):
        mean = np.full(pixels.shape[1:], BACKGROUND, dtype=np.float32)
        PSF.render(mean, x_px[frame], y_px[frame], z[frame], np.full(n, PHOTONS))
        electrons = rng.poisson(mean) + rng.normal(0, READ_NOISE_E, mean.shape)
        pixels[frame] = np.clip(np.rint(electrons / 0.5 + 100.0), 0, 65535)
    truth = Localizations.from_columns(
        {
            "frame": np.repeat(np.arange(n_frames), n),
            "x_nm": x_px.ravel() * PIXEL_NM,
            "y_nm": y_px.ravel() * PIXEL_NM,
            "z_nm": z.ravel(),
            "photons": np.full(z.size, PHOTONS),
        }
    )
    return FrameBatch.from_pixels(pixels), truth


def _localizer(**settings: Any) -> AstigmaticMleLocalizer:
    return AstigmaticMleLocalizer(
        calibration=CALIBRATION, curves=CURVES, settings=LocalizerSettings(**settings)
    )


def _nearest(locs: Localizations, truth: Localizations) -> np.ndarray:
    """Return the row of the localization nearest to each emitter."""
    rows = np.empty(len(truth), dtype=np.int64)
    for frame in np.unique(truth.frame):
        found, true = np.flatnonzero(locs.frame == frame), np.flatnonzero(truth.frame == frame)
        dx = locs.x_nm[found] - truth.x_nm[true, None]
        dy = locs.y_nm[found] - truth.y_nm[true, None]
        rows[true] = found[np.hypot(dx, dy).argmin(axis=1)]
    return rows


def test_lone_emitters_are_found_once_with_errors_of_the_bound(rng: np.random.Generator) -> None:
    batch, truth = _movie(60, rng)
    localizer = _localizer()
    bound = astigmatic_crlb(
        PHOTONS,
        BACKGROUND,
        truth.z_nm,
        CURVES,
        pixel_nm=PIXEL_NM,
        box_px=astigmatic_box_px(CURVES, PIXEL_NM),
        read_variance=READ_NOISE_E**2,
    )

    locs = localizer(batch)

    assert len(locs) == len(truth) == 960
    rows = _nearest(locs, truth)
    assert len(set(rows)) == len(truth)
    found = locs.take(rows)
    errors = {
        "x": (found.x_nm - truth.x_nm, PIXEL_NM * bound.x_px, found.std_x_nm),
        "y": (found.y_nm - truth.y_nm, PIXEL_NM * bound.y_px, found.std_y_nm),
        "z": (found.z_nm - truth.z_nm, bound.z_nm, found.std_z_nm),
    }
    for name, (error, limit, stated) in errors.items():
        # 960 errors: their spread is known to 2.3 %.
        assert np.std(error / limit) == pytest.approx(1.0, abs=0.08), name
        assert np.std(error / stated) == pytest.approx(1.0, abs=0.08), name
        assert abs(np.mean(error / limit)) < 0.12, name
    assert np.median(found.photons) == pytest.approx(PHOTONS, rel=0.02)
    assert np.median(found.background) == pytest.approx(BACKGROUND, rel=0.02)


def test_emitters_whose_z_cannot_be_told_are_not_reported(rng: np.random.Generator) -> None:
    batch, _ = _movie(10, rng, z_nm=(700.0, 800.0))

    assert len(_localizer()(batch)) < 8, "of 160 emitters beyond the curves"


def test_empty_frames_give_empty_tables() -> None:
    for value in (0, 100, 65535):
        pixels = np.full((2, 40, 50), value, dtype=np.uint16)
        assert len(_localizer()(FrameBatch.from_pixels(pixels))) == 0


def test_noise_alone_gives_hardly_any_emitter(rng: np.random.Generator) -> None:
    pixels = rng.poisson(BACKGROUND / 0.5, (40, SIDE_PX, SIDE_PX)).astype(np.uint16) + 100

    assert len(_localizer()(FrameBatch.from_pixels(pixels.astype(np.uint16)))) <= 2


def test_warm_up_leaves_nothing_to_compile(rng: np.random.Generator) -> None:
    batch, _ = _movie(1, rng)
    localizer = _localizer()
    localizer.warm_up(batch.shape)
    before = len(fit_astigmatic_mle.signatures)

    localizer(batch)

    assert len(fit_astigmatic_mle.signatures) == before == 1


def test_without_curves_it_is_said_how_to_get_them() -> None:
    with pytest.raises(LocalizerError, match=r"rtsmlm calibrate psf .* --astigmatic"):
        open_astigmatic_mle(RunSettings(), CALIBRATION, 130.0)


def test_the_entry_point_gives_a_localizer_that_tells_its_name() -> None:
    table = {
        "z_min_nm": CURVES.z_min_nm,
        "z_max_nm": CURVES.z_max_nm,
        "x": {"sigma0_nm": 130.0, "focus_nm": 220.0, "depth_nm": 400.0, "quartic": 0.1},
        "y": {"sigma0_nm": 130.0, "focus_nm": -220.0, "depth_nm": 400.0, "quartic": 0.1},
    }
    settings = RunSettings(psf=PsfSettings(astigmatism=AstigmatismSettings.model_validate(table)))

    localizer: Localizer = find_localizer("astigmatic-mle")(settings, CALIBRATION, 1.0)

    assert localizer.name == "astigmatic-mle, z -500 to 500 nm, box 15 px"


def test_a_fit_without_z_says_so(rng: np.random.Generator) -> None:
    batch, _ = _movie(1, rng, z_nm=(-20.0, 20.0))
    flat = GaussianMleLocalizer(
        calibration=CALIBRATION, sigma_nm=150.0, settings=LocalizerSettings()
    )

    locs = flat(batch)

    assert len(locs)
    assert np.all(locs.z_nm == 0)
    assert np.all(np.isnan(locs.std_z_nm))


def test_public_data_are_localized_in_three_dimensions(data_dir: Callable[[str], Path]) -> None:
    beads = tifffile.imread(data_dir("challenge2016_beads") / "beads_as.tif")
    folder = data_dir("challenge2016_mt0_n1_ld_as")
    pixels = tifffile.imread(folder / "frames.tif")
    truth = read_table(folder / "truth.csv", PIXEL_NM).localizations

    def planes() -> Iterator[F32]:
        yield (beads - 100.0).astype(np.float32)

    found = calibrate_astigmatic(measure_beads([planes], PIXEL_NM, defocus=True), 10.0)
    # The truth counts z from the middle of the stack of beads.
    curves = found.curves.moved(found.zero_nm - 750.0)
    localizer = AstigmaticMleLocalizer(
        calibration=replace(CALIBRATION, e_per_adu=45.0, em_gain=300.0, read_noise_e=74.4),
        curves=curves,
        settings=LocalizerSettings(),
    )

    locs = localizer(FrameBatch.from_pixels(pixels))

    field = Field.of_image(pixels.shape[1:], PIXEL_NM)
    everything = Protocol(axial_nm=500.0, subtract_offset=True)
    figures = evaluate(locs, truth, field, everything, len(pixels))
    # Of 35 emitters 7 have fewer than 1000 photons on 90 per pixel, 4 overlap a bright neighbour.
    assert figures.jaccard > 0.62
    assert figures.fp == 0
    assert figures.rmse_lateral_nm < 25.0
    assert figures.rmse_axial_nm < 40.0
    assert figures.efficiency_3d > 55.0
    assert abs(figures.median_dz_nm) < 15.0
    ranked = replace(everything, dimmest_dropped=0.25)
    assert evaluate(locs, truth, field, ranked, len(pixels)).jaccard > 0.8
