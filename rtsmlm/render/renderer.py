"""Renderer: an image that grows with every batch of localizations."""

from __future__ import annotations

import logging
import math
import threading
from typing import Literal, TypeAlias

import numpy as np

from rtsmlm.localizations import F32, Localizations
from rtsmlm.render.splat import MOST_STD_PX, TILE_PX, add_bilinear, add_gaussians

Mode: TypeAlias = Literal["histogram", "gaussian"]
Part: TypeAlias = tuple[slice, slice]

MOST_PIXELS = 8192**2
"""256 MB of float32; a larger image gets coarser pixels."""

LEAST_STD_NM = 2.0
"""No localization is drawn sharper than this, or half an image pixel: claims below are optimism."""

MOST_STD_NM = 100.0
UNKNOWN_STD_NM = 15.0
"""Width of a Gaussian where the method states none: a typical precision."""

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
            Wanted pixel of the image; the attribute of that name tells the one in use.
        mode
            `histogram` shares each localization among the four nearest pixels; `gaussian` draws
            it as a Gaussian with its stated standard deviation. Both add 1 in total.
        """
        height_nm, width_nm = (side * pixel_nm for side in shape_px)
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
        self.corner_nm = -pixel_nm / 2
        """x and y of the outer corner of the image; camera pixel (0, 0) is centred at 0."""
        self.mode = mode
        self.version = 0
        """Rises with every batch that changed the image."""
        self.n_inside = 0
        """Localizations in the image: the sum of its pixels."""
        # The tiny part keeps 25.6 um in 10 nm at 2560 pixels whatever floating point says.
        sides = [math.ceil(side / image_pixel_nm - 1e-6) for side in (height_nm, width_nm)]
        self._image = np.zeros(sides, np.float32)
        self._tiles = np.zeros([-(-side // TILE_PX) for side in sides], np.int64)
        self._lock = threading.Lock()

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the image in image pixels."""
        return self._image.shape[0], self._image.shape[1]

    def add(self, localizations: Localizations) -> None:
        """Add a batch; rows outside the image or without a finite position are left out."""
        if not len(localizations):
            return
        x_nm, y_nm = _writable(localizations.x_nm), _writable(localizations.y_nm)
        pixel_nm, corner_nm = float(self.image_pixel_nm), float(self.corner_nm)
        with self._lock:
            version = self.version + 1
            if self.mode == "histogram":
                inside = add_bilinear(
                    self._image, self._tiles, version, x_nm, y_nm, pixel_nm, corner_nm
                )
            else:
                inside = add_gaussians(
                    self._image,
                    self._tiles,
                    version,
                    x_nm,
                    y_nm,
                    _writable(localizations.std_x_nm),
                    _writable(localizations.std_y_nm),
                    pixel_nm,
                    corner_nm,
                    *self._std_limits_px(),
                )
            if inside:
                self.version = version
                self.n_inside += inside

    def _std_limits_px(self) -> tuple[float, float, float]:
        """Return the narrowest and widest Gaussian, and that of an unknown precision."""
        least = max(LEAST_STD_NM / self.image_pixel_nm, 0.5)
        most = min(max(MOST_STD_NM / self.image_pixel_nm, least), MOST_STD_PX)
        return least, most, min(max(UNKNOWN_STD_NM / self.image_pixel_nm, least), most)

    def image(self) -> F32:
        """Return a copy of the image: localizations per image pixel, (height, width)."""
        with self._lock:
            return self._image.copy()

    def part(self, rows: slice, columns: slice) -> F32:
        """Return a copy of a part of the image, for instance one of `changed_tiles`."""
        with self._lock:
            return self._image[rows, columns].copy()

    def changed_tiles(self, since_version: int) -> list[Part]:
        """Return rows and columns of the tiles that changed after `since_version`."""
        with self._lock:
            changed = np.argwhere(self._tiles > since_version)
        return [
            (slice(r * TILE_PX, (r + 1) * TILE_PX), slice(c * TILE_PX, (c + 1) * TILE_PX))
            for r, c in changed.tolist()
        ]

    def clear(self) -> None:
        """Start anew, for instance after the drift correction has moved all localizations."""
        with self._lock:
            self._image[:] = 0
            self.version += 1
            self.n_inside = 0
            self._tiles[:] = self.version


def _writable(column: F32) -> F32:
    """Copy what came over a socket or from a file: such memory is read-only, see `splat`."""
    return np.require(column, np.float32, ["C", "W"])
