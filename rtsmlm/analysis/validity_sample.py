"""Lone emitters of a batch, fitted once more with nothing taken for granted but the camera."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from rtsmlm.calibration import CameraCalibration
from rtsmlm.fitting import boxes, residuals
from rtsmlm.fitting.astigmatic_mle import MAX_WANDER_SIGMA, fit_astigmatic_mle, z_limits_nm
from rtsmlm.fitting.boxes import F64, astigmatic_box_px, cut_boxes, default_box_px
from rtsmlm.fitting.gaussian_mle import fit_gaussian_mle
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import F32, Localizations
from rtsmlm.physics.astigmatism import WidthCurves

# Columns of the refit of one spot: fitted width over the width in force; chi² per degree
# of freedom of the fit with that width, and of the free fit; squared residuals of the free fit and
# what noise leaves of them, in photons²; photons, and background per pixel; localizer minus free
# fit, in stated standard deviations, along x and y.
WIDTH, CHI2_FIXED, CHI2_FREE, SQUARES, EXPECTED, PHOTONS, BACKGROUND, DX, DY = range(9)
N_COLUMNS = 9

LONELY_SIGMA = 5.0
"""Least distance of other emitters in PSF widths, plus a pixel: their tails end before."""
MIN_SIGNIFICANCE = 8.0
"""Photons over their error. A free width of a dimmer spot scatters by 15 % and is biased."""
MAX_ITERATIONS = 20
PATCH_PX = 7
"""Side of a patch of background: its 46 degrees of freedom give its noise to 20 %."""
N_PATCHES = 8
N_TRIES = 64


def _plane_basis() -> F64:
    """Return orthonormal planes over a patch, shape (3, pixels)."""
    y, x = np.mgrid[:PATCH_PX, :PATCH_PX] - PATCH_PX // 2
    planes = np.stack([np.ones(PATCH_PX**2), x.ravel(), y.ravel()])
    return np.asarray(planes / np.linalg.norm(planes, axis=1, keepdims=True))


_ON_PLANE = _plane_basis()


class SpotSampler:
    """Finds lone bright emitters and fits them again.

    Parameters
    ----------
    calibration
        Camera calibration in force; maps must have the shape of the frames.
    sigma_nm
        Standard deviation of the PSF in force; has no effect with curves.
    curves
        Widths of an astigmatic PSF: z is fitted in place of the width.
    spot_px
        Side of spots that are larger than these widths, such as those of a phase mask.
    """

    def __init__(
        self,
        calibration: CameraCalibration,
        sigma_nm: float,
        curves: WidthCurves | None,
        spot_px: float = 0.0,
    ) -> None:
        self._calibration = calibration
        self._pixel_nm = calibration.pixel_nm
        self._excess_noise = float(calibration.excess_noise)
        if curves is None:
            self.sigma_px = sigma_nm / self._pixel_nm
            self._box_px = default_box_px(self.sigma_px)
        else:
            self.sigma_px = curves.wider_nm() / self._pixel_nm
            self._box_px = astigmatic_box_px(curves, self._pixel_nm)
            self._curve_table = curves.as_array(self._pixel_nm)
            self._limits_nm = z_limits_nm(curves)
        self._curves = curves
        self._reach_px = max(LONELY_SIGMA * self.sigma_px, spot_px / 2.0)
        self._read_variance = float(np.median(calibration.read_variance()))
        self._shape = (0, 0)
        self._maps: tuple[F32, F32, F32] = (np.empty((0, 0), np.float32),) * 3

    def lone(self, locs: Localizations, batch: FrameBatch) -> NDArray[np.int64]:
        """Return the rows of bright emitters far from all others of their frame and the edges."""
        if not len(locs):
            return np.empty(0, dtype=np.int64)
        reach = self._reach_px + 1.0
        x, y = locs.x_nm / self._pixel_nm, locs.y_nm / self._pixel_nm
        frame = np.searchsorted(batch.index, locs.frame)
        # Frames lie further apart than the reach, so that one tree holds them all.
        points = np.column_stack([x, y, frame * (4.0 * reach)])
        distance = np.asarray(cKDTree(points).query(points, k=2, distance_upper_bound=reach)[0])
        height, width = batch.shape
        half = self._box_px // 2
        good = (x >= half) & (x <= width - 1 - half) & (y >= half) & (y <= height - 1 - half)
        # Error of the photons of a spot on its matched area, which all localizers can be asked for.
        area_px = 4.0 * np.pi * self.sigma_px**2
        under = np.maximum(np.nan_to_num(locs.background), 0.0) + self._read_variance
        noise = np.sqrt(self._excess_noise * (np.maximum(locs.photons, 0.0) + area_px * under))
        good &= locs.photons > MIN_SIGNIFICANCE * noise
        return np.flatnonzero(good & ~np.isfinite(distance[:, 1]))

    def refit(self, locs: Localizations, batch: FrameBatch, rows: NDArray[np.int64]) -> F64:
        """Return the columns of the refits of rows, shape (m, N_COLUMNS); m of them converged.

        Parameters
        ----------
        locs, batch
            A table and the frames it was found in.
        rows
            Rows of the table, from `lone`.
        """
        photons, variance, left, top = self._cut(locs, batch, rows)
        x, y = locs.x_nm[rows] / self._pixel_nm, locs.y_nm[rows] / self._pixel_nm
        start = ((x - left).astype(np.float32), (y - top).astype(np.float32))
        columns = np.full((len(rows), N_COLUMNS), np.nan)
        if self._curves is None:
            held = self._fit_round(photons, variance, *start, free=False)
            columns[:, CHI2_FIXED] = self._per_degree(held)
            free = self._fit_round(photons, variance, *start, free=True)
            columns[:, WIDTH] = free[:, boxes.SIGMA] / self.sigma_px
            widths = np.repeat(free[:, boxes.SIGMA, None], 2, axis=1)
            bends = np.ones_like(widths)
        else:
            free = self._fit_astigmatic(photons, variance, *start)
            columns[:, CHI2_FIXED] = self._per_degree(free)
            axes = (self._curves.x, self._curves.y)
            z = free[:, boxes.Z]
            widths = np.column_stack([axis.sigma_nm(z) for axis in axes]) / self._pixel_nm
            bends = np.column_stack([axis.slope(z) for axis in axes]) / self._pixel_nm
        # A single row would lie in memory in another way than several, and compile anew.
        theta = np.ascontiguousarray(free[:, [boxes.X, boxes.Y, boxes.PHOTONS, boxes.BACKGROUND]])
        widths, bends = np.ascontiguousarray(widths), np.ascontiguousarray(bends)
        judged = np.empty((len(rows), residuals.N_COLUMNS))
        residuals.judge_spots(photons, variance, theta, widths, bends, self._excess_noise, judged)
        columns[:, CHI2_FREE] = judged[:, residuals.CHI2]
        columns[:, SQUARES] = judged[:, residuals.SQUARES]
        columns[:, EXPECTED] = judged[:, residuals.EXPECTED]
        columns[:, PHOTONS], columns[:, BACKGROUND] = theta[:, 2], theta[:, 3]
        if self._curves is not None and self._curves.wobble is not None:
            # Rows lie where emitters are, fits where their spots seem to be.
            off_x, off_y, _ = self._curves.wobble.at(free[:, boxes.Z])
            theta[:, 0] -= off_x / self._pixel_nm
            theta[:, 1] -= off_y / self._pixel_nm
        std_px = (locs.std_x_nm[rows] / self._pixel_nm, locs.std_y_nm[rows] / self._pixel_nm)
        columns[:, DX] = (x - left - theta[:, 0]) / std_px[0]
        columns[:, DY] = (y - top - theta[:, 1]) / std_px[1]
        good = (free[:, boxes.STATUS] == boxes.CONVERGED) & np.isfinite(columns[:, SQUARES])
        good &= free[:, boxes.PHOTONS] > 0.5 * MIN_SIGNIFICANCE * free[:, boxes.STD_PHOTONS]
        return np.asarray(columns[good], dtype=np.float64)

    def noise(self, locs: Localizations, batch: FrameBatch, turn: int) -> F64:
        """Measure noise where nothing was found.

        Parameters
        ----------
        locs, batch
            A table and the frames it was found in.
        turn
            Number of the call: the patches are elsewhere every time.

        Returns
        -------
        :
            Variance of patches around a plane over that which the camera calibration makes us
            expect, and their mean background in photons per pixel, shape (m, 2), m up to
            `N_PATCHES`.
        """
        if batch.shape != self._shape:
            self._prepare(batch.shape)
        height, width = batch.shape
        if min(height, width) < PATCH_PX:
            return np.empty((0, 2))
        # A sequence of low discrepancy: even over the frame, and the same in every run.
        k = N_TRIES * turn + np.arange(N_TRIES)
        top = ((k * 0.7548776662466927) % 1.0 * (height - PATCH_PX + 1)).astype(np.int64)
        left = ((k * 0.5698402909980532) % 1.0 * (width - PATCH_PX + 1)).astype(np.int64)
        frame = k % len(batch)
        half = PATCH_PX // 2
        reach = self._reach_px + half
        mine = locs.frame[None, :] == batch.index[frame][:, None]
        away_x = np.abs(locs.x_nm / self._pixel_nm - (left + half)[:, None]) > reach
        away_y = np.abs(locs.y_nm / self._pixel_nm - (top + half)[:, None]) > reach
        empty = np.flatnonzero((away_x | away_y | ~mine).all(axis=1))[:N_PATCHES]
        if not len(empty):
            return np.empty((0, 2))
        side = np.arange(PATCH_PX)
        rows = top[empty, None, None] + side[:, None]
        columns = left[empty, None, None] + side
        offset, gain, read = self._maps
        adu = batch.pixels[frame[empty, None, None], rows, columns]
        light = (adu - offset[rows, columns]) * gain[rows, columns]
        flat = light.reshape(len(empty), -1).astype(np.float64)
        residual = flat - (flat @ _ON_PLANE.T) @ _ON_PLANE
        mean = flat.mean(axis=1)
        variance = self._excess_noise * mean + read[rows, columns].mean(axis=(1, 2))
        squares = (residual**2).sum(axis=1) / (PATCH_PX**2 - len(_ON_PLANE))
        return np.column_stack([squares / np.maximum(variance, 0.05), mean])

    def _per_degree(self, fits: F64) -> F64:
        n_px, n_parameters = self._box_px**2, 4 if self._curves is None else 5
        return np.asarray(fits[:, boxes.CHI2] * n_px / (n_px - n_parameters))

    def _cut(
        self, locs: Localizations, batch: FrameBatch, rows: NDArray[np.int64]
    ) -> tuple[F32, F32, NDArray[np.int32], NDArray[np.int32]]:
        """Return boxes in photons, their read variance, and their first columns and rows."""
        if batch.shape != self._shape:
            self._prepare(batch.shape)
        n, box = len(rows), self._box_px
        left = (np.round(locs.x_nm[rows] / self._pixel_nm) - box // 2).astype(np.int32)
        top = (np.round(locs.y_nm[rows] / self._pixel_nm) - box // 2).astype(np.int32)
        frame = np.searchsorted(batch.index, locs.frame[rows]).astype(np.int32)
        photons = np.empty((n, box, box), dtype=np.float32)
        variance = np.empty((n, box, box), dtype=np.float32)
        # Read-only arrays are another type to numba: frames are always passed as such.
        pixels = np.ascontiguousarray(batch.pixels).view()
        pixels.flags.writeable = False
        none = np.zeros(n, dtype=np.float32)
        cut_boxes(pixels, *self._maps, none, frame, top, left, photons, variance)
        return photons, variance, left, top

    def _fit_round(
        self, photons: F32, variance: F32, start_x: F32, start_y: F32, *, free: bool
    ) -> F64:
        fits = boxes.fit_table(len(photons))
        sigma_px, excess_noise = float(self.sigma_px), self._excess_noise
        fit_gaussian_mle(
            photons, variance, start_x, start_y, sigma_px, free, excess_noise, MAX_ITERATIONS, fits
        )
        return fits

    def _fit_astigmatic(self, photons: F32, variance: F32, start_x: F32, start_y: F32) -> F64:
        fits = boxes.fit_table(len(photons))
        fit_astigmatic_mle(
            photons,
            variance,
            start_x,
            start_y,
            np.full(len(photons), np.nan, dtype=np.float32),
            self._curve_table,
            self._limits_nm,
            self._excess_noise,
            MAX_ITERATIONS,
            MAX_WANDER_SIGMA,
            fits,
        )
        return fits

    def _prepare(self, shape: tuple[int, int]) -> None:
        calibration = self._calibration
        calibration.check_frame_shape(shape)
        gain = np.asarray(calibration.e_per_adu, dtype=np.float64) / calibration.em_gain
        values = (calibration.offset_adu, gain, calibration.pixel_variance())
        offset, photons_per_adu, variance = (
            np.array(np.broadcast_to(value, shape), dtype=np.float32, order="C") for value in values
        )
        self._maps = (offset, photons_per_adu, variance)
        self._shape = shape
