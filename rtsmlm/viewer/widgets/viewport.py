"""Viewport: which part of the sample plane a canvas shows."""

from __future__ import annotations

import math
from dataclasses import dataclass

MOST_NM_PER_PX = 5000.0
LEAST_NM_PER_PX = 0.1
_MARGIN = 1.02


@dataclass(frozen=True, slots=True)
class Viewport:
    """Centre and scale of a canvas; immutable."""

    x_nm: float
    """In the middle of the canvas."""
    y_nm: float
    nm_per_px: float
    """Side of a screen pixel."""

    @classmethod
    def whole(
        cls, corner_nm: float, size_nm: tuple[float, float], canvas_px: tuple[int, int]
    ) -> Viewport:
        """Return the viewport that shows a whole field.

        Parameters
        ----------
        corner_nm
            x and y of the field's corner.
        size_nm
            Height and width of the field.
        canvas_px
            Width and height of the canvas.
        """
        height_nm, width_nm = size_nm
        scale = max(width_nm / max(canvas_px[0], 1), height_nm / max(canvas_px[1], 1)) * _MARGIN
        return cls(corner_nm + width_nm / 2, corner_nm + height_nm / 2, scale)

    def corner_nm(self, canvas_px: tuple[int, int]) -> tuple[float, float]:
        """Return x and y of the canvas' upper left corner."""
        return (
            self.x_nm - canvas_px[0] / 2 * self.nm_per_px,
            self.y_nm - canvas_px[1] / 2 * self.nm_per_px,
        )

    def moved(self, right_px: float, down_px: float) -> Viewport:
        """Return the viewport after the image was dragged."""
        return Viewport(
            self.x_nm - right_px * self.nm_per_px,
            self.y_nm - down_px * self.nm_per_px,
            self.nm_per_px,
        )

    def zoomed(
        self, factor: float, at_px: tuple[float, float], canvas_px: tuple[int, int]
    ) -> Viewport:
        """Return the viewport after zooming in by a factor; the point under `at_px` stays."""
        scale = min(max(self.nm_per_px / factor, LEAST_NM_PER_PX), MOST_NM_PER_PX)
        right, down = at_px[0] - canvas_px[0] / 2, at_px[1] - canvas_px[1] / 2
        change = self.nm_per_px - scale
        return Viewport(self.x_nm + right * change, self.y_nm + down * change, scale)

    def is_near(self, other: Viewport) -> bool:
        """Tell whether two show the same, but for rounding."""
        same_scale = math.isclose(self.nm_per_px, other.nm_per_px, rel_tol=1e-6)
        off_nm = max(abs(self.x_nm - other.x_nm), abs(self.y_nm - other.y_nm))
        return same_scale and off_nm < self.nm_per_px
