"""Evidence for dim lone emitters: what a fit and a network know of them, weighed together.

A maximum of five standard deviations may be an emitter or noise. The height of the maximum and the
probability that a network states for the place are two measurements of it, and together they tell
more than either. docs/decisions/0060 says how the weights were found, and what they give.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.fitting.detection import I32
from rtsmlm.fitting.fit_first import FirstFits
from rtsmlm.localizations import F32
from rtsmlm.models.rows import Row

LEAST_PROBABILITY = 0.1
"""A network is asked for rows down to here; where it has none, the place counts as half of it."""
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


def with_faint(
    fits: FirstFits, rows: F32, frame: I32, near_px: float, min_probability: float
) -> FirstFits:
    """Settle the faint fits that are emitters, by their maxima and by what a network finds there.

    Parameters
    ----------
    fits
        Fits of some frames, (n,).
    rows
        What the network finds in windows of them, (m, columns) in pixels of the frame.
    frame
        Position of the frame of each row, ascending, (m,).
    near_px
        A row as near as this is what the fit is of.
    min_probability
        Least probability of rows in the run: more is needed of both where it is higher.
    """
    which = np.flatnonzero(fits.is_faint)
    near = probability_near(rows, frame, fits.places(fits.is_faint), near_px)
    least = NEEDED + float(np.log(min_probability / (1.0 - min_probability)))
    known = evidence(fits.found.strength[which], near)
    settled, probability = fits.is_settled.copy(), fits.probability.copy()
    settled[which] = known > least
    probability[which] = 1.0 / (1.0 + np.exp(-known))
    return fits._replace(is_settled=settled, probability=probability)


def evidence(strength: F32, probability: F32) -> F32:
    """Return the logarithm of the odds that there is an emitter at lone maxima.

    Parameters
    ----------
    strength
        Of the maxima, in standard deviations of the noise (`Candidates.strength`), (n,).
    probability
        Largest one that the network states near each, 0 where it finds nothing, (n,).
    """
    known = np.clip(probability, 0.5 * LEAST_PROBABILITY, _MOST)
    logit = np.log(known / (1.0 - known))
    found = OF_STRENGTH * (strength - USUAL_STRENGTH) + OF_LOGIT * logit + BASE
    return np.asarray(found, dtype=np.float32)


def probability_near(rows: F32, frame: I32, places: tuple[I32, F32, F32], reach_px: float) -> F32:
    """Return the largest probability of the rows near each place, 0 where there is none.

    Parameters
    ----------
    rows
        What a network finds, (m, columns) in pixels of the frame.
    frame
        Position of the frame of each, ascending, (m,).
    places
        Position of the frame, y and x in pixels, (n,) each.
    reach_px
        How far a row may lie from a place.
    """
    best = np.zeros(len(places[0]), dtype=np.float32)
    _find_best(rows, frame, *places, float(reach_px), best)
    return best


@njit(cache=True, nogil=True, error_model="numpy")
def _find_best(
    rows: F32,
    frame: NDArray[np.int32],
    place_frame: I32,
    y: F32,
    x: F32,
    reach_px: float,
    best: F32,
) -> None:
    for i in range(len(place_frame)):
        for j in range(np.searchsorted(frame, place_frame[i]), len(rows)):
            if frame[j] != place_frame[i]:
                break
            dy, dx = rows[j, _Y] - y[i], rows[j, _X] - x[i]
            if dy * dy + dx * dx < reach_px * reach_px:
                best[i] = max(best[i], rows[j, _PROBABILITY])
