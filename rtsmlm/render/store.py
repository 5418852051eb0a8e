"""Kept localizations, in chunks whose rows are ordered by place."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.localizations import F32, Localizations
from rtsmlm.render.columns import COLUMNS, STD_X, STD_Y, X, Y
from rtsmlm.render.field import Field
from rtsmlm.render.weights import MOST_STD_NM, UNKNOWN_STD_NM

CHUNK = 1 << 16
"""Rows of a chunk; it is ordered once, when it is full, in a few milliseconds."""

SLAB = 32
"""Chunks in one piece of memory, which are drawn in one go."""

CELLS = 64
"""Cells along the longer side of the field."""

ALL_CELLS = np.array([0, 0, 0, 0, 1])
"""For a table that is not ordered: one cell."""


@dataclass(slots=True)
class Slab:
    """Chunks whose rows are ordered by cell, cells in reading order."""

    tables: F32
    """Shape (SLAB, COLUMNS, CHUNK), see `splat`."""
    starts: NDArray[np.int64]
    """First row of each cell, and the number of rows behind them, (SLAB, cells + 1)."""
    n: int = 0
    """Chunks that are there."""


class LocalizationStore:
    """Keeps all localizations of the field, each in 40 bytes, until it is emptied.

    Parameters
    ----------
    field
        Rows outside are left out.
    """

    def __init__(self, field: Field) -> None:
        self.field = field
        self.slabs: list[Slab] = []
        self.open = np.empty((COLUMNS, CHUNK), np.float32)
        """The newest rows, in the order in which they came."""
        self.n_open = 0
        self.n_chunks = 0
        """Chunks in all slabs."""
        self.most_std_nm = UNKNOWN_STD_NM
        """No row is drawn wider."""
        height_nm, width_nm = field.size_nm
        self.cell_nm = max(height_nm, width_nm) / CELLS
        self._shape = field.image_shape(self.cell_nm)

    def __len__(self) -> int:
        return self.n_chunks * CHUNK + self.n_open

    @property
    def nbytes(self) -> int:
        """Bytes of memory in use."""
        chunk = self.open.nbytes + 8 * (self._shape[0] * self._shape[1] + 1)
        return int(self.n_chunks * chunk + self.open.nbytes)

    def put(self, table: F32, start: int) -> int:
        """Take rows from `start` on, as many as the open chunk has room for; return how many."""
        n: int = min(table.shape[1] - start, CHUNK - self.n_open)
        new = table[:, start : start + n]
        self.open[:, self.n_open : self.n_open + n] = new
        if n:
            # Of NaN the maximum is the other one.
            widest_nm = float(np.fmax.reduce(new[STD_X : STD_Y + 1], axis=None))
            self.most_std_nm = max(self.most_std_nm, min(widest_nm, MOST_STD_NM))
        self.n_open += n
        return n

    def seal_if_full(self) -> None:
        """Order the open chunk by place and begin a new one, if it is full."""
        if self.n_open < CHUNK:
            return
        if self.n_chunks % SLAB == 0:
            n_starts = self._shape[0] * self._shape[1] + 1
            tables = np.empty((SLAB, COLUMNS, CHUNK), np.float32)
            self.slabs.append(Slab(tables, np.zeros((SLAB, n_starts), np.int64)))
        slab = self.slabs[-1]
        corner_nm = float(self.field.corner_nm)
        _order(
            self.open,
            corner_nm,
            self.cell_nm,
            self._shape,
            slab.tables[slab.n],
            slab.starts[slab.n],
        )
        slab.n += 1
        self.n_chunks += 1
        self.n_open = 0

    def pack(self, localizations: Localizations) -> F32:
        """Return the rows inside the field as a table."""
        return self.field.pack(localizations)

    def clear(self) -> None:
        """Forget all."""
        self.slabs.clear()
        self.n_open = self.n_chunks = 0
        self.most_std_nm = UNKNOWN_STD_NM

    def tables(self) -> Iterator[F32]:
        """Yield all rows, in tables of shape (COLUMNS, n)."""
        for slab in self.slabs:
            yield from slab.tables[: slab.n]
        yield self.open[:, : self.n_open]

    def cells(self, box_nm: tuple[float, float, float, float]) -> NDArray[np.int64] | None:
        """Return the cells that a box meets.

        Parameters
        ----------
        box_nm
            Least x, least y, greatest x, greatest y.

        Returns
        -------
        :
            First and last row, first and last column, and cells in a row; None outside the field.
        """
        corner_nm = self.field.corner_nm
        left, top, right, bottom = (math.floor((at - corner_nm) / self.cell_nm) for at in box_nm)
        n_rows, n_columns = self._shape
        if left >= n_columns or top >= n_rows or right < 0 or bottom < 0:
            return None
        ends = max(top, 0), min(bottom, n_rows - 1), max(left, 0), min(right, n_columns - 1)
        return np.array([*ends, n_columns])

    def count(self, box_nm: tuple[float, float, float, float]) -> int:
        """Return how many of the ordered rows lie in the cells that a box meets."""
        cells = self.cells(box_nm)
        if cells is None:
            return 0
        first = np.arange(cells[0], cells[1] + 1) * cells[4]
        ends, starts = first + cells[3] + 1, first + cells[2]
        return sum(
            int((slab.starts[: slab.n, ends] - slab.starts[: slab.n, starts]).sum())
            for slab in self.slabs
        )


@njit(cache=True, nogil=True, error_model="numpy")
def _order(
    table: F32,
    corner_nm: float,
    cell_nm: float,
    shape: tuple[int, int],
    ordered: F32,
    starts: NDArray[np.int64],
) -> None:
    """Write the rows ordered by cell, those of one cell in their order, and the cells' starts."""
    n_columns, n = table.shape
    per_nm = 1.0 / cell_nm
    cell = np.empty(n, np.int32)
    count = np.zeros(shape[0] * shape[1] + 1, np.int64)
    for k in range(n):
        column = min(max(int((table[X, k] - corner_nm) * per_nm), 0), shape[1] - 1)
        row = min(max(int((table[Y, k] - corner_nm) * per_nm), 0), shape[0] - 1)
        cell[k] = row * shape[1] + column
        count[cell[k] + 1] += 1
    starts[:] = np.cumsum(count)
    source, free = np.empty(n, np.int32), starts.copy()
    for k in range(n):
        at = free[cell[k]]
        free[cell[k]] += 1
        source[at] = k
    # Column after column from anywhere in the cache to memory in line: the other way round, each
    # write would be a miss.
    for c in range(n_columns):
        for k in range(n):
            ordered[c, k] = table[c, source[k]]


def rows_in_box(store: LocalizationStore, box_nm: tuple[float, float, float, float]) -> F32:
    """Return the rows of a store in a box, shape (COLUMNS, n).

    Parameters
    ----------
    store
        What is searched.
    box_nm
        Least x, least y, greatest x, greatest y; its edges count as inside.
    """
    left, top, right, bottom = box_nm

    def inside(table: F32) -> F32:
        x, y = table[X], table[Y]
        found: F32 = table[:, (x >= left) & (x <= right) & (y >= top) & (y <= bottom)]
        return found

    parts = [inside(store.open[:, : store.n_open])]
    cells = store.cells(box_nm)
    if cells is not None:
        first = np.arange(cells[0], cells[1] + 1) * cells[4]
        starts, ends = first + cells[2], first + cells[3] + 1
        if cells[2] == 0 and cells[3] == cells[4] - 1:
            starts, ends = starts[:1], ends[-1:]  # whole rows of cells lie one behind the other
        for slab in store.slabs:
            for table, at in zip(slab.tables[: slab.n], slab.starts[: slab.n], strict=True):
                runs = zip(at[starts], at[ends], strict=True)
                parts += [inside(table[:, low:high]) for low, high in runs if high > low]
    rows: F32 = np.concatenate(parts, axis=1)
    return rows
