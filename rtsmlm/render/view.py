"""View: what is seen of the localizations through a window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rtsmlm.localizations import F32
from rtsmlm.render.depth_tables import DEPTH_TABLES, depth_table
from rtsmlm.render.hue import brightness_table, paint_hue, paint_index
from rtsmlm.render.rgb import LIVE_SAMPLES, RGB8, Colormap, color_table, white_level

if TYPE_CHECKING:
    from rtsmlm.render.painter import Style


@dataclass(frozen=True, slots=True)
class View:
    """An image of a window, with what it means."""

    planes: F32
    """Shape (planes, height, width): localizations per pixel, and that times value or colour."""
    corner_nm: tuple[float, float]
    """x and y of the upper left corner."""
    pixel_nm: float
    style: Style
    version: int
    """Of the pyramid."""
    complete: bool
    """False if parts are coarser than they could be, as the time was over."""

    @property
    def density(self) -> F32:
        """Localizations per pixel, (height, width)."""
        density: F32 = self.planes[0]
        return density

    @property
    def value(self) -> F32 | None:
        """Mean value of the localizations in each pixel, NaN where none is; None without one."""
        if len(self.planes) != 2:
            return None
        mean: F32 = np.full_like(self.planes[0], np.nan)
        np.divide(self.planes[1], self.planes[0], out=mean, where=self.planes[0] > 0)
        return mean

    def rgb(
        self,
        white_per_um2: float | None = None,
        *,
        gamma: float = 0.6,
        colormap: Colormap = "ember",
        limits: tuple[float, float] | None = None,
        depth_colors: str = DEPTH_TABLES[0],
    ) -> RGB8:
        """Return the view in colours, uint8, (height, width, 3).

        Parameters
        ----------
        white_per_um2
            Localizations per square micrometre that are shown brightest; see `Autocontrast`.
            None takes a percentile of this view, which flickers from one to the next.
        gamma
            Exponent of the brightness; below 1 it lifts what is sparse.
        colormap
            Colours of the density where no value gives the hue.
        limits
            Values with the first and the last hue; None takes those of 2 and 98 % of the pixels.
        depth_colors
            One of `DEPTH_TABLES`, for values.
        """
        if gamma <= 0 or (white_per_um2 is not None and white_per_um2 <= 0):
            raise ValueError(f"gamma {gamma} and white level {white_per_um2} must be positive")
        if white_per_um2 is None:
            white = white_level(self.density, samples=LIVE_SAMPLES)
        else:
            white = white_per_um2 * self.pixel_nm**2 / 1e6
        height, width = self.density.shape
        out = np.empty((height, width, 3), np.uint8)
        brightness, rows = brightness_table(gamma), (0, height)
        if len(self.planes) == 1:
            at = np.minimum(brightness * 255 + 0.5, 255).astype(np.uint8)
            paint_index(self.planes, white, color_table(colormap)[at], out, rows)
        else:
            span = np.array(limits or self.value_limits(), np.float64)
            hues = depth_table(depth_colors)
            paint_hue(self.planes, white, brightness, hues, span, out, rows)
        return out

    def value_limits(self) -> tuple[float, float]:
        """Return the range of the values but for 2 % at either end; 0 and 1 without any."""
        if len(self.planes) != 2:
            return 0.0, 1.0
        stride = (self.density.size // (4 * LIVE_SAMPLES)) | 1
        weight, times_value = (plane.ravel()[::stride] for plane in self.planes)
        value = times_value[weight > 0] / weight[weight > 0]
        known = value[np.isfinite(value)]
        if not known.size:
            return 0.0, 1.0
        low, high = np.percentile(known[:: max(1, known.size // LIVE_SAMPLES)], (2, 98))
        return float(low), float(high)
