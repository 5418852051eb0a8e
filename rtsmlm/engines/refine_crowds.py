"""Fits emitters that overlap once more, all of a crowd together, and finds those that are two.

A network tells apart what a fit alone would take for one; from where it has found emitters, a fit
of all of them with their background tells better where they are and how bright, and which of them
are two: `rtsmlm.fitting.crowd_tiles`. docs/decisions/0062 says what that gives.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.engines.refine_shares import are_two, light_left, share_rows
from rtsmlm.fitting import crowd_island as crowds
from rtsmlm.fitting.boxes import F64
from rtsmlm.fitting.crowd_pairs import Rules
from rtsmlm.fitting.crowd_patches import I32, MAX_REACH_PX
from rtsmlm.fitting.crowd_tiles import fit_crowds
from rtsmlm.fitting.near_sums import near_sums
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import F32, Localizations

RULES = Rules()
MAX_SIGMA_PX = MAX_REACH_PX / 3.0
"""A wider PSF does not fit into the squares that crowds are fitted in."""
MAX_CHI2 = 1.45
"""Per pixel around an emitter: more where the spot is not the PSF, or emitters are hidden."""
MAX_STD_PX = 0.6
MAX_STEP_STD, MAX_STEP_SIGMA = 4.0, 0.5
"""How far a fit may go from the network, in deviations that the network states, and if that is
more in widths of the PSF."""
NETWORK_SHARE = 0.25
"""Of the standard deviation that the network states, which is added to that of the fit, as
independent errors are: it foresees that there may be one emitter more."""
NEAR_SIGMA = 4.0
"""Emitters nearer than so many widths of the PSF give light to one another in a fit."""
FITTED = (
    ("x_nm", crowds.X, True),
    ("y_nm", crowds.Y, True),
    ("photons", crowds.PHOTONS, False),
    ("background", crowds.BACKGROUND, False),
    ("std_x_nm", crowds.STD_X, True),
    ("std_y_nm", crowds.STD_Y, True),
    ("std_photons", crowds.STD_PHOTONS, False),
)
"""Columns of the table, where a fit has them, and whether in pixels there."""


def refine_crowds(
    locs: Localizations,
    batch: FrameBatch,
    maps: tuple[F32, F32, F32],
    free: NDArray[np.bool_],
    *,
    sigma_px: tuple[float, float],
    pixel_nm: float,
    excess_noise: float,
    beside: NDArray[np.bool_] | None = None,
) -> Localizations:
    """Return the table with rows of crowds fitted; the second ones of pairs stand behind all.

    Parameters
    ----------
    locs
        What a network has found, lone emitters as they are fitted.
    batch
        The frames it was found in.
    maps
        Offset in ADU, photons per ADU and read variance in photons², (height, width).
    free
        Rows that are fitted; the light of the others is taken for known, (n,).
    sigma_px
        Standard deviations of the PSF along x and y in pixels.
    pixel_nm
        Pixel side in the sample plane.
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    beside
        Of which frames the network has seen one before or after, too, (n frames,); not given, of
        none.
    """
    if not free.any() or max(sigma_px) > MAX_SIGMA_PX:
        return locs
    frame = np.searchsorted(batch.index, locs.frame).astype(np.int32)
    order = np.lexsort((locs.y_nm, frame))
    rows = _rows_of(locs, order, pixel_nm)
    for column, size in ((crowds.X, batch.shape[1]), (crowds.Y, batch.shape[0])):
        # Their squares must lie within the margins of images.
        np.clip(rows[:, column], -1.5, size + 0.5, out=rows[:, column])
    pixels = np.ascontiguousarray(batch.pixels).view()
    pixels.flags.writeable = False
    fits = fit_crowds(
        pixels, maps, frame[order], rows, free[order], sigma_px, float(excess_noise), RULES
    )
    parent = np.arange(len(fits))
    parent[len(rows) :] = fits[len(rows) :, crowds.PARENT].astype(np.int64)
    good = _are_good(fits, rows, parent, float(np.mean(sigma_px)), batch.shape)
    good &= free[order][parent]
    reach = NEAR_SIGMA * float(np.mean(sigma_px))
    photons = _photons_near(fits, rows, frame[order], parent, reach)
    good &= _are_in_focus(fits, photons, parent)[parent]
    left = np.zeros(len(rows))
    left[order] = light_left(photons[:, 0], photons[:, 1])
    seen = np.zeros(len(rows), dtype=np.bool_) if beside is None else beside[frame]
    return _with_fits(locs, fits, good, parent, order, pixel_nm, left, seen)


def _rows_of(locs: Localizations, order: NDArray[np.int64], pixel_nm: float) -> F64:
    rows = np.zeros((len(locs), crowds.STD_PHOTONS + 1))
    for name, column, is_in_pixels in FITTED:
        rows[:, column] = getattr(locs, name)[order] / (pixel_nm if is_in_pixels else 1.0)
    return np.nan_to_num(rows, copy=False)


def _are_good(
    fits: F64, rows: F64, parent: NDArray[np.int64], sigma_px: float, shape: tuple[int, int]
) -> NDArray[np.bool_]:
    """Return which fits found what the network means; of two that it sees as one, both or none."""
    n = len(rows)
    is_split = np.bincount(parent, minlength=n)[parent] > 1
    std_px = np.maximum(rows[:, crowds.STD_X], rows[:, crowds.STD_Y])[parent]
    moved = np.hypot(*(fits[:, k] - rows[parent, k] for k in (crowds.X, crowds.Y)))
    good = (fits[:, crowds.IS_FITTED] > 0.0) & (fits[:, crowds.CHI2] < MAX_CHI2)
    good &= is_split | (moved < np.maximum(MAX_STEP_STD * std_px, MAX_STEP_SIGMA * sigma_px))
    good &= np.maximum(fits[:, crowds.STD_X], fits[:, crowds.STD_Y]) < MAX_STD_PX
    for column, size in ((crowds.X, shape[1]), (crowds.Y, shape[0])):
        good &= np.abs(fits[:, column] - 0.5 * (size - 1)) <= 0.5 * size
    n_bad = np.bincount(parent, weights=~good, minlength=n)
    return np.asarray(n_bad[parent] == 0, dtype=np.bool_)


def _photons_near(fits: F64, rows: F64, frame: I32, parent: NDArray[np.int64], reach: float) -> F64:
    """Return the photons of network and fits around each row, (n, 2).

    Emitters beside each other give light to one another, and their sum is known better.
    """
    n = len(rows)
    both = np.bincount(parent, weights=fits[:, crowds.PHOTONS], minlength=n)
    photons = np.column_stack([rows[:, crowds.PHOTONS], both])
    return np.asarray(near_sums(frame, rows[:, crowds.Y], rows[:, crowds.X], reach, photons))


def _are_in_focus(fits: F64, photons: F64, parent: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which rows are not split, or two emitters rather than one that is out of focus."""
    second = np.arange(len(photons), len(fits))
    first = parent[second]
    away = np.hypot(*(fits[first, k] - fits[second, k] for k in (crowds.X, crowds.Y)))
    stds = [fits[of, k] for of in (first, second) for k in (crowds.STD_X, crowds.STD_Y)]
    std = np.sqrt(np.sum(np.square(stds), axis=0))
    apart = np.divide(away, std, out=np.zeros(len(away)), where=std > 0.0)
    result = np.ones(len(photons), dtype=np.bool_)
    result[first] = are_two(photons[first, 0], photons[first, 1], apart)
    return result


def _with_fits(
    locs: Localizations,
    fits: F64,
    good: NDArray[np.bool_],
    parent: NDArray[np.int64],
    order: NDArray[np.int64],
    pixel_nm: float,
    left: F64,
    beside: NDArray[np.bool_],
) -> Localizations:
    """Return the table with what was taken of fits, and the second ones of pairs behind it."""
    n = len(locs)
    taken = np.flatnonzero(good)
    new = taken[taken >= n]
    source = order[parent[taken]]
    place = np.where(taken < n, source, 0)
    place[taken >= n] = n + np.arange(len(new))
    everything = Localizations.concatenate([locs, locs.take(order[parent[new]])])
    columns: dict[str, NDArray[Any]] = {k: v.copy() for k, v in everything.columns().items()}
    for name, column, is_in_pixels in FITTED:
        columns[name][place] = fits[taken, column] * (pixel_nm if is_in_pixels else 1.0)
    alone = place[np.bincount(parent[taken], minlength=n)[parent[taken]] == 1]
    share_rows(columns, locs, alone, left[alone], beside[alone])
    for name, doubt in (("std_x_nm", crowds.DOUBT_X), ("std_y_nm", crowds.DOUBT_Y)):
        foreseen = NETWORK_SHARE * getattr(locs, name)[source]
        std = np.hypot(columns[name][place], foreseen)
        columns[name][place] = np.hypot(std, fits[taken, doubt] * pixel_nm)
    return Localizations(**columns, extras=everything.extras)
