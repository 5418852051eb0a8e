"""From what a localizer found to what was there, by the recall that it states."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.protocols import RecallTable

F64: TypeAlias = NDArray[np.float64]


def true_density(
    found_per_um2: float, recall: RecallTable, tiles_per_um2: F64, sigma_um: float
) -> tuple[float, float]:
    """Return the density that looks like this, and its slope by what was found.

    Parameters
    ----------
    found_per_um2
        Sum of probabilities per frame and area.
    recall
        As `protocols.RecallTable` says.
    tiles_per_um2
        The same by tile, which tells where it was found: where it is dense, more was missed.
    sigma_um
        Standard deviation of the PSF.
    """
    part = (tiles_per_um2 + 1e-9) / (tiles_per_um2 + 1e-9).sum()
    change = np.array([1.0, 0.98, 1.02])
    in_psf = change[:, None] * tiles_per_um2 * sigma_um**2
    here, below, above = change * (np.interp(in_psf, recall[0], recall[1]) @ part)
    return found_per_um2 * float(here), float((above - below) / 0.04)
