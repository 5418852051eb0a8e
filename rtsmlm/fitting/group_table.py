"""Tables of emitters that are fitted in groups: their columns, who belongs together, what is found.

Rows are ordered by frame, then y; a group is named by its first row.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.fitting.boxes import F64, I32, SINGULAR, factorize
from rtsmlm.fitting.group_likelihood import DEEP, MOST

GROUP_X, GROUP_Y, GROUP_PHOTONS, GROUP_Z, GROUP_BACKGROUND = 0, 1, 2, 3, 4
GROUP_STD_X, GROUP_STD_Y, GROUP_STD_PHOTONS, GROUP_STD_Z, GROUP_CHI2, GROUP_STATUS = range(5, 11)
GROUP_COLUMNS = 11
"""In the order of the parameters of a member."""


@njit(cache=True, nogil=True, error_model="numpy")
def group_rows(frame: I32, y: F64, x: F64, far_y: F64, far_x: F64) -> NDArray[np.int32]:
    """Return the group of each row: rows whose ellipses touch are in one.

    Parameters
    ----------
    frame, y, x
        Frame and place in pixels, ordered by frame, then y, (n,).
    far_y, far_x
        Half axes of the ellipse of each row in pixels, (n,); of two their sums count.
    """
    n = len(frame)
    root = np.empty(n, np.int32)
    furthest = 0.0
    for i in range(n):
        root[i] = i
        furthest = max(furthest, far_y[i])
    for i in range(n):
        for j in range(i + 1, n):
            dy, dx = y[j] - y[i], x[j] - x[i]
            if frame[j] != frame[i] or dy > far_y[i] + furthest:
                break
            most_y, most_x = far_y[i] + far_y[j], far_x[i] + far_x[j]
            # Written without a division, which most pairs do not need.
            if (dy * most_x) ** 2 + (dx * most_y) ** 2 < (most_y * most_x) ** 2:
                a, b = i, j
                while root[a] != a:
                    a = root[a]
                while root[b] != b:
                    b = root[b]
                root[max(a, b)] = min(a, b)
    for i in range(n):  # roots come first
        root[i] = root[root[i]]
    return root


@njit(cache=True, nogil=True, error_model="numpy")
def members_of(frame: I32, group: NDArray[np.int32], first: int, members: NDArray[np.int32]) -> int:
    """Write the rows of a group; return how many, 0 if there are too many."""
    count = 0
    for j in range(first, len(frame)):
        if frame[j] != frame[first]:
            break
        if group[j] == first:
            if count == MOST:
                return 0
            members[count] = j
            count += 1
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def write_members(
    rows: F64,
    members: I32,
    count: int,
    place: tuple[int, int, int, int],
    theta: F64,
    information: F64,
    factor: F64,
    column: F64,
    excess_noise: float,
    chi2: float,
    status: float,
) -> None:
    """Write the rows of the members, with the CRLB at what was fitted."""
    p = DEEP * count + 1
    for i in range(p):
        for j in range(i + 1):
            factor[i, j] = information[i, j]
    if not factorize(factor, p):
        status = SINGULAR
    for k in range(count):
        row = rows[members[k]]
        for which in range(DEEP):
            row[which] = theta[DEEP * k + which]
            # The diagonal of the inverse: squared length of a column of the inverse factor.
            first = DEEP * k + which
            total = 0.0
            for i in range(first, p):
                value = 1.0 if i == first else 0.0
                for j in range(first, i):
                    value -= factor[i, j] * column[j]
                column[i] = value / factor[i, i]
                total += column[i] * column[i]
            row[GROUP_STD_X + which] = math.sqrt(excess_noise * total)
        row[GROUP_X] += place[2]
        row[GROUP_Y] += place[0]
        row[GROUP_BACKGROUND] = theta[p - 1]
        row[GROUP_CHI2], row[GROUP_STATUS] = chi2, status
