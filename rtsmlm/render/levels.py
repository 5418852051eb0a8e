"""The tiles of all levels of a pyramid: built when seen, and kept up to date after that."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsmlm.localizations import F32
from rtsmlm.render.draw_threads import DrawThreads
from rtsmlm.render.field import Field
from rtsmlm.render.painter import Level, Painter
from rtsmlm.render.resample import enlarge, halve, resample
from rtsmlm.render.tile_pool import TILE_BITS, TILE_PX, Tile, TileName, TilePool

COARSEST_PX = 1024
"""Longer side of the coarsest level, or up to half of it."""
_ROWS_OF_A_JOB = 50


def levels_of(field: Field, finest_nm: float) -> list[Level]:
    """Return all levels of a field, from fine to coarse."""
    levels = [Level.of_field(field, finest_nm)]
    while max(field.image_shape(levels[-1].pixel_nm)) > COARSEST_PX:
        levels.append(Level.of_field(field, 2 * levels[-1].pixel_nm))
    return levels


class TileRange(NamedTuple):
    """A rectangle of tiles of one level."""

    level: int
    row: int
    column: int
    n_rows: int
    n_columns: int

    def names(self) -> list[TileName]:
        """Return the tiles, those nearest to the centre first."""
        rows = range(self.row, self.row + self.n_rows)
        columns = range(self.column, self.column + self.n_columns)
        names = [TileName(self.level, row, column) for row in rows for column in columns]
        middle = 2 * self.row + self.n_rows - 1, 2 * self.column + self.n_columns - 1
        return sorted(
            names, key=lambda n: (2 * n.row - middle[0]) ** 2 + (2 * n.column - middle[1]) ** 2
        )


class _Part(NamedTuple):
    """A tile that a coarser one stands in for."""

    name: TileName
    coarse: TileName
    source: int
    """Where the coarser one is."""
    slot: int
    """Where it is put."""


class Levels:
    """Tiles of all levels.

    Parameters
    ----------
    levels
        From fine to coarse, each pixel twice as large as the one before.
    pool
        Memory of the tiles.
    threads
        Threads that draw.
    """

    def __init__(self, levels: list[Level], pool: TilePool, threads: DrawThreads) -> None:
        self.levels = levels
        self.pool = pool
        self._threads = threads

    def add_newest(self, painter: Painter, n_new: int) -> None:
        """Draw the newest rows into every complete tile, of all levels, that they fall into."""
        complete = self.pool.complete_by_level()
        self._threads.map(
            sorted(complete),
            lambda k: painter.paint_newest(self.pool.tiles, complete[k], self.levels[k], n_new),
        )

    def picture(
        self,
        painter: Painter,
        corner_nm: tuple[float, float],
        nm_per_px: float,
        shape: tuple[int, int],
        deadline_s: float,
    ) -> tuple[F32, bool]:
        """Return what a window shows, and whether it is as fine as it can be.

        Parameters
        ----------
        painter
            Draws the localizations.
        corner_nm
            x and y of the window's corner.
        nm_per_px
            Side of a screen pixel.
        shape
            Height and width in screen pixels.
        deadline_s
            As for `seen`.

        Returns
        -------
        :
            Planes, shape (planes, height, width), and whether all tiles are complete.
        """
        levels, pool = self.levels, self.pool
        k = math.floor(math.log2(nm_per_px / levels[0].pixel_nm) + 1e-9)
        k = max(min(k, len(levels) - 1), 0)
        tiles = self._in_window(k, corner_nm, nm_per_px, shape)
        while tiles.n_rows * tiles.n_columns > pool.capacity and k < len(levels) - 1:
            k += 1
            tiles = self._in_window(k, corner_nm, nm_per_px, shape)
        slots, borrowed = self.seen(painter, tiles, deadline_s)
        start_px = [(corner_nm[i] - levels[k].grid[i]) / levels[k].pixel_nm for i in range(2)]
        place = np.array([*start_px, nm_per_px / levels[k].pixel_nm])
        window = np.array([TILE_BITS, tiles.row, tiles.column])
        planes = np.empty((painter.style.n_planes, *shape), np.float32)

        def fill(job: tuple[int, int]) -> None:
            plane, row = job
            rows = row, min(row + _ROWS_OF_A_JOB, shape[0])
            resample(pool.tiles, plane, slots, window, place, planes[plane], rows)

        starts = range(0, shape[0], _ROWS_OF_A_JOB)
        self._threads.map([(plane, row) for plane in range(len(planes)) for row in starts], fill)
        for slot in borrowed:
            pool.give(slot)
        complete = all((tile := pool.get(n)) is not None and tile.complete for n in tiles.names())
        return planes, complete

    def _in_window(
        self, k: int, corner_nm: tuple[float, float], nm_per_px: float, shape: tuple[int, int]
    ) -> TileRange:
        """Return the tiles of a level that a window shows."""
        level = self.levels[k]
        ends: list[tuple[int, int]] = []
        for axis in range(2):
            side_nm = TILE_PX * level.pixel_nm
            start = (corner_nm[1 - axis] - level.grid[1 - axis]) / side_nm
            stop = start + shape[axis] * nm_per_px / side_nm
            n_tiles = level.shape_tiles[axis]
            first = min(max(math.floor(start), 0), n_tiles)
            ends.append((first, max(min(math.ceil(stop), n_tiles), first)))
        (top, bottom), (left, right) = ends
        return TileRange(k, top, left, bottom - top, right - left)

    def seen(
        self, painter: Painter, tiles: TileRange, deadline_s: float
    ) -> tuple[NDArray[np.int64], list[int]]:
        """Return the slots of tiles, after drawing what is missing.

        Parameters
        ----------
        painter
            Draws the localizations.
        tiles
            What is seen.
        deadline_s
            Of `time.perf_counter`; what is not complete by then is a coarser tile enlarged.

        Returns
        -------
        :
            Slots, shape (n_rows, n_columns), below 0 where there is no memory; and those of them
            that the caller has to give back to the pool.
        """
        names = tiles.names()
        pinned = set(names)
        held: dict[TileName, Tile] = {}
        for name in names:
            tile = self.pool.get(name) or self.pool.make(name, pinned)
            if tile is not None:
                self.pool.see(name)
                held[name] = tile
        missing = [name for name, tile in held.items() if not tile.complete]

        def finish(name: TileName) -> None:
            if not self._add_up(painter, name, held[name]):
                level = self.levels[name.level]
                painter.paint_tile(self.pool.tiles, name, held[name], level, deadline_s)

        self._threads.map(missing, finish, deadline_s)
        slots = np.full((tiles.n_rows, tiles.n_columns), -1)
        for name, tile in held.items():
            if tile.complete or tile.n_chunks:
                slots[name.row - tiles.row, name.column - tiles.column] = tile.slot
        parts, borrowed = self._substitutes(held)
        for part in parts:
            slots[part.name.row - tiles.row, part.name.column - tiles.column] = part.slot
        self._threads.map(parts, self._enlarge)
        return slots, borrowed

    def _substitutes(self, held: dict[TileName, Tile]) -> tuple[list[_Part], list[int]]:
        """Return what stands in for the tiles that are not complete, and which slots it borrows."""
        coarse = {name: self._coarser(name) for name, tile in held.items() if not tile.complete}
        known = {name: found for name, found in coarse.items() if found is not None}
        pinned = held.keys() | {at for at, _ in known.values()}
        parts: list[_Part] = []
        borrowed: list[int] = []
        for name, (at, tile) in known.items():
            if not held[name].n_chunks:
                parts.append(_Part(name, at, tile.slot, held[name].slot))
            # What is drawn so far has to stay.
            elif (slot := self.pool.take(pinned)) is not None:
                parts.append(_Part(name, at, tile.slot, slot))
                borrowed.append(slot)
        return parts, borrowed

    def _add_up(self, painter: Painter, name: TileName, tile: Tile) -> bool:
        """Make a tile of the four finer ones, if they are complete; return whether they were."""
        if name.level == 0 or not painter.sums or tile.n_chunks:
            return False
        sources = np.full((2, 2), -1)
        for row in range(2):
            for column in range(2):
                at = TileName(name.level - 1, 2 * name.row + row, 2 * name.column + column)
                n_rows, n_columns = self.levels[at.level].shape_tiles
                if at.row >= n_rows or at.column >= n_columns:
                    continue
                fine = self.pool.get(at)
                if fine is None or not fine.complete:
                    return False
                sources[row, column] = fine.slot
        halve(self.pool.tiles, sources, tile.slot)
        tile.complete = True
        return True

    def _coarser(self, name: TileName) -> tuple[TileName, Tile] | None:
        """Return the finest complete tile that covers another."""
        for up in range(1, min(TILE_BITS, len(self.levels) - name.level - 1) + 1):
            coarse = TileName(name.level + up, name.row >> up, name.column >> up)
            tile = self.pool.get(coarse)
            if tile is not None and tile.complete:
                return coarse, tile
        return None

    def _enlarge(self, part: _Part) -> None:
        """Fill a slot with a part of a coarser tile."""
        up = part.coarse.level - part.name.level
        inside, bits = (1 << up) - 1, TILE_BITS - up
        corner = (part.name.row & inside) << bits, (part.name.column & inside) << bits
        enlarge(self.pool.tiles, part.source, corner, up, part.slot)
