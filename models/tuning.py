"""Calibrates what a trained network states, on simulations: standard deviations and photons."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from rtsmlm.decode import MOST_CROWDED, DecodeSettings, decode
from rtsmlm.localizations import F32, Localizations
from rtsmlm.models.manifest import DecodeEntry
from rtsmlm.models.network import FlagshipNetwork, stabilize
from rtsmlm.models.ranges import SimulationRanges
from rtsmlm.models.simulation import Targets, simulate

CHUNK = 32
PAIR_PX = 1.0
"""Largest distance of a localization and its emitter."""
OUTLIER = 4.0
"""Errors beyond so many stated standard deviations are pairs of the wrong emitter."""
LONELY = 0.2
"""Expected neighbours below which an emitter is isolated."""
SPARSE_DENSITY = (0.02, 0.2)
PLAIN = DecodeSettings(vague_probability=0.01)
"""Nothing is left out: both decodings of the same maps must have the same rows."""
CROWDED = (1.0, MOST_CROWDED)


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
    """
    network.eval()
    sparse = ranges.model_copy(update={"density": SPARSE_DENSITY, "clustered_fraction": 0.0})
    lone = _measure(network, sparse, n_windows, seed)
    crowd = _measure(network, ranges, n_windows // 2, seed + 1)
    scale = _spread(lone.z[lone.neighbours < LONELY])
    among = (crowd.neighbours > CROWDED[0]) & (crowd.neighbours <= CROWDED[1])
    slope = 0.0
    if np.any(among):
        slope = (_spread(crowd.z[among]) - scale) / float(np.mean(crowd.neighbours[among]))
    return DecodeEntry(
        std_scale=round(scale, 3),
        std_scale_crowd=round(max(slope, 0.0), 3),
        std_scale_photons=round(_spread(lone.z_photons), 3),
        photons_scale=round(1.0 / float(np.median(lone.photons_ratio)), 4),
    )


@dataclass(frozen=True, slots=True)
class _Errors:
    z: F32
    """Error over stated standard deviation, along x and along y."""
    neighbours: F32
    """Expected emitters nearby, of the same rows."""
    z_photons: F32
    photons_ratio: F32


@torch.no_grad()
def _measure(
    network: FlagshipNetwork, ranges: SimulationRanges, n_windows: int, seed: int
) -> _Errors:
    parts: list[tuple[F32, F32, F32, F32]] = []
    counting = replace(PLAIN, std_scale_crowd=1.0)
    shape, frame = (ranges.crop_px, ranges.crop_px), np.arange(CHUNK)
    for chunk in range(max(1, n_windows // CHUNK)):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + chunk)
        windows = simulate(ranges, CHUNK, generator)
        planes = stabilize(windows.photons, windows.read_variance, windows.context)
        maps = network(planes, windows.condition).numpy()
        locs = decode(maps, frame, shape=shape, pixel_nm=1.0, settings=PLAIN)
        counted = decode(maps, frame, shape=shape, pixel_nm=1.0, settings=counting)
        truth = windows.targets
        rows, emitters = _pairs(locs, truth)
        dx = locs.x_nm[rows] - truth.x_px.numpy()[emitters]
        dy = locs.y_nm[rows] - truth.y_px.numpy()[emitters]
        neighbours = counted.std_x_nm[rows] / locs.std_x_nm[rows] - 1.0
        photons = truth.photons.numpy()[emitters]
        parts.append(
            (
                np.concatenate([dx / locs.std_x_nm[rows], dy / locs.std_y_nm[rows]]),
                np.tile(neighbours, 2),
                (locs.photons[rows] - photons) / locs.std_photons[rows],
                locs.photons[rows] / photons,
            )
        )
    return _Errors(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _pairs(locs: Localizations, targets: Targets) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows of localizations and emitters that are each other's nearest within a pixel."""
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
