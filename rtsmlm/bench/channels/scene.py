"""How fast frames of two views are localized, both channels together, and how well told apart."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from rtsmlm.drivers.simulated.microscope import SimMicroscope
from rtsmlm.drivers.simulated.settings import MicroscopeSettings
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.pipeline.localizer import open_localizer
from rtsmlm.settings.channels import UNDECIDED
from rtsmlm.settings.load import load, packaged

CONFIGURATION = "sim_two_colour.toml"
BATCH_FRAMES = 16
WITHIN_NM = 100.0
LEAST_PHOTONS = 50.0
"""Of an emitter of the truth; most are dimmer in the frames in which they go on and off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneFigures:
    """Figures of one core on frames of the simulated microscope of two views."""

    shape: tuple[int, int]
    rows_per_frame: float
    frames_per_s: float
    """Median of all batches."""
    slowest_per_s: float
    crosstalk: float
    """Share of decided rows whose nearest emitter is of the other dye: overlaps included."""
    undecided: float


def measure_scene(n_frames: int) -> SceneFigures:
    """Return speed and crosstalk on simulated frames.

    Parameters
    ----------
    n_frames
        Frames that are taken and localized.
    """
    settings = load(packaged(CONFIGURATION))
    microscope = SimMicroscope(MicroscopeSettings(seed=1, views=2, second_emission="CF680"))
    localizer = open_localizer(settings, microscope.calibration(), 130.0)
    localizer.warm_up(microscope.shape)
    times, n_rows = [], 0
    stated: list[NDArray[np.uint8]] = []
    true: list[NDArray[np.uint8]] = []
    for first in range(0, n_frames, BATCH_FRAMES):
        batch = FrameBatch.from_pixels(microscope.frames(BATCH_FRAMES), first_index=first)
        start = time.perf_counter()
        rows = localizer(batch)
        times.append((time.perf_counter() - start) / BATCH_FRAMES)
        n_rows += len(rows)
        for frame in batch.index.tolist():
            mine = rows.take(rows.frame == frame)
            which, dye = _matched(mine, microscope.emitters_in(frame, LEAST_PHOTONS))
            stated.append(mine.channel[which])
            true.append(dye)
    channel, dyes = np.concatenate(stated), np.concatenate(true)
    decided = channel != UNDECIDED
    return SceneFigures(
        shape=microscope.shape,
        rows_per_frame=n_rows / (len(times) * BATCH_FRAMES),
        frames_per_s=1.0 / float(np.median(times)),
        slowest_per_s=1.0 / max(times),
        crosstalk=float(np.mean(channel[decided] != dyes[decided])),
        undecided=float(1.0 - decided.mean()),
    )


def _matched(
    rows: Localizations, truth: Localizations
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return the rows of a frame that lie near an emitter, and the dye of each nearest one."""
    if not len(rows) or not len(truth):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.uint8)
    tree = cKDTree(np.stack([truth.x_nm, truth.y_nm], axis=1))
    found = tree.query(np.stack([rows.x_nm, rows.y_nm], axis=1))
    distance, nearest = np.asarray(found[0]), np.asarray(found[1])
    near = np.flatnonzero(distance < WITHIN_NM)
    return near, truth.channel[nearest[near]]
