"""How well a network of one PSF finds emitters of its own simulator: rows of its manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from rtsmlm.models.rows import DecodeSettings, Row, is_sure
from rtsmlm.models.simulation.training_windows import Windows
from rtsmlm.models.training.one_psf_samplers import reach_of, samplers_of
from rtsmlm.models.training.recipe import Recipe
from rtsmlm.models.training.scoring import RowsOf, score
from rtsmlm.models.training.trainable import Sampler

CROP_PX = 64
BORDER_NM = 450.0
"""Emitters so near the edge are not asked for, as in the SMLM-2016 challenge (Sage et al., Nat.
Methods 16, 387 (2019)): much of their light lies outside of the frame."""
SEED = 23
"""No training, held-out window or calibration draws from it."""
PLAIN: dict[str, object] = {
    "photons_spread": (0.0, 0.0),
    "sparse_fraction": 0.0,
    "empty_fraction": 0.0,
    "clustered_fraction": 0.0,
    "on_time_frames": (500.0, 500.0),
    "uncorrelated_fraction": 0.0,
    "moving_fraction": 0.0,
    "smooth_fraction": 0.0,
    "noise_fraction": 0.0,
    "haze_fraction": 0.0,
    "emccd_fraction": 0.0,
    "ideal_fraction": 1.0,
    "gain_error": 0.0,
    "offset_error_e": 0.0,
    "context_dropout": 1.0,
    "repeated_fraction": 0.0,
    "foreign_fraction": 0.0,
}
"""Frames without neighbours, emitters that are on for all of a frame, a flat background, a
calibrated camera."""


def accuracy_of(
    recipe: Recipe,
    rows_of: RowsOf,
    settings: DecodeSettings,
    *,
    densities_um2: Sequence[float],
    photons: float,
    background: float,
    n_windows: int,
) -> tuple[dict[str, float | str], ...]:
    """Return Jaccard index and errors at several densities.

    Parameters
    ----------
    recipe
        What the network was trained on; its PSF and range of z are those of the test.
    rows_of
        The network and its decoder.
    settings
        Thresholds, as calibrated.
    densities_um2
        Emitters per µm² and frame.
    photons, background
        Of each emitter, and per pixel.
    n_windows
        Simulated windows for each density.
    """
    stored = recipe.psf.load(recipe.optics)
    low, high = recipe.psf.z_nm
    scale_nm = (stored.pixel_nm, stored.pixel_nm, recipe.psf.half_nm)
    border_px = round(BORDER_NM / stored.pixel_nm)
    thick = recipe.model_copy(update={"psf": recipe.psf.model_copy(update={"thin_fraction": 0.0})})
    rows: list[dict[str, float | str]] = []
    for density in densities_um2:
        light = {"photons": (photons,) * 2, "background": (background,) * 2}
        plain = recipe.simulation.model_copy(
            update={**PLAIN, **light, "density": (density, density), "crop_px": CROP_PX}
        )
        found = score(
            partial(_inside, samplers_of(thick, torch.device("cpu"))(plain), border_px),
            partial(rows_of, settings=settings),
            reach_of(recipe),
            n_windows=n_windows,
            seed=SEED,
        )
        probable = found.rows[:, Row.PROBABILITY] > settings.min_probability
        kept = probable & is_sure(found.rows, settings)
        rms = [
            scale * float(np.sqrt(np.mean(np.square(found.error[kept & found.paired, axis]))))
            for axis, scale in enumerate(scale_nm)
        ]
        condition = (
            f"{density:g} per um2, z {low:g} to {high:g} nm, {photons:g} photons, background "
            f"{background:g}, without a border of {BORDER_NM:g} nm"
        )
        figures = {
            "Jaccard index": round(found.jaccard(kept), 4),
            "lateral RMSE, nm": round(float(np.hypot(rms[0], rms[1])), 2),
            "axial RMSE, nm": round(rms[2], 2),
        }
        rows += [
            {"test": "PSF of the training", "condition": condition, "figure": name, "value": value}
            for name, value in figures.items()
        ]
    return tuple(rows)


def _inside(
    sample: Sampler[Windows], border_px: int, n: int, generator: torch.Generator, crowding: float
) -> Windows:
    """Return windows whose emitters near the edge are not asked for."""
    windows = sample(n, generator, crowding)
    truth = windows.targets
    ignored = torch.ones_like(truth.ignored)
    within = (slice(None), slice(border_px, -border_px), slice(border_px, -border_px))
    ignored[within] = truth.ignored[within]
    side = truth.ignored.shape[-1] - 1
    x, y = (at.round().clamp(0, side).long() for at in (truth.x_px, truth.y_px))
    kept = ~ignored[truth.window, y, x]
    return replace(
        windows,
        targets=replace(
            truth,
            window=truth.window[kept],
            x_px=truth.x_px[kept],
            y_px=truth.y_px[kept],
            photons=truth.photons[kept],
            z=None if truth.z is None else truth.z[kept],
            ignored=ignored,
        ),
    )
