"""DriftTracker: drift while the rows come, from the rows themselves.

Each block of frames is compared with all blocks before it. Between blocks the drift is predicted,
so that rows have theirs taken off at once: a Kalman filter of constant velocity whose acceleration
follows from how wrong its predictions are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from rtsmlm.analysis.drift_grid import DriftGrid
from rtsmlm.analysis.drift_motion import MotionFilter
from rtsmlm.analysis.drift_trace import DriftEstimate, DriftTrace, estimate_of, raw_places
from rtsmlm.analysis.fiducials import Fiducials, combined
from rtsmlm.analysis.image_drift import ImageShift
from rtsmlm.localizations import Localizations

F64 = NDArray[np.float64]

BLOCK_ROWS = 400
BLOCK_FRAMES = (20, 200)
"""A block has so many rows and the fewer frames at least; or the more frames and the least rows."""
FIRST_ROWS = 1000
_LEAST_ROWS = 80
"""A block of fewer rows has nothing to say."""
_MOST_ROWS = 4000
"""Rows of a block that are compared, and that the reference gets."""
_BIN_NM, _LAYER_NM = (5.0, 15.0), (10.0, 40.0)
MARGIN_NM = 2000.0
"""The sample may drift by so much before its edges fold onto each other."""
_FORGET, _LEAST_TRUST = 0.2, 0.4
"""Rows that repeat no structure fit by chance now and then, and would be led astray by it."""


def bins_of(rows: Localizations) -> tuple[float, float | None]:
    """Return the bins that suit the precision of rows, in x and y, and in z; None without depth."""
    std = _median(rows.std_x_nm, rows.std_y_nm)
    lateral = float(np.clip(np.nan_to_num(std, nan=10.0), *_BIN_NM))
    deep = np.isfinite(rows.std_z_nm) | (rows.z_nm != 0)
    if deep.mean() < 0.5:
        return lateral, None
    std_z = float(np.nan_to_num(_median(rows.std_z_nm), nan=25.0))
    return lateral, float(np.clip(std_z, *_LAYER_NM))


def _median(*columns: NDArray[np.float32]) -> float:
    known = np.concatenate([c[np.isfinite(c)] for c in columns])
    return float(np.median(known)) if len(known) else np.nan


def _gathered(batches: Iterable[Localizations], n_rows: int) -> Iterator[Localizations]:
    """Yield batches of so many rows at least, but for the last one."""
    waiting: list[Localizations] = []
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= n_rows:
            yield Localizations.concatenate(waiting)
            waiting = []
    if waiting and sum(map(len, waiting)):
        yield Localizations.concatenate(waiting)


class DriftTracker:
    """Drift of a run while its rows come, in order of their frames; not for two threads at once.

    Parameters
    ----------
    side_nm
        Longer side of the field.
    block_rows
        Rows of a block, unless frames are few.
    """

    def __init__(self, side_nm: float, *, block_rows: int = BLOCK_ROWS) -> None:
        self._side_nm = side_nm + MARGIN_NM
        self._block_rows = block_rows
        self._motion = MotionFilter(0.0)
        self.fiducials = Fiducials()
        """Those that were found."""
        self._trust = 0.5
        """Part of the blocks, the newest most, that fit the others somewhere."""
        self._grid: DriftGrid | None = None
        self._waiting: list[Localizations] = []
        self._n_waiting = 0
        self._first = -1
        self._knots: list[tuple[float, F64]] = []
        self.sources: list[str] = []
        """What each block rests on: localizations, image, or none."""
        self.newest = DriftEstimate()
        """What the newest block that was compared states by itself."""
        self.n_blocks = 0
        """Blocks that were compared."""

    @property
    def trace(self) -> DriftTrace:
        """Drift at the middle of each block so far."""
        if not self._knots:
            return DriftTrace.none()
        frame, drift = zip(*self._knots, strict=True)
        return DriftTrace(np.array(frame), np.array(drift))

    @property
    def is_within_block(self) -> bool:
        """True while rows wait for the end of their block."""
        return self._n_waiting > 0

    @property
    def n_knots(self) -> int:
        """Blocks at whose middle the drift is stated."""
        return len(self._knots)

    def resume(self, batches: Iterable[Localizations], trace: DriftTrace) -> None:
        """Go on with rows of before, whose drift is known: they are not compared again.

        Parameters
        ----------
        batches
            In order of frames, at places as localized or with those in columns of their own.
        trace
            Their drift.
        """
        for rows in _gathered(batches, FIRST_ROWS):
            places = raw_places(rows) - trace.at(rows.frame)
            if self._grid is None:
                self._grid = DriftGrid(self._side_nm, *bins_of(rows))
            every = -(-len(rows) // _MOST_ROWS)
            self._grid.add(places[np.isfinite(places).all(axis=1)][::every])
        if self._grid is not None:
            self._knots = list(zip(trace.frame.tolist(), trace.drift_nm, strict=True))
            self.sources = ["none"] * len(self._knots)
            self._motion = MotionFilter.after(trace)

    def at(self, frame: NDArray[np.int64]) -> F64:
        """Return the drift at frames as it is known now, (n, 3) in nm; later ones are predicted."""
        if not self._knots:
            return np.zeros((len(frame), 3))
        return self._motion.predict(frame.astype(np.float64))

    def add(self, rows: Localizations) -> F64:
        """Take the rows of some frames; return the drift of each, (n, 3) in nm.

        The drift is what is known from the rows before, so that it may be taken off at once.
        """
        if not len(rows):
            return np.zeros((0, 3))
        if self._first < 0:
            self._first = int(rows.frame[0])
        drift = self.at(rows.frame)
        self._waiting.append(rows)
        self._n_waiting += len(rows)
        n_frames = int(rows.frame[-1]) + 1 - self._first
        wanted = self._block_rows if self._grid is not None else FIRST_ROWS
        full = self._n_waiting >= wanted and n_frames >= BLOCK_FRAMES[0]
        if full or (n_frames >= BLOCK_FRAMES[1] and self._n_waiting >= _LEAST_ROWS):
            self._close_block(int(rows.frame[-1]) + 1)
        return drift

    def add_image(self, shift: ImageShift) -> bool:
        """Take what the camera's image says; False where localizations say more, or it is nothing.

        Parameters
        ----------
        shift
            Of a block of frames.
        """
        if not np.isfinite(shift.variance).all():
            return False
        rows = self.newest
        if rows.last_frame >= shift.first_frame and rows.std_x_nm**2 <= shift.variance[0]:
            return False
        middle = shift.middle
        if not self._knots:
            self._motion = MotionFilter(shift.since)
            self._knots.append((shift.since, np.zeros(3)))
            self.sources.append("image")
        at = max(middle, self._motion.frame)
        here, there = self._motion.predict(np.array([at, middle]))
        drift = here + np.array([*(shift.drift_nm - there[:2]), 0.0])
        variance = np.array([*shift.variance, np.inf])
        self._motion.correct(at, drift, variance)
        self._knots.append((at, self._motion.place.copy()))
        self.sources.append("image")
        frames = shift.first_frame, shift.last_frame
        self.newest = estimate_of(frames, np.array([*shift.drift_nm, 0.0]), variance)
        return True

    def _close_block(self, next_frame: int) -> None:
        rows = Localizations.concatenate(self._waiting)
        rows = rows.take(slice(None, None, -(-len(rows) // _MOST_ROWS)))
        places = raw_places(rows)
        sound = np.isfinite(places).all(axis=1)
        places, frame = places[sound], rows.frame[sound].astype(np.float64)
        middle = float(frame.mean())
        theirs = np.zeros(len(places), bool)
        grid = self._grid
        if grid is None:
            grid = self._grid = DriftGrid(self._side_nm, *bins_of(rows))
            if self._knots:  # by the image, so far
                middle = max(middle, self._motion.frame)
            else:
                self._motion = MotionFilter(middle)
            self.sources.append("localizations")
        else:
            middle = max(middle, self._motion.frame)
            theirs = self._compare(grid, places, frame, middle)
        self._knots.append((middle, self._motion.place.copy()))
        at_rest = places - self._motion.predict(frame)
        grid.add(at_rest[~theirs])
        self.fiducials.learn(at_rest[theirs])
        self.fiducials.find(at_rest[~theirs], frame[~theirs])
        self._waiting, self._n_waiting, self._first = [], 0, next_frame

    def _compare(
        self, grid: DriftGrid, places: F64, frame: F64, middle: float
    ) -> NDArray[np.bool_]:
        """Take the drift of a block into account; return which rows are those of fiducials."""
        expected = self._motion.predict(np.array([middle]))[0]
        level = places - (self._motion.predict(frame) - expected)
        drift, variance, theirs = self.fiducials.measure(level, len(np.unique(frame)), expected)
        others = grid.shift(level[~theirs], expected)
        self._trust += _FORGET * (bool(np.isfinite(others[1][0])) - self._trust)
        if self._trust < _LEAST_TRUST:
            others[1][:] = np.inf
        found = combined((drift, variance), others)
        self._motion.correct(middle, *found)
        self.sources.append("localizations" if np.isfinite(found[1][0]) else "none")
        self.newest = estimate_of((int(frame[0]), int(frame[-1])), *found)
        self.n_blocks += 1
        return theirs
