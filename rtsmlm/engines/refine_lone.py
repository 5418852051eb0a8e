"""Which emitters are lone, and which fits of them stand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from rtsmlm.fitting import boxes
from rtsmlm.fitting.boxes import F64
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations

MAX_CHI2 = 1.5
"""Shot noise alone keeps chi² per pixel of a box within 0.4 of 1."""
MAX_STEP_STD = 4.0
"""A fit further from the network than so many of its standard deviations found something else."""
MAX_STD_PX = 0.3
DOUBT = 2.5
DOUBT_PX = 0.03
"""A network that states more than `DOUBT` times the error of the fit and this much sees more than
one lone emitter, such as two too close to tell apart."""
DOUBT_Z_NM = 40.0
"""The same along z."""


def found_the_one(
    locs: Localizations, fits: F64, away_nm: F64, pixel_nm: float, *, is_axial: bool
) -> NDArray[np.bool_]:
    """Return which fits found the one emitter that the network means, (n,).

    Parameters
    ----------
    locs
        What the network has found, n rows.
    fits
        What was found at these, as `rtsmlm.fitting.boxes.fit_table`.
    away_nm
        How far each fit is from its row, (n,).
    pixel_nm
        Pixel side in the sample plane.
    is_axial
        Whether z is fitted, too.
    """
    std_nm = np.maximum(locs.std_x_nm, locs.std_y_nm)
    fit_std_px = fits[:, boxes.STD_X]
    if is_axial:
        # Out of focus one of both is much larger, for the network as for the fit.
        fit_std_px = np.maximum(fit_std_px, fits[:, boxes.STD_Y])
    good = (fits[:, boxes.STATUS] == boxes.CONVERGED) & (fits[:, boxes.CHI2] < MAX_CHI2)
    good &= (fit_std_px < MAX_STD_PX) & (away_nm < MAX_STEP_STD * std_nm)
    good &= std_nm < DOUBT * fit_std_px * pixel_nm + DOUBT_PX * pixel_nm
    if is_axial:
        std_z_nm, fit_std_z_nm = locs.std_z_nm, fits[:, boxes.STD_Z]
        away_z_nm = np.abs(fits[:, boxes.Z] - locs.z_nm)
        near = away_z_nm < MAX_STEP_STD * std_z_nm
        near &= std_z_nm < DOUBT * fit_std_z_nm + DOUBT_Z_NM
        good &= near | np.isnan(std_z_nm)
    return np.asarray(good, dtype=np.bool_)


def lone_rows(
    locs: Localizations, batch: FrameBatch, pixel_nm: float, reach_px: float, half_px: int
) -> NDArray[np.int64]:
    """Return the rows that are far from all others of their frame and from the edges.

    Parameters
    ----------
    locs
        What the network has found.
    batch
        The frames it was found in.
    pixel_nm
        Pixel side in the sample plane.
    reach_px
        Others are at least so far away.
    half_px
        Edges are, too.
    """
    if not len(locs):
        return np.empty(0, dtype=np.int64)
    x, y = locs.x_nm / pixel_nm, locs.y_nm / pixel_nm
    frame = np.searchsorted(batch.index, locs.frame)
    # Frames lie further apart than the reach, so that one tree holds them all.
    points = np.column_stack([x, y, frame * (4.0 * reach_px)])
    distance = np.asarray(cKDTree(points).query(points, k=2, distance_upper_bound=reach_px)[0])
    height, width = batch.shape
    inside = (x >= half_px) & (x <= width - 1 - half_px)
    inside &= (y >= half_px) & (y <= height - 1 - half_px)
    return np.flatnonzero(inside & ~np.isfinite(distance[:, 1]))
