"""How well a network after DeepLOCO finds simulated emitters: rows of its manifest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from rtsmlm.localizations import F32
from rtsmlm.models.deeploco.geometry import TILE_PX
from rtsmlm.models.deeploco.samples import Tiles, TileSampler
from rtsmlm.models.rows import Row
from rtsmlm.models.simulation.draw import Draw
from rtsmlm.models.simulation.emitters import Emitters
from rtsmlm.models.training.recipe import Recipe

PHOTONS, BACKGROUND = 5000.0, 20.0
COUNTS = (3, 8, 20)
"""Emitters in a tile of 41 µm² at a pixel of 100 nm."""
PAIR_NM, PAIR_Z_NM = 250.0, 500.0
"""Largest distances of a row and its emitter, across and along z."""
FAR = 1e6
RowsOf = Callable[[Tiles], list[F32]]
"""A network: tiles to rows of `rtsmlm.models.rows`, one table for each."""


def accuracy_of(
    recipe: Recipe, rows_of: RowsOf, *, n_tiles: int, seed: int = 11
) -> tuple[dict[str, float | str], ...]:
    """Return Jaccard index and errors at several densities.

    Parameters
    ----------
    recipe
        What the network was trained on; its PSF and range of z are those of the test.
    rows_of
        The network, its decoding calibrated.
    n_tiles
        Tiles for each density.
    seed
        Of the simulation.
    """
    sampler = TileSampler(_plain(recipe), torch.device("cpu"), padded_fraction=0.0)
    pixel_nm = sampler.extent_nm[0] / TILE_PX
    rows: list[dict[str, float | str]] = []
    for count in COUNTS:
        draw = Draw(n_tiles, torch.Generator().manual_seed(seed + count))
        tiles = sampler.expose(draw, _anywhere(draw, count))
        figures = _figures(rows_of(tiles), tiles, pixel_nm)
        density = count / (TILE_PX * pixel_nm / 1000.0) ** 2
        low, high = recipe.psf.z_nm
        condition = (
            f"{count} emitters in {TILE_PX} x {TILE_PX} pixels ({density:.2f} per um2), z "
            f"{low:g} to {high:g} nm, {PHOTONS:g} photons, background {BACKGROUND:g}"
        )
        rows += [
            {
                "test": "PSF of the training",
                "condition": condition,
                "figure": figure,
                "value": value,
            }
            for figure, value in figures.items()
        ]
    return tuple(rows)


def _plain(recipe: Recipe) -> Recipe:
    """Return a recipe whose background is flat and whose camera is calibrated."""
    flat = {
        "background": (BACKGROUND, BACKGROUND),
        "emccd_fraction": 0.0,
        "ideal_fraction": 1.0,
        "smooth_fraction": 0.0,
        "noise_fraction": 0.0,
        "haze_fraction": 0.0,
    }
    return recipe.model_copy(update={"simulation": recipe.simulation.model_copy(update=flat)})


def _anywhere(draw: Draw, count: int) -> Emitters:
    x, y = draw.uniform((-0.5, TILE_PX - 0.5), 2, count).unbind(1)
    ones = torch.ones_like(x)
    light = torch.full((draw.n, 1, count), PHOTONS)
    return Emitters(x, y, ones, ones, light, draw.uniform((-1.0, 1.0), count))


def _figures(tables: list[F32], tiles: Tiles, pixel_nm: float) -> dict[str, float]:
    half_z_nm = tiles.extent_nm[2] / 2.0
    across, along = [np.empty(0)], [np.empty(0)]
    n_rows = n_true = 0
    for k, rows in enumerate(tables):
        truth = tiles.at_nm[k][tiles.weight[k] > 0].numpy()
        found = np.column_stack([
            (rows[:, Row.X] + 0.5) * pixel_nm,
            (rows[:, Row.Y] + 0.5) * pixel_nm,
            (rows[:, Row.Z] + 1.0) * half_z_nm,
        ])  # fmt: skip
        n_rows, n_true = n_rows + len(found), n_true + len(truth)
        lateral, axial = _pairs(found, truth)
        across.append(lateral)
        along.append(axial)
    lateral, axial = np.concatenate(across), np.concatenate(along)
    n = len(lateral)

    figures = {"Jaccard index": round(n / max(n_rows + n_true - n, 1), 4)}
    if n:
        for name, errors in (("lateral", lateral), ("axial", axial)):
            figures[f"{name} RMSE, nm"] = round(float(np.sqrt(np.mean(np.square(errors)))), 2)
    return figures


def _pairs(
    found: NDArray[np.floating], truth: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the distances of pairs across and along z; each emitter has one row at most."""
    apart = found[:, None] - truth
    lateral, axial = np.hypot(apart[..., 0], apart[..., 1]), np.abs(apart[..., 2])
    near = (lateral <= PAIR_NM) & (axial <= PAIR_Z_NM)
    a, b = linear_sum_assignment(np.where(near, lateral, FAR))
    kept = near[a, b]
    return (
        np.asarray(lateral[a, b][kept], dtype=np.float64),
        np.asarray(axial[a, b][kept], dtype=np.float64),
    )
