"""Large fields as overlapping tiles without visible seams."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TILE_CELLS = 560
"""Side of a tile in cells of 2 x 2 pixels; larger ones leave the cache of a processor."""
MARGIN_CELLS = 24
"""What a network says of a cell depends on at most so many around it: 20 for the deepest one."""
_STEP_CELLS = 4
"""Tiles begin at multiples of it, or coarse levels would be sampled elsewhere."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of the field, in cells."""

    outer: tuple[slice, slice]
    """What goes into the network."""
    inner: tuple[slice, slice]
    """What is kept of its answer, in the field."""
    kept: tuple[slice, slice]
    """The same in the tile."""

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns that go into the network."""
        rows, columns = self.outer
        return rows.stop - rows.start, columns.stop - columns.start


def tiles_of(rows: int, columns: int, side: int = TILE_CELLS) -> list[Tile]:
    """Return tiles of one size that cover a field, in reading order.

    Parameters
    ----------
    rows, columns
        Of the field, in cells, multiples of four.
    side
        Largest side of a tile in cells, a multiple of four and larger than two margins.
    """
    return [
        Tile((down.outer, right.outer), (down.inner, right.inner), (down.kept, right.kept))
        for down in _stretches(rows, side)
        for right in _stretches(columns, side)
    ]


@dataclass(frozen=True, slots=True)
class _Stretch:
    outer: slice
    inner: slice
    kept: slice


def _stretches(length: int, side: int) -> list[_Stretch]:
    side = min(side, length)
    count = 1 if side == length else 1 + -(-(length - side) // (side - 2 * MARGIN_CELLS))
    starts = np.linspace(0, length - side, count)
    starts = (np.floor(starts / _STEP_CELLS) * _STEP_CELLS).astype(int)
    # The seam lies in the middle of each overlap, at least a margin from both ends.
    seams = [0, *((starts[1:] + starts[:-1] + side) // 2).tolist(), length]
    return [
        _Stretch(slice(a, a + side), slice(first, last), slice(first - a, last - a))
        for a, first, last in zip(starts.tolist(), seams[:-1], seams[1:], strict=True)
    ]
