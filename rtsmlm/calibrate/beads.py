"""Find isolated beads in a stack and measure their widths in every plane."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rtsmlm.calibrate.bead_windows import (
    OFF_CENTER_PX,
    Planes,
    bead_windows,
    stand_alone,
)
from rtsmlm.errors import CalibrationError
from rtsmlm.fitting.boxes import default_box_px
from rtsmlm.fitting.widths import F64, LIGHT, SIGMA_X, SIGMA_Y, fit_widths
from rtsmlm.localizations import F32

FIRST_HALF_PX = 7
MIN_PLANES = 5
# Half the box in PSF widths, for spots that are to be followed out of focus.
DEFOCUS_REACH = 5.0


@dataclass(frozen=True, slots=True)
class BeadBoxes:
    """What the widths were fitted to."""

    photons: F32
    """Shape (beads, planes, box, box)."""
    variance: F64
    """Photons² per pixel that were added to the noise, shape (beads,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeadWidths:
    """Widths of beads in every plane; NaN where a fit failed."""

    sigma_x_nm: F64
    """Shape (beads, planes)."""
    sigma_y_nm: F64
    photons: F64
    position_px: F64
    """Brightest pixel of each bead as (x, y), shape (beads, 2)."""
    pixel_nm: float
    box_px: int
    """Side of the fitted box: the widths of a real PSF grow a little with it."""
    n_rejected: int
    """Candidates with neighbours or at the edge."""
    boxes: BeadBoxes | None = None

    @property
    def mean_nm(self) -> F64:
        """Geometric mean of both widths, shape (beads, planes)."""
        return np.asarray(np.sqrt(self.sigma_x_nm * self.sigma_y_nm))

    @property
    def peak(self) -> F64:
        """Photons per nm² at the top of the spot, shape (beads, planes): highest in focus."""
        return np.asarray(self.photons / (2 * np.pi * self.sigma_x_nm * self.sigma_y_nm))

    def take(self, beads: NDArray[np.bool_]) -> BeadWidths:
        """Return the beads chosen by a mask."""
        boxes = self.boxes
        return replace(
            self,
            sigma_x_nm=self.sigma_x_nm[beads],
            sigma_y_nm=self.sigma_y_nm[beads],
            photons=self.photons[beads],
            position_px=self.position_px[beads],
            boxes=boxes and BeadBoxes(boxes.photons[beads], boxes.variance[beads]),
        )


def measure_beads(
    stacks: Sequence[Planes],
    pixel_nm: float,
    *,
    defocus: bool,
    box_px: int | None = None,
    bead_nm: float = 0.0,
    read_variance: float = 0.0,
    background_share: float = 0.0,
) -> BeadWidths:
    """Find the isolated beads of stacks and fit an elliptical Gaussian to each in every plane.

    Parameters
    ----------
    stacks
        Stacks of the same number of planes.
    pixel_nm
        Pixel side in the sample plane.
    defocus
        Take boxes wide enough for spots out of focus; otherwise those that localizers take.
    box_px
        Side of the fitted box, odd; None takes it from the width in focus.
    bead_nm
        Diameter of the beads; the variance D²/20 of a sphere seen from above is taken out.
    read_variance
        Variance of the read noise in photons².
    background_share
        Background per pixel, as a share of the light of a spot, of the movies that the widths are
        for: beads are weighed as a fit there weighs its spots. On a dark background the faint rim
        of a real PSF, which is no Gaussian's, would count more and make all widths larger.

    Raises
    ------
    CalibrationError
        If no isolated bead is found, or none can be fitted.
    """
    windows, places, rejected = bead_windows(stacks, box_px)
    n, planes, side, _ = windows.shape
    flat = windows.reshape(n * planes, side, side)
    half = min(FIRST_HALF_PX if box_px is None else box_px // 2, side // 2)
    for _ in range(1 if box_px is not None else 3):
        theta, good = fit_widths(_center(flat, half), read_variance)
        focus_px = _focus_px(theta.reshape(n, planes, -1), good.reshape(n, planes))
        if box_px is None:
            reach = math.ceil(DEFOCUS_REACH * focus_px) if defocus else 0
            wanted = min(max(reach, default_box_px(focus_px) // 2), side // 2)
            if wanted == half:
                break
            half = wanted
    box = 2 * half + 1
    variance = np.full(n, float(read_variance))
    if background_share:
        light = np.where(good, theta[:, LIGHT], np.nan).reshape(n, planes)
        variance += background_share * np.nan_to_num(known_median(light, axis=1))
        theta, good = fit_widths(_center(flat, half), np.repeat(variance, planes)[:, None, None])
    keep = stand_alone(places, box)
    rejected += int((~keep).sum())
    variance_px = (bead_nm / pixel_nm) ** 2 / 20
    left = theta[:, [SIGMA_X, SIGMA_Y]] ** 2 - variance_px
    sigma_nm = pixel_nm * np.sqrt(np.where(good[:, None] & (left > 0), left, np.nan))
    sigma_nm = sigma_nm.reshape(n, planes, 2)
    measured = BeadWidths(
        sigma_x_nm=sigma_nm[..., 0],
        sigma_y_nm=sigma_nm[..., 1],
        photons=np.where(good, theta[:, LIGHT], np.nan).reshape(n, planes),
        position_px=places[:, 1:3],
        pixel_nm=pixel_nm,
        box_px=box,
        n_rejected=rejected,
        boxes=BeadBoxes(_center(flat, half).reshape(n, planes, box, box), variance),
    ).take(keep & np.isfinite(sigma_nm[..., 0]).any(axis=1))
    if len(measured.position_px) == 0:
        raise CalibrationError(
            f"none of the {n} beads found stands alone within {box} pixels and can be fitted; "
            "use a sparser sample, or a smaller box (--box-px)"
        )
    return measured


def full_beads(widths: BeadWidths, full: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which beads fill the camera, shape (beads,).

    Parameters
    ----------
    widths
        The beads.
    full
        Pixels that were full in any plane, shape (height, width).
    """
    near = ndimage.maximum_filter(full, 2 * OFF_CENTER_PX + 1)
    x, y = widths.position_px.astype(np.int64).T
    return np.asarray(near[y, x], dtype=np.bool_)


def _center(windows: F32, half: int) -> F32:
    middle = windows.shape[1] // 2
    inner = slice(middle - half, middle + half + 1)
    return windows[:, inner, inner]


def _focus_px(theta: F64, good: NDArray[np.bool_]) -> float:
    """Return the typical width of beads in their best plane."""
    if not good.any():
        raise CalibrationError(
            "no bead could be fitted in any plane; are these beads, and is the stack raw?"
        )
    area = theta[..., SIGMA_X] * theta[..., SIGMA_Y]
    # The sharpest plane has the highest peak; rings far from focus may fit narrower, and dim.
    peak = np.where(good, theta[..., LIGHT] / area, -1.0)
    best = np.argmax(peak, axis=1)
    beads = np.flatnonzero(good.any(axis=1))
    return float(np.median(np.sqrt(area[beads, best[beads]])))


def plane_z_nm(widths: BeadWidths, z_step_nm: float) -> F64:
    """Return z of each plane from the first one on.

    Raises
    ------
    CalibrationError
        If there are too few planes to find a focus.
    """
    n = widths.sigma_x_nm.shape[1]
    if n < MIN_PLANES:
        raise CalibrationError(
            f"the stack has {n} planes; {MIN_PLANES} or more are needed to find the focus"
        )
    return np.asarray(np.arange(n) * z_step_nm, dtype=np.float64)


def known_median(values: F64, axis: int, least: float = 0.0) -> F64:
    """Return the median of what is not NaN; NaN where nothing is.

    Parameters
    ----------
    values
        Any shape.
    axis
        Axis that is reduced.
    least
        Share of the values that must be known.
    """
    known = np.isfinite(values)
    enough = known.sum(axis=axis) > 0
    enough &= known.mean(axis=axis) >= least
    filled = np.where(np.expand_dims(enough, axis), values, 0.0)
    return np.asarray(np.where(enough, np.nanmedian(filled, axis=axis), np.nan))
