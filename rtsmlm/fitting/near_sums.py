"""Sums over emitters that are near each other."""

from __future__ import annotations

from numba import njit

from rtsmlm.fitting.boxes import F64
from rtsmlm.fitting.crowd_patches import I32


@njit(cache=True, nogil=True, error_model="numpy")
def near_sums(frame: I32, y: F64, x: F64, reach: float, values: F64) -> F64:
    """Return for each emitter the sums over all that are not further away than the reach.

    Parameters
    ----------
    frame
        Of each emitter; ascending, (n,).
    y, x
        Places, those of a frame from top to bottom, (n,).
    reach
        In their unit.
    values
        What is summed, (n, k).

    Returns
    -------
    :
        (n, k), with the emitter itself.
    """
    sums = values.copy()
    for i in range(len(frame)):
        for j in range(i + 1, len(frame)):
            if frame[j] != frame[i] or y[j] - y[i] > reach:
                break
            if (y[j] - y[i]) ** 2 + (x[j] - x[i]) ** 2 <= reach**2:
                for k in range(values.shape[1]):
                    sums[i, k] += values[j, k]
                    sums[j, k] += values[i, k]
    return sums
