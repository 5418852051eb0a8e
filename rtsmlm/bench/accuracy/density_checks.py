"""The density that the laser is steered by, on structures, against the error that it states."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TypeAlias

import numpy as np

from rtsmlm.bench.accuracy.figures import Figures
from rtsmlm.bench.accuracy.hard_scenes import structure_scene
from rtsmlm.bench.accuracy.measure import Check, Goal, Limit
from rtsmlm.bench.accuracy.scenes import Scene
from rtsmlm.feedback.density.meter import DensityMeter
from rtsmlm.physics.structures import StructureName
from rtsmlm.protocols import Localizer
from rtsmlm.settings.feedback import FeedbackSettings

Rngs: TypeAlias = Iterator[np.random.Generator]

DENSITY = "Density"
N_FRAMES = 30
PER_UM2 = 0.8
SPOT = (1.3, 2000.0, 20.0)
STRUCTURES: tuple[StructureName, ...] = ("uniform", "filaments", "nuclear-pores", "mitochondria")
STATED = "density stated / true"
ERROR = "its error / stated error"
FRAME_NS = 10_000_000
TICK_FRAMES = 10


def density_checks(rngs: Rngs) -> list[Check]:
    """Return the checks on the density of structures; `rngs` has one for each."""
    return [
        Check(
            section=DENSITY,
            condition=f"{structure}, {PER_UM2:g} per um2",
            scene=partial(structure_scene, next(rngs), N_FRAMES, structure, PER_UM2, SPOT),
            score_opened=density,
            goals=(
                Goal(figure=STATED, aim=Limit(0.9, 1.1)),
                Goal(figure=ERROR, bar=Limit(-3.0, 3.0), aim=Limit(-2.0, 2.0)),
            ),
        )
        for structure in STRUCTURES
    ]


def density(scene: Scene, localizer: Localizer) -> Figures:
    """Compare the density of the last tick with the truth, and its error with the stated one.

    Parameters
    ----------
    scene
        Movie and truth.
    localizer
        What is found is corrected by the recall that it states.
    """
    n_frames = len(scene.batch)
    shown = replace(scene.batch, t_exposure_end_ns=FRAME_NS * np.arange(n_frames))
    meter = DensityMeter(
        scene.calibration,
        shown.shape,
        scene.sigma_nm,
        FeedbackSettings(tick_s=TICK_FRAMES * FRAME_NS / 1e9),
        recall=localizer.recall,
        max_local_per_um2=localizer.max_local_per_um2,
    )
    last = None
    for k in range(0, n_frames, TICK_FRAMES):
        batch = shown.frames(k, min(k + TICK_FRAMES, n_frames))
        last = meter.add(localizer(batch), batch) or last
    if last is None:
        return {STATED: math.nan, ERROR: math.nan}
    height, width = (side * scene.calibration.pixel_nm / 1000.0 for side in shown.shape)
    true = len(scene.truth) / n_frames / (height * width)
    std = math.hypot(last.std_per_um2, last.missed_std_per_um2)
    return {
        STATED: last.mean_per_um2 / true,
        ERROR: (last.mean_per_um2 - true) / std if std > 0 else math.nan,
    }
