"""Which emitters stand alone, and which are fitted together: those whose spots overlap most."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.fitting.boxes import F64, I32
from rtsmlm.localizations import F32


@njit(cache=True, nogil=True, error_model="numpy")
def limited_groups(
    frame: I32, y: F64, x: F64, far_y: F64, far_x: F64, most: int
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Return the group of each row, and which rows touch one of another group.

    Rows whose ellipses touch come into one group, those that overlap most first, as long as it has
    no more than `most` rows: a longer chain becomes several groups.

    Parameters
    ----------
    frame, y, x
        Frame and place in pixels, ordered by frame, then y, (n,).
    far_y, far_x
        Half axes of the ellipse of each row in pixels, (n,); of two their sums count.
    most
        Rows of the largest group.

    Returns
    -------
    group
        Named by its first row, int32, (n,).
    is_cut
        Whether a row of the group touches one of another group, (n,).
    """
    n = len(frame)
    first, second, apart = _touching(frame, y, x, far_y, far_x)
    root, size = np.arange(n).astype(np.int32), np.ones(n, np.int64)
    # Stable: what another frame holds changes nothing here.
    for k in np.argsort(apart, kind="mergesort"):
        a, b = _root_of(root, first[k]), _root_of(root, second[k])
        if a != b and size[a] + size[b] <= most:
            low, high = min(a, b), max(a, b)
            root[high] = low
            size[low] += size[high]
    group = np.empty(n, np.int32)
    for i in range(n):
        group[i] = _root_of(root, i)
    cut = np.zeros(n, np.bool_)
    for k in range(len(first)):
        if group[first[k]] != group[second[k]]:
            cut[group[first[k]]] = cut[group[second[k]]] = True
    return group, cut[group]


@njit(cache=True, nogil=True, error_model="numpy")
def _root_of(root: NDArray[np.int32], i: int) -> int:
    while root[i] != i:
        i = root[i]
    return i


@njit(cache=True, nogil=True, error_model="numpy")
def _touching(
    frame: I32, y: F64, x: F64, far_y: F64, far_x: F64
) -> tuple[NDArray[np.int32], NDArray[np.int32], F64]:
    """Return pairs of rows that touch, and their distance squared where touching begins at 1."""
    n, pairs = len(frame), 0
    furthest = far_y.max() if n else 0.0
    first, second, apart = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n)
    for i in range(n):
        for j in range(i + 1, n):
            dy, dx = y[j] - y[i], x[j] - x[i]
            if frame[j] != frame[i] or dy > far_y[i] + furthest:
                break
            distance = (dy / (far_y[i] + far_y[j])) ** 2 + (dx / (far_x[i] + far_x[j])) ** 2
            if distance >= 1.0:
                continue
            if pairs == len(first):
                first = np.concatenate((first, np.empty_like(first)))
                second = np.concatenate((second, np.empty_like(second)))
                apart = np.concatenate((apart, np.empty_like(apart)))
            first[pairs], second[pairs], apart[pairs] = i, j, distance
            pairs += 1
    return first[:pairs], second[:pairs], apart[:pairs]


@njit(cache=True, nogil=True, error_model="numpy")
def mark_lone(frame: I32, y: F32, x: F32, reach_px: float, lone: NDArray[np.bool_]) -> None:
    """Set those to false that lie nearer than the reach to another one of their frame.

    Parameters
    ----------
    frame
        Ascending, (n,); those of a frame from top to bottom by their pixel.
    y, x
        Places in pixels, within half a pixel of the pixel, (n,).
    reach_px
        The reach.
    lone
        Written, (n,).
    """
    for i in range(len(frame)):
        for j in range(i + 1, len(frame)):
            if frame[j] != frame[i] or y[j] - y[i] > reach_px + 1.0:
                break
            dy, dx = y[j] - y[i], x[j] - x[i]
            if dy * dy + dx * dx < reach_px * reach_px:
                lone[i] = False
                lone[j] = False
