"""Calibrates on simulations what is read from images of colours: threshold and stated errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from rtsmlm.localizations import F32
from rtsmlm.models.hershko.decode import ColourDecoder, sharpened
from rtsmlm.models.hershko.mask_learning import READ_VARIANCE, LearnedColours
from rtsmlm.models.hershko.network import UPSAMPLING
from rtsmlm.models.hershko.psf_of_colours import colour_psfs, in_focus
from rtsmlm.models.manifest import DecodeEntry
from rtsmlm.models.rows import (
    CHANNEL,
    CHANNEL_PROBABILITY,
    COLUMNS_WITH_CHANNEL,
    CROWD_KNOTS,
    DecodeSettings,
    Row,
)
from rtsmlm.models.simulation.mask_scenes import Scenes, SceneSampler
from rtsmlm.models.training.recipe import Recipe

CHUNK = 16
PAIR_NM = 250.0
"""Largest distance of a row and its emitter, as where they are scored."""
THRESHOLDS = np.arange(0.2, 0.9, 0.05)
MAD = 1.4826
"""Standard deviation over median absolute deviation of normal numbers."""
POWERS = np.geomspace(0.2, 5.0, 41)
MIN_PAIRS = 100
PLAIN = DecodeSettings(min_probability=0.15)


@torch.no_grad()
def tune(
    learned: LearnedColours, folder: Path, recipe: Recipe, *, n_windows: int, seed: int
) -> DecodeEntry:
    """Return the threshold of the largest Jaccard index, colours included, and factors on errors.

    Parameters
    ----------
    learned
        With its trained weights.
    folder
        Model folder with the mask.
    recipe
        What it was trained by.
    n_windows
        Simulated windows to measure on.
    seed
        Of the simulation.
    """
    side, colours = recipe.simulation.crop_px, len(recipe.colours.names)
    sample = SceneSampler(recipe, torch.device("cpu"), colours=colours)
    decoder = ColourDecoder(
        shape=(side, side),
        upsampling=UPSAMPLING,
        psf=in_focus(colour_psfs(folder, recipe)),
        settings=PLAIN,
    )
    rows, errors = [np.empty((0, COLUMNS_WITH_CHANNEL), np.float32)], [np.empty((0, 3))]
    right = [np.empty(0)]
    n_emitters = 0
    for chunk in range(max(1, n_windows // CHUNK)):
        scenes = sample(CHUNK, torch.Generator().manual_seed(seed * 1_000_003 + chunk), 1.0)
        for k, found in enumerate(decoder(maps_of(learned, scenes))):
            truth = _truth(scenes, k)
            rows.append(found)
            errors.append(_errors(found, truth, PAIR_NM / recipe.optics.pixel_nm))
            right.append(_is_right(found, truth, PAIR_NM / recipe.optics.pixel_nm))
            n_emitters += len(truth)
    table = np.concatenate(rows)
    entry = _entry(table, np.concatenate(errors), n_emitters)
    sure = table[:, Row.PROBABILITY] > entry.min_probability
    power = _sharpness(table[sure, CHANNEL_PROBABILITY], np.concatenate(right)[sure])
    return entry.model_copy(update={"channel_sharpness": round(power, 3)})


def maps_of(learned: LearnedColours, scenes: Scenes) -> F32:
    """Return what the graph of a model answers on the frames of scenes."""
    frames = learned.frames(scenes)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        images = learned.network(frames, torch.full_like(frames, READ_VARIANCE))
    light = torch.nn.functional.interpolate(frames, scale_factor=UPSAMPLING, mode="nearest")
    maps: F32 = torch.cat([images.float(), light], 1).contiguous().numpy()
    return maps


def _truth(scenes: Scenes, window: int) -> NDArray[np.float64]:
    """Return x, y, photons and colour of the emitters in a window, (m, 4)."""
    side = scenes.noise.shape[-1]
    columns = (scenes.x_px, scenes.y_px, scenes.photons, scenes.colour)
    table = np.stack([column.double().numpy() for column in columns], axis=1)
    place = table[:, :2]
    inside = ((place > -0.5) & (place < side - 0.5)).all(axis=1)
    of_window: NDArray[np.float64] = table[inside & (scenes.window.numpy() == window)]
    return of_window


def _errors(rows: F32, truth: NDArray[np.float64], reach_px: float) -> NDArray[np.float64]:
    """Return errors of x and y in pixels and photons over true ones of each row, (m, 3).

    NaN where a row has no emitter of its colour that has it for its nearest, too.
    """
    errors = np.full((len(rows), 3), np.nan)
    for colour in np.unique(truth[:, 3]):
        mine = np.flatnonzero(rows[:, CHANNEL] == colour)
        theirs = truth[truth[:, 3] == colour]
        if not len(mine) or not len(theirs):
            continue
        places = rows[mine][:, [Row.X, Row.Y]].astype(np.float64)
        apart, nearest = cKDTree(theirs[:, :2]).query(places)
        back = np.asarray(cKDTree(places).query(theirs[:, :2])[1])
        nearest = np.asarray(nearest)
        paired = (back[nearest] == np.arange(len(mine))) & (apart < reach_px)
        pairs, emitters = mine[paired], theirs[nearest[paired]]
        errors[pairs, :2] = places[paired] - emitters[:, :2]
        errors[pairs, 2] = rows[pairs, Row.PHOTONS] / emitters[:, 2]
    return errors


def _is_right(rows: F32, truth: NDArray[np.float64], reach_px: float) -> NDArray[np.float64]:
    """Return whether the emitter next to each row has its colour, (m,); NaN where there is none."""
    right = np.full(len(rows), np.nan)
    if len(rows) and len(truth):
        places = rows[:, [Row.X, Row.Y]].astype(np.float64)
        apart, nearest = cKDTree(truth[:, :2]).query(places)
        near = np.asarray(apart) < reach_px
        right[near] = truth[np.asarray(nearest)[near], 3] == rows[near, CHANNEL]
    return right


def _sharpness(share: F32, right: NDArray[np.float64]) -> float:
    """Return the power of the odds that makes stated colours most probable; 1 of few rows."""
    known = ~np.isnan(right)
    if np.count_nonzero(known) < MIN_PAIRS:
        return 1.0
    hit, own = right[known] > 0.5, share[known].astype(np.float64)
    scores = []
    for power in POWERS:
        stated = sharpened(own, float(power))
        scores.append(float(np.log(np.where(hit, stated, 1.0 - stated)).mean()))
    return float(POWERS[int(np.argmax(scores))])


def _entry(rows: F32, errors: NDArray[np.float64], n_emitters: int) -> DecodeEntry:
    hit, probability = ~np.isnan(errors[:, 0]), rows[:, Row.PROBABILITY]
    jaccard = [
        (hit & (probability > t)).sum() / (n_emitters + (~hit & (probability > t)).sum())
        for t in THRESHOLDS
    ]
    threshold = float(THRESHOLDS[int(np.argmax(jaccard))])
    kept = hit & (probability > threshold)
    if kept.sum() < MIN_PAIRS:
        return DecodeEntry(min_probability=round(threshold, 2))
    stated = rows[kept][:, [Row.STD_X, Row.STD_Y]]
    std_scale = MAD * float(np.median(np.abs(errors[kept, :2] / stated)))
    light = float(np.median(errors[kept, 2]))
    photons, std_photons = rows[kept, Row.PHOTONS], rows[kept, Row.STD_PHOTONS]
    apart = (errors[kept, 2] / light - 1.0) * photons / light / np.maximum(std_photons, 1e-3)
    return DecodeEntry(
        min_probability=round(threshold, 2),
        vague_snr=1.0,
        std_scale=(round(std_scale, 3),) * len(CROWD_KNOTS),
        std_scale_photons=round(MAD * float(np.median(np.abs(apart))), 3),
        photons_scale=round(1.0 / light, 4),
    )
