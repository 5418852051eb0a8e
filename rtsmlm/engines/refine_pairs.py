"""Rows that a network took for one emitter, and whose spot is that of two.

Two emitters nearer than two PSF widths are one row of a network, between both. The spot tells: its
variance along the line between them is larger by the square of half their distance, which some
hundred photons show from one width on (`rtsmlm.fitting.spot_shape`). From there a fit of two
starts. Where it finds no two that are sure, the row stays and states the error that it has if
there are two.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsmlm.engines.row_groups import as_wholes
from rtsmlm.fitting import group_table as table
from rtsmlm.fitting.boxes import CONVERGED, F64, NOT_CONVERGED
from rtsmlm.fitting.group_fit import fit_groups
from rtsmlm.fitting.group_likelihood import MOST
from rtsmlm.fitting.group_table import group_rows
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import F32, Localizations

LINK_SIGMA = 3.0
"""Emitters nearer than so many PSF widths are fitted together."""
MIN_MISFIT = 20.0
"""Of `shape_misfits`: one in 6000 single emitters has more."""
MIN_EXCESS = 0.2
"""Variance beyond that of the PSF, over it: two equal emitters 0.9 widths apart. A PSF that is
wider along one axis by 8 % than stated shows less."""
MOST_ACROSS, ACROSS_STDS = 0.2, 1.5
"""Excess across over that along, and how far it may scatter: a spot out of focus, or of a PSF that
is wider than stated, is wider in all directions."""
LONGER_STDS = 4.5
"""By how many standard deviations of its own the excess along is larger than that across."""
MIN_APART = 0.7
"""PSF widths between both."""
MIN_SHARE = 0.15
"""Of the light of both that each must have."""
MAX_STD_PX = 0.4
MAX_CHI2 = 1.5
MAX_ITERATIONS = 20


FITTED = (
    ("x_nm", table.GROUP_X, True),
    ("y_nm", table.GROUP_Y, True),
    ("photons", table.GROUP_PHOTONS, False),
    ("background", table.GROUP_BACKGROUND, False),
    ("std_x_nm", table.GROUP_STD_X, True),
    ("std_y_nm", table.GROUP_STD_Y, True),
    ("std_photons", table.GROUP_STD_PHOTONS, False),
)
"""Columns of the table, where a fit has them, and whether in pixels there."""


class Excess(NamedTuple):
    """By how much the spots of rows are wider than the PSF."""

    rows: NDArray[np.int64]
    """Numbers of the rows in their table, (m,)."""
    along: F64
    """Variance beyond that of the PSF along the longer axis of each spot, in pixels², (m,)."""
    direction: F64
    """Unit vector of that axis, x before y, (m, 2)."""


NO_EXCESS = Excess(np.zeros(0, np.int64), np.zeros(0), np.zeros((0, 2)))


def excess_of(rows: NDArray[np.int64], misfits: F64, moments: F64, sigma_px: float) -> Excess:
    """Return the rows whose spots are longer than that of one emitter.

    Parameters
    ----------
    rows
        Numbers of rows, (n,).
    misfits, moments
        As `shape_misfits` writes them, (n,) and (n, 3).
    sigma_px
        Standard deviation of the PSF in pixels.
    """
    matrix = np.empty((len(rows), 2, 2))
    matrix[:, 0, 0], matrix[:, 1, 1] = moments[:, 0], moments[:, 1]
    matrix[:, 0, 1] = matrix[:, 1, 0] = moments[:, 2]
    misfits = np.where(np.isfinite(misfits), misfits, 0.0)
    known = (misfits > 0.0) & np.isfinite(matrix).all(axis=(1, 2))
    matrix[~known] = 0.0
    values, vectors = np.linalg.eigh(matrix)
    across, along = values[:, 0], values[:, 1]
    long = known & (misfits > MIN_MISFIT) & (along > MIN_EXCESS * sigma_px**2)
    # All of the misfit is that of the moments: it tells how far they scatter.
    std = np.hypot(across, along) / np.sqrt(np.maximum(misfits, 1.0))
    long &= (across < MOST_ACROSS * along + ACROSS_STDS * std) & (
        along - across > LONGER_STDS * std
    )
    return Excess(rows[long], along[long], vectors[long, :, 1])


def split_pairs(
    locs: Localizations,
    batch: FrameBatch,
    maps: tuple[F32, F32, F32],
    excess: Excess,
    *,
    sigma_px: float,
    pixel_nm: float,
    excess_noise: float,
) -> Localizations:
    """Return the table with rows of two emitters as two, the second ones behind all others.

    Parameters
    ----------
    locs
        Rows as they are fitted.
    batch
        The frames they were found in.
    maps
        Offset in ADU, photons per ADU and read variance in photons², (height, width).
    excess
        The rows that may be two.
    sigma_px
        Standard deviation of the PSF in pixels.
    pixel_nm
        Pixel side in the sample plane.
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    """
    if not len(excess.rows):
        return locs
    rows = np.concatenate([np.arange(len(locs)), excess.rows])
    fits = _start(locs, rows, excess, pixel_nm)
    frame = np.searchsorted(batch.index, locs.frame[rows]).astype(np.int32)
    order = np.lexsort((fits[:, table.GROUP_Y], frame))
    fits, frame = fits[order], frame[order]
    first, second = _places_of(order, len(locs), excess)
    group, wanted = _groups(frame, fits, first, second, LINK_SIGMA * sigma_px)
    pixels = np.ascontiguousarray(batch.pixels).view()
    pixels.flags.writeable = False
    fit_groups(
        pixels, *maps, frame, group, wanted, fits, float(sigma_px), float(excess_noise),
        MAX_ITERATIONS, 1,
    )  # fmt: skip
    good = (group < len(fits)) & (fits[:, table.GROUP_STATUS] == CONVERGED)
    good &= fits[:, table.GROUP_CHI2] < MAX_CHI2
    are_two = _are_two(fits, first, second, sigma_px)
    good[first] &= are_two
    good[second] &= are_two
    taken = as_wholes(group, good)
    are_two = taken[first]
    locs = _with_doubt(locs, excess, ~are_two, pixel_nm)
    return _with_fits(locs, excess.rows[are_two], fits, order, taken, pixel_nm)


def _start(locs: Localizations, rows: NDArray[np.int64], excess: Excess, pixel_nm: float) -> F64:
    """Return rows for a fit: all of the table, then the second ones of pairs."""
    n = len(locs)
    fits = np.zeros((len(rows), table.GROUP_COLUMNS))
    fits[:, table.GROUP_X] = locs.x_nm[rows] / pixel_nm
    fits[:, table.GROUP_Y] = locs.y_nm[rows] / pixel_nm
    fits[:, table.GROUP_PHOTONS] = locs.photons[rows]
    fits[:, table.GROUP_BACKGROUND] = locs.background[rows]
    # Not every group is fitted: of those that are, the fit overwrites it.
    fits[:, table.GROUP_STATUS] = NOT_CONVERGED
    half_px = np.sqrt(excess.along)[:, None] * excess.direction
    for at, sign in ((excess.rows, -1.0), (np.arange(n, len(rows)), 1.0)):
        fits[at, table.GROUP_X] += sign * half_px[:, 0]
        fits[at, table.GROUP_Y] += sign * half_px[:, 1]
        fits[at, table.GROUP_PHOTONS] *= 0.5
    return fits


def _places_of(
    order: NDArray[np.int64], n: int, excess: Excess
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where in the ordered fits both of each pair stand."""
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return place[excess.rows], place[n + np.arange(len(excess.rows))]


def _groups(
    frame: NDArray[np.int32],
    fits: F64,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    link_px: float,
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Return the group of each fit, and which groups, by their first fit, hold pairs.

    A pair in too large a group is fitted alone, in the light of the others.
    """
    y, x = (np.ascontiguousarray(fits[:, k]) for k in (table.GROUP_Y, table.GROUP_X))
    half = np.full(len(frame), 0.5 * link_px)
    group = group_rows(frame, y, x, half, half)
    group[np.maximum(first, second)] = group[np.minimum(first, second)]
    size = np.bincount(group, minlength=len(group))
    large = size[group[first]] > MOST
    group[size[group] > MOST] = len(group)  # none of those that are fitted
    group[first[large]] = group[second[large]] = np.minimum(first, second)[large]
    wanted = np.zeros(len(group), np.bool_)
    wanted[group[first]] = True
    return group, wanted


def _are_two(
    fits: F64, first: NDArray[np.int64], second: NDArray[np.int64], sigma_px: float
) -> NDArray[np.bool_]:
    """Return which pairs of fits are two emitters for sure."""
    pairs = np.stack([fits[first], fits[second]], axis=1)
    good = (pairs[:, :, table.GROUP_STD_X] < MAX_STD_PX).all(axis=1)
    good &= (pairs[:, :, table.GROUP_STD_Y] < MAX_STD_PX).all(axis=1)
    light = pairs[:, :, table.GROUP_PHOTONS]
    good &= light.min(axis=1) > MIN_SHARE * light.sum(axis=1)
    apart = pairs[:, 1] - pairs[:, 0]
    apart_px = np.hypot(apart[:, table.GROUP_X], apart[:, table.GROUP_Y])
    return np.asarray(good & (apart_px > MIN_APART * sigma_px), dtype=np.bool_)


def _with_doubt(
    locs: Localizations, excess: Excess, which: NDArray[np.bool_], pixel_nm: float
) -> Localizations:
    """Return the table with the error of a row that lies between two where it may be so."""
    rows = excess.rows[which]
    half_nm = pixel_nm * np.sqrt(excess.along[which])[:, None] * np.abs(excess.direction[which])
    columns: dict[str, NDArray[Any]] = dict(locs.columns())
    for k, name in enumerate(("std_x_nm", "std_y_nm")):
        columns[name] = columns[name].copy()
        columns[name][rows] = np.hypot(columns[name][rows], half_nm[:, k])
    return Localizations(**columns, extras=locs.extras)


def _with_fits(
    locs: Localizations,
    pairs: NDArray[np.int64],
    fits: F64,
    order: NDArray[np.int64],
    taken: NDArray[np.bool_],
    pixel_nm: float,
) -> Localizations:
    """Return the table with what was taken of fits, and the second ones of pairs behind it."""
    n = len(locs)
    everything = Localizations.concatenate([locs, locs.take(pairs)])
    row = order[taken]
    # Second ones stand in the order of the pairs that there were at first.
    seconds = np.flatnonzero(row >= n)
    rank = np.empty(len(seconds), np.int64)
    rank[np.argsort(row[seconds], kind="stable")] = np.arange(len(seconds))
    row[seconds] = n + rank
    columns: dict[str, NDArray[Any]] = {k: v.copy() for k, v in everything.columns().items()}
    for name, column, is_in_pixels in FITTED:
        columns[name][row] = fits[taken, column] * (pixel_nm if is_in_pixels else 1.0)
    return Localizations(**columns, extras=everything.extras)
