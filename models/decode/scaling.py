"""Units of DECODE: what goes in and what comes out are numbers of order one."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rtsmlm.models.simulation.ranges import SimulationRanges

BRIGHTEST = 2.0
"""Photons that can be stated, over the upper end of their range: light scatters around it."""
DENSEST = 2.0
"""The same for the background, which varies within a window."""
Z_REACH = 1.2
"""Depths that can be stated, over half the range of z."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """Linear units of photons, as published: a network is made for one range of light."""

    offset: float
    """Photons per pixel that are taken for dark."""
    unit: float
    """Photons per pixel that are one at the input."""
    photons_max: float
    background_max: float
    z_max: float = Z_REACH
    """In halves of the range of z."""


def scaling_of(ranges: SimulationRanges) -> Scaling:
    """Return the units for what a simulation draws from.

    Light and background are drawn in logarithms: geometric means stand for what is published as
    means.
    """
    return Scaling(
        offset=math.sqrt(math.prod(ranges.background)),
        unit=math.sqrt(math.prod(ranges.photons)) / 50.0,
        photons_max=BRIGHTEST * ranges.photons[1],
        background_max=DENSEST * ranges.background[1],
    )
