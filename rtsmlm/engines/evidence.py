"""Evidence for dim lone emitters: what a fit and a network know of them, weighed together.

A maximum of five standard deviations may be an emitter or noise. The height of the maximum and the
probability that a network states for the place are two measurements of it, and together they tell
more than either. docs/decisions/0060 says how the weights were found, and what they give.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.fitting.detection import I32
from rtsmlm.fitting.fit_first import FirstFits
from rtsmlm.localizations import F32
from rtsmlm.models.rows import Row

LEAST_PROBABILITY = 0.3
"""A network is asked for rows down to here. Where it has none there is no dim emitter: what it
denies is a spot of another shape, such as one far out of focus, whose place no fit would know."""
MAX_STD_SIGMA = 0.385
"""Nor is there one where the network knows the place less well, in widths of the PSF."""
OF_STRENGTH = 3.28
"""Weight of a standard deviation of the maximum beyond `USUAL_STRENGTH`."""
USUAL_STRENGTH = 5.0
OF_LOGIT = 1.58
"""Weight of the logarithm of the odds that the network gives."""
BASE = 0.79
"""Evidence of a usual maximum at even odds. These three are the logistic regression of what was an
emitter, on movies of lone ones from 100 photons on 5 to 500 on 100 and on dark ones."""
NEEDED = 3.0
"""Evidence from which there is an emitter: of dark frames of 64 x 64 pixels one in a thousand has a
false one."""
_MOST = 0.99
_X, _Y, _PROBABILITY = int(Row.X), int(Row.Y), int(Row.PROBABILITY)
_STD_X, _STD_Y = int(Row.STD_X), int(Row.STD_Y)


def judged(
    fits: FirstFits,
    rows: F32,
    frame: I32,
    sigma_px: float,
    near_px: float,
    min_probability: float,
) -> tuple[FirstFits, F32]:
    """Tell which faint fits are emitters, by their maxima and by what a network finds there.

    Parameters
    ----------
    fits
        Fits of some frames, (n,).
    rows
        What the network finds in windows of them, (m, columns) in pixels of the frame.
    frame
        Position of the frame of each row, ascending, (m,).
    sigma_px
        Width of the PSF.
    near_px
        A row as near as this is what the fit is of.
    min_probability
        Least probability of rows in the run: more is needed of both where it is higher.

    Returns
    -------
    fits
        The emitters among the faint ones stand if the network finds nothing; the others stay faint.
    confirmed
        Probability of rows that are near one of these, however dim, and 0 of others, (m,).
    """
    which = np.flatnonzero(fits.is_faint)
    place_frame, y, x = fits.places(fits.is_faint)
    place, row = _pairs_near(rows, frame, place_frame, y, x, near_px)
    known = np.maximum(rows[row, _STD_X], rows[row, _STD_Y]) < MAX_STD_SIGMA * sigma_px
    best, confirmed = np.zeros(len(which), np.float32), np.zeros(len(rows), np.float32)
    np.maximum.at(best, place[known], rows[row[known], _PROBABILITY])
    odds = evidence(fits.found.strength[which], best)
    is_one = odds > NEEDED + math.log(min_probability / (1.0 - min_probability))
    chance = np.where(is_one, 1.0 / (1.0 + np.exp(-odds)), 0.0).astype(np.float32)
    np.maximum.at(confirmed, row, chance[place])
    is_likely, is_faint = fits.is_likely.copy(), fits.is_faint.copy()
    is_likely[which] |= is_one
    is_faint[which] = ~is_one
    probability = fits.probability.copy()
    probability[which] = chance
    changed = fits._replace(is_likely=is_likely, is_faint=is_faint, probability=probability)
    return changed, confirmed


def evidence(strength: F32, probability: F32) -> F32:
    """Return the logarithm of the odds that there is an emitter at lone maxima.

    Parameters
    ----------
    strength
        Of the maxima, in standard deviations of the noise (`Candidates.strength`), (n,).
    probability
        Largest one that the network states near each, (n,); where it is 0 there is none.
    """
    known = np.clip(probability, 1e-6, _MOST)
    logit = np.log(known / (1.0 - known))
    found = OF_STRENGTH * (strength - USUAL_STRENGTH) + OF_LOGIT * logit + BASE
    return np.where(probability > 0.0, found, -np.inf).astype(np.float32)


@njit(cache=True, nogil=True, error_model="numpy")
def _pairs_near(
    rows: F32, frame: NDArray[np.int32], place_frame: I32, y: F32, x: F32, reach_px: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return places and rows of the same frame that are within reach of each other."""
    place = np.empty(4 * len(place_frame), np.int64)
    row = np.empty_like(place)
    n = 0
    for i in range(len(place_frame)):
        for j in range(np.searchsorted(frame, place_frame[i]), len(rows)):
            if frame[j] != place_frame[i]:
                break
            dy, dx = rows[j, _Y] - y[i], rows[j, _X] - x[i]
            if dy * dy + dx * dx < reach_px * reach_px:
                if n == len(place):
                    place = np.concatenate((place, np.empty_like(place)))
                    row = np.concatenate((row, np.empty_like(row)))
                place[n], row[n] = i, j
                n += 1
    return place[:n], row[:n]
