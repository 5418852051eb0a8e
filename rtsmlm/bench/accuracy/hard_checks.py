"""The conditions in which localizers fall short, with what is asked of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TypeAlias

import numpy as np

from rtsmlm.bench.accuracy import figures, hard_scenes
from rtsmlm.bench.accuracy.measure import Check, Goal, Limit
from rtsmlm.physics.camera import SensorType
from rtsmlm.physics.structures import StructureName

Rngs: TypeAlias = Iterator[np.random.Generator]

CORNERS = "Corners of pixels"
PAIRS = "Near pairs"
STRUCTURES = "Labelled structures"

BRIGHT = (1.3, 5000.0, 20.0)
TYPICAL = (1.3, 2000.0, 20.0)
TOLD_APART = 2.5
"""Distance in PSF widths from which two emitters are held to the bound of both together."""
DISTANCES = (1.0, 1.8, TOLD_APART, 3.5, 4.5)
ON: tuple[tuple[StructureName, float, SensorType, float], ...] = (
    ("filaments", 0.8, "ideal", 0.75),
    ("nuclear-pores", 0.8, "ideal", 0.75),
    ("mitochondria", 0.8, "ideal", 0.75),
    ("uniform", 1.0, "EMCCD", 0.90),
)
"""Structure, emitters per µm² and frame, camera and aim of the Jaccard index."""


def hard_checks(rngs: Rngs, n_frames: int) -> list[Check]:
    """Return the checks on corners, pairs and structures.

    Parameters
    ----------
    rngs
        One for each movie.
    n_frames
        Frames of 256 x 256 pixels for each condition; of structures a fourth.
    """
    corners = Check(
        section=CORNERS,
        condition=_spot(BRIGHT),
        scene=partial(hard_scenes.corner_scene, next(rngs), n_frames, BRIGHT),
        score=figures.dim,
        goals=(
            Goal(figure=figures.RECALL, bar=Limit(low=0.99), aim=Limit(low=0.999)),
            Goal(figure=figures.RMSE),
        ),
    )
    return [corners, *_pairs(rngs, n_frames), *_structures(rngs, max(n_frames // 4, 2))]


def _pairs(rngs: Rngs, n_frames: int) -> list[Check]:
    checks = []
    for distance in DISTANCES:
        goals = [Goal(figure=figures.RECALL), Goal(figure=figures.STD_Z)]
        if distance >= TOLD_APART:
            goals.append(
                Goal(figure=figures.LATERAL, bar=Limit(high=1.25), aim=Limit(high=1.1), rank=_BOTH)
            )
        checks.append(
            Check(
                section=PAIRS,
                condition=f"{distance:g} widths of the PSF apart, {_spot(TYPICAL)}",
                scene=partial(hard_scenes.pair_scene, next(rngs), n_frames, distance, TYPICAL),
                score=figures.pairs,
                goals=tuple(goals),
            )
        )
    return checks


def _structures(rngs: Rngs, n_frames: int) -> list[Check]:
    return [
        Check(
            section=STRUCTURES,
            condition=f"{structure}, {density:g} per um2, {_spot(TYPICAL)}"
            + ("" if camera == "ideal" else f", {camera}"),
            scene=partial(
                hard_scenes.structure_scene,
                next(rngs),
                n_frames,
                structure,
                density,
                TYPICAL,
                camera,
            ),
            score=figures.crowd,
            goals=(
                Goal(figure=figures.JACCARD, aim=Limit(low=aim)),
                Goal(figure=figures.RMSE),
                Goal(figure=figures.EDGES, bar=Limit(0.8, 1.2), aim=Limit(0.95, 1.05)),
            ),
        )
        for structure, density, camera, aim in ON
    ]


def _spot(spot: tuple[float, float, float]) -> str:
    sigma_px, photons, background = spot
    return f"sigma {sigma_px:g} px, {photons:g} photons, background {background:g}"


_BOTH = figures.EFFICIENCY
"""Ranks settings of peers by what is found and by its errors."""
