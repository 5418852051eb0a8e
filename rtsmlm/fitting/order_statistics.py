"""Values by rank, in compiled code.

What NumPy has for it takes several seconds to compile, for any kind of array and of failure.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float32] | NDArray[np.float64]


@njit(cache=True, nogil=True, error_model="numpy")
def value_at_rank(values: FloatArray, rank: int) -> float:
    """Return the value that so many are not above, and put it there.

    Hoare, Commun. ACM 4, 321 (1961).

    Parameters
    ----------
    values
        Finite; reordered, so that those before `rank` are not above it, and those behind not below,
        (n,).
    rank
        0 for the smallest.
    """
    low, high = 0, len(values) - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if rank <= j:
            high = j
        elif rank >= i:
            low = i
        else:
            break
    return float(values[rank])


@njit(cache=True, nogil=True, error_model="numpy")
def median_of(values: FloatArray) -> float:
    """Return the median of finite values, at least one, which are reordered, (n,)."""
    n = len(values)
    middle = value_at_rank(values, n // 2)
    if n % 2:
        return middle
    below = values[0]
    for i in range(1, n // 2):
        below = max(below, values[i])
    return 0.5 * (middle + float(below))
