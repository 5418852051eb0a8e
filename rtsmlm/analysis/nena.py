"""Precision by NeNA: how far apart two localizations of one emitter in successive frames lie.

Endesfelder et al. 2014, doi:10.1007/s00418-014-1192-3. Every session loads this module: the fit is
its own, as SciPy's optimization would bring along a third of all that a session loads.
"""

from __future__ import annotations

import math
import threading

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from rtsmlm.localizations import Localizations

F64 = NDArray[np.float64]

REACH_NM = 200.0
_ROWS = 100_000
_PAIRS = 300
_BINS = 100
_STEPS = 200
_CONVERGED = 1e-9
_DAMPING = (1e-3, 1e12)


def nena_nm(localizations: Localizations, *, reach_nm: float = REACH_NM) -> float:
    """Return the standard deviation of a localization, as repeated ones of one emitter show it.

    Distances to the nearest neighbour in the next frame are fitted with those of one emitter, of
    its neighbours, and of emitters anywhere, Endesfelder et al. 2014:
    A (d/2s²) exp(-d²/4s²) + C exp(-(d-c)²/2w²) + B d.

    Parameters
    ----------
    localizations
        Rows in any order; the first hundred thousand count.
    reach_nm
        Longest distance considered; should be five times the expected result or more.

    Returns
    -------
    :
        In nm, per axis; NaN where too few emitters stay on, or none repeats. Many emitters a
        frame on one thin line resemble repetitions at their mean distance.
    """
    places = _places(localizations.take(slice(0, _ROWS)))
    if len(places) < _PAIRS:
        return math.nan
    counts, edges = np.histogram(_distances(places, places, reach_nm), _BINS, (0.0, reach_nm))
    return _fitted((edges[1:] + edges[:-1]) / 2, counts.astype(np.float64), reach_nm)


class RunningNena:
    """NeNA of the newest localizations of a run; one thread adds, others may read meanwhile.

    Parameters
    ----------
    reach_nm
        As for `nena_nm`.
    rows
        The result rests on so many of the newest rows at least, and on twice as many at most.
    """

    def __init__(self, *, reach_nm: float = REACH_NM, rows: int = _ROWS // 2) -> None:
        self._reach_nm, self._most = reach_nm, rows
        self._edges = np.linspace(0.0, reach_nm, _BINS + 1)
        self._counts = np.zeros((2, _BINS), np.int64)  # of the newest rows, and of those before
        self._n_rows = 0
        self._last = np.zeros((0, 3))  # places in the newest frame, which the next one may repeat
        self._lock = threading.Lock()

    def add(self, localizations: Localizations) -> None:
        """Take the rows of the next frames; a frame may be cut in two."""
        places = np.concatenate([self._last, _places(localizations)])
        if not len(places):
            return
        newest = float(places[:, 2].max())
        # What the newest frame holds is complete with the rows to come: nothing ends in it yet.
        whole = places[places[:, 2] < newest]
        found = _distances(places[places[:, 2] < newest - 1], whole, self._reach_nm)
        counts = np.histogram(found, self._edges)[0]
        self._last = places[places[:, 2] >= newest - 1]
        with self._lock:
            self._counts[0] += counts
            self._n_rows += len(localizations)
            if self._n_rows > self._most:
                self._counts[1] = self._counts[0]
                self._counts[0], self._n_rows = 0, 0

    def value_nm(self) -> float:
        """Return the standard deviation of a localization in nm, as `nena_nm`; NaN as there."""
        with self._lock:
            counts = self._counts.sum(axis=0).astype(np.float64)
        return _fitted((self._edges[1:] + self._edges[:-1]) / 2, counts, self._reach_nm)


def _places(rows: Localizations) -> F64:
    """Return x, y in nm and the frame of rows that lie somewhere, (n, 3)."""
    places = np.column_stack([rows.x_nm, rows.y_nm, rows.frame]).astype(np.float64)
    return np.asarray(places[np.isfinite(places).all(axis=1)])


def _distances(places: F64, next_places: F64, reach_nm: float) -> F64:
    """Return how far the nearest place in the next frame lies, of those that have one in reach."""
    if not len(places) or not len(next_places):
        return np.zeros(0)
    # Frames are so far apart along the third axis that the nearest is one of the next frame.
    apart = np.array([1.0, 1.0, 10 * reach_nm])
    wanted = places * apart + [0.0, 0.0, 10 * reach_nm]
    found = cKDTree(next_places * apart).query(wanted, distance_upper_bound=reach_nm)[0]
    return np.asarray(found)[np.isfinite(found)]


def _nena_model(d: F64, p: F64) -> F64:
    one, s, near, centre, width, any_ = p
    repeated = one * d / (2 * s**2) * np.exp(-(d**2) / (4 * s**2))
    beside = near * np.exp(-((d - centre) ** 2) / (2 * width**2))
    return np.asarray(repeated + beside + any_ * d)


def _fitted(d: F64, counts: F64, reach_nm: float) -> float:
    if counts.sum() < _PAIRS:
        return math.nan
    step = d[1] - d[0]
    far = d > reach_nm / 2
    slope = float(counts[far].sum() / d[far].sum())
    mode = float(d[np.argmax(np.convolve(counts - slope * d, np.ones(3), "same"))])
    start = np.array([counts.sum() * step, mode / math.sqrt(2), counts[far].mean(), reach_nm / 2,
                      reach_nm, slope])  # fmt: skip
    low = np.array([0.0, step / 4, 0.0, 0.0, reach_nm / 8, 0.0])
    high = np.array([np.inf, reach_nm / 2, np.inf, 2 * reach_nm, 5 * reach_nm, np.inf])
    fitted = _least_squares(d, counts, np.clip(start, low, high), low, high)
    # Fewer than chance brings about are no repetitions.
    repeated = fitted[0] / step
    return float(fitted[1]) if repeated > 5 * math.sqrt(counts.sum()) else math.nan


def _least_squares(d: F64, counts: F64, start: F64, low: F64, high: F64) -> F64:
    """Return the parameters within bounds that fit counts best (Levenberg, Marquardt)."""
    weight = 1 / np.sqrt(counts + 1)
    scale = np.maximum(np.abs(start), 1e-3)
    p, damping = start, _DAMPING[0]
    miss = (counts - _nena_model(d, p)) * weight
    for _ in range(_STEPS):
        h = 1e-6 * np.maximum(np.abs(p), 1e-3 * scale)
        moved = [(_nena_model(d, p + step) - _nena_model(d, p - step)) for step in np.diag(h)]
        jacobian = np.stack(moved, axis=1) * weight[:, None] / (2 * h)
        normal, gradient = jacobian.T @ jacobian, jacobian.T @ miss
        # What lies at a bound and would leave it stays there.
        free = ~(((p <= low) & (gradient < 0)) | ((p >= high) & (gradient > 0)))
        before = float(miss @ miss)
        while damping < _DAMPING[1]:
            a = normal[np.ix_(free, free)]
            a = a + np.diag(damping * (np.diag(a) + 1e-12 * max(np.trace(a), 1e-300)))
            tried = p.copy()
            tried[free] += np.linalg.solve(a, gradient[free])
            tried = np.clip(tried, low, high)
            missed = (counts - _nena_model(d, tried)) * weight
            if float(missed @ missed) < before:
                break
            damping *= 10
        else:
            return p
        p, miss, damping = tried, missed, max(damping / 10, 1e-12)
        if before - float(miss @ miss) < _CONVERGED * before:
            return p
    return p
