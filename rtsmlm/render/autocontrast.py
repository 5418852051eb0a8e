"""A white level that follows the data without flicker."""

from __future__ import annotations

from rtsmlm.render.rgb import LIVE_SAMPLES, white_level
from rtsmlm.render.view import View

DEAD_BAND = 0.15
"""Relative deviation of the wanted level up to which the one shown stays."""
ARRIVED = 0.02
SHARE = 0.2
"""Part of the way covered by each update while following."""


class Autocontrast:
    """The density that is shown brightest, in localizations per square micrometre.

    It is a percentile of the occupied pixels of a coarse view of the whole field, hence the same
    wherever one zooms and pans. It stays until the wanted level has left a band around it, and
    then moves to it step by step.

    Parameters
    ----------
    percentile
        Percentile of the occupied pixels that is shown as white.
    """

    def __init__(self, percentile: float = 99.5) -> None:
        self.percentile = percentile
        self._white_per_um2: float | None = None
        self._follows = False

    @property
    def white_per_um2(self) -> float:
        """The level; 1 before there was anything to judge by."""
        return self._white_per_um2 or 1.0

    def update(self, view: View) -> float:
        """Update from a view, best `Pyramid.overview`; return the level to show now.

        Incomplete and empty views change nothing.
        """
        if not view.complete or not view.density.any():
            return self.white_per_um2
        level = white_level(view.density, self.percentile, LIVE_SAMPLES)
        wanted = level / (view.pixel_nm / 1000) ** 2
        if self._white_per_um2 is None:
            self._white_per_um2 = wanted
            return wanted
        off = abs(wanted / self._white_per_um2 - 1)
        self._follows = off > (ARRIVED if self._follows else DEAD_BAND)
        if self._follows:
            # Of the ratio: a level that doubles takes as many steps at any level.
            self._white_per_um2 *= (wanted / self._white_per_um2) ** SHARE
        return self._white_per_um2

    def reset(self) -> None:
        """Take the next view's level at once, for instance after a change of the filter."""
        self._white_per_um2, self._follows = None, False
