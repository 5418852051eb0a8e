"""Fits emitters once more where the network has found them, for the last tenth of a pixel.

A small network for all PSF widths stays 10 to 30 % above the CRLB for lone bright emitters, and a
maximum likelihood fit reaches it there; so does a fit of all that overlap. For dim emitters, and
where the spot is not the Gaussian that it should be, the row of the network stays or has its share
in the place. With curves the fit has z, too. A network may state the background of each box.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.refine_axial import AxialGroups
from rtsmlm.engines.refine_crowds import refine_crowds
from rtsmlm.engines.refine_lone import found_the_one, lone_rows
from rtsmlm.engines.refine_shares import light_left, may_be_two, share_rows
from rtsmlm.engines.row_groups import free_rows
from rtsmlm.fitting import boxes
from rtsmlm.fitting.astigmatic_localizer import AstigmaticMle
from rtsmlm.fitting.box_fit import (
    GaussianMle,
    TrainedBackgroundFit,
    axis_widths,
    fit_of_lone,
    on_known_background,
)
from rtsmlm.fitting.boxes import F64, astigmatic_box_px, cut_boxes, default_box_px
from rtsmlm.fitting.spline_localizer import SplineMle, axial_fit
from rtsmlm.fitting.spot_shape import shape_misfits
from rtsmlm.fitting.wobble import without_wobble
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import F32, Localizations
from rtsmlm.physics.astigmatism import WidthCurves
from rtsmlm.physics.psf import TablePsf

LoneFit: TypeAlias = GaussianMle | AstigmaticMle | SplineMle

LONELY_SIGMA = 5.0
"""Other emitters are at least so many PSF widths away, and a pixel."""
MAX_ITERATIONS = 15
MIN_MISFIT = 20.0
"""Of `shape_misfits`, from which a lone spot may be two: one in 6000 single emitters has more."""


class Refiner:
    """Replaces rows of emitters, lone or overlapping, by those of a fit.

    Parameters
    ----------
    calibration
        Camera calibration; maps must have the shape of the frames.
    sigma_nm
        Standard deviation of the PSF; has no effect with curves.
    curves
        Widths of an astigmatic PSF: z is fitted, too, starting at that of the network.
    table
        The measured PSF that the curves are of: emitters are fitted with it, lone or in groups, and
        off all other rows the wobble of the curves is taken.
    background
        States the background of each box, of the side that it asks for.
    ellipticity
        Width along x over that along y; has no effect with curves.
    """

    def __init__(
        self,
        calibration: CameraCalibration,
        sigma_nm: float,
        curves: WidthCurves | None = None,
        *,
        table: TablePsf | None = None,
        background: TrainedBackgroundFit | None = None,
        ellipticity: float = 1.0,
    ) -> None:
        self._calibration = calibration
        self._curves = curves
        self._background = background
        self._wobble = None if curves is None or table is None else curves.wobble
        pixel_nm = calibration.pixel_nm
        if curves is None:
            self._sigma_px = sigma_nm / pixel_nm
            self._box_px = default_box_px(self._sigma_px)
        else:
            self._sigma_px = curves.wider_nm() / pixel_nm
            self._box_px = astigmatic_box_px(curves, pixel_nm)
        if background is not None:
            self._box_px = background.box_px
        self._lone_fit: LoneFit = (
            fit_of_lone(self._sigma_px, calibration.excess_noise, MAX_ITERATIONS, ellipticity)
            if curves is None
            else axial_fit(curves, table, calibration, self._box_px, MAX_ITERATIONS)
        )
        self._axes_px = axis_widths(self._sigma_px, ellipticity)
        self._axial = None if curves is None else AxialGroups(curves, table, calibration)
        self._shape = (0, 0)
        self._maps: tuple[F32, F32, F32] = (np.empty((0, 0), np.float32),) * 3

    @property
    def takes_wobble_off(self) -> bool:
        """Whether rows come out where emitters are, whatever wobble the curves state."""
        return self._wobble is not None

    def warm_up(self, batch: FrameBatch) -> None:
        """Compile the fits, on a lone emitter in the first frame and two together in the last."""
        pixel_nm, (height, width) = self._calibration.pixel_nm, batch.shape
        columns = {
            "frame": batch.index[[0, -1, -1]],
            "x_nm": np.array([0.5, 0.5, 0.5]) * width * pixel_nm + np.array([0.0, 0.0, pixel_nm]),
            "y_nm": np.full(3, 0.5 * height * pixel_nm),
            "photons": np.full(3, 100.0),
            "std_x_nm": np.full(3, 0.1 * pixel_nm),
            "std_y_nm": np.full(3, 0.1 * pixel_nm),
        }
        self(Localizations.from_columns(columns), batch)

    def __call__(
        self,
        locs: Localizations,
        batch: FrameBatch,
        among: NDArray[np.int64] | None = None,
        context: F32 | None = None,
    ) -> Localizations:
        """Return the table with the rows of emitters fitted, lone or in groups, in the same order.

        A row that is two emitters becomes one of them; the other stands behind all rows.

        Parameters
        ----------
        locs
            What a network has found.
        batch
            The frames it was found in.
        among
            Rows that may be fitted once more; by default all.
        context
            1 where the frames around each are there, if the network has looked at them, (n, 2).
        """
        beside = np.zeros(len(batch), dtype=np.bool_)
        if context is not None:
            beside[:] = context.any(axis=1)
        reach_px, half_px = LONELY_SIGMA * self._sigma_px + 1.0, self._box_px // 2
        lone = lone_rows(locs, batch, self._calibration.pixel_nm, reach_px, half_px)
        rows = lone if among is None else np.intersect1d(lone, among, assume_unique=True)
        locs, doubted, fitted = self._with_lone(locs, batch, rows, beside)
        if self._background is not None:
            return locs
        if batch.shape != self._shape:
            self.prepare(batch.shape)
        if self._axial is not None:
            # With a table rows lie where emitters are, before groups are fitted with it.
            locs = self._off_wobble(locs, fitted, among)
            settled = np.setdiff1d(lone, doubted, assume_unique=True)
            return self._axial(locs, batch, self._maps, lone=settled, among=among)
        free = free_rows(len(locs), lone, among)
        free[doubted] = True
        return refine_crowds(
            locs,
            batch,
            self._maps,
            free,
            sigma_px=self._axes_px,
            pixel_nm=self._calibration.pixel_nm,
            excess_noise=self._calibration.excess_noise,
            beside=beside,
        )

    def split(
        self, fits: Localizations, batch: FrameBatch, which: NDArray[np.bool_] | None = None
    ) -> Localizations:
        """Return fits of lone emitters, those that are two as two; the second ones behind all.

        Parameters
        ----------
        fits
            Rows of fits with a measured PSF; with another one they come back as they are.
        batch
            The frames that they are of.
        which
            Rows that may be two; by default all.
        """
        if self._axial is None or not self._axial.splits:
            return fits
        if batch.shape != self._shape:
            self.prepare(batch.shape)
        sure = np.flatnonzero(~which) if which is not None else np.empty(0, dtype=np.int64)
        return self._axial(fits, batch, self._maps, lone=sure, among=None, only_two=True)

    def _off_wobble(
        self, locs: Localizations, fitted: NDArray[np.int64], among: NDArray[np.int64] | None
    ) -> Localizations:
        """Return the table with the wobble off all rows but those of measured PSFs."""
        if self._wobble is None:
            return locs
        which = np.ones(len(locs), dtype=np.bool_)
        if among is not None:
            which[:] = False
            which[among] = True
        which[fitted] = False
        return without_wobble(locs, self._wobble, which)

    def _with_lone(
        self,
        locs: Localizations,
        batch: FrameBatch,
        rows: NDArray[np.int64],
        beside: NDArray[np.bool_],
    ) -> tuple[Localizations, NDArray[np.int64], NDArray[np.int64]]:
        """Return the table with lone emitters fitted, which may be two, and which are fitted."""
        if not len(rows):
            return locs, rows, rows
        fits, left, top, doubted = self._fit(locs, batch, rows)
        pixel_nm = self._calibration.pixel_nm
        x_nm = (fits[:, boxes.X] + left) * pixel_nm
        y_nm = (fits[:, boxes.Y] + top) * pixel_nm
        away_nm = np.hypot(x_nm - locs.x_nm[rows], y_nm - locs.y_nm[rows])
        good = found_the_one(
            locs.take(rows), fits, away_nm, pixel_nm, is_axial=self._curves is not None
        )
        # What may be two is fitted as such, from where the network has found it.
        good &= ~np.isin(rows, doubted)
        rows, fits = rows[good], fits[good]
        columns: dict[str, NDArray[Any]] = {k: v.copy() for k, v in locs.columns().items()}
        columns["x_nm"][rows], columns["y_nm"][rows] = x_nm[good], y_nm[good]
        columns["std_x_nm"][rows] = fits[:, boxes.STD_X] * pixel_nm
        columns["std_y_nm"][rows] = fits[:, boxes.STD_Y] * pixel_nm
        columns["photons"][rows] = fits[:, boxes.PHOTONS]
        columns["std_photons"][rows] = fits[:, boxes.STD_PHOTONS]
        columns["background"][rows] = fits[:, boxes.BACKGROUND]
        if self._curves is not None:
            columns["z_nm"][rows] = fits[:, boxes.Z]
            columns["std_z_nm"][rows] = fits[:, boxes.STD_Z]
        elif self._background is None:
            network, found = locs.photons[rows].astype(np.float64), fits[:, boxes.PHOTONS]
            seen = beside[np.searchsorted(batch.index, locs.frame[rows])]
            share_rows(columns, locs, rows, light_left(network, found), seen)
        return Localizations(**columns, extras=locs.extras), doubted, rows

    def _fit(
        self, locs: Localizations, batch: FrameBatch, rows: NDArray[np.int64]
    ) -> tuple[F64, NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
        """Return fits, the first column and row of their boxes, and which may be two emitters."""
        if batch.shape != self._shape:
            self.prepare(batch.shape)
        n, box = len(rows), self._box_px
        pixel_nm = self._calibration.pixel_nm
        x, y = locs.x_nm[rows] / pixel_nm, locs.y_nm[rows] / pixel_nm
        left = (np.round(x) - box // 2).astype(np.int32)
        top = (np.round(y) - box // 2).astype(np.int32)
        frame = np.searchsorted(batch.index, locs.frame[rows]).astype(np.int32)
        photons = np.empty((n, box, box), dtype=np.float32)
        variance = np.empty((n, box, box), dtype=np.float32)
        # Compiled code tells read-only arrays from others: frames are always made so.
        pixels = np.ascontiguousarray(batch.pixels).view()
        pixels.flags.writeable = False
        offset, gain, read = self._maps
        none = np.zeros(n, dtype=np.float32)
        cut_boxes(pixels, offset, gain, read, none, frame, top, left, photons, variance)
        fits = boxes.fit_table(n)
        start_x, start_y = (x - left).astype(np.float32), (y - top).astype(np.float32)
        # A network without z leaves it to the fit to search for it.
        z_nm = np.where(np.isfinite(locs.std_z_nm[rows]), locs.z_nm[rows], np.nan)
        self._fit_boxes(photons, variance, start_x, start_y, z_nm.astype(np.float32), fits)
        network = locs.photons[rows].astype(np.float64)
        return fits, left, top, self._doubted(rows, network, photons, variance, fits)

    def _doubted(
        self, rows: NDArray[np.int64], network: F64, photons: F32, variance: F32, fits: F64
    ) -> NDArray[np.int64]:
        """Return which rows have a spot of another shape than that of one emitter.

        But for those in two dimensions that are one out of focus, as the network's photons say.
        """
        if isinstance(self._lone_fit, AstigmaticMle) or self._background is not None:
            return rows[:0]
        misfits, moments = np.full(len(rows), np.inf), np.zeros((len(rows), 3))
        is_known = fits[:, boxes.STATUS] == boxes.CONVERGED
        if isinstance(self._lone_fit, SplineMle):
            misfits = self._lone_fit.misfits(photons, variance, fits)
        else:
            axes_px, excess_noise = self._lone_fit.widths_px, float(self._calibration.excess_noise)
            shape_misfits(photons, variance, fits, axes_px, excess_noise, misfits, moments)
            is_known &= may_be_two(network, fits[:, boxes.PHOTONS])
        is_doubted = is_known & np.isfinite(misfits) & (misfits > MIN_MISFIT)
        return np.asarray(rows[is_doubted], dtype=np.int64)

    def _fit_boxes(
        self, photons: F32, variance: F32, start_x: F32, start_y: F32, start_z_nm: F32, fits: F64
    ) -> None:
        known: F64 | float = 0.0
        if self._background is not None:
            photons, variance, known = on_known_background(
                self._background, photons, variance, float(self._calibration.excess_noise)
            )
        if isinstance(self._lone_fit, GaussianMle):
            self._lone_fit(photons, variance, start_x, start_y, fits)
        else:
            self._lone_fit.fit_from(photons, variance, start_x, start_y, start_z_nm, fits)
        fits[:, boxes.BACKGROUND] += known

    def prepare(self, shape: tuple[int, int]) -> None:
        """Get the camera maps ready for frames of this shape; threads may then share the refiner.

        Raises
        ------
        CalibrationError
            If they do not fit.
        """
        calibration = self._calibration
        calibration.check_frame_shape(shape)
        gain = np.asarray(calibration.e_per_adu, dtype=np.float64) / calibration.em_gain
        values = (calibration.offset_adu, gain, calibration.pixel_variance())
        offset, photons_per_adu, variance = (
            np.array(np.broadcast_to(value, shape), dtype=np.float32, order="C") for value in values
        )
        self._maps = (offset, photons_per_adu, variance)
        self._shape = shape
