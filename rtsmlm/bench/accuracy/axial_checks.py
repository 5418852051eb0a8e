"""The conditions on astigmatic PSFs: lone emitters over z, pairs, tubules, with what is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from typing import TypeAlias

import numpy as np

from rtsmlm.bench.accuracy import axial_scenes, figures
from rtsmlm.bench.accuracy.deep_scene import DENSE, SPARSE, SPARSE_FRAMES
from rtsmlm.bench.accuracy.depth_psf import DepthPsf, measured_table
from rtsmlm.bench.accuracy.measure import Check, Goal, Limit
from rtsmlm.bench.accuracy.scenes import PIXEL_NM, Scene, curves_of
from rtsmlm.physics.astigmatism import WidthCurves
from rtsmlm.physics.camera import SensorType
from rtsmlm.physics.psf import AstigmaticPsf, Psf

Rngs: TypeAlias = Iterator[np.random.Generator]
Known: TypeAlias = Callable[[], DepthPsf]
"""Returns a PSF and its calibration, which takes a moment: nothing is drawn of rows left out."""

DEPTH = "Depth"
DEPTH_PAIRS = "Near pairs in depth"
TUBULES = "Tubules in depth"

BANDS: tuple[tuple[str, float, float], ...] = (
    ("lowest eighth of z", 0.0, 0.125),
    ("middle of z", 0.125, 0.875),
    ("highest eighth of z", 0.875, 1.0),
)
"""Parts of the calibrated range."""
TYPICAL = (2000.0, 20.0)
BEAD_LIGHT: tuple[tuple[float, float, SensorType], ...] = (
    (*TYPICAL, "ideal"),
    (5000.0, 100.0, "EMCCD"),
)
BEYOND_NM = 200.0
"""So far beyond the curves planes of beads lie."""
PAIR_LIGHT = (3000.0, 20.0)
APART_NM: tuple[tuple[float, float], ...] = ((300.0, 475.0), (475.0, 650.0))
TUBULE_AIMS = (("sparse", SPARSE, 87.0), ("dense", DENSE, 62.0))
"""Emitters in a frame; aim of the 3D efficiency."""
_NEAR = Limit(high=1.1)
_HONEST = Limit(0.9, 1.1)


def axial_checks(rngs: Rngs, n_frames: int) -> list[Check]:
    """Return the checks on the PSF of a formula, whose curves are known exactly.

    Parameters
    ----------
    rngs
        One for each movie.
    n_frames
        Frames of 256 x 256 pixels for each condition.
    """
    known = cache(_formula)
    checks = _bands(rngs, n_frames, known, "formula", (*TYPICAL, "ideal"))
    for low, high in APART_NM:
        pairs = partial(
            axial_scenes.depth_pair_scene,
            next(rngs),
            n_frames,
            apart_nm=(low, high),
            light=PAIR_LIGHT,
        )
        checks.append(
            Check(
                section=DEPTH_PAIRS,
                condition=f"{low:g} to {high:g} nm apart, {_light(PAIR_LIGHT)}",
                scene=partial(_drawn, known, pairs),
                score=figures.depth,
                goals=_goals(recall=0.95),
                psfs=("astigmatic",),
            )
        )
    return checks


def _formula() -> DepthPsf:
    """Return a PSF whose curves are known exactly."""
    psf = AstigmaticPsf(pixel_nm=PIXEL_NM)
    curves = curves_of(psf)
    z_nm = (curves.z_min_nm - BEYOND_NM, curves.z_max_nm + BEYOND_NM)
    return DepthPsf(
        psf=psf, curves=curves, table=measured_table(psf, z_nm, np.random.default_rng(0))
    )


def _drawn(known: Known, draw: Callable[[Psf, WidthCurves], Scene]) -> Scene:
    return known().scene(draw)


def _shown(known: Known, draw: Callable[[Psf, WidthCurves], Scene]) -> Scene:
    """Return a scene with the light by depth."""
    found = known()
    return replace(found, psf=found.lit or found.psf).scene(draw)


def bead_checks(known: Known, n_frames: int, n_tubule_frames: int, seed: int) -> list[Check]:
    """Return the checks on a PSF that was measured on beads.

    Parameters
    ----------
    known
        Returns image and calibration of the beads; called when the first scene is drawn.
    n_frames, n_tubule_frames
        Frames of 256 x 256, and of 64 x 64 pixels where emitters are dense.
    seed
        Of all movies.
    """
    rngs = iter(np.random.default_rng(seed).spawn(20))
    checks: list[Check] = []
    for light in BEAD_LIGHT:
        checks += _bands(rngs, n_frames, known, "beads", light)
    for name, per_frame, aim in TUBULE_AIMS:
        frames = n_tubule_frames * (SPARSE_FRAMES if per_frame == SPARSE else 1)
        tubules = partial(axial_scenes.tubule_scene, next(rngs), frames, per_frame=per_frame)
        checks.append(
            Check(
                section=TUBULES,
                condition=f"{name}, {per_frame:g} emitters a frame",
                scene=partial(_shown, known, tubules),
                score=figures.challenge,
                goals=(
                    Goal(figure="efficiency, 3D" + figures.RANKED, aim=Limit(low=aim)),
                    Goal(figure=figures.JACCARD + figures.RANKED),
                    Goal(figure=figures.RMSE + figures.RANKED),
                    Goal(figure="axial RMSE, nm" + figures.RANKED),
                    Goal(figure="efficiency, 3D", aim=Limit(low=aim)),
                    Goal(figure=figures.JACCARD),
                    Goal(figure=figures.RMSE),
                    Goal(figure="axial RMSE, nm"),
                ),
                psfs=("astigmatic",),
                peers=False,
            )
        )
    return checks


def _bands(
    rngs: Rngs, n_frames: int, known: Known, name: str, light: tuple[float, float, SensorType]
) -> list[Check]:
    """Return the checks on lone emitters in parts of the calibrated range."""
    photons, background, camera = light
    checks = []
    for band, first, last in BANDS:
        lone = partial(_lone, next(rngs), n_frames, (first, last), light)
        checks.append(
            Check(
                section=DEPTH,
                condition=f"{name}, {band}, {_light((photons, background))}"
                + ("" if camera == "ideal" else f", {camera}"),
                scene=partial(_drawn, known, lone),
                score=figures.depth,
                goals=_goals(recall=0.95),
                psfs=("astigmatic",),
            )
        )
    return checks


def _lone(
    rng: np.random.Generator,
    n_frames: int,
    part: tuple[float, float],
    light: tuple[float, float, SensorType],
    psf: Psf,
    curves: WidthCurves,
) -> Scene:
    """Return lone emitters in a part of the calibrated range, from 0 to 1."""
    low, span = curves.z_min_nm, curves.z_max_nm - curves.z_min_nm
    z_nm = (low + part[0] * span, low + part[1] * span)
    return axial_scenes.depth_scene(rng, n_frames, psf, curves, z_nm, light[:2], light[2])


def _goals(recall: float) -> tuple[Goal, ...]:
    return (
        Goal(figure=figures.RECALL, aim=Limit(low=recall)),
        Goal(figure=figures.LATERAL, aim=_NEAR),
        Goal(figure=figures.AXIAL, aim=_NEAR),
        Goal(figure=figures.STD_Z, aim=_HONEST),
        Goal(figure=figures.STD_Z + figures.ALONG_Z, aim=_HONEST),
        Goal(figure=figures.MAD_Z + figures.ALONG_Z, aim=_HONEST),
    )


def _light(light: tuple[float, float]) -> str:
    return f"{light[0]:g} photons, background {light[1]:g}"
