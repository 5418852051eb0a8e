"""Draws kept localizations into tiles, and straight onto a screen."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.localizations import F32
from rtsmlm.render.block import MARGIN_PX
from rtsmlm.render.columns import CHANNEL, FRAME, PHOTONS, Z
from rtsmlm.render.draw_threads import DrawThreads
from rtsmlm.render.field import Field
from rtsmlm.render.filter import Filter
from rtsmlm.render.projection import Projection
from rtsmlm.render.rgb import CHANNEL_COLORS
from rtsmlm.render.splat import MODES, ONE_TILE_BITS, Mode, draw
from rtsmlm.render.store import ALL_CELLS, SLAB, LocalizationStore
from rtsmlm.render.tile_pool import TILE_BITS, TILE_PX, Tile, TileName
from rtsmlm.render.weights import GAUSS_REACH

Color: TypeAlias = Literal["none", "z_nm", "frame", "photons", "channel"]
COLOR_COLUMNS: dict[Color, int] = {
    "none": -1, "z_nm": Z, "frame": FRAME, "photons": PHOTONS, "channel": CHANNEL,
}  # fmt: skip

Part: TypeAlias = tuple[F32, NDArray[np.int64], NDArray[np.int64]]
"""Tables, first row of each cell in each, and the cells to draw; see `splat.draw`."""

_NO_SLOTS = np.zeros((1, 1), np.int64)
_BANDS_PER_THREAD = 3
_CHUNKS_OF_A_STEP = 8
"""Localizations drawn into a tile between two readings of the clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What is drawn of each localization."""

    mode: Mode = "gaussian"
    color: Color = "none"
    """What gives the hue."""
    filter: Filter = field(default_factory=Filter)
    projection: Projection = field(default_factory=Projection)
    """Flat by default."""

    @property
    def n_planes(self) -> int:
        """Planes of an image: the weight, and the value or the colour times the weight."""
        return {"none": 1, "channel": 4}.get(self.color, 2)


@dataclass(frozen=True, slots=True)
class Level:
    """Geometry of a level of the pyramid."""

    pixel_nm: float
    shape_tiles: tuple[int, int]
    """Tiles along a column and along a row."""
    grid: NDArray[np.float64]
    limits_px: NDArray[np.int64]

    @classmethod
    def of_field(cls, of: Field, pixel_nm: float) -> Level:
        """Return the level of a pixel size."""
        rows, columns = (-(-side // TILE_PX) for side in of.image_shape(pixel_nm))
        corner_nm = of.corner_nm
        grid = np.array([corner_nm, corner_nm, 1 / pixel_nm])
        return cls(pixel_nm, (rows, columns), grid, of.limits_px(corner_nm, corner_nm, pixel_nm))


class Painter:
    """Draws what a store holds, in one style.

    Parameters
    ----------
    store
        The localizations.
    style
        How they are drawn.
    """

    def __init__(self, store: LocalizationStore, style: Style) -> None:
        self.store = store
        self.style = style
        self._bounded, self._bounds = style.filter.bounds()

    def _draw(
        self,
        tiles: F32,
        slots: NDArray[np.int64],
        window: NDArray[np.int64],
        grid: NDArray[np.float64],
        limits_px: NDArray[np.int64],
        part: Part,
        margin: int = 0,
    ) -> None:
        draw(
            tiles, slots, window, grid, limits_px, part[0], part[1], part[2], self._bounded,
            self._bounds, COLOR_COLUMNS[self.style.color], CHANNEL_COLORS,
            MODES.index(self.style.mode), margin,
        )  # fmt: skip

    @property
    def sums(self) -> bool:
        """True if a coarse image is the sum of a fine one."""
        return self.style.mode != "shifted-histogram"

    def paint_tile(
        self, tiles: F32, name: TileName, tile: Tile, level: Level, deadline_s: float
    ) -> None:
        """Draw chunk after chunk into a tile until it is complete or the time is over."""
        side_nm = TILE_PX * level.pixel_nm
        left_nm, top_nm = level.grid[0] + name.column * side_nm, level.grid[1] + name.row * side_nm
        cells = self.store.cells(self._around(left_nm, top_nm, side_nm, side_nm, level.pixel_nm))
        margin = MARGIN_PX if self.style.mode == "gaussian" else 0
        sheet = np.zeros((1, self.style.n_planes, *[TILE_PX + 2 * margin] * 2), np.float32)
        shift_px = name.row * TILE_PX - margin, name.column * TILE_PX - margin
        window = np.array([ONE_TILE_BITS, 0, 0])
        limits_px = level.limits_px - np.repeat(shift_px, 2)
        shift_nm = level.pixel_nm * np.array([shift_px[1], shift_px[0]])
        grid = level.grid + np.array([*shift_nm, 0.0])
        n_chunks = tile.n_chunks
        while n_chunks < self.store.n_chunks:
            slab = self.store.slabs[n_chunks // SLAB]
            first = n_chunks % SLAB
            step = SLAB if deadline_s == math.inf else _CHUNKS_OF_A_STEP
            part = slice(first, min(first + step, slab.n))
            if cells is not None:
                rows = slab.tables[part], slab.starts[part], cells
                self._draw(sheet, _NO_SLOTS, window, grid, limits_px, rows, margin)
            n_chunks += part.stop - part.start
            if time.perf_counter() > deadline_s:
                break
        else:
            newest = self.store.open[None], np.array([[0, self.store.n_open]]), ALL_CELLS
            self._draw(sheet, _NO_SLOTS, window, grid, limits_px, newest, margin)
            tile.complete = True
        inside = slice(margin, margin + TILE_PX)
        if tile.n_chunks:
            tiles[tile.slot] += sheet[0, :, inside, inside]
        else:
            tiles[tile.slot] = sheet[0, :, inside, inside]
        tile.n_chunks = n_chunks

    def paint_newest(
        self, tiles: F32, complete: list[tuple[TileName, Tile]], level: Level, n_new: int
    ) -> None:
        """Draw the newest rows of the open chunk into complete tiles of a level."""
        places = np.array([(name.row, name.column, tile.slot) for name, tile in complete])
        corner = places[:, :2].min(axis=0)
        slots = np.full(places[:, :2].max(axis=0) - corner + 1, -1)
        slots[places[:, 0] - corner[0], places[:, 1] - corner[1]] = places[:, 2]
        window = np.array([TILE_BITS, *corner])
        self._paint_open(tiles, slots, window, level, self.store.n_open - n_new)

    def _paint_open(
        self,
        tiles: F32,
        slots: NDArray[np.int64],
        window: NDArray[np.int64],
        level: Level,
        first: int,
    ) -> None:
        newest = self.store.open[None], np.array([[first, self.store.n_open]]), ALL_CELLS
        self._draw(tiles, slots, window, level.grid, level.limits_px, newest)

    def paint_screen(
        self,
        corner_nm: tuple[float, float],
        nm_per_px: float,
        shape: tuple[int, int],
        threads: DrawThreads,
    ) -> F32:
        """Draw straight onto a screen.

        Parameters
        ----------
        corner_nm
            x and y of the screen's corner.
        nm_per_px
            Side of a screen pixel.
        shape
            Height and width in screen pixels.
        threads
            Who draws.

        Returns
        -------
        :
            Shape (planes, height, width).
        """
        height, width = shape
        n_bands = min(_BANDS_PER_THREAD * threads.n_threads, height)
        band_px = -(-height // n_bands)
        bands = np.zeros((n_bands, self.style.n_planes, band_px, width), np.float32)
        window = np.array([ONE_TILE_BITS, 0, 0])

        def paint(band: int) -> None:
            left_nm, top_nm = corner_nm[0], corner_nm[1] + band * band_px * nm_per_px
            grid = np.array([left_nm, top_nm, 1 / nm_per_px])
            limits = self.store.field.limits_px(left_nm, top_nm, nm_per_px)
            sides_nm = width * nm_per_px, band_px * nm_per_px
            box_nm = self._around(left_nm, top_nm, *sides_nm, nm_per_px)
            cells = self.store.cells(box_nm)
            parts = [
                (slab.tables[: slab.n], slab.starts[: slab.n], cells)
                for slab in self.store.slabs
                if cells is not None
            ]
            newest = self.store.open[None], np.array([[0, self.store.n_open]]), ALL_CELLS
            for part in (*parts, newest):
                self._draw(bands[band : band + 1], _NO_SLOTS, window, grid, limits, part)

        threads.map(range(n_bands), paint)
        planes = bands.transpose(1, 0, 2, 3).reshape(self.style.n_planes, -1, width)
        return planes[:, :height]

    def _around(
        self, left_nm: float, top_nm: float, width_nm: float, height_nm: float, pixel_nm: float
    ) -> tuple[float, float, float, float]:
        """Return the box of all localizations that can reach a rectangle."""
        reach_nm = (
            GAUSS_REACH * self.store.most_std_nm if self.style.mode == "gaussian" else pixel_nm
        )
        return (
            left_nm - reach_nm,
            top_nm - reach_nm,
            left_nm + width_nm + reach_nm,
            top_nm + height_nm + reach_nm,
        )
