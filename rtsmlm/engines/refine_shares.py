"""How much of an emitter's place is the network's and how much the fit's, where both have one.

A fit of the right PSF has all that one frame tells, but a network knows two things besides: what
the frames before and after show, and how spots out of focus look. Of such a spot it foresees more
light than the PSF in focus takes up, by a quarter and more; that is what tells one emitter in depth
from two in focus, whose shapes are alike. docs/decisions/0063 says what that gives.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.fitting.boxes import F64
from rtsmlm.localizations import Localizations

LEAST_MORE, CLEARLY_MORE = 1.2, 1.4
"""Photons of the network over those of the fit: from the first on the spot may be another than the
PSF in focus, from the second on it is."""
CLEARLY_APART = 5.0
"""Standard deviations between two emitters that leave more light than `LEAST_MORE`."""
OTHER_FRAMES = 0.5
"""What a network that has seen other frames, too, has to go by, over what it shares with a fit."""
SHORT_ALONE, SHORT_BESIDE = 2.0, 5.0
"""Variance of a fit over its bound where the spot is another, against the variance that a network
states which has seen this frame alone, or those beside it, too."""


def light_left(network: F64, fitted: F64) -> F64:
    """Return how sure it is that a fit has left light which is the emitter's: 0 to 1, (n,).

    Parameters
    ----------
    network, fitted
        Photons that both state, (n,); not sure where the network states none.
    """
    more = np.divide(network, fitted, out=np.zeros(len(fitted)), where=fitted > 0)
    part = (more - LEAST_MORE) / (CLEARLY_MORE - LEAST_MORE)
    return np.asarray(np.clip(np.nan_to_num(part), 0.0, 1.0), dtype=np.float64)


def network_weight(
    fit_std: F64, network_std: F64, left: F64, beside: NDArray[np.bool_]
) -> tuple[F64, F64]:
    """Return the weight of the network in the mean of both places, and the error of that mean.

    Weights are those of inverse variances, if the network has more to go by than the fit; the error
    is that of two which err together, for most of what both know is the same.

    Parameters
    ----------
    fit_std, network_std
        Standard deviations that both state along an axis, in the same unit, (n,); where one is none
        the fit stays.
    left
        Of `light_left`, (n,).
    beside
        Whether the network has seen frames beside that of the emitter, (n,).

    Returns
    -------
    :
        The weight, 0 to 1, and the standard deviation in the same unit, (n,) both.
    """
    with_others = OTHER_FRAMES + (SHORT_BESIDE - OTHER_FRAMES) * left
    short = np.where(beside, with_others, SHORT_ALONE * left)
    both = (fit_std > 0.0) & (network_std > 0.0)
    ratio = np.divide(network_std, fit_std, out=np.ones(len(fit_std)), where=both)
    weight = np.where(both, short / (short + ratio**2), 0.0)
    fits = np.sqrt(np.maximum(short, 1.0)) * fit_std
    return weight, np.where(both, weight * network_std + (1.0 - weight) * fits, fit_std)


def share_rows(
    columns: dict[str, NDArray[Any]],
    locs: Localizations,
    rows: NDArray[np.int64],
    left: F64,
    beside: NDArray[np.bool_],
) -> None:
    """Write the mean of fit and network over rows that a fit has found.

    Parameters
    ----------
    columns
        What the fits have found, of a table; written.
    locs
        What the network has found, in the same rows.
    rows
        The rows that are fitted, (m,).
    left
        Of `light_left` for these, (m,).
    beside
        Of which of them the network has seen frames beside, (m,).
    """
    for place, std in (("x_nm", "std_x_nm"), ("y_nm", "std_y_nm")):
        fit_std, network_std = (
            np.asarray(of[rows], dtype=np.float64) for of in (columns[std], getattr(locs, std))
        )
        weight, columns[std][rows] = network_weight(fit_std, network_std, left, beside)
        away = getattr(locs, place)[rows] - columns[place][rows]
        columns[place][rows] += np.where(weight > 0.0, weight * away, 0.0)


def may_be_two(network: F64, fitted: F64) -> NDArray[np.bool_]:
    """Return which spots of another shape than the PSF may be two emitters in focus.

    Parameters
    ----------
    network, fitted
        Photons that both state, (n,).
    """
    return np.asarray(~(network > CLEARLY_MORE * fitted), dtype=np.bool_)


def are_two(network: F64, fitted: F64, apart: F64) -> NDArray[np.bool_]:
    """Return which rows are two emitters in focus, of those that a fit has split.

    Parameters
    ----------
    network, fitted
        Photons of the network, and of both emitters together, (n,).
    apart
        How far these are from each other in standard deviations of that distance, (n,).
    """
    clear = ~(network > LEAST_MORE * fitted) | (apart > CLEARLY_APART)
    return np.asarray(clear & may_be_two(network, fitted), dtype=np.bool_)
