"""Calibrates what a trained network states, on simulations: standard deviations and photons."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from rtsmlm.decode import MOST_CROWDED, DecodeSettings, decode
from rtsmlm.localizations import Localizations
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
CROWDED = (1.0, MOST_CROWDED)


@torch.no_grad()
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
    z: list[NDArray[np.floating]] = []
    crowd: list[NDArray[np.floating]] = []
    z_photons: list[NDArray[np.floating]] = []
    light: list[NDArray[np.floating]] = []
    counting = DecodeSettings(std_scale_crowd=1.0)
    for chunk in range(max(1, n_windows // CHUNK)):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + chunk)
        windows = simulate(ranges, CHUNK, generator)
        planes = stabilize(windows.photons, windows.read_variance, windows.context)
        maps = network(planes, windows.condition).numpy()
        shape = (ranges.crop_px, ranges.crop_px)
        frame = np.arange(CHUNK)
        locs = decode(maps, frame, shape=shape, pixel_nm=1.0)
        counted = decode(maps, frame, shape=shape, pixel_nm=1.0, settings=counting)
        neighbours = counted.std_x_nm / locs.std_x_nm - 1.0
        rows, emitters = _pairs(locs, windows.targets)
        truth = windows.targets
        for stated, found, true in (
            (locs.std_x_nm, locs.x_nm, truth.x_px),
            (locs.std_y_nm, locs.y_nm, truth.y_px),
        ):
            z.append((found[rows] - true.numpy()[emitters]) / stated[rows])
            crowd.append(neighbours[rows])
        photons = truth.photons.numpy()[emitters]
        z_photons.append((locs.photons[rows] - photons) / locs.std_photons[rows])
        light.append(locs.photons[rows] / photons)
    errors, around = np.concatenate(z), np.concatenate(crowd)
    lonely = _spread(errors[around < LONELY])
    crowded = (around > CROWDED[0]) & (around <= CROWDED[1])
    slope = 0.0
    if np.any(crowded):
        slope = (_spread(errors[crowded]) - lonely) / float(np.mean(around[crowded]))
    return DecodeEntry(
        std_scale=round(lonely, 3),
        std_scale_crowd=round(max(slope, 0.0), 3),
        std_scale_photons=round(_spread(np.concatenate(z_photons)), 3),
        photons_scale=round(1.0 / float(np.median(np.concatenate(light))), 4),
    )


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
