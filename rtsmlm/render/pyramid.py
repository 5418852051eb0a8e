"""Pyramid: localizations as an image of any place and scale, at once, while they come in."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import replace

import numpy as np

from rtsmlm.errors import ConfigError
from rtsmlm.localizations import F32, Localizations
from rtsmlm.render.draw_threads import DrawThreads
from rtsmlm.render.field import Field
from rtsmlm.render.filter import Filter
from rtsmlm.render.levels import Levels, TileRange
from rtsmlm.render.painter import Color, Level, Painter, Style
from rtsmlm.render.resample import resample
from rtsmlm.render.splat import Mode
from rtsmlm.render.store import CHUNK, LocalizationStore
from rtsmlm.render.tile_pool import TILE_BITS, TILE_PX, TilePool
from rtsmlm.render.view import View
from rtsmlm.render.weights import GAUSS_REACH, UNKNOWN_STD_NM

TILE_BYTES = 256 << 20
FINEST_NM = 2.5
"""Pixel of the finest tiles; what is sharper is drawn straight from the localizations."""
COARSEST_PX = 1024
"""Longer side of the coarsest level, or up to half of it."""
MOST_DIRECT = 400_000
"""More localizations on a screen are not drawn straight; the finest tiles are enlarged."""
DIRECT_PX_PER_MS = 4e6
"""Pixels of Gaussians that are drawn straight in a millisecond: fewer localizations in a hurry."""
MOST_SCREEN_PX = 16384
_MANY = 1 << 18
_ROWS_OF_A_JOB = 50


class Pyramid:
    """An image of the whole field that grows, seen at any zoom.

    All localizations are kept, in 36 bytes each, whatever the tiles may take: 100 million need
    3.6 GB, reported by `nbytes`. Tiles are rebuilt from them. One thread adds, others
    may read meanwhile.

    Parameters
    ----------
    shape_px
        Height and width of a frame in camera pixels.
    pixel_nm
        Camera pixel in the sample plane.
    style
        What is drawn of each localization; see also `restyle`.
    tile_bytes
        Most memory for tiles; the ones seen longest ago are given up.
    finest_nm
        Pixel of the finest tiles.
    n_threads
        Threads that draw; None takes the cores there are.
    """

    def __init__(
        self,
        shape_px: tuple[int, int],
        pixel_nm: float,
        *,
        style: Style | None = None,
        tile_bytes: int = TILE_BYTES,
        finest_nm: float = FINEST_NM,
        n_threads: int | None = None,
    ) -> None:
        self.field = Field(shape_px, float(pixel_nm))
        self.style = style or Style()
        self.version = 0
        """Rises with every change of what is to be seen."""
        self._store = LocalizationStore(self.field)
        self._painter = Painter(self._store, self.style)
        self._tile_bytes = tile_bytes
        self._threads = DrawThreads(n_threads)
        pool = TilePool(tile_bytes, self.style.n_planes)
        self._tiles = Levels(_levels(self.field, finest_nm), pool, self._threads)
        self._lock = threading.Lock()

    @property
    def n_inside(self) -> int:
        """Localizations inside the field, whether the filter shows them or not."""
        return len(self._store)

    @property
    def nbytes(self) -> int:
        """Bytes of memory for localizations and tiles."""
        pool = self._tiles.pool
        return self._store.nbytes + len(pool) * int(pool.tiles[0].nbytes)

    @property
    def coarsest_nm(self) -> float:
        """Pixel of the coarsest level."""
        return self._tiles.levels[-1].pixel_nm

    def add(self, localizations: Localizations) -> None:
        """Add a batch; rows outside the field or without a finite position are left out."""
        with self._lock:
            if len(localizations) > max(_MANY, len(self._store) // 2):
                # A batch this large is drawn sooner in the tiles shown than in every tile.
                self._tiles.pool.clear()
            n_before = len(self._store)
            # By pieces, which stay in the cache from one step to the next.
            for start in range(0, len(localizations), CHUNK):
                table = self._store.pack(localizations.take(slice(start, start + CHUNK)))
                at = 0
                while at < table.shape[1]:
                    n_new = self._store.put(table, at)
                    at += n_new
                    self._tiles.add_newest(self._painter, n_new)
                    self._store.seal_if_full()
            self.version += len(self._store) > n_before

    def clear(self) -> None:
        """Start anew, for instance after the drift correction has moved all localizations."""
        with self._lock:
            self._store.clear()
            self._tiles.pool.clear()
            self.version += 1

    def restyle(
        self,
        *,
        mode: Mode | None = None,
        color: Color | None = None,
        filter: Filter | None = None,  # noqa: A002  # the word that the field has for it
    ) -> None:
        """Change what is drawn; tiles are rebuilt when they are shown.

        Parameters
        ----------
        mode
            How a localization is drawn; None leaves it as it is, also below.
        color
            What gives the hue.
        filter
            Which localizations are shown.
        """
        style = replace(
            self.style,
            mode=mode or self.style.mode,
            color=color or self.style.color,
            filter=filter or self.style.filter,
        )
        with self._lock:
            if style == self.style:
                return
            if style.n_planes == self.style.n_planes:
                self._tiles.pool.clear()
            else:
                self._tiles.pool = TilePool(self._tile_bytes, style.n_planes)
            self.style = style
            self._painter = Painter(self._store, style)
            self.version += 1

    def view(
        self,
        x0_nm: float,
        y0_nm: float,
        nm_per_screen_px: float,
        shape: tuple[int, int],
        *,
        budget_ms: float | None = None,
    ) -> View:
        """Return what is seen through a window.

        Parameters
        ----------
        x0_nm, y0_nm
            Upper left corner of the window.
        nm_per_screen_px
            Side of a screen pixel.
        shape
            Height and width in screen pixels.
        budget_ms
            Time after which no more tiles are begun; what is missing is shown coarser, the view
            is not complete, and the next call continues. None draws all.

        Raises
        ------
        ConfigError
            If the scale is not positive or the window is larger than a screen can be.
        """
        if not (0 < nm_per_screen_px < math.inf and 0 < min(shape) <= max(shape) <= MOST_SCREEN_PX):
            raise ConfigError(
                f"a window of {shape[0]} x {shape[1]} pixels of {nm_per_screen_px:g} nm cannot be "
                f"shown; its sides are 1 to {MOST_SCREEN_PX} pixels of a positive size"
            )
        deadline_s = math.inf if budget_ms is None else time.perf_counter() + budget_ms / 1000
        corner_nm = (x0_nm, y0_nm)
        with self._lock:
            if self._is_drawn_straight(corner_nm, nm_per_screen_px, shape, budget_ms):
                painter, threads = self._painter, self._threads
                planes = painter.paint_screen(corner_nm, nm_per_screen_px, shape, threads)
                complete = True
            else:
                planes, complete = self._from_tiles(corner_nm, nm_per_screen_px, shape, deadline_s)
            return View(planes, corner_nm, nm_per_screen_px, self.style, self.version, complete)

    def overview(self, *, budget_ms: float | None = None) -> View:
        """Return the whole field at the coarsest level, for instance to judge the contrast by."""
        corner_nm, pixel_nm = self.field.corner_nm, self.coarsest_nm
        shape = self.field.image_shape(pixel_nm)
        return self.view(corner_nm, corner_nm, pixel_nm, shape, budget_ms=budget_ms)

    def _is_drawn_straight(
        self,
        corner_nm: tuple[float, float],
        nm_per_px: float,
        shape: tuple[int, int],
        budget_ms: float | None,
    ) -> bool:
        if nm_per_px >= self._tiles.levels[0].pixel_nm:
            return False
        most = float(MOST_DIRECT)
        if budget_ms is not None:
            # Drawn in one go, which cannot be cut short.
            side_px = 2 * GAUSS_REACH * UNKNOWN_STD_NM / nm_per_px
            most = min(most, budget_ms * DIRECT_PX_PER_MS / side_px**2)
        (x_nm, y_nm), (height, width) = corner_nm, shape
        box_nm = x_nm, y_nm, x_nm + width * nm_per_px, y_nm + height * nm_per_px
        return self._store.count(box_nm) <= most

    def _from_tiles(
        self,
        corner_nm: tuple[float, float],
        nm_per_px: float,
        shape: tuple[int, int],
        deadline_s: float,
    ) -> tuple[F32, bool]:
        levels, pool = self._tiles.levels, self._tiles.pool
        k = max(
            min(math.floor(math.log2(nm_per_px / levels[0].pixel_nm) + 1e-9), len(levels) - 1), 0
        )
        seen = self._in_window(k, corner_nm, nm_per_px, shape)
        while seen.n_rows * seen.n_columns > pool.capacity and k < len(levels) - 1:
            k += 1
            seen = self._in_window(k, corner_nm, nm_per_px, shape)
        slots, borrowed = self._tiles.seen(self._painter, seen, deadline_s)
        start_px = [(at - self.field.corner_nm) / levels[k].pixel_nm for at in corner_nm]
        place = np.array([*start_px, nm_per_px / levels[k].pixel_nm])
        window = np.array([TILE_BITS, seen.row, seen.column])
        planes = np.empty((self.style.n_planes, *shape), np.float32)

        def fill(job: tuple[int, int]) -> None:
            plane, row = job
            rows = row, min(row + _ROWS_OF_A_JOB, shape[0])
            resample(pool.tiles, plane, slots, window, place, planes[plane], rows)

        rows = range(0, shape[0], _ROWS_OF_A_JOB)
        self._threads.map([(plane, row) for plane in range(len(planes)) for row in rows], fill)
        for slot in borrowed:
            pool.give(slot)
        complete = all((tile := pool.get(n)) is not None and tile.complete for n in seen.names())
        return planes, complete

    def _in_window(
        self, k: int, corner_nm: tuple[float, float], nm_per_px: float, shape: tuple[int, int]
    ) -> TileRange:
        """Return the tiles of a level that a window shows."""
        level = self._tiles.levels[k]
        ends: list[tuple[int, int]] = []
        for axis in range(2):
            side_nm = TILE_PX * level.pixel_nm
            start = (corner_nm[1 - axis] - self.field.corner_nm) / side_nm
            stop = start + shape[axis] * nm_per_px / side_nm
            n_tiles = level.shape_tiles[axis]
            first = min(max(math.floor(start), 0), n_tiles)
            ends.append((first, max(min(math.ceil(stop), n_tiles), first)))
        (top, bottom), (left, right) = ends
        return TileRange(k, top, left, bottom - top, right - left)

    def close(self) -> None:
        """End the threads that draw."""
        self._threads.close()

    def __enter__(self) -> Pyramid:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _levels(field: Field, finest_nm: float) -> list[Level]:
    """Return all levels, from fine to coarse."""
    levels = [Level.of_field(field, finest_nm)]
    while max(field.image_shape(levels[-1].pixel_nm)) > COARSEST_PX:
        levels.append(Level.of_field(field, 2 * levels[-1].pixel_nm))
    return levels
