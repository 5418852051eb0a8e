"""Where the boxes of candidates are cut, and where they are cut again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsmlm.fitting.boxes import F64, I32, X, Y
from rtsmlm.fitting.detection import Candidates

# Far out of focus an astigmatic spot has two maxima, and a double helix has two at any depth. A fit
# that wants its emitter in the middle of the box is given another box where it is not, so that
# both maxima lead to one place; of the two rows the selection leaves one.
OFF_CENTER_PX, CUT_AGAIN = 1.5, 3


def box_corners(
    found: Candidates, box_px: int, shape: tuple[int, int], *, is_centered: bool
) -> tuple[I32, I32]:
    """Return the first row and the first column of the box of each candidate, (n,) each.

    Parameters
    ----------
    found
        The candidates.
    box_px
        Side of the boxes.
    shape
        Height and width of the frames.
    is_centered
        The candidate is in the middle of its box, which may reach beyond the frame; otherwise the
        boxes lie inside.
    """
    if is_centered:
        middle = (box_px - 1) / 2
        top, left = np.rint(found.start_y - middle), np.rint(found.start_x - middle)
    else:
        top = np.clip(found.y - box_px // 2, 0, shape[0] - box_px)
        left = np.clip(found.x - box_px // 2, 0, shape[1] - box_px)
    return top.astype(np.int32), left.astype(np.int32)


def off_center(rows: F64, found: Candidates) -> NDArray[np.int64]:
    """Return which rows lie far from where their boxes were cut, (m,)."""
    away = np.maximum(np.abs(rows[:, X] - found.start_x), np.abs(rows[:, Y] - found.start_y))
    return np.flatnonzero(away > OFF_CENTER_PX)


def moved_to(rows: F64, found: Candidates, which: NDArray[np.int64]) -> Candidates:
    """Return some of the candidates where their rows are; they are moved in `found`, too."""
    found.start_x[which] = rows[which, X]
    found.start_y[which] = rows[which, Y]
    return found.part(which)
