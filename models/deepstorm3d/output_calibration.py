"""Calibrates on simulations what is read from volumes: threshold and stated errors."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from rtsmlm.localizations import F32
from rtsmlm.models.deepstorm3d.decode import VolumeDecoder
from rtsmlm.models.deepstorm3d.network import DeepStorm3dNetwork
from rtsmlm.models.deepstorm3d.on_torch import volumes_of_windows
from rtsmlm.models.manifest import DecodeEntry
from rtsmlm.models.rows import CROWD_KNOTS, DecodeSettings, Row
from rtsmlm.models.simulation.one_psf import OnePsfSampler
from rtsmlm.models.simulation.training_windows import TARGET, Windows
from rtsmlm.models.training.recipe import Recipe

CHUNK = 16
PAIR_NM = (250.0, 500.0)
"""Largest lateral and axial distance of a row and its emitter, as where they are scored."""
THRESHOLDS = np.arange(0.2, 0.9, 0.05)
OUTLIER = 6.0
MAD = 1.4826
"""Standard deviation over median absolute deviation of normal numbers."""
MIN_ROWS = 100
VAGUE_SNR = 1.0
"""Light of fewer standard deviations is doubted: a false peak has a share of its surroundings."""
PLAIN = DecodeSettings(min_probability=0.15)


@torch.no_grad()
def tune(network: DeepStorm3dNetwork, recipe: Recipe, *, n_windows: int, seed: int) -> DecodeEntry:
    """Return the threshold of the largest Jaccard index, and the factors on errors.

    Parameters
    ----------
    network
        With its trained weights.
    recipe
        What it was trained by.
    n_windows
        Simulated windows to measure on.
    seed
        Of the simulation.
    """
    network.eval()
    table = recipe.psf.load(recipe.optics).table
    sample = OnePsfSampler(recipe.simulation, table, recipe.psf, torch.device("cpu"))
    side = recipe.simulation.crop_px
    decoder = VolumeDecoder(
        shape=(side, side),
        upsampling=network.settings.upsampling,
        z_nm=recipe.psf.z_nm,
        psf=table,
        settings=PLAIN,
    )
    scored = [_Scores.nothing()]
    for chunk in range(max(1, n_windows // CHUNK)):
        windows = sample(CHUNK, torch.Generator().manual_seed(seed * 1_000_003 + chunk), 1.0)
        scored.append(_score(decode_windows(network, windows, decoder), windows, recipe))
    return _entry(_Scores.together(scored))


def decode_windows(
    network: DeepStorm3dNetwork, windows: Windows, decoder: VolumeDecoder
) -> list[F32]:
    """Return the rows of the target frames of windows."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        volumes = volumes_of_windows(network, windows)
    fine = network.settings.upsampling
    light = windows.photons[:, TARGET : TARGET + 1]
    light = torch.nn.functional.interpolate(light, scale_factor=fine, mode="nearest")
    maps = torch.cat([volumes.float() / network.scale, light], 1)
    return decoder(maps.contiguous().numpy())


class _Scores:
    """Rows, what each has of an emitter, and the emitters that there were."""

    def __init__(self, rows: F32, errors: NDArray[np.float64], n_emitters: int) -> None:
        self.rows = rows
        self.errors = errors
        """x and y in pixels, z in halves of the range, photons over true ones; NaN without."""
        self.n_emitters = n_emitters

    @classmethod
    def nothing(cls) -> _Scores:
        return cls(np.empty((0, len(Row)), np.float32), np.empty((0, 4)), 0)

    @classmethod
    def together(cls, parts: list[_Scores]) -> _Scores:
        return cls(
            np.concatenate([part.rows for part in parts]),
            np.concatenate([part.errors for part in parts]),
            sum(part.n_emitters for part in parts),
        )


def _score(rows: list[F32], windows: Windows, recipe: Recipe) -> _Scores:
    truth, z = windows.targets, windows.targets.z
    if z is None:
        raise ValueError("windows without z")
    owner = truth.window.numpy()
    columns = [truth.x_px.numpy(), truth.y_px.numpy(), z.numpy(), truth.photons.numpy()]
    emitters = np.stack(columns, axis=1).astype(np.float64)
    scale = np.array([recipe.optics.pixel_nm / PAIR_NM[0]] * 2 + [recipe.psf.half_nm / PAIR_NM[1]])
    parts = [_Scores.nothing()]
    for k, mine in enumerate(rows):
        theirs = emitters[owner == k]
        found = mine[:, [Row.X, Row.Y, Row.Z]].astype(np.float64)
        errors = np.full((len(mine), 4), np.nan)
        if len(mine) and len(theirs):
            apart = (found[:, None] - theirs[:, :3]) * scale
            distance = np.hypot(np.hypot(apart[..., 0], apart[..., 1]), apart[..., 2])
            nearest = distance.argmin(axis=1)
            mutual = distance.argmin(axis=0)[nearest] == np.arange(len(mine))
            pair = mutual & (distance[np.arange(len(mine)), nearest] < 1.0)
            errors[pair, :3] = found[pair] - theirs[nearest[pair], :3]
            errors[pair, 3] = mine[pair, Row.PHOTONS] / theirs[nearest[pair], 3]
        at = np.rint(mine[:, [Row.Y, Row.X]]).astype(int).clip(0, recipe.simulation.crop_px - 1)
        asked = ~truth.ignored[k].numpy()[at[:, 0], at[:, 1]] | ~np.isnan(errors[:, 0])
        parts.append(_Scores(mine[asked], errors[asked], len(theirs)))
    return _Scores.together(parts)


def _entry(scores: _Scores) -> DecodeEntry:
    probability, is_pair = scores.rows[:, Row.PROBABILITY], ~np.isnan(scores.errors[:, 0])
    true = np.array([np.count_nonzero(is_pair & (probability > t)) for t in THRESHOLDS])
    false = np.array([np.count_nonzero(~is_pair & (probability > t)) for t in THRESHOLDS])
    jaccard = true / np.maximum(false + scores.n_emitters, 1)
    threshold = float(THRESHOLDS[int(np.argmax(jaccard))])
    kept = is_pair & (probability > threshold)
    rows, errors = scores.rows[kept], scores.errors[kept]
    lateral = np.abs(errors[:, :2]) / rows[:, [Row.STD_X, Row.STD_Y]]
    axial = np.abs(errors[:, 2:3]) / rows[:, Row.STD_Z, None]
    # A fit of the light needs no factor on it. A neighbour that is not found leaves its light to
    # those that are: the median is that of rows without one.
    relative = np.abs(errors[:, 3] - 1.0) / np.maximum(errors[:, 3], 1e-9)
    light = relative * rows[:, Row.PHOTONS] / np.maximum(rows[:, Row.STD_PHOTONS], 1e-9)
    return DecodeEntry(
        min_probability=round(threshold, 2),
        vague_snr=VAGUE_SNR,
        std_scale=_factors(lateral, rows[:, Row.CROWD]),
        std_scale_z=_factors(axial, rows[:, Row.CROWD]),
        std_scale_photons=round(MAD * float(np.median(light)), 3) if len(light) else 1.0,
    )


def _factors(z: NDArray[np.float64], crowd: F32) -> tuple[float, ...]:
    """Return error over stated error, root mean square, at the knots of the crowd."""
    edges = [-np.inf, *(0.5 * (a + b) for a, b in pairwise(CROWD_KNOTS)), np.inf]
    factors: list[float] = []
    for low, high in pairwise(edges):
        here = z[(crowd > low) & (crowd <= high)]
        before = factors[-1] if factors else _spread(z)
        factors.append(_spread(here) if len(here) >= MIN_ROWS else before)
    return tuple(round(factor, 3) for factor in factors)


def _spread(z: NDArray[np.float64]) -> float:
    middle = float(np.median(z)) if z.size else 1.0
    inside = z[z < OUTLIER * max(middle, 1e-9)]
    return float(np.sqrt(np.mean(np.square(inside)))) if inside.size else 1.0


def with_settings(decoder: VolumeDecoder, entry: DecodeEntry) -> VolumeDecoder:
    """Return the decoder with what was calibrated."""
    return replace(decoder, settings=entry.settings())
