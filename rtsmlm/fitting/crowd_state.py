"""What the fit of a crowd works on: pixels of a place, emitters, and their background."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.fitting.boxes import F64
from rtsmlm.fitting.crowd_patches import I32, LANES, PARTS
from rtsmlm.fitting.crowd_sums import SUMS
from rtsmlm.fitting.crowd_system import System
from rtsmlm.localizations import F32

NODE_PX = 16
"""Distance of the nodes of the background, between which it is straight."""
PAIRS_EACH = 8
"""Emitters near each one that count, with it in half of them."""


class Place(NamedTuple):
    """Pixels of a crowd, with margins: all of shape (height + 2 MARGIN, width + 2 MARGIN)."""

    data: F32
    """Photons, read variance added."""
    known: F32
    """Read variance, and light of emitters that are not of the crowd."""
    inside: F32
    """1 where an emitter of the crowd shines, else 0."""
    mean: F32
    weight: F32
    """1 / mean inside, else 0."""
    excess: F32
    """data / mean - 1 inside, else 0."""
    before: F32
    """Mean before emitters were split."""


class Crowd(NamedTuple):
    """Emitters of a crowd; arrays have room for those that it is split into."""

    theta: F64
    """x, y in pixels and photons, (n, 3)."""
    origin: I32
    """First row and column of the square of each, in images with margins, (n, 2)."""
    patches: F32
    free: NDArray[np.bool_]
    """Those that move."""
    system: System
    gradient: F64
    step: F64
    moved: F64
    """How far each went in the last step along x or y, in pixels, (n,)."""
    drawn: F64
    """Photons of each as they are in the mean, (n,)."""
    last: I32
    """Where its square lay before, (n, 2)."""
    order: I32
    """Emitters by y, as they last were, (n,)."""
    sums: F32


class Ground(NamedTuple):
    """The background: values at nodes of a grid, straight between them."""

    level: F64
    """(rows * columns,)"""
    gradient: F64
    step: F64
    row: I32
    row_part: F32
    """Node before each row of the image, and how much the next one counts, (height + 2 MARGIN,)."""
    column: I32
    column_part: F32
    columns: int
    """Nodes along x."""
    lines: F32
    weights: F32
    """Memory for one value per row of nodes and column of the image, (rows, width)."""


@njit(inline="always", error_model="numpy")
def crowd_of(room: int, ground: Ground) -> Crowd:
    """Return memory for so many emitters on a background."""
    pairs = PAIRS_EACH * room
    system = System(
        np.zeros((room, 3, 3)),
        np.zeros(pairs, np.int32),
        np.zeros(pairs, np.int32),
        np.empty((pairs, 3, 3)),
        np.zeros((room, 3)),
        np.zeros((room, 4), np.int32),
        np.zeros((room, 4)),
        np.ones(len(ground.level)),
        ground.columns,
        np.zeros(1),
    )
    return Crowd(
        np.zeros((room, 3)),
        np.zeros((room, 2), np.int32),
        np.zeros((room, PARTS, LANES), np.float32),
        np.zeros(room, np.bool_),
        system,
        np.zeros((room, 3)),
        np.zeros((room, 3)),
        np.zeros(room),
        np.zeros(room),
        np.zeros((room, 2), np.int32),
        np.arange(room).astype(np.int32),
        np.zeros((SUMS, LANES), np.float32),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _axis_nodes(first: int, last: int, n: int, node: I32, part: F32) -> int:
    """Write where pixels of an axis lie between nodes; return how many nodes there are."""
    count = 1 + (last - first) // NODE_PX if last - first >= 3 * NODE_PX // 2 else 1
    spacing = (last - first - 1) / max(count - 1, 1)
    for c in range(n):
        node[c], part[c] = 0, np.float32(0.0)
        if count > 1:
            place = min(max((c - first) / spacing, 0.0), count - 1.0)
            node[c] = min(int(place), count - 2)
            part[c] = np.float32(place - node[c])
    return count


@njit(inline="always", error_model="numpy")
def ground_of(box: tuple[int, int, int, int], shape: tuple[int, int]) -> Ground:
    """Return a background of nothing for a box (rows, then columns) of images with margins."""
    row, column = np.zeros(shape[0], np.int32), np.zeros(shape[1], np.int32)
    row_part, column_part = np.zeros(shape[0], np.float32), np.zeros(shape[1], np.float32)
    rows = _axis_nodes(box[0], box[1], shape[0], row, row_part)
    columns = _axis_nodes(box[2], box[3], shape[1], column, column_part)
    k = rows * columns
    lines = np.zeros((2, rows, shape[1]), np.float32)
    return Ground(
        np.zeros(k), np.zeros(k), np.zeros(k), row, row_part, column, column_part, columns,
        lines[0], lines[1],
    )  # fmt: skip
