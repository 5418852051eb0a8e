"""Black and white level of a camera image that do not flicker."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LOW_PERCENT, HIGH_PERCENT = 1.0, 99.7
DEAD_BAND = 0.25
"""Part of the span by which a level may be off without being followed."""
ARRIVED = 0.03
SHARE = 0.15
"""Part of the way that is gone with each image while following."""
_MOST_PIXELS = 1 << 16


class SteadyLevels:
    """Percentiles that stay until the image has changed for good, and then move in steps."""

    def __init__(self) -> None:
        self.levels: tuple[float, float] | None = None
        self._follows = False

    def update(self, pixels: NDArray[Any]) -> tuple[float, float]:
        """Look at an image; return black and white level in its unit."""
        stride = max(1, pixels.size // _MOST_PIXELS)
        wanted = np.percentile(pixels.ravel()[::stride], (LOW_PERCENT, HIGH_PERCENT))
        low, high = float(wanted[0]), float(max(wanted[1], wanted[0] + 1))
        if self.levels is None:
            self.levels = low, high
            return self.levels
        black, white = self.levels
        off = max(abs(low - black), abs(high - white)) / (white - black)
        self._follows = off > (ARRIVED if self._follows else DEAD_BAND)
        if self._follows:
            self.levels = black + SHARE * (low - black), white + SHARE * (high - white)
        return self.levels

    def reset(self) -> None:
        """Take the next image's levels at once."""
        self.levels, self._follows = None, False
