"""Calibrates what a trained network states, on simulations: standard deviations and photons."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from rtsmlm.localizations import F32, Localizations
from rtsmlm.models.flagship.decode import decode
from rtsmlm.models.flagship.network import FlagshipNetwork, stabilize
from rtsmlm.models.manifest import DecodeEntry
from rtsmlm.models.psf_condition import DepthRange
from rtsmlm.models.rows import CROWD_KNOTS, DecodeSettings
from rtsmlm.models.simulation.ranges import SimulationRanges
from rtsmlm.models.simulation.training_windows import Targets, simulate

CHUNK = 32
PAIR_PX = 2.5
"""Largest distance of a localization and its emitter, as where localizers are scored."""
SPARSE_DENSITY = (0.02, 0.2)
LONELY = 0.2
"""Expected neighbours below which an emitter is isolated."""
OUTLIER = 6.0
"""Isolated errors beyond so many stated standard deviations are pairs of the wrong emitter."""
MIN_ROWS = 200
UNIT = DepthRange(middle_nm=0.0, half_nm=1.0)
PLAIN = DecodeSettings(vague_probability=0.01)
"""Nothing is left out: both decodings of the same maps must have the same rows."""


def tune(
    network: FlagshipNetwork, ranges: SimulationRanges, *, n_windows: int = 1024, seed: int = 5
) -> DecodeEntry:
    """Return the factors that make the stated errors honest, for the manifest.

    Parameters
    ----------
    network
        With its trained weights.
    ranges
        What it was trained on.
    n_windows
        Simulated windows to measure on.
    seed
        Of the simulation.

    Notes
    -----
    A factor is the root mean square of error over stated standard deviation, and grows with the
    number of neighbours: pairs that are taken for one emitter are errors too.
    """
    network.eval()
    # A condition that is not quite true is for the validity meter to see.
    honest = {"moving_fraction": 0.0, "repeated_fraction": 0.0, "foreign_fraction": 0.0}
    ranges = ranges.model_copy(update=honest)
    sparse = ranges.model_copy(update={"density": SPARSE_DENSITY, "clustered_fraction": 0.0})
    lone = _measure(network, sparse, n_windows, seed)
    crowd = _measure(network, ranges, n_windows, seed + 1)
    alone = lone.neighbours < LONELY
    first = _spread(np.concatenate([lone.z_x[alone], lone.z_y[alone]]))
    in_plane = _factors(np.concatenate([crowd.z_x, crowd.z_y]), np.tile(crowd.neighbours, 2), first)
    axial = (1.0,) * len(CROWD_KNOTS)
    if network.settings.axial:
        axial = _factors(crowd.z_z, crowd.neighbours, _spread(lone.z_z[alone]))
    return DecodeEntry(
        std_scale=in_plane,
        std_scale_z=axial,
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
    network: FlagshipNetwork, ranges: SimulationRanges, n_windows: int, seed: int
) -> _Errors:
    parts = []
    for chunk in range(max(1, n_windows // CHUNK)):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + chunk)
        windows = simulate(ranges, CHUNK, generator)
        planes = stabilize(windows.photons, windows.read_variance, windows.context)
        maps = network(planes, windows.condition).numpy()
        parts.append(_errors(maps, windows.targets, ranges.crop_px))
    return _Errors(
        *(np.concatenate([getattr(p, field.name) for p in parts]) for field in fields(_Errors))
    )


def _errors(maps: F32, truth: Targets, crop_px: int) -> _Errors:
    depth = None if truth.z is None else UNIT

    def rows_of(settings: DecodeSettings) -> Localizations:
        frame, shape = np.arange(len(maps)), (crop_px, crop_px)
        return decode(maps, frame, shape=shape, pixel_nm=1.0, depth=depth, settings=settings)

    # Factors that are the number of neighbours show how many each row has.
    locs, counted = rows_of(PLAIN), rows_of(replace(PLAIN, std_scale=CROWD_KNOTS))
    rows, emitters = _pairs(locs, truth)
    found = locs.take(rows)
    z_error = np.zeros(len(rows), dtype=np.float32)
    if truth.z is not None:
        z_error = (found.z_nm - truth.z.numpy()[emitters]) / found.std_z_nm
    photons = truth.photons.numpy()[emitters]
    return _Errors(
        z_x=(found.x_nm - truth.x_px.numpy()[emitters]) / found.std_x_nm,
        z_y=(found.y_nm - truth.y_px.numpy()[emitters]) / found.std_y_nm,
        z_z=z_error,
        z_photons=(found.photons - photons) / found.std_photons,
        photons_ratio=found.photons / photons,
        neighbours=counted.std_x_nm[rows] / found.std_x_nm,
    )


def _pairs(locs: Localizations, targets: Targets) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows of localizations and emitters that are each other's nearest."""
    window = targets.window.numpy()
    x, y = targets.x_px.numpy(), targets.y_px.numpy()
    rows, emitters = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for k in np.unique(window):
        mine, theirs = np.flatnonzero(locs.frame == k), np.flatnonzero(window == k)
        if not len(mine):
            continue
        distance = np.hypot(
            locs.x_nm[mine][:, None] - x[theirs], locs.y_nm[mine][:, None] - y[theirs]
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
