"""Fiducials: beads that are on in nearly every frame, found by themselves and followed.

Each states the drift of a block by the mean of its rows; several that agree are worth more than
any structure of blinking emitters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

PRESENT = 0.8
"""Part of the frames that a fiducial is seen in."""
REACH_NM = 150.0
"""Rows of a fiducial lie within it of where it is expected."""
_CELL_NM = 100.0
_LEAST_FRAMES = 20
_LOST_BLOCKS = 3
"""Without its rows for so long, it is gone: bleached, or loose."""
_PROOF_BLOCKS = 4
"""An emitter may be on as long as a block or two."""
_WIDEST_NM = 30.0
"""Scatter of the rows of a bead; those of several emitters scatter more."""
_LEAST_VARIANCE = 0.05
"""In nm²: what a bead does by itself."""
_APART = 5.0
"""Standard deviations from the others at which a fiducial counts as loose."""


class Fiducials:
    """The fiducials of a run, block by block; without any it costs next to nothing."""

    def __init__(self) -> None:
        self.places_nm: F64 = np.zeros((0, 3))
        """Without drift, (n, 3)."""
        self._weight = np.zeros(0)
        self._missed = np.zeros(0, np.int64)
        self._blocks = np.zeros(0, np.int64)

    def __len__(self) -> int:
        """Return how many there are that have proved to stay."""
        return int((self._blocks >= _PROOF_BLOCKS).sum())

    def find(self, places_nm: F64, frame: NDArray[np.float64]) -> None:
        """Look for new ones among the rows of a block, at places without drift, (n, 3)."""
        frames = np.unique(frame)
        if len(frames) < _LEAST_FRAMES:
            return
        cells = np.floor(places_nm[:, :2] / _CELL_NM).astype(np.int64)
        _, index, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
        # One that lies on a border of cells is in up to four of them.
        candidates = np.flatnonzero(counts >= PRESENT * len(frames) / 4)
        for cell in candidates[np.argsort(-counts[candidates])]:
            centre = np.median(places_nm[index.ravel() == cell], axis=0)
            centre = np.median(places_nm[_near(places_nm, centre)], axis=0)
            if len(self.places_nm) and (_distance(self.places_nm, centre) < 2 * REACH_NM).any():
                continue
            near = _near(places_nm, centre)
            n_rows, n_seen = int(near.sum()), len(np.unique(frame[near]))
            # Where emitters are dense there are rows in every frame, too, but several in one.
            one = n_rows <= 1.2 * n_seen and _spread(places_nm[near]) < _WIDEST_NM
            if n_seen >= PRESENT * len(frames) and one:
                self._append(places_nm[near])

    def _append(self, rows: F64) -> None:
        self.places_nm = np.vstack([self.places_nm, rows.mean(axis=0)])
        self._weight = np.append(self._weight, len(rows))
        self._missed, self._blocks = np.append(self._missed, 0), np.append(self._blocks, 1)

    def measure(
        self, places_nm: F64, n_frames: int, expected_nm: F64
    ) -> tuple[F64, F64, NDArray[np.bool_]]:
        """Return the drift that they state, its variance, and which rows are theirs.

        Parameters
        ----------
        places_nm
            Rows of a block as localized, (n, 3).
        n_frames
            Frames of the block that have rows.
        expected_nm
            Drift that is expected, (3,).

        Returns
        -------
        :
            (3,), (3,) and (n,); the variance is infinite where there are none.
        """
        theirs = np.zeros(len(places_nm), bool)
        offsets, variances = [], []
        for k in range(len(self.places_nm)):
            near = _near(places_nm - expected_nm, self.places_nm[k])
            n = int(near.sum())
            rows = places_nm[near]
            if n < PRESENT / 2 * n_frames or n < 2 or _spread(rows) > _WIDEST_NM:
                self._missed[k] += 1
                continue
            self._missed[k], self._blocks[k] = 0, self._blocks[k] + 1
            if self._blocks[k] < _PROOF_BLOCKS:
                continue
            theirs |= near
            offsets.append(rows.mean(axis=0) - self.places_nm[k])
            variances.append(rows.var(axis=0) * (1 / n + 1 / self._weight[k]) + _LEAST_VARIANCE)
        self._forget(self._missed < _LOST_BLOCKS)
        if not offsets:
            return expected_nm, np.full(3, np.inf), theirs
        drift, variance = _agreed(np.array(offsets), np.array(variances))
        return drift, variance, theirs

    def learn(self, places_nm: F64) -> None:
        """Take the rows of a block, without drift, to what is known of their places."""
        for k in range(len(self.places_nm)):
            rows = places_nm[_near(places_nm, self.places_nm[k])]
            if len(rows):
                weight = self._weight[k] + len(rows)
                self.places_nm[k] += (rows - self.places_nm[k]).sum(axis=0) / weight
                self._weight[k] = weight

    def _forget(self, kept: NDArray[np.bool_]) -> None:
        self.places_nm, self._weight = self.places_nm[kept], self._weight[kept]
        self._missed, self._blocks = self._missed[kept], self._blocks[kept]


def _spread(rows: F64) -> float:
    """Return the scatter along x or y, whichever is more, in nm."""
    return float(rows[:, :2].std(axis=0).max())


def _distance(places_nm: F64, centre: F64) -> F64:
    return np.asarray(np.hypot(*(places_nm[:, :2] - centre[:2]).T))


def _near(places_nm: F64, centre: F64) -> NDArray[np.bool_]:
    return np.asarray(_distance(places_nm, centre) < REACH_NM)


def _agreed(offsets: F64, variances: F64) -> tuple[F64, F64]:
    """Return the weighted mean of those that agree with the median, and its variance."""
    middle = np.median(offsets, axis=0)
    off = np.abs(offsets - middle)
    scatter = 1.48 * np.median(off, axis=0)
    good = off <= _APART * np.maximum(scatter, np.sqrt(variances))
    weights = np.where(good, 1 / variances, 0.0)
    total = weights.sum(axis=0)
    return (weights * offsets).sum(axis=0) / total, 1 / total


def combined(first: tuple[F64, F64], second: tuple[F64, F64]) -> tuple[F64, F64]:
    """Return the weighted mean of two measurements and its variance, both (3,)."""
    weights = [1 / variance for _, variance in (first, second)]
    total = weights[0] + weights[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (weights[0] * first[0] + weights[1] * second[0]) / total
        variance = 1 / total
    return np.where(total > 0, mean, first[0]), variance
