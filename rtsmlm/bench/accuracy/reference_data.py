"""Reference data for `rtsmlm bench accuracy`: movies that others have made, with their truth."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np

from rtsmlm.bench.accuracy import figures as figures
from rtsmlm.bench.accuracy.axial_checks import bead_checks
from rtsmlm.bench.accuracy.checks import deep_checks
from rtsmlm.bench.accuracy.depth_psf import DepthPsf, LitPsf, light_of_beads, measured_table
from rtsmlm.bench.accuracy.measure import Check, Goal, Limit
from rtsmlm.bench.accuracy.scenes import Scene
from rtsmlm.calibrate.astigmatic import RUN_BACKGROUND, calibrate_in_run_boxes
from rtsmlm.calibrate.bead_psf import psf_from_beads
from rtsmlm.calibrate.beads import measure_beads
from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import ConfigError
from rtsmlm.files.movies.open import open_movie
from rtsmlm.files.tables.read import read_table
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import F32
from rtsmlm.physics.astigmatism import WidthCurves
from rtsmlm.physics.psf import TablePsf

SECTION = "Reference data"
VARIABLE = "RTSMLM_DATA"
PIXEL_NM = 100.0
BEADS = "challenge2016_beads"
BEAD_STEP_NM = 10.0
FRAMES_PER_LARGE_ONE = 80
"""Of the deep scene, of 64 x 64 pixels, for one of 256 x 256 of lone emitters."""
BEAD_FIRST_NM = -750.0
"""Stacks of beads count z from their middle, as the truth of the challenge does."""
LIT_HALF_PX = 24
"""Half width of the window that holds the halo of a bead; without it 9 % of the light of the
movies of the challenge are missed."""
CHALLENGE = CameraCalibration(
    pixel_nm=PIXEL_NM, offset_adu=100.0, e_per_adu=45.0, em_gain=300.0, read_noise_e=74.4
)
NAIRR = CameraCalibration(pixel_nm=PIXEL_NM, offset_adu=500.0)
"""Of the set nairr: photons, and an offset of 500."""
NAIRR_SIGMA_NM = 109.0
NAIRR_SETS: tuple[tuple[str, str, float], ...] = (
    ("LD", "1.3 per um2", 0.92),
    ("MD", "4 per um2", 0.75),
    ("HD", "6 per um2", 0.62),
)
"""Name, density, and bar of the Jaccard index."""
MICROTUBULES = CameraCalibration(
    pixel_nm=PIXEL_NM, offset_adu=100.0, e_per_adu=1 / 0.9, read_noise_e=1.6
)
MICROTUBULES_SIGMA_NM = 95.0
NEAR = figures.JACCARD + figures.NEAR
FITTERS = ("gaussian-mle", "Picasso MLE", "Picasso LQ", "smappy")
AXIAL_FITTERS = ("gaussian-mle", "astigmatic-mle", "spline-mle")


def find_data(folder: Path | None) -> Path | None:
    """Return the folder of the reference data, as given or from `RTSMLM_DATA`; None without.

    Raises
    ------
    ConfigError
        If there is no such folder.
    """
    chosen = folder or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if chosen is not None and not chosen.is_dir():
        raise ConfigError(
            f"there is no folder {chosen}; name that of the reference data (--data or {VARIABLE})"
        )
    return chosen


def data_checks(folder: Path, n_deep_frames: int, seed: int) -> list[Check]:
    """Return the checks that need the reference data: the deep scene, then movies of others.

    Parameters
    ----------
    folder
        Folder of the reference data.
    n_deep_frames
        Frames of the deep scene.
    seed
        Of the deep scene.
    """
    return [
        *bead_checks(
            cache(partial(_astigmatic_beads, folder)),
            max(n_deep_frames // FRAMES_PER_LARGE_ONE, 2),
            n_deep_frames,
            seed,
        ),
        *deep_checks(cache(partial(lit_psf, folder, "beads_2d.tif")), n_deep_frames, seed),
        *recorded_checks(folder),
    ]


def _psf_of(beads: Path) -> tuple[TablePsf, float]:
    """Return the PSF of a stack of beads, and its width in focus in pixels."""
    stack = bead_photons(beads)
    return psf_from_beads([stack], z_first_nm=BEAD_FIRST_NM, z_step_nm=BEAD_STEP_NM)


def lit_psf(folder: Path, name: str) -> tuple[LitPsf, float]:
    """Return the PSF that movies of the challenge were drawn with, and its width in focus.

    Parameters
    ----------
    folder
        Folder of the reference data.
    name
        The stack of its beads.

    Returns
    -------
    :
        The PSF, its light by depth included, and the width in pixels.
    """
    stack = bead_photons(folder / BEADS / name)
    psf, sigma_px = psf_from_beads(
        [stack], z_first_nm=BEAD_FIRST_NM, z_step_nm=BEAD_STEP_NM, half_px=LIT_HALF_PX
    )
    photons = np.loadtxt(folder / BEADS / "truth.csv", delimiter=",", usecols=5, max_rows=1)
    z_nm = BEAD_FIRST_NM + BEAD_STEP_NM * np.arange(len(stack), dtype=np.float64)
    light = light_of_beads(stack, psf, z_nm, float(photons))
    return LitPsf(psf=psf, z_nm=z_nm, light=light), sigma_px


def _astigmatic_beads(folder: Path) -> DepthPsf:
    """Return the PSF of the astigmatic beads, with a table of other beads of the same PSF."""
    psf, _ = _psf_of(folder / BEADS / "beads_as.tif")
    z_nm = (BEAD_FIRST_NM, -BEAD_FIRST_NM)
    table = measured_table(psf, z_nm, np.random.default_rng(0))
    lit, _ = lit_psf(folder, "beads_as.tif")
    return DepthPsf(psf=psf, curves=challenge_curves(folder), table=table, lit=lit)


def recorded_checks(folder: Path) -> list[Check]:
    """Return the checks on movies of others.

    Parameters
    ----------
    folder
        Folder of the reference data.
    """
    return [
        *(_nairr(folder / "nairr", *each) for each in NAIRR_SETS),
        _microtubules(folder / "deepstorm_microtubules"),
        _challenge(folder),
    ]


def _nairr(folder: Path, name: str, density: str, bar: float) -> Check:
    movie, truth = (folder / f"2DGauss_{name}.{ext}" for ext in ("tif", "csv"))
    return Check(
        section=SECTION,
        condition=f"nairr 2DGauss {name}, {density}",
        scene=partial(recorded_scene, movie, truth, NAIRR, NAIRR_SIGMA_NM),
        score=figures.tight,
        goals=(
            Goal(figure=figures.JACCARD, bar=Limit(low=bar)),
            Goal(figure=figures.RMSE),
            Goal(figure=NEAR, rank=NEAR),
            Goal(figure=figures.RMSE + figures.NEAR, rank=NEAR),
        ),
    )


def _microtubules(folder: Path) -> Check:
    movie, truth = folder / "frames.tif", folder / "truth.csv"
    return Check(
        section=SECTION,
        condition="DeepSTORM microtubules, 6 per um2",
        scene=partial(recorded_scene, movie, truth, MICROTUBULES, MICROTUBULES_SIGMA_NM),
        score=figures.tight,
        goals=(
            Goal(figure=figures.JACCARD, above=FITTERS),
            Goal(figure=figures.RMSE),
            Goal(figure=NEAR, above=FITTERS, rank=NEAR),
            Goal(figure=figures.RMSE + figures.NEAR, rank=NEAR),
        ),
    )


def _challenge(folder: Path) -> Check:
    every = ("axial RMSE, nm", "efficiency, 3D", figures.RMSE, figures.JACCARD)
    return Check(
        section=SECTION,
        condition="SMLM-2016 MT0.N1.LD, astigmatic, 24 frames, calibrated on its beads",
        scene=partial(challenge_scene, folder),
        score=figures.challenge,
        goals=(
            Goal(figure=figures.EFFICIENCY, above=AXIAL_FITTERS, aim=Limit(low=80)),
            Goal(figure=figures.EFFICIENCY + figures.RANKED, above=AXIAL_FITTERS),
            *(Goal(figure=name + tail) for tail in ("", figures.RANKED) for name in every),
        ),
        psfs=("round", "astigmatic"),
        peers=False,
    )


def recorded_scene(
    movie: Path, truth: Path, calibration: CameraCalibration, sigma_nm: float
) -> Scene:
    """Return a movie of others with its truth."""
    return Scene(
        batch=_frames(movie),
        truth=read_table(truth, calibration.pixel_nm).localizations,
        calibration=calibration,
        sigma_nm=sigma_nm,
    )


def challenge_scene(folder: Path) -> Scene:
    """Return the movie of the challenge, with the curves of its beads."""
    curves = challenge_curves(folder)
    movie = folder / "challenge2016_mt0_n1_ld_as"
    return Scene(
        batch=_frames(movie / "frames.tif"),
        truth=read_table(movie / "truth.csv", PIXEL_NM).localizations,
        calibration=CHALLENGE,
        sigma_nm=curves.mean_nm(),
        curves=curves,
        table=_psf_of(folder / BEADS / "beads_as.tif")[0],
    )


def challenge_curves(folder: Path) -> WidthCurves:
    """Return the curves of the astigmatic beads of the challenge."""
    stack = bead_photons(folder / BEADS / "beads_as.tif")
    _, found = calibrate_in_run_boxes(
        lambda box_px: measure_beads(
            [_planes(stack)],
            PIXEL_NM,
            defocus=True,
            box_px=box_px,
            background_share=RUN_BACKGROUND,
        ),
        BEAD_STEP_NM,
    )
    return found.curves.moved(found.zero_nm + BEAD_FIRST_NM)


def _frames(path: Path) -> FrameBatch:
    with open_movie(path) as movie:
        return FrameBatch.from_pixels(movie.read(np.arange(movie.n_frames)))


def bead_photons(path: Path) -> F32:
    """Return a stack of beads of the challenge in photons."""
    return CHALLENGE.to_photons(_frames(path).pixels)


def _planes(stack: F32) -> Callable[[], Iterator[F32]]:
    def planes() -> Iterator[F32]:
        yield stack

    return planes
