"""Fits emitters with depth that overlap once more, together, where a network has found them.

Groups of up to four are fitted with z, each in the light of all others; an emitter whose neighbours
lie further away is fitted by itself, too, as along z a network knows much less than a fit. The PSF
is the image of beads where there is a table, else an astigmatic Gaussian.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.row_groups import as_wholes, free_rows, wanted_groups
from rtsmlm.fitting import group_table as fits
from rtsmlm.fitting.astigmatic_mle import MAX_STEP_DEPTH, z_limits_nm
from rtsmlm.fitting.boxes import CONVERGED, F64
from rtsmlm.fitting.group_fit import fit_astigmatic_groups, fit_measured_groups
from rtsmlm.fitting.group_table import group_rows
from rtsmlm.fitting.psf_spline import PsfSpline, spline_of
from rtsmlm.fitting.spline_localizer import spline_limits_nm, table_origin_px
from rtsmlm.fitting.spline_mle import MAX_STEP_NM
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import F32, Localizations
from rtsmlm.physics.astigmatism import WidthCurves
from rtsmlm.physics.psf import TablePsf

LINK_SIGMA = 2.0
"""Emitters nearer than so many of their widths, added up, are fitted together."""
MAX_CHI2, MAX_CHI2_MEASURED = 1.25, 1.2
"""Shot noise alone keeps chi² per pixel of some hundred pixels within 0.2 of 1. A crowd of real
spots, which are no Gaussians, has more, and so has one of which an emitter was missed: there the
network knows better where they are."""
MAX_STD_PX, MAX_STD_SIGMA = 0.5, 0.25
"""In pixels, or widths of the spot, whichever is more."""
MAX_STEP_STD = 3.0
"""A fit further from the network than so many of its standard deviations found something else."""
MAX_SHARE, MAX_SHARE_MEASURED = 0.75, 1.0
"""A fit is taken that knows x, y and z at least so much better than the network states to."""
MAX_ITERATIONS = 20

_COLUMNS = (
    ("x_nm", fits.GROUP_X, True),
    ("y_nm", fits.GROUP_Y, True),
    ("z_nm", fits.GROUP_Z, False),
    ("photons", fits.GROUP_PHOTONS, False),
    ("background", fits.GROUP_BACKGROUND, False),
    ("std_x_nm", fits.GROUP_STD_X, True),
    ("std_y_nm", fits.GROUP_STD_Y, True),
    ("std_z_nm", fits.GROUP_STD_Z, False),
    ("std_photons", fits.GROUP_STD_PHOTONS, False),
)
"""Columns of a table and of a fit, and whether they are in pixels there."""


class AxialGroups:
    """Fits groups of emitters with depth.

    Parameters
    ----------
    curves
        Widths of the PSF.
    table
        The measured PSF that the curves are of; None fits an astigmatic Gaussian. With it rows are
        where emitters are, without they are where the curves say.
    calibration
        Of the camera.
    """

    def __init__(
        self, curves: WidthCurves, table: TablePsf | None, calibration: CameraCalibration
    ) -> None:
        self._curves, self._pixel_nm = curves, calibration.pixel_nm
        self._excess_noise = float(calibration.excess_noise)
        self._shape = curves.as_array(self._pixel_nm)
        self._spline: PsfSpline | None = None
        self._limits_nm, self._origin_px = z_limits_nm(curves), np.zeros(2)
        if table is not None:
            self._spline = spline_of(table)
            self._limits_nm = spline_limits_nm(self._spline, curves)
            self._origin_px = table_origin_px(table, curves, self._pixel_nm)

    def __call__(
        self,
        locs: Localizations,
        batch: FrameBatch,
        maps: tuple[F32, F32, F32],
        *,
        lone: NDArray[np.int64],
        among: NDArray[np.int64] | None,
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
        """
        is_free = free_rows(len(locs), lone, among)
        is_free &= np.isfinite(locs.std_z_nm)
        if not is_free.any():
            return locs
        frame = np.searchsorted(batch.index, locs.frame).astype(np.int32)
        order = np.lexsort((locs.y_nm, frame))
        frame, rows = frame[order], self._rows_of(locs, order)
        start = rows.copy()
        group = self._groups(frame, rows)
        wanted = wanted_groups(group, is_free[order], 1)
        pixels = np.ascontiguousarray(batch.pixels).view()
        pixels.flags.writeable = False
        self._fit(pixels, maps, frame, group, wanted, rows)
        good = as_wholes(group, wanted[group] & self._are_good(rows, start, locs, order))
        rows[:, [fits.GROUP_X, fits.GROUP_Y]] += self._origin_px
        return _with(locs, rows[good], order[good], self._pixel_nm)

    def _rows_of(self, locs: Localizations, order: NDArray[np.int64]) -> F64:
        rows = np.zeros((len(locs), fits.GROUP_COLUMNS))
        for name, column, is_in_pixels in _COLUMNS[:5]:
            values = getattr(locs, name)[order]
            rows[:, column] = values / (self._pixel_nm if is_in_pixels else 1.0)
        rows[:, [fits.GROUP_X, fits.GROUP_Y]] -= self._origin_px
        return rows

    def _groups(self, frame: NDArray[np.int32], rows: F64) -> NDArray[np.int32]:
        """Return the group of each row: rows whose spots overlap are in one."""
        y, x = (np.ascontiguousarray(rows[:, k]) for k in (fits.GROUP_Y, fits.GROUP_X))
        far_y, far_x = (
            LINK_SIGMA * np.asarray(curve.sigma_nm(rows[:, fits.GROUP_Z])) / self._pixel_nm
            for curve in (self._curves.y, self._curves.x)
        )
        return group_rows(frame, y, x, far_y, far_x)

    def _fit(
        self,
        pixels: NDArray[np.uint16],
        maps: tuple[F32, F32, F32],
        frame: NDArray[np.int32],
        group: NDArray[np.int32],
        wanted: NDArray[np.bool_],
        rows: F64,
    ) -> None:
        data = (pixels, *maps, frame, group, wanted, rows)
        steps = (self._excess_noise, MAX_ITERATIONS, 1)
        if self._spline is not None:
            psf = (self._spline, self._shape)
            fit_measured_groups(*data, psf, self._limits_nm, MAX_STEP_NM, *steps)
        else:
            longest = MAX_STEP_DEPTH * float(min(self._shape[:, 2]))
            fit_astigmatic_groups(*data, self._shape, self._limits_nm, longest, *steps)

    def _are_good(
        self, rows: F64, start: F64, locs: Localizations, order: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Return which fits found the emitter that the network means."""
        curves, pixel_nm = self._curves, self._pixel_nm
        is_measured = self._spline is not None
        max_chi2 = MAX_CHI2_MEASURED if is_measured else MAX_CHI2
        max_share = MAX_SHARE_MEASURED if is_measured else MAX_SHARE
        std_px = np.maximum(locs.std_x_nm, locs.std_y_nm)[order] / pixel_nm
        moved = rows - start
        z = rows[:, fits.GROUP_Z]
        good = rows[:, fits.GROUP_STATUS] == CONVERGED
        good &= rows[:, fits.GROUP_CHI2] < max_chi2
        good &= np.hypot(moved[:, fits.GROUP_X], moved[:, fits.GROUP_Y]) < MAX_STEP_STD * std_px
        good &= np.abs(moved[:, fits.GROUP_Z]) < MAX_STEP_STD * locs.std_z_nm[order]
        for std, curve in ((fits.GROUP_STD_X, curves.x), (fits.GROUP_STD_Y, curves.y)):
            most = np.maximum(MAX_STD_PX, MAX_STD_SIGMA * curve.sigma_nm(z) / pixel_nm)
            good &= rows[:, std] < most
        for std, stated, unit in (
            (fits.GROUP_STD_X, locs.std_x_nm, pixel_nm),
            (fits.GROUP_STD_Y, locs.std_y_nm, pixel_nm),
            (fits.GROUP_STD_Z, locs.std_z_nm, 1.0),
        ):
            good &= rows[:, std] * unit < max_share * stated[order]
        return np.asarray(good, dtype=np.bool_)


def _with(
    locs: Localizations, rows: F64, which: NDArray[np.int64], pixel_nm: float
) -> Localizations:
    """Return the table with some rows as they are fitted."""
    columns: dict[str, NDArray[Any]] = {k: v.copy() for k, v in locs.columns().items()}
    for name, column, is_in_pixels in _COLUMNS:
        columns[name][which] = rows[:, column] * (pixel_nm if is_in_pixels else 1.0)
    return Localizations(**columns, extras=locs.extras)
