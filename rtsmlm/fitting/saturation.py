"""Where a camera is full, from the frames alone: a plateau at the top of what pixels reach.

A full pixel shows one value, whatever falls on it, and cameras differ in which: 4095, 16383, 65520,
a full well that ends at 61203. So no number is known beforehand. In the map of what each pixel
reached at most, values thin out towards the top; where the highest one is held by many more pixels
than any just below it, it is a ceiling. Of such a map a hot pixel is one place, however often it is
bright.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.frames import Pixels

LEAST_PIXELS = 5
"""Places at the ceiling; fewer may share a value by chance."""
TIMES_BELOW = 4.0
"""How many times as many places as at any value just below."""
LEVELS_BELOW = 16
"""How many of the values that occur below the ceiling it is compared with."""
LEAST_LEVELS = 6
"""Values that occur below the ceiling; noise of less than a step has fewer, and no tail."""
GAP_SPREADS = 4.0
"""Or it stands apart: further above all others than so many times the range of most of them."""
FULL_SHARE = 0.2
"""Or so large a part is at it, at a value whose photon noise would spread over many."""
NOISY_ADU = 250
HOT_SHARE = 0.1
"""Places above the ceiling, as a share of those at it: hot pixels, which never come down to it."""
N_VALUES = 1 << 16


def plateau_adu(highest: Pixels) -> int | None:
    """Return the value at which pixels are full, None where none shows.

    Parameters
    ----------
    highest
        The highest value of each pixel over the frames, ADU, shape (height, width).
    """
    counts = np.bincount(highest.ravel())
    values = np.flatnonzero(counts)
    counts = counts[values]
    up_to = np.cumsum(counts)
    above = highest.size - up_to
    # A constant image has no value below, and says nothing of its ceiling.
    often = np.flatnonzero(counts >= LEAST_PIXELS)
    for k in often[often > 0][::-1].tolist():
        if above[k] > HOT_SHARE * highest.size:
            return None
        if _stands_out(values, counts, up_to, k):
            return int(values[k]) if above[k] <= HOT_SHARE * counts[k] else None
    return None


def _stands_out(
    values: NDArray[np.int64], counts: NDArray[np.int64], up_to: NDArray[np.int64], k: int
) -> bool:
    """Tell whether more places hold a value than its neighbours below let expect."""
    if values[k] >= NOISY_ADU and counts[k] > FULL_SHARE * up_to[-1]:
        return True
    below = counts[max(k - LEVELS_BELOW, 0) : k]
    if len(below) >= LEAST_LEVELS and counts[k] >= TIMES_BELOW * below.max():
        return True
    gap = int(values[k]) - int(values[k - 1])
    if k < LEAST_LEVELS or gap <= GAP_SPREADS:
        return False
    low, high = (int(values[np.searchsorted(up_to, q * up_to[k - 1])]) for q in (0.05, 0.95))
    return gap > GAP_SPREADS * max(high - low, 1)


class SaturationCounter:
    """Counts full pixels over a movie, frames as they come, in constant memory.

    The ceiling may show late: counts of every value are kept, so that none is missed before.

    Parameters
    ----------
    shape
        Height and width of the frames in pixels.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.highest: Pixels = np.zeros(shape, dtype=np.uint16)
        """Highest value of each pixel so far, ADU, shape (height, width)."""
        self._counts = np.zeros(N_VALUES, dtype=np.int64)

    def add(self, pixels: Pixels) -> None:
        """Take frames in, uint16 in ADU, shape (n, height, width)."""
        _count(pixels, self.highest, self._counts)

    @property
    def plateau_adu(self) -> int | None:
        """Value at which pixels are full, None where none shows."""
        return plateau_adu(self.highest)

    @property
    def n_saturated(self) -> int:
        """Full pixels, summed over all frames."""
        top = self.plateau_adu
        return 0 if top is None else int(self._counts[top])


@njit(cache=True, nogil=True)
def _count(pixels: Pixels, highest: Pixels, counts: NDArray[np.int64]) -> None:
    n, height, width = pixels.shape
    for frame in range(n):
        for row in range(height):
            for column in range(width):
                value = pixels[frame, row, column]
                counts[value] += 1
                highest[row, column] = max(highest[row, column], value)
