"""Where emitters come: mean density of tiles of a few PSF widths, of all ticks so far."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

F64: TypeAlias = NDArray[np.float64]

MEMORY = 0.05
"""Least weight of the newest tick: a structure stays where it is, but for drift."""


class Unevenness:
    """Learns over ticks how emitters share out among tiles.

    What a localizer misses depends on how dense it is within a few widths of the PSF. On
    filaments or clusters that is much denser than over the micrometres around, and few frames
    show too few emitters to know it.

    Parameters
    ----------
    n_tiles
        Tiles of the field.
    """

    def __init__(self, n_tiles: int) -> None:
        self._count, self._variance = np.zeros(n_tiles), np.zeros(n_tiles)
        self._ticks = 0

    def add(self, count: F64, square: F64, n_frames: int) -> None:
        """Take a tick.

        Parameters
        ----------
        count
            Sum of probabilities in each tile, (tiles,).
        square
            The same of what its tracks add to the variance of that sum, (tiles,).
        n_frames
            Frames of the tick.
        """
        self._ticks += 1
        weight = max(MEMORY, 1.0 / self._ticks)
        self._count += weight * (count / n_frames - self._count)
        self._variance *= (1.0 - weight) ** 2
        self._variance += weight**2 * square / n_frames**2

    def shares(self) -> F64:
        """Return the density of each tile over that of the field, (tiles,).

        Scatter that counting alone explains is taken out: the tiles are drawn together until what
        is left is that of the structure.
        """
        mean = float(self._count.mean())
        if not mean > 0:
            return np.ones_like(self._count)
        scatter = float(self._count.var())
        true = max(scatter - float(self._variance.mean()), 0.0)
        part = np.sqrt(true / scatter) if scatter > 0 else 0.0
        return np.asarray(np.maximum(1.0 + part * (self._count / mean - 1.0), 0.0))
