"""Memory of the tiles: a fixed number; the least recently seen one is replaced."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

TILE_BITS = 8
TILE_PX = 1 << TILE_BITS
"""Side of a tile."""


class TileName(NamedTuple):
    """A tile of the pyramid."""

    level: int
    """0 is the finest."""
    row: int
    column: int


@dataclass(slots=True)
class Tile:
    """A tile in memory."""

    slot: int
    """Its place in `TilePool.tiles`."""
    n_chunks: int = 0
    """Chunks of localizations that are drawn in it; at 0 there may be anything in its place."""
    complete: bool = False
    """True if it shows every localization that there is, and is kept so."""


class TilePool:
    """Tiles by name.

    Parameters
    ----------
    n_bytes
        Most memory; it is taken from the system as it is filled.
    n_planes
        Planes of a tile.
    """

    def __init__(self, n_bytes: int, n_planes: int) -> None:
        self.capacity = max(n_bytes // (4 * n_planes * TILE_PX**2), 1)
        self.tiles = np.zeros((self.capacity, n_planes, TILE_PX, TILE_PX), np.float32)
        """Shape (capacity, planes, TILE_PX, TILE_PX)."""
        self._known: OrderedDict[TileName, Tile] = OrderedDict()
        self._free = list(range(self.capacity - 1, -1, -1))

    def __len__(self) -> int:
        return len(self._known)

    def get(self, name: TileName) -> Tile | None:
        """Return a tile, or None if it is not in memory; this does not count as seen."""
        return self._known.get(name)

    def see(self, name: TileName) -> None:
        """Note that a tile is seen now."""
        self._known.move_to_end(name)

    def complete_by_level(self) -> dict[int, list[tuple[TileName, Tile]]]:
        """Return the complete tiles of each level that has any."""
        levels: dict[int, list[tuple[TileName, Tile]]] = {}
        for name, tile in self._known.items():
            if tile.complete:
                levels.setdefault(name.level, []).append((name, tile))
        return levels

    def make(self, name: TileName, pinned: Collection[TileName]) -> Tile | None:
        """Return a new tile, nothing being drawn in it; None if all others are pinned."""
        slot = self.take(pinned)
        if slot is None:
            return None
        tile = self._known[name] = Tile(slot)
        return tile

    def take(self, pinned: Collection[TileName]) -> int | None:
        """Return a slot with whatever is in it, for `give`; None if all tiles are pinned."""
        if not self._free:
            oldest = next((name for name in self._known if name not in pinned), None)
            if oldest is None:
                return None
            self._free.append(self._known.pop(oldest).slot)
        return self._free.pop()

    def give(self, slot: int) -> None:
        """Give a slot back that `take` returned."""
        self._free.append(slot)

    def clear(self) -> None:
        """Forget all tiles."""
        self._free += [tile.slot for tile in self._known.values()]
        self._known.clear()
