"""Calibrates what a trained network states, on simulations: standard deviations and photons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from rtsmlm.localizations import F32
from rtsmlm.models.manifest import DecodeEntry
from rtsmlm.models.rows import CROWD_KNOTS, Row
from rtsmlm.models.simulation.ranges import SimulationRanges
from rtsmlm.models.simulation.training_windows import Targets, Windows
from rtsmlm.models.training.trainable import Sampler

CHUNK = 32
PAIR_PX = 2.5
"""Largest distance of a localization and its emitter, as where localizers are scored."""
SPARSE_DENSITY = (0.02, 0.2)
LONELY = 0.2
"""Expected neighbours below which an emitter is isolated."""
OUTLIER = 6.0
"""Isolated errors beyond so many stated standard deviations are pairs of the wrong emitter."""
MIN_ROWS = 200


def tune(
    ranges: SimulationRanges,
    sampler_of: Callable[[SimulationRanges], Sampler[Windows]],
    rows_of: Callable[[Windows], list[F32]],
    *,
    axial: bool,
    n_windows: int = 1024,
    seed: int = 5,
) -> DecodeEntry:
    """Return the factors that make the stated errors honest, for the manifest.

    Parameters
    ----------
    ranges
        What the network was trained on.
    sampler_of
        Draws windows of ranges.
    rows_of
        The network: windows to rows of `rtsmlm.models.rows`, one table for each.
    axial
        Whether it finds z.
    n_windows
        Simulated windows to measure on.
    seed
        Of the simulation.

    Notes
    -----
    A factor is the root mean square of error over stated standard deviation, and grows with the
    number of neighbours: pairs that are taken for one emitter are errors too.
    """
    # A condition that is not quite true is for the validity meter to see.
    honest = {"moving_fraction": 0.0, "repeated_fraction": 0.0, "foreign_fraction": 0.0}
    ranges = ranges.model_copy(update=honest)
    sparse = ranges.model_copy(update={"density": SPARSE_DENSITY, "clustered_fraction": 0.0})
    lone = _measure(sampler_of(sparse), rows_of, n_windows, seed)
    crowd = _measure(sampler_of(ranges), rows_of, n_windows, seed + 1)
    alone = lone.neighbours < LONELY
    first = _spread(np.concatenate([lone.z_x[alone], lone.z_y[alone]]))
    in_plane = _factors(np.concatenate([crowd.z_x, crowd.z_y]), np.tile(crowd.neighbours, 2), first)
    along = (1.0,) * len(CROWD_KNOTS)
    if axial:
        along = _factors(crowd.z_z, crowd.neighbours, _spread(lone.z_z[alone]))
    return DecodeEntry(
        std_scale=in_plane,
        std_scale_z=along,
        std_scale_photons=round(_spread(lone.z_photons), 3),
        photons_scale=_photons_scale(lone.photons_ratio),
    )


def _photons_scale(ratio: F32) -> float:
    """Return what photons are multiplied with; 1 for a network that has found nothing yet."""
    median = float(np.median(ratio)) if len(ratio) else 1.0
    return round(1.0 / median, 4) if median > 0 else 1.0


def _factors(z: F32, neighbours: F32, first: float) -> tuple[float, ...]:
    """Return the factors at `CROWD_KNOTS`; the first one is given."""
    factors = [first]
    edges = [*(0.5 * (a + b) for a, b in pairwise(CROWD_KNOTS)), np.inf]
    for low, high in pairwise(edges):
        here = (neighbours > low) & (neighbours <= high)
        enough = np.count_nonzero(here) >= MIN_ROWS
        factors.append(float(np.sqrt(np.mean(z[here] ** 2))) if enough else factors[-1])
    return tuple(round(factor, 3) for factor in factors)


@dataclass(frozen=True, slots=True)
class _Errors:
    """Errors over stated standard deviations of rows that have an emitter, shape (n,)."""

    z_x: F32
    z_y: F32
    z_z: F32
    z_photons: F32
    photons_ratio: F32
    neighbours: F32
    """Expected emitters nearby."""


@torch.no_grad()
def _measure(
    sample: Sampler[Windows], rows_of: Callable[[Windows], list[F32]], n_windows: int, seed: int
) -> _Errors:
    parts = []
    for chunk in range(max(1, n_windows // CHUNK)):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + chunk)
        windows = sample(CHUNK, generator, 1.0)
        parts.append(_errors(rows_of(windows), windows.targets))
    return _Errors(
        *(np.concatenate([getattr(p, field.name) for p in parts]) for field in fields(_Errors))
    )


def _errors(tables: list[F32], truth: Targets) -> _Errors:
    window = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    rows = np.concatenate(tables)
    chosen, emitters = _pairs(window, rows, truth)
    found = rows[chosen]
    z_error = np.zeros(len(found), dtype=np.float32)
    if truth.z is not None:
        z_error = (found[:, Row.Z] - truth.z.numpy()[emitters]) / found[:, Row.STD_Z]
    photons = truth.photons.numpy()[emitters]
    return _Errors(
        z_x=(found[:, Row.X] - truth.x_px.numpy()[emitters]) / found[:, Row.STD_X],
        z_y=(found[:, Row.Y] - truth.y_px.numpy()[emitters]) / found[:, Row.STD_Y],
        z_z=z_error,
        z_photons=(found[:, Row.PHOTONS] - photons) / found[:, Row.STD_PHOTONS],
        photons_ratio=found[:, Row.PHOTONS] / photons,
        neighbours=found[:, Row.CROWD],
    )


def _pairs(
    window_of_row: NDArray[np.int64], table: F32, targets: Targets
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows and emitters that are each other's nearest."""
    window = targets.window.numpy()
    x, y = targets.x_px.numpy(), targets.y_px.numpy()
    rows, emitters = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for k in np.unique(window):
        mine, theirs = np.flatnonzero(window_of_row == k), np.flatnonzero(window == k)
        if not len(mine):
            continue
        distance = np.hypot(
            table[mine, Row.X][:, None] - x[theirs], table[mine, Row.Y][:, None] - y[theirs]
        )
        nearest = distance.argmin(axis=1)
        mutual = distance.argmin(axis=0)[nearest] == np.arange(len(mine))
        kept = mutual & (distance[np.arange(len(mine)), nearest] < PAIR_PX)
        rows.append(mine[kept])
        emitters.append(theirs[nearest[kept]])
    return np.concatenate(rows), np.concatenate(emitters)


def _spread(z: NDArray[np.floating]) -> float:
    inside = z[np.abs(z) < OUTLIER]
    return float(np.sqrt(np.mean(np.square(inside)))) if len(inside) else 1.0
