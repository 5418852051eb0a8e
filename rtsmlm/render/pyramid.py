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
from rtsmlm.render.levels import Levels, levels_of
from rtsmlm.render.painter import Color, Painter, Style
from rtsmlm.render.projection import Projection
from rtsmlm.render.splat import Mode
from rtsmlm.render.store import CHUNK, LocalizationStore, rows_in_box
from rtsmlm.render.tile_pool import TilePool
from rtsmlm.render.turned_store import TurnedStore
from rtsmlm.render.view import View
from rtsmlm.render.weights import GAUSS_REACH, UNKNOWN_STD_NM

TILE_BYTES = 256 << 20
FINEST_NM = 2.5
"""Pixel of the finest tiles; what is sharper is drawn straight from the localizations."""
MOST_DIRECT = 400_000
"""More localizations on a screen are not drawn straight; the finest tiles are enlarged."""
DIRECT_PX_PER_MS = 4e6
"""Pixels of Gaussians that are drawn straight in a millisecond: fewer localizations in a hurry."""
MOST_SCREEN_PX = 16384
_MANY = 1 << 18


class Pyramid:
    """An image of the whole field that grows, seen at any zoom.

    All localizations are kept, in 40 bytes each, whatever the tiles may take: 100 million need
    4 GB, twice as much while they are turned, reported by `nbytes`. Tiles are rebuilt from them.
    One thread adds, others may read meanwhile.

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
        self._turned: TurnedStore | None = None
        self._painter = Painter(self._store, self.style)
        self._n_shown: int | None = 0
        self._tile_bytes = tile_bytes
        self._threads = DrawThreads(n_threads)
        pool = TilePool(tile_bytes, self.style.n_planes)
        self._tiles = Levels(levels_of(self.field, finest_nm), pool, self._threads)
        self._lock = threading.Lock()

    @property
    def n_inside(self) -> int:
        """Localizations inside the field, whether the filter shows them or not."""
        return len(self._store)

    def n_shown(self) -> int:
        """Return how many of them the filter lets pass; of a slab those that lie in it."""
        with self._lock:
            if self._n_shown is None:
                self._n_shown = sum(_n_passing(self.style.filter, t) for t in self._shown.tables())
            return self._n_shown

    def rows(self, box_nm: tuple[float, float, float, float]) -> F32:
        """Return the rows that the filter lets pass in a box of what is seen.

        Parameters
        ----------
        box_nm
            Least x, least y, greatest x, greatest y.

        Returns
        -------
        :
            Shape (COLUMNS, n), see `splat`.
        """
        with self._lock:
            table = rows_in_box(self._shown, box_nm)
        mask = self.style.filter.mask(table)
        return table if mask is None else table[:, mask]

    @property
    def _shown(self) -> LocalizationStore:
        """What is drawn."""
        return self._store if self._turned is None else self._turned.store

    @property
    def nbytes(self) -> int:
        """Bytes of memory for localizations and tiles."""
        pool = self._tiles.pool
        turned = 0 if self._turned is None else self._turned.store.nbytes
        return self._store.nbytes + turned + len(pool) * int(pool.tiles[0].nbytes)

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
                if self._turned is None:
                    self._put(self._store, table)
                    continue
                if self._turned.is_complete:
                    self._put(self._turned.store, self._turned.turn(table))
                self._put(self._store, table)
            self.version += len(self._store) > n_before

    def _put(self, store: LocalizationStore, table: F32) -> None:
        """Keep rows in a store, and draw them if it is the one that is shown."""
        is_shown, at = store is self._shown, 0
        while at < table.shape[1]:
            n_new = store.put(table, at)
            at += n_new
            if is_shown:
                self._tiles.add_newest(self._painter, n_new)
            store.seal_if_full()
        if is_shown and self._n_shown is not None:
            self._n_shown += _n_passing(self.style.filter, table)

    def clear(self) -> None:
        """Start anew, for instance after the drift correction has moved all localizations."""
        with self._lock:
            self._store.clear()
            if self._turned is not None:
                self._turned.clear()
            self._n_shown = 0
            self._tiles.pool.clear()
            self.version += 1

    def restyle(
        self,
        *,
        mode: Mode | None = None,
        color: Color | None = None,
        filter: Filter | None = None,  # noqa: A002  # the word that the field has for it
        projection: Projection | None = None,
    ) -> None:
        """Change what is drawn; tiles are rebuilt when they are shown, and rows turned then.

        Parameters
        ----------
        mode
            How a localization is drawn; None leaves it as it is, also below.
        color
            What gives the hue.
        filter
            Which localizations are shown.
        projection
            From where they are seen; the flat one shows them where they are.
        """
        style = replace(
            self.style,
            mode=mode or self.style.mode,
            color=color or self.style.color,
            filter=filter or self.style.filter,
            projection=projection or self.style.projection,
        )
        with self._lock:
            if style == self.style:
                return
            if style.n_planes == self.style.n_planes:
                self._tiles.pool.clear()
            else:
                self._tiles.pool = TilePool(self._tile_bytes, style.n_planes)
            if style.projection != self.style.projection:
                is_flat = style.projection.is_flat
                self._turned = None if is_flat else TurnedStore(self._store, style.projection)
                self._n_shown = None if is_flat else 0
            elif style.filter != self.style.filter:
                self._n_shown = None
            self.style = style
            self._painter = Painter(self._shown, style)
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
            is_turned = self._turn(deadline_s)
            if self._is_drawn_straight(corner_nm, nm_per_screen_px, shape, budget_ms):
                painter, threads = self._painter, self._threads
                planes = painter.paint_screen(corner_nm, nm_per_screen_px, shape, threads)
                complete = True
            else:
                planes, complete = self._tiles.picture(
                    self._painter, corner_nm, nm_per_screen_px, shape, deadline_s
                )
            complete &= is_turned
            return View(planes, corner_nm, nm_per_screen_px, self.style, self.version, complete)

    def _turn(self, deadline_s: float) -> bool:
        """Turn rows for at most half of the time that is left; return whether all are turned."""
        if self._turned is None or self._turned.is_complete:
            return True
        half_s = deadline_s - 0.5 * max(deadline_s - time.perf_counter(), 0.0)
        for table in self._turned.missing(math.inf if math.isinf(deadline_s) else half_s):
            self._put(self._turned.store, table)
        return self._turned.is_complete

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
        return self._shown.count(box_nm) <= most

    def close(self) -> None:
        """End the threads that draw."""
        self._threads.close()

    def __enter__(self) -> Pyramid:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _n_passing(shown: Filter, table: F32) -> int:
    """Return how many rows of a table pass a filter."""
    mask = shown.mask(table)
    return int(table.shape[1] if mask is None else np.count_nonzero(mask))
