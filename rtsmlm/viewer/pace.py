"""Pace: how much the window does, by the age of what the run shows; no Qt here.

The run needs the cores first. Its newest frames being old is the sign that it lacks them, before
frames wait in numbers: then pictures come less often, down to two per second, and so do plots and
resolution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

CALM_S, LATE_S = 0.15, 1.0
"""Age of the newest localized frame up to which nothing is left out, and from which all is that
can be."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Times from one to the next."""

    tick_s: float
    """What is new is read and shown."""
    picture_s: float
    """New rows are drawn."""
    plots_s: float
    resolution_s: float
    """The resolution is measured, where the run does not."""


FULL = Pace(tick_s=0.05, picture_s=0.1, plots_s=0.5, resolution_s=4.0)
LEAST = Pace(tick_s=0.25, picture_s=0.5, plots_s=2.0, resolution_s=30.0)


def pace_for(age_s: float) -> Pace:
    """Return the pace for an age of the newest localized frame; NaN is not known, and no reason."""
    share = (age_s - CALM_S) / (LATE_S - CALM_S)
    if math.isnan(share) or share <= 0:
        return FULL
    if share >= 1:
        return LEAST
    return Pace(
        *(
            full * (least / full) ** share
            for full, least in (
                (FULL.tick_s, LEAST.tick_s),
                (FULL.picture_s, LEAST.picture_s),
                (FULL.plots_s, LEAST.plots_s),
                (FULL.resolution_s, LEAST.resolution_s),
            )
        )
    )
