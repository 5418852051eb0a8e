"""Fits astigmatic emitters that overlap once more, together, where a network has found them.

As `rtsmlm.engines.refine_groups`, with z; an emitter whose neighbours lie further away is fitted by
itself in their light, too, as along z a network knows much less than a fit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.engines.row_groups import as_wholes, free_rows, wanted_groups
from rtsmlm.fitting import axial_groups as axial
from rtsmlm.fitting.astigmatic_mle import z_limits_nm
from rtsmlm.fitting.axial_groups import axial_group_rows, fit_axial_groups
from rtsmlm.fitting.boxes import CONVERGED, F64
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import F32, Localizations
from rtsmlm.physics.astigmatism import WidthCurves

MAX_CHI2 = 1.25
"""Shot noise alone keeps chi² per pixel of some hundred pixels within 0.2 of 1. A crowd of real
spots, which are no Gaussians, has more: there the network knows better where they are."""
MAX_STD_PX, MAX_STD_SIGMA = 0.5, 0.25
"""In pixels, or widths of the spot, whichever is more."""
MAX_STEP_STD = 3.0
"""A fit further from the network than so many of its standard deviations found something else."""
MAX_SHARE = 0.75
"""A fit is taken that knows x, y and z at least so much better than the network states to."""
MAX_ITERATIONS = 20

_COLUMNS = (
    ("x_nm", axial.AXIAL_X, True),
    ("y_nm", axial.AXIAL_Y, True),
    ("z_nm", axial.AXIAL_Z, False),
    ("photons", axial.AXIAL_PHOTONS, False),
    ("background", axial.AXIAL_BACKGROUND, False),
    ("std_x_nm", axial.AXIAL_STD_X, True),
    ("std_y_nm", axial.AXIAL_STD_Y, True),
    ("std_z_nm", axial.AXIAL_STD_Z, False),
    ("std_photons", axial.AXIAL_STD_PHOTONS, False),
)
"""Columns of a table and of a fit, and whether they are in pixels there."""


def refine_axial_groups(
    locs: Localizations,
    batch: FrameBatch,
    maps: tuple[F32, F32, F32],
    *,
    lone: NDArray[np.int64],
    among: NDArray[np.int64] | None,
    curves: WidthCurves,
    pixel_nm: float,
    excess_noise: float,
) -> Localizations:
    """Return the table with the rows of groups fitted, in the same order.

    Parameters
    ----------
    locs
        What a network has found, lone emitters as they are fitted.
    batch
        The frames it was found in.
    maps
        Offset in ADU, photons per ADU and read variance in photons², (height, width).
    lone
        Rows without any other near: they are fitted already.
    among
        Rows that may be fitted once more; by default all.
    curves
        Widths of the PSF.
    pixel_nm
        Pixel side in the sample plane.
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    """
    is_free = free_rows(len(locs), lone, among)
    is_free &= np.isfinite(locs.std_z_nm)
    if not is_free.any():
        return locs
    frame = np.searchsorted(batch.index, locs.frame).astype(np.int32)
    order = np.lexsort((locs.y_nm, frame))
    rows = np.zeros((len(locs), axial.AXIAL_COLUMNS))
    for name, column, is_in_pixels in _COLUMNS[:5]:
        rows[:, column] = getattr(locs, name)[order] / (pixel_nm if is_in_pixels else 1.0)
    start = rows.copy()
    frame = frame[order]
    table = curves.as_array(pixel_nm)
    group = axial_group_rows(frame, rows, table, curves.widest_nm() / pixel_nm)
    wanted = wanted_groups(group, is_free[order], 1)
    pixels = np.ascontiguousarray(batch.pixels).view()
    pixels.flags.writeable = False
    fit_axial_groups(
        pixels, *maps, frame, group, wanted, rows, table, z_limits_nm(curves),
        float(excess_noise), MAX_ITERATIONS,
    )  # fmt: skip
    good = as_wholes(group, wanted[group] & _are_good(rows, start, locs, order, curves, pixel_nm))
    return _with(locs, rows[good], order[good], pixel_nm)


def _are_good(
    rows: F64,
    start: F64,
    locs: Localizations,
    order: NDArray[np.int64],
    curves: WidthCurves,
    pixel_nm: float,
) -> NDArray[np.bool_]:
    """Return which fits found the emitter that the network means."""
    std_px = np.maximum(locs.std_x_nm, locs.std_y_nm)[order] / pixel_nm
    moved = rows - start
    z = rows[:, axial.AXIAL_Z]
    good = rows[:, axial.AXIAL_STATUS] == CONVERGED
    good &= rows[:, axial.AXIAL_CHI2] < MAX_CHI2
    good &= np.hypot(moved[:, axial.AXIAL_X], moved[:, axial.AXIAL_Y]) < MAX_STEP_STD * std_px
    good &= np.abs(moved[:, axial.AXIAL_Z]) < MAX_STEP_STD * locs.std_z_nm[order]
    for std, curve in ((axial.AXIAL_STD_X, curves.x), (axial.AXIAL_STD_Y, curves.y)):
        most = np.maximum(MAX_STD_PX, MAX_STD_SIGMA * curve.sigma_nm(z) / pixel_nm)
        good &= rows[:, std] < most
    for std, stated, unit in (
        (axial.AXIAL_STD_X, locs.std_x_nm, pixel_nm),
        (axial.AXIAL_STD_Y, locs.std_y_nm, pixel_nm),
        (axial.AXIAL_STD_Z, locs.std_z_nm, 1.0),
    ):
        good &= rows[:, std] * unit < MAX_SHARE * stated[order]
    return np.asarray(good, dtype=np.bool_)


def _with(
    locs: Localizations, fits: F64, which: NDArray[np.int64], pixel_nm: float
) -> Localizations:
    """Return the table with some rows as they are fitted."""
    columns: dict[str, NDArray[Any]] = {k: v.copy() for k, v in locs.columns().items()}
    for name, column, is_in_pixels in _COLUMNS:
        columns[name][which] = fits[:, column] * (pixel_nm if is_in_pixels else 1.0)
    return Localizations(**columns, extras=locs.extras)
