"""The way of a frame through detection, band by band.

A band is one row of tiles. All that is done with a pixel is done while it is in the fast memory of
a core: rows come in photons, are filtered as soon as those below them are there, and searched for
maxima as soon as the background below them is known. What later bands need is kept.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.fitting.filtering import Filter
from rtsmlm.fitting.noise import Tiles, make_tiles
from rtsmlm.fitting.weighted_sums import padded_width, weigh
from rtsmlm.localizations import F32
from rtsmlm.physics.gaussian import FAST

ASTRIDE_PX = 16
"""Rows of 1024 pixels would lie on the same few lines of the fast memory, one above the other."""

Bytes = NDArray[np.uint8]


class Scratch(NamedTuple):
    """Memory that one thread uses again for every band of every frame."""

    photons: F32
    """Rows of the frame in photons, those that were kept first, (rows, more than width).

    Pixels beyond the width stay empty."""
    filtered: F32
    """Filtered rows, those that were kept first, (rows, width)."""
    narrow: F32
    """One row filtered along y, with empty pixels left and right, (n,)."""
    wide: F32
    row: F32
    """One row filtered along both, narrow and wide, (2, width or more)."""
    limits: F32
    """What a pixel of a row must reach to be a candidate, (width,)."""
    is_peak: Bytes
    """Which pixels of a row are higher than their neighbours, (width and up to 7 more,)."""
    tiles: Tiles


def make_scratch(plan: Filter) -> Scratch:
    """Allocate the memory that one thread needs to detect with `plan`."""
    height, width = plan.shot_gain.shape
    tiles = len(plan.tile_variance)
    reach = len(plan.wide) - 1
    bands = [band_of(k, tiles, height, reach, plan.radius_px) for k in range(tiles)]
    whole = padded_width(width)
    narrow, wide = np.zeros((2, whole + 2 * reach), dtype=np.float32)
    taken = max(b.end + reach - b.kept for b in bands)
    filtered = max(b.filtered_end - b.filtered_kept for b in bands)
    return Scratch(
        photons=np.zeros((taken, whole + ASTRIDE_PX), dtype=np.float32),
        filtered=np.zeros((filtered, width), dtype=np.float32),
        narrow=narrow,
        wide=wide,
        row=np.zeros((2, whole), dtype=np.float32),
        limits=np.zeros(width, dtype=np.float32),
        is_peak=np.zeros(8 * math.ceil(width / 8), dtype=np.uint8),
        tiles=make_tiles(plan.tile_variance.shape, (height, width)),
    )


class Band(NamedTuple):
    """Rows of the frame that one step of the way through it deals with, each up to an end."""

    start: int
    """First row that the camera gives to this band."""
    end: int
    kept: int
    """First row in `Scratch.photons`; below 0 there are empty ones."""
    filtered_start: int
    """First row that is filtered now."""
    filtered_end: int
    filtered_kept: int
    """First row in `Scratch.filtered`."""
    searched_start: int
    """First row that is searched for maxima now."""
    searched_end: int


@njit(cache=True, nogil=True, error_model="numpy")
def _ends(k: int, tiles: int, height: int, reach: int, radius: int) -> tuple[int, int, int]:
    """Return up to which rows a band takes, filters and searches."""
    if k < 0:
        return 0, 0, 0
    if k == tiles - 1:
        return height, height, height
    end = (k + 1) * height // tiles
    filtered = max(end - reach, 0)
    # The background of a row lies between that of the tiles above and below its middle.
    known = (2 * k + 1) * height // (2 * tiles) - 1
    return end, filtered, max(min(filtered - radius, known), 0)


@njit(cache=True, nogil=True, error_model="numpy")
def band_of(k: int, tiles: int, height: int, reach: int, radius: int) -> Band:
    """Return the rows of a band.

    Parameters
    ----------
    k
        Number of the band: that of its row of tiles.
    tiles
        How many rows of tiles there are.
    height
        Of the frame in pixels.
    reach
        Of the wide kernel in pixels.
    radius
        A maximum is the highest pixel within this radius.
    """
    _, filtered_before, searched_before = _ends(k - 1, tiles, height, reach, radius)
    end, filtered, searched = _ends(k, tiles, height, reach, radius)
    return Band(
        k * height // tiles,
        end,
        filtered_before - reach,
        filtered_before,
        filtered,
        max(searched_before - radius, 0),
        searched_before,
        searched,
    )


@njit(cache=True, nogil=True, error_model="numpy")
def open_band(k: int, plan: Filter, photons: F32) -> Band:
    """Make room for the rows of a band; they are to be written from `start - kept` on.

    Parameters
    ----------
    k
        Number of the band; bands of a frame come one after the other.
    plan
        From `make_filter`.
    photons
        `Scratch.photons`.
    """
    height = len(plan.shot_gain)
    tiles, reach = len(plan.tile_variance), len(plan.wide) - 1
    band = band_of(k, tiles, height, reach, plan.radius_px)
    if k == 0:
        photons[:reach] = np.float32(0.0)
    else:
        before = band_of(k - 1, tiles, height, reach, plan.radius_px)
        keep_rows(photons, band.kept - before.kept, band.start - band.kept)
    if band.end == height:
        photons[height - band.kept : height - band.kept + reach] = np.float32(0.0)
    return band


@njit(cache=True, nogil=True, error_model="numpy")
def keep_rows(rows: F32, first: int, n: int) -> None:
    """Move rows from `first` on to the top."""
    width = rows.shape[1]
    if first > 0:
        for i in range(n):
            for x in range(width):
                rows[i, x] = rows[first + i, x]


@njit(cache=True, nogil=True, error_model="numpy")
def filter_frame(photons: F32, plan: Filter, scratch: Scratch, filtered: F32) -> None:
    """Write the difference of Gaussians of a frame.

    Parameters
    ----------
    photons
        The frame, float32, shape (height, width).
    plan, scratch
        From `make_filter` and `make_scratch` for this shape.
    filtered
        Written, float32, shape (height, width).
    """
    width = photons.shape[1]
    for k in range(len(plan.tile_variance)):
        band = open_band(k, plan, scratch.photons)
        for y in range(band.start, band.end):
            for x in range(width):
                scratch.photons[y - band.kept, x] = photons[y, x]
        filter_band(band, plan, scratch, filtered, band.filtered_start)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def filter_band(band: Band, plan: Filter, scratch: Scratch, filtered: F32, first: int) -> None:
    """Write the rows that a band can filter, one after the other.

    Parameters
    ----------
    band
        From `open_band`; its rows are written.
    plan, scratch
        From `make_filter` and `make_scratch` for this shape.
    filtered
        Written, float32, shape (n, width).
    first
        From which row on.
    """
    width = filtered.shape[1]
    reach = len(plan.wide) - 1
    photons, line = scratch.photons.ravel(), scratch.photons.shape[1]
    row, norm_x = scratch.row, plan.norm_x
    flat_row, start_of_wide = row.ravel(), row.shape[1]
    for y in range(band.filtered_start, band.filtered_end):
        at = (y - band.kept) * line
        weigh(scratch.narrow, reach, width, photons, at, line, plan.narrow)
        weigh(scratch.wide, reach, width, photons, at, line, plan.wide)
        weigh(flat_row, 0, width, scratch.narrow, reach, 1, plan.narrow)
        weigh(flat_row, start_of_wide, width, scratch.wide, reach, 1, plan.wide)
        narrow_y, wide_y = plan.norm_y[0, y], plan.norm_y[1, y]
        out = first + y - band.filtered_start
        for x in range(width):
            narrow = narrow_y * norm_x[0, x] * row[0, x]
            filtered[out, x] = narrow - wide_y * norm_x[1, x] * row[1, x]
