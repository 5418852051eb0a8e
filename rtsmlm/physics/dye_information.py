"""What the photons of a spot can tell of its dye and its depth, at best.

Two dyes whose images differ by d standard deviations of the noise are told apart with a
probability of Phi(d / 2): the likelihood ratio, with the Fisher information of the difference. What
is not known beforehand takes up part of the difference: place, light, background and depth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.physics.psf import Psf

F64: TypeAlias = NDArray[np.float64]

STEP_PX, STEP_Z_NM = 0.05, 25.0
"""Of central differences."""
GRID_NM = 15.0
"""Depths of the other dye that are tried lie at most so far apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DyeBounds:
    """Bounds of one spot on a flat background."""

    right: float
    """Probability to name the right one of two dyes where all else has to be found, too."""
    right_if_known: float
    """The same where place, depth, light and background are known: out of reach in practice."""
    z_nm: float
    """Cramér-Rao bound of the depth, where the dye is known and all else is not."""


def dye_bounds(
    psfs: Sequence[Psf],
    dye: int,
    place: tuple[float, float, float],
    photons: float,
    background: float,
    *,
    z_nm: tuple[float, float],
    box_px: int,
    read_variance: float = 1.0,
) -> DyeBounds:
    """Return the bounds of a spot; of several other dyes, the one that looks most alike counts.

    Parameters
    ----------
    psfs
        Of each dye.
    dye
        Which is the true one.
    place
        x and y in pixels from the centre of the box, z in nm.
    photons, background
        Of the emitter, and per pixel.
    z_nm
        Depths that emitters may have.
    box_px
        Side of the box.
    read_variance
        In photons².
    """
    x, y, z = place
    boxes = [_Box(psf, x, y, box_px) for psf in psfs]
    own = photons * boxes[dye].spot(z)
    noise = np.sqrt(own + background + read_variance)
    n_depths = math.ceil((z_nm[1] - z_nm[0]) / GRID_NM) + 1
    known = nearest = math.inf
    for other, theirs in enumerate(boxes):
        if other == dye:
            continue
        known = min(known, float(np.sum(((own - photons * theirs.spot(z)) / noise) ** 2)))
        for depth in np.linspace(*z_nm, n_depths):
            away = _left_over(own - photons * theirs.spot(depth), noise, theirs.slopes(depth))
            nearest = min(nearest, away)
    slope = photons * (boxes[dye].spot(z + STEP_Z_NM) - boxes[dye].spot(z - STEP_Z_NM))
    axial = _left_over(slope / (2.0 * STEP_Z_NM), noise, boxes[dye].slopes(z))
    return DyeBounds(
        right=told_apart(nearest),
        right_if_known=told_apart(known),
        z_nm=1.0 / math.sqrt(max(axial, 1e-12)),
    )


@dataclass(frozen=True, slots=True)
class _Box:
    """One emitter in the middle of a box."""

    psf: Psf
    x_px: float
    y_px: float
    side: int

    def spot(self, z_nm: float, dx: float = 0.0, dy: float = 0.0) -> F64:
        """Return the image of one photon, flat."""
        image = np.zeros((self.side, self.side), dtype=np.float32)
        middle = (self.side - 1) / 2.0
        x, y, z = np.array([[self.x_px + dx + middle], [self.y_px + dy + middle], [z_nm]])
        self.psf.render(image, x, y, z, np.ones(1))
        return image.ravel().astype(np.float64)

    def slopes(self, z_nm: float) -> F64:
        """Return how the image changes with x, y, light and background, (pixels, 4)."""
        along = [
            self.spot(z_nm, dx=STEP_PX * a, dy=STEP_PX * b)
            - self.spot(z_nm, dx=-STEP_PX * a, dy=-STEP_PX * b)
            for a, b in ((1, 0), (0, 1))
        ]
        return np.stack([*along, self.spot(z_nm), np.ones(self.side**2)], axis=1)


def told_apart(squared_distance: float) -> float:
    """Return the probability to tell two images apart that differ by so much over their noise."""
    return 0.5 * (1.0 + math.erf(math.sqrt(max(squared_distance, 0.0) / 8.0)))


def _left_over(difference: F64, noise: F64, unknown: F64) -> float:
    """Return the squared difference over the noise that nothing unknown takes up."""
    whitened = difference / noise
    basis = np.linalg.qr(unknown / noise[:, None])[0]
    return float(whitened @ whitened - np.sum((whitened @ basis) ** 2))
