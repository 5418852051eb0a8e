"""A PSF with depth, and what a calibration on beads finds of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.bench.accuracy.scenes import Scene
from rtsmlm.calibrate.bead_psf import psf_from_beads
from rtsmlm.calibrate.bead_windows import find_beads
from rtsmlm.localizations import F32
from rtsmlm.physics.astigmatism import WidthCurves
from rtsmlm.physics.psf import Psf, TablePsf

F64: TypeAlias = NDArray[np.float64]

BEAD_STEP_NM = 20.0
BEAD_PHOTONS, BEAD_BACKGROUND = 2e4, 10.0
BEADS_ALONG, BEAD_SPACING_PX, BEAD_EDGE_PX = 3, 40, 22
"""Of a simulated stack: 9 beads, each alone in the window of a table."""
NEAR_PX = 9
"""Half width of the square around a bead in which its light is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LitPsf:
    """A PSF of which more light arrives from some depths than from others."""

    psf: Psf
    z_nm: F64
    """Ascending, shape (n,)."""
    light: F64
    """Photo-electrons for each photon of an emitter there, shape (n,)."""

    def render(self, image: F32, x_px: F64, y_px: F64, z_nm: F64, photons: F64) -> None:
        """Add emitters to an image of expected photo-electrons; see `GaussianPsf.render`."""
        arrives = photons * np.interp(z_nm, self.z_nm, self.light)
        self.psf.render(image, x_px, y_px, z_nm, arrives)


def light_of_beads(stack: F32, psf: Psf, z_nm: F64, photons: float) -> F64:
    """Return how many photo-electrons a photon of a bead gives at each depth.

    Parameters
    ----------
    stack
        Planes of beads without background in photo-electrons, shape (planes, height, width).
    psf
        Their image, scaled to 1 at each depth.
    z_nm
        Depth of each plane, shape (planes,).
    photons
        What each bead is said to have.

    Returns
    -------
    :
        Shape (planes,).

    Notes
    -----
    The images that the SMLM-2016 challenge was drawn with are those of real beads, planes recorded
    one after the other while these bleached, and scaled together: with its astigmatic PSF a photon
    gives 1.6 electrons at -750 nm, 1.3 at 0 and 0.9 at 750 nm.
    """
    x, y, _ = find_beads(stack.max(axis=0)).T
    near = np.zeros(stack.shape[1:], dtype=np.bool_)
    for row, column in zip(y.astype(np.int64), x.astype(np.int64), strict=True):
        top, left = max(row - NEAR_PX, 0), max(column - NEAR_PX, 0)
        near[top : row + NEAR_PX + 1, left : column + NEAR_PX + 1] = True
    light = np.empty(len(stack))
    for k, plane in enumerate(stack):
        image: F32 = np.zeros(plane.shape, dtype=np.float32)
        psf.render(image, x, y, np.full(len(x), z_nm[k]), np.full(len(x), photons))
        light[k] = plane[near].sum(dtype=np.float64) / image[near].sum(dtype=np.float64)
    return light


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthPsf:
    """The image of emitters at each depth, and its calibration."""

    psf: Psf
    curves: WidthCurves
    table: TablePsf
    """What `rtsmlm calibrate psf --table` makes of a stack of beads."""
    lit: Psf | None = None
    """The image with its light by depth, where that differs."""

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
