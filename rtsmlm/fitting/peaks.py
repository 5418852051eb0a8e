"""Maxima of a filtered frame, row by row."""

from __future__ import annotations

from numba import njit

from rtsmlm.fitting.bands import Bytes
from rtsmlm.localizations import F32


@njit(cache=True, nogil=True, error_model="numpy")
def mark_peaks(image: F32, row: int, limits: F32, is_peak: Bytes) -> None:
    """Mark the pixels of a row that reach their limit and are as high as their four neighbours.

    Parameters
    ----------
    image
        Filtered rows of a frame, float32; above the first and below the last one nothing is higher.
    row
        Which of them.
    limits
        Of the pixels of the row, shape (width,).
    is_peak
        Written, uint8, shape (width,) or longer.
    """
    upper, lower = max(row - 1, 0), min(row + 1, len(image) - 1)
    last = image.shape[1] - 1
    for x in range(1, last):
        value = image[row, x]
        is_peak[x] = (
            (value >= limits[x])
            & (value >= image[upper, x])
            & (value >= image[lower, x])
            & (value >= image[row, x - 1])
            & (value >= image[row, x + 1])
        )
    for x, beside in ((0, 1), (last, last - 1)):
        value = image[row, x]
        is_peak[x] = (
            (value >= limits[x])
            & (value >= image[upper, x])
            & (value >= image[lower, x])
            & (value >= image[row, beside])
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
