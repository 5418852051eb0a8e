"""The drift of a whole table, once all its rows are there.

Every block is compared with all others, in turns, until nothing moves: what redundant
cross-correlation (RCC, Wang et al. 2014, doi:10.1364/OE.22.015982) does with pairs of images, at a
cost that grows with the rows and not with the square of the blocks. The rows of a block are taken
out of the reference while it is compared: with them there it would fit best where it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtsmlm.analysis.drift import MARGIN_NM, DriftTracker, bins_of
from rtsmlm.analysis.drift_grid import DriftGrid
from rtsmlm.analysis.drift_motion import smoothed
from rtsmlm.analysis.drift_trace import DriftTrace, raw_places
from rtsmlm.analysis.fiducials import Fiducials, combined
from rtsmlm.localizations import Localizations

F64 = NDArray[np.float64]

_ROUNDS = 6
_SETTLED_NM = 0.2
BLOCK_ROWS, BLOCK_FRAMES = 400, 20
"""Least of a block."""
_LEAST_PART = 0.5
"""Of the blocks, that has to fit the others somewhere: else the rows repeat no structure."""
_MOST_ROWS = 2000
"""Of a block that are used; more add nothing to a drift that is known to a fraction of a nm."""
_MOST_BLOCKS = 400
_LEAST_BLOCKS = 3
_MOST_KNOTS = 4001
"""Of the result, which is a straight line between them."""


@dataclass(slots=True)
class _Block:
    raw: F64
    """Places as localized, (n, 3)."""
    frame: F64
    drift: F64
    """Taken off at present, (n, 3)."""


def drift_of(rows: Localizations, side_nm: float) -> DriftTrace:
    """Return the drift of a table, from its first frame on, where it is 0.

    Parameters
    ----------
    rows
        In order of frames; places as localized are used, whatever was taken off them.
    side_nm
        Longer side of the field.
    """
    tracker = DriftTracker(side_nm)
    edges = np.searchsorted(rows.frame, np.unique(rows.frame // BLOCK_FRAMES) * BLOCK_FRAMES)
    for start, stop in zip(edges, [*edges[1:], len(rows)], strict=True):
        tracker.add(rows.take(slice(int(start), int(stop))))
    return refined(rows, tracker.trace, side_nm, tracker.fiducials)


def refined(
    rows: Localizations, start: DriftTrace, side_nm: float, fiducials: Fiducials | None = None
) -> DriftTrace:
    """Return the drift of a table of which it is roughly known.

    Parameters
    ----------
    rows
        All of it, in order of frames; places as localized are used, whatever was taken off them.
    start
        Drift as it was known while the rows came.
    side_nm
        Longer side of the field.
    fiducials
        Those that were found; None where they were not looked for.

    Returns
    -------
    :
        Drift from the first frame on, where it is 0; none where the rows repeat no structure.
    """
    if not len(rows):
        return DriftTrace.none()
    blocks = _blocks(rows, start)
    first = float(rows.frame[0])
    if len(blocks) < _LEAST_BLOCKS:
        return start.from_zero(first)
    fiducials = fiducials or Fiducials()
    middle = np.array([block.frame.mean() for block in blocks])
    n_knots = min(_MOST_KNOTS, int(rows.frame[-1]) - int(rows.frame[0]) + 1)
    frames = np.linspace(first, float(rows.frame[-1]), max(n_knots, 2))
    grid = DriftGrid(side_nm + MARGIN_NM, *bins_of(rows))
    grid.add(np.concatenate([block.raw - block.drift for block in blocks]))
    before = DriftTrace(middle, np.array([block.drift.mean(axis=0) for block in blocks]))
    for _ in range(_ROUNDS):
        measured, variance = _compare_all(blocks, grid, fiducials)
        if np.isfinite(variance[:, 0]).mean() < _LEAST_PART:
            return DriftTrace.none()
        trace = _trace(middle, measured, variance, frames)
        moved = trace.at(middle) - before.at(middle)
        moved -= moved.mean(axis=0)
        for block in blocks:
            block.drift = trace.at(block.frame)
        before = trace
        if np.abs(moved).max() < _SETTLED_NM:
            break
        grid.clear()
        grid.add(np.concatenate([block.raw - block.drift for block in blocks]))
    return before.from_zero(first)


def _trace(middle: F64, measured: F64, variance: F64, frames: F64) -> DriftTrace:
    axes = zip(measured.T, variance.T, strict=True)
    return DriftTrace(
        frames, np.column_stack([smoothed(middle, axis, of_it, frames) for axis, of_it in axes])
    )


def _blocks(rows: Localizations, start: DriftTrace) -> list[_Block]:
    places = raw_places(rows)
    sound = np.flatnonzero(np.isfinite(places).all(axis=1))
    places, frame = places[sound], rows.frame[sound].astype(np.float64)
    if not len(frame):
        return []
    n = min(len(frame) // BLOCK_ROWS, int(frame[-1] - frame[0] + 1) // BLOCK_FRAMES, _MOST_BLOCKS)
    cuts = np.linspace(frame[0], frame[-1] + 1, max(n, 1) + 1)
    edges = np.searchsorted(frame, cuts)
    blocks = []
    for a, b in itertools.pairwise(edges):
        if b > a:
            every = slice(a, b, -(-(b - a) // _MOST_ROWS))
            blocks.append(_Block(places[every], frame[every], start.at(frame[every])))
    return blocks


def _compare_all(
    blocks: Iterable[_Block], grid: DriftGrid, fiducials: Fiducials
) -> tuple[F64, F64]:
    """Return drift and variance of each block against all others, both (blocks, 3)."""
    measured, variance = [], []
    for block in blocks:
        expected = block.drift.mean(axis=0)
        level = block.raw - (block.drift - expected)
        n_frames = len(np.unique(block.frame))
        drift, spread, theirs = fiducials.measure(level, n_frames, expected)
        grid.add(block.raw - block.drift, -1)
        others = grid.shift(level[~theirs], expected)
        grid.add(block.raw - block.drift)
        both = combined((drift, spread), others)
        measured.append(both[0])
        variance.append(both[1])
    return np.array(measured), np.array(variance)
