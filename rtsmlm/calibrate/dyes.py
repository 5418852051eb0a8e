"""Share of the light of a dye in each view, measured on a sample that holds this dye alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtsmlm.errors import CalibrationError
from rtsmlm.physics.transforms import F64

LEAST_ROWS = 200
MAD_TO_STD = 1.4826
LEAST_SPREAD = 0.005


@dataclass(frozen=True, slots=True)
class DyeShares:
    """What tells a dye from others."""

    fractions: tuple[float, ...]
    """Share of its photons in each view; their sum is 1."""
    spread: float
    """Standard deviation of the shares from emitter to emitter, shot noise taken out."""
    n_rows: int


def measure_shares(light: F64, name: str) -> DyeShares:
    """Return the shares of a dye, the median of its emitters.

    Parameters
    ----------
    light
        Photons of each emitter in each view, shape (n, views).
    name
        Of the dye, for the error.

    Raises
    ------
    CalibrationError
        If there are too few emitters.
    """
    total = light.sum(axis=1)
    light = light[total > np.median(total)] if len(total) else light
    if len(light) < LEAST_ROWS // 2:
        raise CalibrationError(
            f"{2 * len(light)} emitters of {name} were found; its shares need {LEAST_ROWS} at "
            "least: record more frames of a sample with this dye alone"
        )
    shares = light / light.sum(axis=1, keepdims=True)
    middle = np.median(shares, axis=0)
    middle = middle / middle.sum()
    widths = MAD_TO_STD * np.median(np.abs(shares - middle), axis=0)
    # Background adds to the shot noise of the photons, so that this is no less than the spread.
    shot = middle * (1.0 - middle) * np.median(1.0 / light.sum(axis=1))
    spread = float(np.sqrt(np.max(np.maximum(widths**2 - shot, 0.0))))
    fractions = tuple(float(share) for share in middle)
    return DyeShares(fractions, max(spread, LEAST_SPREAD), 2 * len(light))
