"""The level of a sparse image: by it images of few and of many localizations look alike.

A level by mean and standard deviation of all pixels, as the original ANNA-PALM has it, falls with
the empty part of the field, so that what a network predicts depends on how the field was cut. This
one is the density where the usual localization lies: empty pixels do not count.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from rtsmlm.localizations import F32

BLUR_PX = 1.0
"""Standard deviation of the blur before all else: shot noise of single pixels says little."""
REACH_PX = 3
"""Where the blur ends."""
LEAST = 1e-6
"""Of a level: an image without localizations stays empty."""


def kernel() -> F32:
    """Return the blur along one axis, of sum one, (2 reach + 1,)."""
    x = np.arange(-REACH_PX, REACH_PX + 1)
    weights = np.exp(-0.5 * (x / BLUR_PX) ** 2)
    return np.asarray(weights / weights.sum(), dtype=np.float32)


def level_of(counts: F32) -> float:
    """Return the blurred density at the place of the mean localization, in counts per pixel.

    Parameters
    ----------
    counts
        Localizations in each pixel of the whole field, (height, width).
    """
    blurred = ndimage.correlate1d(counts, kernel(), axis=0, mode="constant")
    blurred = ndimage.correlate1d(blurred, kernel(), axis=1, mode="constant")
    total = float(blurred.sum(dtype=np.float64))
    return float(np.square(blurred, dtype=np.float64).sum()) / total if total > 0.0 else LEAST
