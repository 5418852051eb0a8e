"""Pair localizations with the emitters of a ground truth, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

from rtsmlm.localizations import Localizations

Method: TypeAlias = Literal["greedy", "hungarian"]
Rows: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Matches:
    """Pairs of a localization and an emitter; no row of either table occurs twice."""

    locs: Rows
    """Row of the localization, (n,), ascending."""
    truth: Rows
    """Row of its emitter, (n,)."""

    def __len__(self) -> int:
        return len(self.locs)


def match(
    locs: Localizations,
    truth: Localizations,
    *,
    radius_nm: float,
    axial_nm: float | None = None,
    method: Method = "greedy",
) -> Matches:
    """Pair localizations with emitters of the same frame.

    Parameters
    ----------
    locs
        What was localized.
    truth
        The emitters.
    radius_nm
        Largest lateral distance of a pair.
    axial_nm
        Largest axial distance of a pair; not given ignores z altogether.
    method
        `greedy` takes the nearest pair first, then the nearest of those left, by the distance in
        x, y and, with `axial_nm`, z. `hungarian` takes as many pairs as possible and among
        those choices the one of the least summed distance.

    Notes
    -----
    `greedy` is the assessment of the SMLM-2016 challenge: Sage et al., Nat. Methods 16, 387
    (2019).
    """
    i, j, distance = _candidates(locs, truth, radius_nm, axial_nm)
    if method == "greedy":
        order = np.lexsort((j, i, distance))
        kept = order[_take_nearest(i[order], j[order], len(locs), len(truth))]
    else:
        kept = _assign(i, j, distance, locs.frame[i])
    kept = kept[np.argsort(i[kept])]
    return Matches(i[kept], j[kept])


def _candidates(
    locs: Localizations, truth: Localizations, radius_nm: float, axial_nm: float | None
) -> tuple[Rows, Rows, NDArray[np.float64]]:
    """Return all pairs in reach of each other: rows of both tables and distance in nm."""
    rows_l, points_l = _points(locs, radius_nm)
    rows_t, points_t = _points(truth, radius_nm)
    if not len(rows_l) or not len(rows_t):
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    pairs = cKDTree(points_l).sparse_distance_matrix(
        cKDTree(points_t), radius_nm, output_type="ndarray"
    )
    i, j = rows_l[pairs["i"]], rows_t[pairs["j"]]
    distance = np.asarray(pairs["v"])
    if axial_nm is not None:
        dz = locs.z_nm[i].astype(np.float64) - truth.z_nm[j]
        near = np.abs(dz) <= axial_nm
        i, j, distance = i[near], j[near], np.hypot(distance, dz)[near]
    return i, j, distance


def _points(table: Localizations, radius_nm: float) -> tuple[Rows, NDArray[np.float64]]:
    """Return the rows with finite x and y, and where they lie in (x, y, frame).

    Frames are further apart than the radius, so that one tree holds all of them.
    """
    rows = np.flatnonzero(np.isfinite(table.x_nm) & np.isfinite(table.y_nm))
    third = table.frame[rows] * (4.0 * radius_nm)
    return rows, np.column_stack([table.x_nm[rows], table.y_nm[rows], third])


@njit(cache=True, nogil=True)
def _take_nearest(i: Rows, j: Rows, n_locs: int, n_truth: int) -> NDArray[np.bool_]:
    """Go through pairs in their order and keep those whose rows are both still free."""
    free_l = np.ones(n_locs, np.bool_)
    free_t = np.ones(n_truth, np.bool_)
    kept = np.zeros(len(i), np.bool_)
    for k in range(len(i)):
        if free_l[i[k]] and free_t[j[k]]:
            free_l[i[k]] = False
            free_t[j[k]] = False
            kept[k] = True
    return kept


def _assign(i: Rows, j: Rows, distance: NDArray[np.float64], frame: Rows) -> Rows:
    """Return which candidate pairs the optimal assignment of each frame takes."""
    order = np.argsort(frame, kind="stable")
    kept = [np.empty(0, np.int64)]
    for group in np.split(order, 1 + np.flatnonzero(np.diff(frame[order]))):
        if not len(group):
            continue
        rows, r = np.unique(i[group], return_inverse=True)
        columns, c = np.unique(j[group], return_inverse=True)
        # One pair more must always pay, whatever it does to the distances of the others.
        forbidden = 2.0 * (distance[group].sum() + 1.0)
        cost = np.full((len(rows), len(columns)), forbidden)
        cost[r, c] = distance[group]
        pair = np.full(cost.shape, -1)
        pair[r, c] = group
        chosen = pair[linear_sum_assignment(cost)]
        kept.append(chosen[chosen >= 0])
    return np.concatenate(kept)
