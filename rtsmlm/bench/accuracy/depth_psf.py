"""A PSF with depth, and what a calibration on beads finds of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from rtsmlm.bench.accuracy.scenes import Scene
from rtsmlm.calibrate.bead_psf import psf_from_beads
from rtsmlm.localizations import F32
from rtsmlm.physics.astigmatism import WidthCurves
from rtsmlm.physics.psf import Psf, TablePsf

BEAD_STEP_NM = 20.0
BEAD_PHOTONS, BEAD_BACKGROUND = 2e4, 10.0
BEADS_ALONG, BEAD_SPACING_PX, BEAD_EDGE_PX = 3, 40, 22
"""Of a simulated stack: 9 beads, each alone in the window of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthPsf:
    """The image of emitters at each depth, and its calibration."""

    psf: Psf
    curves: WidthCurves
    table: TablePsf
    """What `rtsmlm calibrate psf --table` makes of a stack of beads."""

    def scene(self, draw: Callable[[Psf, WidthCurves], Scene]) -> Scene:
        """Return a scene of this PSF, with its table."""
        return replace(draw(self.psf, self.curves), table=self.table)


def measured_table(psf: Psf, z_nm: tuple[float, float], rng: np.random.Generator) -> TablePsf:
    """Return the table that nine beads give.

    Parameters
    ----------
    psf
        Their image.
    z_nm
        First and last plane.
    rng
        Draws places and noise.
    """
    planes = np.arange(z_nm[0], z_nm[1] + 0.5 * BEAD_STEP_NM, BEAD_STEP_NM)
    line = BEAD_EDGE_PX + BEAD_SPACING_PX * np.arange(BEADS_ALONG, dtype=np.float64)
    side = int(line[-1]) + BEAD_EDGE_PX + 1
    y, x = (part.ravel() for part in np.meshgrid(line, line, indexing="ij"))
    x, y = (place + rng.uniform(-0.5, 0.5, len(place)) for place in (x, y))
    light = np.full(len(x), BEAD_PHOTONS)
    stack: F32 = np.zeros((len(planes), side, side), dtype=np.float32)
    for plane, depth in zip(stack, planes, strict=True):
        psf.render(plane, x, y, np.full(len(x), depth), light)
    drawn = rng.poisson(stack + BEAD_BACKGROUND).astype(np.float32)
    table, _ = psf_from_beads([drawn], z_first_nm=z_nm[0], z_step_nm=BEAD_STEP_NM)
    return table
