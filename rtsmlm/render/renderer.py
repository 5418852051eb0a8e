"""Renderer: one image of the whole field that grows, without keeping the localizations."""

from __future__ import annotations

import logging
import math
import threading

import numpy as np

from rtsmlm.localizations import F32, Localizations
from rtsmlm.render.field import Field
from rtsmlm.render.splat import MODES, ONE_TILE_BITS, Mode, draw
from rtsmlm.render.store import ALL_CELLS

MOST_PIXELS = 8192**2
"""256 MB of float32; a larger image gets coarser pixels."""

_ONE_TILE = np.array([ONE_TILE_BITS, 0, 0])
_SLOTS = np.zeros((1, 1), np.int64)
_NO_COLUMNS, _NO_BOUNDS = np.empty(0, np.int64), np.empty((0, 2), np.float32)
_NO_PALETTE = np.empty((0, 3), np.float32)

log = logging.getLogger(__name__)


class Renderer:
    """Accumulates localizations. One thread adds, others may ask for the image meanwhile."""

    def __init__(
        self,
        shape_px: tuple[int, int],
        pixel_nm: float,
        image_pixel_nm: float = 10.0,
        mode: Mode = "histogram",
    ) -> None:
        """Start with an empty image.

        Parameters
        ----------
        shape_px
            Height and width of a frame in camera pixels.
        pixel_nm
            Camera pixel in the sample plane.
        image_pixel_nm
            Wanted pixel of the image; the attribute of that name holds the one in use.
        mode
            `histogram` counts; `shifted-histogram` shares each localization among the four
            nearest pixels; `gaussian` draws it with its stated standard deviation. Each adds 1.
        """
        self.field = Field(shape_px, float(pixel_nm))
        height_nm, width_nm = self.field.size_nm
        least_nm = math.sqrt(height_nm * width_nm / MOST_PIXELS)
        if image_pixel_nm < least_nm:
            # The sides are rounded up, hence not the least pixel itself.
            coarser_nm = math.ceil(10 * least_nm * 1.001) / 10
            log.warning(
                "an image of %.0f x %.0f um with pixels of %g nm is too large; it gets %g nm",
                width_nm / 1000,
                height_nm / 1000,
                image_pixel_nm,
                coarser_nm,
            )
            image_pixel_nm = coarser_nm
        self.image_pixel_nm = image_pixel_nm
        """Side of an image pixel."""
        self.mode = mode
        self.n_inside = 0
        """Localizations in the image: the sum of its pixels."""
        corner_nm = self.field.corner_nm
        self._image = np.zeros((1, 1, *self.field.image_shape(image_pixel_nm)), np.float32)
        self._grid = np.array([corner_nm, corner_nm, 1 / image_pixel_nm])
        self._limits = self.field.limits_px(corner_nm, corner_nm, image_pixel_nm)
        self._lock = threading.Lock()

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the image in image pixels."""
        return self._image.shape[2], self._image.shape[3]

    def add(self, localizations: Localizations) -> None:
        """Add a batch; rows outside the image or without a finite position are left out."""
        table = self.field.pack(localizations)
        with self._lock:
            self.n_inside += table.shape[1]
            draw(
                self._image,
                _SLOTS,
                _ONE_TILE,
                self._grid,
                self._limits,
                table[None],
                np.array([[0, table.shape[1]]]),
                ALL_CELLS,
                _NO_COLUMNS,
                _NO_BOUNDS,
                -1,
                _NO_PALETTE,
                MODES.index(self.mode),
                0,
            )

    def image(self) -> F32:
        """Return a copy of the image: localizations per image pixel, (height, width)."""
        with self._lock:
            image: F32 = self._image[0, 0].copy()
            return image
