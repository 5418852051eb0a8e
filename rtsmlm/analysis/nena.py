"""Precision by NeNA: how far apart two localizations of one emitter in successive frames lie.

Endesfelder et al. 2014, doi:10.1007/s00418-014-1192-3.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import curve_fit
from scipy.spatial import cKDTree

from rtsmlm.localizations import Localizations

F64 = NDArray[np.float64]

_ROWS = 100_000
_PAIRS = 300
_BINS = 100


def nena_nm(localizations: Localizations, *, reach_nm: float = 200.0) -> float:
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
    rows = localizations.take(slice(0, _ROWS))
    places = np.column_stack([rows.x_nm, rows.y_nm, rows.frame]).astype(np.float64)
    places = places[np.isfinite(places).all(axis=1)]
    if len(places) < _PAIRS:
        return math.nan
    # Frames are so far apart along the third axis that the nearest is one of the next frame.
    places[:, 2] *= 10 * reach_nm
    next_frame = places + np.array([0.0, 0.0, 10 * reach_nm])
    found = cKDTree(places).query(next_frame, distance_upper_bound=reach_nm)[0]
    distance = np.asarray(found)[np.isfinite(found)]
    if len(distance) < _PAIRS:
        return math.nan
    counts, edges = np.histogram(distance, _BINS, (0.0, reach_nm))
    return _fit_nena((edges[1:] + edges[:-1]) / 2, counts.astype(np.float64), reach_nm)


def _nena_model(
    d: F64, one: float, s: float, near: float, centre: float, width: float, any_: float
) -> F64:
    repeated = one * d / (2 * s**2) * np.exp(-(d**2) / (4 * s**2))
    beside = near * np.exp(-((d - centre) ** 2) / (2 * width**2))
    return np.asarray(repeated + beside + any_ * d)


def _fit_nena(d: F64, counts: F64, reach_nm: float) -> float:
    step = d[1] - d[0]
    far = d > reach_nm / 2
    slope = float(counts[far].sum() / d[far].sum())
    mode = float(d[np.argmax(np.convolve(counts - slope * d, np.ones(3), "same"))])
    start = [counts.sum() * step, mode / math.sqrt(2), counts[far].mean(), reach_nm / 2, reach_nm,
             slope]  # fmt: skip
    low = [0.0, step / 4, 0.0, 0.0, reach_nm / 8, 0.0]
    high = [np.inf, reach_nm / 2, np.inf, 2 * reach_nm, 5 * reach_nm, np.inf]
    try:
        fitted, _ = curve_fit(
            _nena_model, d, counts, np.clip(start, low, high), np.sqrt(counts + 1),
            bounds=(low, high), max_nfev=2000,
        )  # fmt: skip
    except (RuntimeError, ValueError):  # no fit
        return math.nan
    # Fewer than chance brings about are no repetitions.
    repeated = fitted[0] / step
    return float(fitted[1]) if repeated > 5 * math.sqrt(counts.sum()) else math.nan
