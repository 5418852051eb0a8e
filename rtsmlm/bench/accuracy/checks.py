"""The conditions on simulated movies with their bars and aims, all in one place.

Reference data that others have made are added by the command, which can read files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeAlias

import numpy as np

from rtsmlm.bench.accuracy import figures as figures
from rtsmlm.bench.accuracy import scenes as scenes
from rtsmlm.bench.accuracy.axial_checks import axial_checks
from rtsmlm.bench.accuracy.deep_scene import DENSE, SPARSE, SPARSE_FRAMES, deep_scene
from rtsmlm.bench.accuracy.density_checks import density_checks
from rtsmlm.bench.accuracy.hard_checks import hard_checks
from rtsmlm.bench.accuracy.measure import Check, Goal, Limit
from rtsmlm.bench.accuracy.movie_checks import movie_checks
from rtsmlm.physics.camera import SensorType
from rtsmlm.physics.psf import Psf

Rngs: TypeAlias = Iterator[np.random.Generator]

ISOLATED: tuple[tuple[float, float, float, float, float], ...] = (
    *((s, n, b, 1.15, 1.05) for s in (1.0, 1.3, 1.6) for n in (500, 2000) for b in (5, 50)),
    *((1.3, n, 20, 1.30, 1.10) for n in (5000, 10_000)),
    *((s, 2000, 20, 1.40, 1.15) for s in (0.85, 2.2)),
)
"""PSF sigma in pixels, photons, background per pixel; bar and aim of RMSE / CRLB."""
DENSITIES: tuple[tuple[float, float, float], ...] = (
    (0.5, 0.93, 0.97),
    (1.0, 0.90, 0.95),
    (2.0, 0.84, 0.90),
    (4.0, 0.70, 0.80),
)
"""Emitters per µm² and frame; bar and aim of the Jaccard index."""
TYPICAL = (1.3, 2000.0, 20.0)
CROWDED = (1.1, 2000.0, 20.0)
CAMERAS: tuple[SensorType, ...] = ("EMCCD", "sCMOS")
DIM: tuple[tuple[float, float, float], ...] = (
    (100.0, 5.0, 0.95),
    (200.0, 20.0, 0.97),
    (200.0, 50.0, 0.65),
    (500.0, 100.0, 0.97),
)
"""Photons, background per pixel and aim of the recall: no worse than a fit that finds as few false
ones."""
EMPTY: tuple[tuple[float, SensorType], ...] = (
    (5.0, "ideal"),
    (20.0, "ideal"),
    (100.0, "ideal"),
    (20.0, "sCMOS"),
    (20.0, "EMCCD"),
    (100.0, "EMCCD"),
)
"""Background per pixel and camera."""
ASTIGMATIC: tuple[tuple[float, float, SensorType], ...] = (
    (2000.0, 20.0, "ideal"),
    (5000.0, 20.0, "ideal"),
    (5000.0, 100.0, "EMCCD"),
)
"""Photons, background per pixel and camera."""
HALF_RANGE_NM = 500.0
STD_LONE, STD_CROWD, STD_AIM = Limit(0.9, 1.1), Limit(0.85, 1.2), Limit(0.95, 1.05)

BOTH = figures.EFFICIENCY
"""Ranks settings by what is found and by its errors."""

ALONE = "Isolated emitters"
DIM_ONES = "Dim emitters"
CROWDS = "Crowds"
HONEST = "Stated errors"
EMPTY_FRAMES = "Empty frames"
THIRD = "Astigmatic PSF"
DEEP = "Deeper than the focus"


def simulated_checks(n_frames: int, seed: int) -> list[Check]:
    """Return all checks on simulated movies but the deep one.

    Parameters
    ----------
    n_frames
        Frames of 256 x 256 pixels for each condition of isolated emitters, 49 of them in each;
        other conditions take a part or a multiple of it.
    seed
        Of all movies.
    """
    rngs = iter(np.random.default_rng(seed).spawn(100))
    return [
        *_isolated(rngs, n_frames),
        *_crowds(rngs, max(n_frames // 2, 2)),
        _honest(rngs, 4 * n_frames),
        *_empty(rngs, 25 * n_frames),
        *_astigmatic(rngs, 2 * n_frames),
        *_dim(rngs, 2 * n_frames),
        *hard_checks(rngs, n_frames),
        *axial_checks(rngs, n_frames),
        *movie_checks(rngs),
        *density_checks(rngs),
    ]


def deep_checks(measured: Callable[[], tuple[Psf, float]], n_frames: int, seed: int) -> list[Check]:
    """Return the checks on scenes that are deeper than the focus, dense and sparse.

    Parameters
    ----------
    measured
        Returns PSF and its width in focus in pixels; called when a scene is drawn.
    n_frames
        Frames of 64 x 64 pixels of the dense one.
    seed
        Of the movie.
    """
    jaccard = figures.JACCARD + figures.RANKED
    efficiency = figures.EFFICIENCY + figures.RANKED

    # Aims: Jaccard index of the brightest, efficiency, Jaccard index of all.
    def check(name: str, per_frame: float, least: Limit | None, aims: tuple[float, ...]) -> Check:
        frames = n_frames * (SPARSE_FRAMES if per_frame == SPARSE else 1)
        return Check(
            section=DEEP,
            condition=f"tubules, {name}, {per_frame:g} emitters a frame",
            scene=lambda: deep_scene(*measured(), np.random.default_rng(seed), frames, per_frame),
            score=figures.challenge,
            goals=(
                Goal(figure=jaccard, bar=least, aim=Limit(low=aims[0]), rank=jaccard),
                Goal(figure=figures.RMSE + figures.RANKED, rank=jaccard),
                Goal(
                    figure=efficiency,
                    bar=Limit(low=35) if least else None,
                    aim=Limit(low=aims[1]),
                    rank=efficiency,
                ),
                Goal(figure=figures.JACCARD, aim=Limit(low=aims[2])),
                Goal(figure=figures.RMSE),
                Goal(figure=figures.EFFICIENCY, aim=Limit(low=aims[1]), rank=figures.EFFICIENCY),
            ),
        )

    return [
        check("dense", DENSE, Limit(low=0.72), (0.85, 62.0, 0.80)),
        check("sparse", SPARSE, None, (0.90, 80.0, 0.90)),
    ]


def _isolated(rngs: Rngs, n_frames: int) -> list[Check]:
    every: list[tuple[tuple[float, float, float], float, float, SensorType]] = [
        ((sigma, photons, background), bar, aim, "ideal")
        for sigma, photons, background, bar, aim in ISOLATED
    ]
    every += [(TYPICAL, 1.15, 1.05, camera) for camera in CAMERAS]
    return [
        Check(
            section=ALONE,
            condition=_spot(spot, camera),
            scene=partial(scenes.isolated_scene, next(rngs), n_frames, spot, camera),
            score=figures.isolated,
            goals=(
                Goal(figure=figures.LATERAL, bar=Limit(high=bar), aim=Limit(high=aim), rank=BOTH),
                Goal(figure=figures.JACCARD, least=True),
            ),
        )
        for spot, bar, aim, camera in every
    ]


def _crowds(rngs: Rngs, n_frames: int) -> list[Check]:
    every: list[tuple[float, float, float, SensorType]] = [(*d, "ideal") for d in DENSITIES]
    every += [(*DENSITIES[1], camera) for camera in CAMERAS]
    checks = []
    for density, bar, aim, camera in every:
        goals = [
            Goal(figure=figures.JACCARD, bar=Limit(low=bar), aim=Limit(low=aim)),
            Goal(figure=figures.RMSE),
        ]
        if camera == "EMCCD" or density == DENSITIES[2][0]:
            goals.append(
                Goal(figure=figures.EDGES, bar=Limit(0.8, 1.2), aim=Limit(0.95, 1.05), rank=BOTH)
            )
        if density == 1.0:
            goals += [
                Goal(figure=figures.STD_Z, bar=STD_CROWD, aim=STD_AIM),
                Goal(figure=figures.MAD_Z),
            ]
        checks.append(
            Check(
                section=CROWDS,
                condition=f"{density:g} per um2, {_spot(CROWDED, camera)}",
                scene=partial(scenes.crowded_scene, next(rngs), n_frames, density, CROWDED, camera),
                score=figures.crowd,
                goals=tuple(goals),
            )
        )
    return checks


def _honest(rngs: Rngs, n_frames: int) -> Check:
    return Check(
        section=HONEST,
        condition=f"isolated, {_spot(TYPICAL, 'ideal')}",
        scene=partial(scenes.isolated_scene, next(rngs), n_frames, TYPICAL),
        score=figures.honesty,
        goals=(
            Goal(figure=figures.STD_Z, bar=STD_LONE, aim=STD_AIM, rank=BOTH),
            Goal(figure=figures.MAD_Z, rank=BOTH),
            Goal(figure=figures.PHASE_BIAS, bar=Limit(high=2.5), aim=Limit(high=1.0), rank=BOTH),
        ),
    )


def _empty(rngs: Rngs, n_frames: int) -> list[Check]:
    return [
        Check(
            section=EMPTY_FRAMES,
            condition=f"background {background:g}{_on(camera)}",
            scene=partial(scenes.empty_scene, next(rngs), n_frames, background, camera),
            score=figures.empty,
            goals=(
                Goal(figure=figures.FALSE, bar=Limit(high=1e-3)),
                Goal(figure=figures.FALSE_AT_MOST),
            ),
            # Their thresholds are scanned where there is something to find.
            peers=False,
        )
        for background, camera in EMPTY
    ]


def _dim(rngs: Rngs, n_frames: int) -> list[Check]:
    return [
        Check(
            section=DIM_ONES,
            condition=_spot((TYPICAL[0], photons, background), "ideal"),
            scene=partial(
                scenes.isolated_scene, next(rngs), n_frames, (TYPICAL[0], photons, background)
            ),
            score=figures.dim,
            goals=(
                Goal(figure=figures.RECALL, aim=Limit(low=aim), rank=figures.JACCARD),
                Goal(figure=figures.FALSE, rank=figures.JACCARD),
            ),
        )
        for photons, background, aim in DIM
    ]


def _astigmatic(rngs: Rngs, n_frames: int) -> list[Check]:
    bar, aim = Limit(high=1.25), Limit(high=1.1)
    return [
        Check(
            section=THIRD,
            condition=f"z -{HALF_RANGE_NM:g} to {HALF_RANGE_NM:g} nm, {photons:g} photons, "
            f"background {background:g}{_on(camera)}",
            scene=partial(
                scenes.astigmatic_scene,
                next(rngs),
                n_frames,
                photons,
                background,
                HALF_RANGE_NM,
                camera,
            ),
            score=figures.isolated,
            goals=(
                Goal(figure=figures.LATERAL, bar=bar, aim=aim),
                Goal(figure=figures.AXIAL, bar=bar, aim=aim),
                Goal(figure=figures.JACCARD, least=True),
            ),
            psfs=("astigmatic",),
        )
        for photons, background, camera in ASTIGMATIC
    ]


def _spot(spot: tuple[float, float, float], camera: SensorType) -> str:
    sigma_px, photons, background = spot
    light = f"{photons:g} photons, background {background:g}"
    return f"sigma {sigma_px:g} px, {light}{_on(camera)}"


def _on(camera: SensorType) -> str:
    return "" if camera == "ideal" else f", {camera}"
