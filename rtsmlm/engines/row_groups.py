"""What refining fits of groups have in common: which rows they may take, and groups as wholes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsmlm.fitting.group_likelihood import MOST


def free_rows(
    n: int, lone: NDArray[np.int64], among: NDArray[np.int64] | None
) -> NDArray[np.bool_]:
    """Return which of n rows a group may be made of.

    Parameters
    ----------
    n
        Rows of the table.
    lone
        Rows without any other near, which are fitted already.
    among
        Rows that may be fitted once more; by default all.
    """
    is_free = np.full(n, among is None)
    if among is not None:
        is_free[among] = True
    is_free[lone] = False
    return is_free


def wanted_groups(
    group: NDArray[np.int32], is_free: NDArray[np.bool_], least: int
) -> NDArray[np.bool_]:
    """Return which groups, by their first row, are fitted: of free rows only, and not too many.

    Parameters
    ----------
    group
        Group of each row, (n,).
    is_free
        As `free_rows` returns it, in the order of the groups, (n,).
    least
        Rows of the smallest group that is fitted.
    """
    size = np.bincount(group, minlength=len(group))
    n_free = np.bincount(group, weights=is_free, minlength=len(group))
    return np.asarray((size >= least) & (size <= MOST) & (n_free == size), dtype=np.bool_)


def as_wholes(
    group: NDArray[np.int32] | NDArray[np.int64], good: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return which rows are good together with all others of their group, (n,)."""
    n_bad = np.bincount(group, weights=~good, minlength=len(group))
    return np.asarray(good & (n_bad[group] == 0), dtype=np.bool_)
