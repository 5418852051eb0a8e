"""Fits emitters with depth that overlap once more, together, where a network has found them.

Those that overlap most are fitted with z as a group, a few at most, each group in the light of all
others; an emitter whose neighbours lie further away is fitted by itself, too, as along z a network
knows much less than a fit. The PSF is the image of beads where there is a table, else an astigmatic
Gaussian. With the image of beads a row that is two emitters becomes both.
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
from rtsmlm.fitting.group_likelihood import MOST
from rtsmlm.fitting.group_links import limited_groups
from rtsmlm.fitting.group_split import split_groups
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
LEAST_SNR = 12.0
"""Photons in standard deviations of theirs, of the brightest of a group: in dimmer ones nothing
tells two from one."""
LINKED = MOST - 2
"""Rows of the largest group, which may then become more."""
ROUNDS = 4
"""How often a group is fitted, after each time with what was split."""

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

    @property
    def splits(self) -> bool:
        """Whether what is two is told: with a measured PSF."""
        return self._spline is not None

    def __call__(
        self,
        locs: Localizations,
        batch: FrameBatch,
        maps: tuple[F32, F32, F32],
        *,
        lone: NDArray[np.int64],
        among: NDArray[np.int64] | None,
        only_two: bool = False,
    ) -> Localizations:
        """Return the table with the rows of groups fitted; second ones of pairs stand behind all.

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
        only_two
            Leave rows as they are that are not two emitters.
        """
        is_free = free_rows(len(locs), lone, among)
        is_free &= np.isfinite(locs.std_z_nm)
        if not is_free.any():
            return locs
        pixels = np.ascontiguousarray(batch.pixels).view()
        pixels.flags.writeable = False
        frame = np.searchsorted(batch.index, locs.frame).astype(np.int32)
        start = self._rows_of(locs)
        rows, parent = self._fitted(pixels, maps, frame, start, is_free, fits_first=not only_two)
        good = self._are_good(rows, start[parent], locs, parent, only_two=only_two)
        rows[:, [fits.GROUP_X, fits.GROUP_Y]] += self._origin_px
        return _with(locs, rows, parent, good, self._pixel_nm)

    def _fitted(
        self,
        pixels: NDArray[np.uint16],
        maps: tuple[F32, F32, F32],
        frame: NDArray[np.int32],
        start: F64,
        is_free: NDArray[np.bool_],
        *,
        fits_first: bool,
    ) -> tuple[F64, NDArray[np.int64]]:
        """Return rows as fitted, second ones of pairs behind, and which row each was before."""
        rows, parent = start.copy(), np.arange(len(start))
        is_new = is_free
        for k in range(ROUNDS):
            order = np.lexsort((rows[:, fits.GROUP_Y], frame[parent]))
            ordered, now = rows[order], frame[parent[order]]
            group, is_cut = self._groups(now, ordered)
            wanted = wanted_groups(group, is_free[parent[order]], 1)
            wanted &= np.bincount(group, weights=is_new[order], minlength=len(group)) > 0
            if fits_first or k > 0:
                self._fit(pixels, maps, now, group, wanted, ordered)
            if is_cut.any():
                # Once more, as by now the light of the other parts is known better.
                self._fit(pixels, maps, now, group, wanted & is_cut, ordered)
            seconds = self._seconds(pixels, maps, now, group, wanted, ordered)
            rows[order] = ordered
            new = np.flatnonzero(seconds[:, fits.GROUP_PHOTONS] > 0.0)
            if not len(new):
                break
            is_new = np.zeros(len(rows) + len(new), dtype=np.bool_)
            is_new[order[new]] = is_new[len(rows) :] = True
            rows = np.concatenate([rows, seconds[new]])
            parent = np.concatenate([parent, parent[order[new]]])
        return rows, parent

    def _seconds(
        self,
        pixels: NDArray[np.uint16],
        maps: tuple[F32, F32, F32],
        frame: NDArray[np.int32],
        group: NDArray[np.int32],
        wanted: NDArray[np.bool_],
        rows: F64,
    ) -> F64:
        """Return the second emitters of rows that are two, zeros for others; mend the first."""
        seconds = np.zeros_like(rows)
        if self._spline is not None:
            bright = rows[:, fits.GROUP_PHOTONS] > LEAST_SNR * rows[:, fits.GROUP_STD_PHOTONS]
            wanted = wanted & (np.bincount(group, weights=bright, minlength=len(group)) > 0)
            psf, focus_nm = (self._spline, self._shape), self._curves.crossing_nm()
            data = (pixels, maps, frame, group, wanted, rows, seconds, psf)
            limits = (self._limits_nm, focus_nm, MAX_STEP_NM)
            split_groups(*data, *limits, self._excess_noise)
        return seconds

    def _rows_of(self, locs: Localizations) -> F64:
        rows = np.zeros((len(locs), fits.GROUP_COLUMNS))
        for name, column, is_in_pixels in _COLUMNS[:5]:
            rows[:, column] = getattr(locs, name) / (self._pixel_nm if is_in_pixels else 1.0)
        rows[:, [fits.GROUP_X, fits.GROUP_Y]] -= self._origin_px
        return rows

    def _groups(
        self, frame: NDArray[np.int32], rows: F64
    ) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Return the group of each row, and which were parted from others whose spots overlap."""
        y, x = (np.ascontiguousarray(rows[:, k]) for k in (fits.GROUP_Y, fits.GROUP_X))
        far_y, far_x = (
            LINK_SIGMA * np.asarray(curve.sigma_nm(rows[:, fits.GROUP_Z])) / self._pixel_nm
            for curve in (self._curves.y, self._curves.x)
        )
        return limited_groups(frame, y, x, far_y, far_x, LINKED)

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
        self,
        rows: F64,
        start: F64,
        locs: Localizations,
        parent: NDArray[np.int64],
        *,
        only_two: bool,
    ) -> NDArray[np.bool_]:
        """Return which fits found the emitter that the network means, or two that it sees as one.

        Of those that were one row all are good or none.
        """
        curves, pixel_nm = self._curves, self._pixel_nm
        max_chi2 = MAX_CHI2_MEASURED if self.splits else MAX_CHI2
        max_share = MAX_SHARE_MEASURED if self.splits else MAX_SHARE
        std_px = np.maximum(locs.std_x_nm, locs.std_y_nm)[parent] / pixel_nm
        moved, chi2 = rows - start, rows[:, fits.GROUP_CHI2]
        z = rows[:, fits.GROUP_Z]
        means = np.hypot(moved[:, fits.GROUP_X], moved[:, fits.GROUP_Y]) < MAX_STEP_STD * std_px
        means &= np.abs(moved[:, fits.GROUP_Z]) < MAX_STEP_STD * locs.std_z_nm[parent]
        for std, stated, unit in (
            (fits.GROUP_STD_X, locs.std_x_nm, pixel_nm),
            (fits.GROUP_STD_Y, locs.std_y_nm, pixel_nm),
            (fits.GROUP_STD_Z, locs.std_z_nm, 1.0),
        ):
            means &= rows[:, std] * unit < max_share * stated[parent]
        is_two = np.bincount(parent, minlength=len(locs))[parent] > 1
        good = is_two if only_two else is_two | means
        good &= (rows[:, fits.GROUP_STATUS] == CONVERGED) & (chi2 > 0.0) & (chi2 < max_chi2)
        for std, curve in ((fits.GROUP_STD_X, curves.x), (fits.GROUP_STD_Y, curves.y)):
            most = np.maximum(MAX_STD_PX, MAX_STD_SIGMA * curve.sigma_nm(z) / pixel_nm)
            good &= rows[:, std] < most
        return as_wholes(parent, good)


def _with(
    locs: Localizations,
    rows: F64,
    parent: NDArray[np.int64],
    good: NDArray[np.bool_],
    pixel_nm: float,
) -> Localizations:
    """Return the table with what was taken of fits, and second ones of pairs behind it."""
    n = len(locs)
    taken = np.flatnonzero(good)
    new = taken[taken >= n]
    place = taken.copy()
    place[taken >= n] = n + np.arange(len(new))
    everything = Localizations.concatenate([locs, locs.take(parent[new])]) if len(new) else locs
    columns: dict[str, NDArray[Any]] = {k: v.copy() for k, v in everything.columns().items()}
    for name, column, is_in_pixels in _COLUMNS:
        columns[name][place] = rows[taken, column] * (pixel_nm if is_in_pixels else 1.0)
    return Localizations(**columns, extras=everything.extras)
