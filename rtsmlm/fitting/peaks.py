"""Maxima of a filtered frame, row by row."""

from __future__ import annotations

from numba import njit

from rtsmlm.fitting.bands import Bytes
from rtsmlm.localizations import F32


@njit(cache=True, nogil=True, error_model="numpy")
def mark_peaks(upper: F32, here: F32, lower: F32, limits: F32, is_peak: Bytes) -> None:
    """Mark the pixels of a row that reach their limit and are as high as their four neighbours.

    Parameters
    ----------
    upper, here, lower
        Three rows of a filtered frame, float32, shape (width,).
    limits
        Of the pixels of the row in the middle, shape (width,).
    is_peak
        Written, uint8, shape (width,) or longer.
    """
    last = len(here) - 1
    before, after = here[:-2], here[2:]
    middle, above, below, least = here[1:-1], upper[1:-1], lower[1:-1], limits[1:-1]
    inner = is_peak[1:]
    for x in range(last - 1):
        value = middle[x]
        inner[x] = (
            (value >= least[x])
            & (value >= above[x])
            & (value >= below[x])
            & (value >= before[x])
            & (value >= after[x])
        )
    for x, beside in ((0, 1), (last, last - 1)):
        value = here[x]
        is_peak[x] = (
            value >= limits[x] and value >= upper[x] and value >= lower[x] and value >= here[beside]
        )


@njit(cache=True, nogil=True, error_model="numpy")
def is_maximum(image: F32, y: int, x: int, radius: int) -> bool:
    """Return whether no pixel within the radius is higher; of equals the first in raster order.

    Parameters
    ----------
    image
        Filtered rows of a frame, float32.
    y, x
        Place of the pixel in them.
    radius
        In pixels.
    """
    height, width = image.shape
    value = image[y, x]
    for v in range(max(y - radius, 0), min(y + radius + 1, height)):
        for u in range(max(x - radius, 0), min(x + radius + 1, width)):
            other = image[v, u]
            if other > value or (other == value and (v < y or (v == y and u < x))):
                return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def peak_offset(left: float, middle: float, right: float) -> float:
    """Return where the parabola through three neighbours has its top, from the middle one."""
    bend = left - 2.0 * middle + right
    if bend >= 0.0:
        return 0.0
    return min(max(0.5 * (left - right) / bend, -0.5), 0.5)
