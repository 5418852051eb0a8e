"""FitFirst: localizes what a fit can be trusted with alone, and says where it cannot.

Most emitters of a sparse frame are lone: a maximum likelihood fit finds them at the CRLB, faster
than any network. What overlaps, what is dim, misfits or lies at the edge of the frame is left to a
network, which is asked about those places only.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from rtsmlm.calibration import CameraCalibration
from rtsmlm.fitting import boxes
from rtsmlm.fitting.astigmatic_localizer import DETECTED_WIDTH
from rtsmlm.fitting.astigmatic_mle import LONE_WANDER_SIGMA
from rtsmlm.fitting.box_fit import BoxFit, axis_widths, fit_of_lone
from rtsmlm.fitting.boxes import F64, astigmatic_box_px
from rtsmlm.fitting.detection import I32, Candidates, joined
from rtsmlm.fitting.filtering import Filter, make_filter
from rtsmlm.fitting.fit_rows import table_of
from rtsmlm.fitting.frame_plan import Plan
from rtsmlm.fitting.group_links import mark_lone
from rtsmlm.fitting.group_split import DOUBTED_CHI2
from rtsmlm.fitting.spline_localizer import SplineMle, axial_fit, spline_box_px
from rtsmlm.fitting.spot_localizer import SpotLocalizer
from rtsmlm.fitting.spot_shape import shape_misfits
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32, Localizations
from rtsmlm.physics.astigmatism import WidthCurves
from rtsmlm.physics.psf import TablePsf
from rtsmlm.settings.run import LocalizerSettings

ASKED = 4.6
"""Strength from which a maximum may be an emitter: one in some frames of 256 x 256 pixels is noise,
which a network tells apart."""
FAINT = 3.5
"""Strength from which a maximum spoils the fit of another one beside it, whatever it is."""
LONELY_SIGMA = 5.0
"""Other maxima are at least so many PSF widths away, and a pixel."""
CHI2 = (0.5, 1.45)
"""Shot noise alone keeps chi² per pixel of a box of 9 pixels within 0.45 of 1, three deviations."""
MAX_STD_PX = 0.3
MIN_SIGNIFICANCE = 10.0
"""Photons in standard deviations of theirs: of fewer, nothing tells one emitter from two."""
AXIAL_SIGNIFICANCE = 7.0
"""The same with curves: where spots are wide, a network knows less of dim ones than a fit."""
LEAST_SIGNIFICANCE = 5.0
"""With curves the fit of a lone maximum stands from here on where a network finds nothing."""
MAX_MISFIT = 9.0
"""Of `shape_misfits`: 3 % of single emitters have more, and of two a width apart nearly all that
are bright."""
DEEP_DOUBT, DEEP_MISFIT = 12.0, 30.0
"""The same with a measured PSF, of five moments: from the first on, which one of thirty single
emitters reaches, it is tried whether there are two; beyond the second a network is asked."""
MAX_WANDER_PX = 1.5
"""Between a maximum and its fit."""
MAX_STD_SIGMA = 0.15
"""Of a spot wider than two pixels the place is known well enough to this part of its width."""
MAX_ITERATIONS = 15


class FirstFits(NamedTuple):
    """Maxima of frames, and the fits of those that are lone."""

    found: Candidates
    rows: F64
    """Fit table with positions in pixels of the frame; zeros where nothing was fitted."""
    is_settled: NDArray[np.bool_]
    """The fit has the last word."""
    is_asked: NDArray[np.bool_]
    """There may be an emitter, and the fit cannot tell."""
    is_likely: NDArray[np.bool_]
    """Of these, where the fit stands if a network finds nothing."""
    is_faint: NDArray[np.bool_]
    """Of these, where there is one emitter or noise, which a network and the fit tell together."""
    is_doubted: NDArray[np.bool_]
    """Of settled ones, where the shape of the spot may be that of two."""
    probability: F32
    """That a fit which stands is of an emitter."""

    def places(self, which: NDArray[np.bool_]) -> tuple[I32, F32, F32]:
        """Return frame, y and x of some fits, in pixels, in the order of frames."""
        places = self.rows[which][:, [boxes.Y, boxes.X]].astype(np.float32)
        return self.found.frame[which], places[:, 0], places[:, 1]


class FitFirst(SpotLocalizer):
    """Detection, and a fit of lone emitters.

    Parameters
    ----------
    calibration
        Camera calibration; maps must have the shape of the frames.
    sigma_nm
        Standard deviation of the PSF; has no effect with curves.
    curves
        Widths of an astigmatic PSF: z is fitted, too.
    table
        The measured PSF that the curves are of, to be fitted instead of a Gaussian.
    ellipticity
        Width along x over that along y; has no effect with curves.

    Raises
    ------
    LocalizerError
        If the PSF width cannot be used.
    """

    def __init__(
        self,
        calibration: CameraCalibration,
        sigma_nm: float,
        curves: WidthCurves | None = None,
        table: TablePsf | None = None,
        ellipticity: float = 1.0,
    ) -> None:
        excess_noise = calibration.excess_noise
        fit: BoxFit
        self._axes_px = axis_widths(sigma_nm / calibration.pixel_nm, ellipticity)
        if curves is None:
            width_nm, box_px = sigma_nm, None
            sigma_px = sigma_nm / calibration.pixel_nm
            fit = fit_of_lone(sigma_px, excess_noise, MAX_ITERATIONS, ellipticity)
        else:
            width_nm = DETECTED_WIDTH * curves.mean_nm()
            box_px = astigmatic_box_px(curves, calibration.pixel_nm)
            if table is not None:
                box_px = spline_box_px(curves.widest_nm() / calibration.pixel_nm, alone=True)
            fit = axial_fit(
                curves, table, calibration, box_px, MAX_ITERATIONS, wander_sigma=LONE_WANDER_SIGMA
            )
        settings = LocalizerSettings(threshold=FAINT, box_px=box_px)
        super().__init__(calibration=calibration, sigma_nm=width_nm, settings=settings, fit=fit)
        self._curves = curves
        self._is_axial = curves is not None
        widest_nm = width_nm if curves is None else curves.wider_nm()
        self.reach_px = LONELY_SIGMA * widest_nm / calibration.pixel_nm + 1.0
        """An emitter is lone where no other maximum is so near."""

    @property
    def sigma_px(self) -> float:
        """Standard deviation of the PSF that maxima are looked for with, in pixels."""
        return self._sigma_px

    def look(self, pixels: Pixels) -> Candidates:
        """Return the maxima of frames.

        Parameters
        ----------
        pixels
            Raw frames, uint16 ADU, read-only and contiguous, (n, height, width).
        """
        plan = self._plan((pixels.shape[1], pixels.shape[2]))
        parts: list[Candidates] = []
        first_frame = 0
        while first_frame < len(pixels):
            found, first_frame = self._detect(pixels, plan, first_frame)
            # Memory of the detection is used again.
            parts.append(Candidates._make(column.copy() for column in found))
        return parts[0] if len(parts) == 1 else joined(parts)

    def are_lone(self, found: Candidates) -> NDArray[np.bool_]:
        """Return which maxima have no other one near them."""
        lone = np.ones(len(found.x), dtype=np.bool_)
        mark_lone(found.frame, found.start_y, found.start_x, self.reach_px, lone)
        return lone

    def settle(self, pixels: Pixels, found: Candidates, lone: NDArray[np.bool_]) -> FirstFits:
        """Fit what is lone.

        Parameters
        ----------
        pixels
            As given to `look`.
        found
            What that has found, or of some frames only.
        lone
            What `are_lone` says of it.
        """
        plan = self._plan((pixels.shape[1], pixels.shape[2]))
        height, width = plan.offset_adu.shape
        is_asked = found.strength >= ASKED
        which = np.flatnonzero(lone & is_asked)
        rows = boxes.fit_table(len(found.x))
        is_settled, is_likely, is_faint, is_doubted = np.zeros((4, len(rows)), dtype=np.bool_)
        if len(which):
            fits, misfits = self._fits(pixels, plan, found.part(which))
            rows[which] = fits
            plain = self._is_plain(found.part(which), fits)
            good = plain & self._is_precise(fits)
            significance = fits[:, boxes.PHOTONS] / np.maximum(fits[:, boxes.STD_PHOTONS], 1e-9)
            least = AXIAL_SIGNIFICANCE if self._is_axial else MIN_SIGNIFICANCE
            most = DEEP_MISFIT if self._is_axial else MAX_MISFIT
            is_settled[which] = good & (significance > least) & (misfits < most)
            shaped = (misfits > DEEP_DOUBT) | (fits[:, boxes.CHI2] > DOUBTED_CHI2)
            is_doubted[which] = self._is_axial & shaped
            # Of a round spot that misfits there is at least one emitter, if not alone.
            likely = LEAST_SIGNIFICANCE if self._is_axial else MIN_SIGNIFICANCE
            is_likely[which] = good & (significance > likely)
            is_faint[which] = plain & (misfits < MAX_MISFIT) & (not self._is_axial)
        is_likely &= ~is_settled
        is_faint &= ~is_settled
        is_asked &= ~is_settled
        # The light of an emitter beyond the edge of the frame: there is none to be reported.
        inside = (rows[:, boxes.X] >= -0.5) & (rows[:, boxes.X] <= width - 0.5)
        inside &= (rows[:, boxes.Y] >= -0.5) & (rows[:, boxes.Y] <= height - 0.5)
        is_settled, is_likely, is_faint = (w & inside for w in (is_settled, is_likely, is_faint))
        sure = np.ones(len(rows), dtype=np.float32)
        return FirstFits(found, rows, is_settled, is_asked, is_likely, is_faint, is_doubted, sure)

    def _fits(self, pixels: Pixels, plan: Plan, found: Candidates) -> tuple[F64, F64]:
        """Return fits and misfits of the shape of boxes around candidates."""
        rows, _ = self._fit_boxes(pixels, plan, found)
        misfits, fit = np.zeros(len(rows)), self._box_fit
        if isinstance(fit, SplineMle) or not self._is_axial:
            photons, variance, top, left = self._cut(pixels, plan, found)
            rows[:, boxes.X] -= left
            rows[:, boxes.Y] -= top
            if isinstance(fit, SplineMle):
                misfits = fit.misfits(photons, variance, rows)
            else:
                widths_px, excess_noise = self._axes_px, float(self._calibration.excess_noise)
                moments = np.zeros((len(rows), 3))
                shape_misfits(photons, variance, rows, widths_px, excess_noise, misfits, moments)
            rows[:, boxes.X] += left
            rows[:, boxes.Y] += top
        return rows, misfits

    def _is_plain(self, found: Candidates, fits: F64) -> NDArray[np.bool_]:
        """Tell which fits have ended near their maximum and leave nothing but noise."""
        wide_x, wide_y = self._widths_px(fits)
        far_x, far_y = (np.maximum(MAX_WANDER_PX, LONE_WANDER_SIGMA * w) for w in (wide_x, wide_y))
        away_x, away_y = fits[:, boxes.X] - found.start_x, fits[:, boxes.Y] - found.start_y
        wander = np.hypot(away_x / far_x, away_y / far_y)
        plain = (fits[:, boxes.STATUS] == boxes.CONVERGED) & (wander < 1.0)
        plain &= (fits[:, boxes.CHI2] > CHI2[0]) & (fits[:, boxes.CHI2] < CHI2[1])
        return np.asarray(plain, dtype=np.bool_)

    def _is_precise(self, fits: F64) -> NDArray[np.bool_]:
        wide_x, wide_y = self._widths_px(fits)
        precise = fits[:, boxes.STD_X] < np.maximum(MAX_STD_PX, MAX_STD_SIGMA * wide_x)
        precise &= fits[:, boxes.STD_Y] < np.maximum(MAX_STD_PX, MAX_STD_SIGMA * wide_y)
        return np.asarray(precise, dtype=np.bool_)

    def _widths_px(self, fits: F64) -> tuple[F64, F64]:
        """Return the widths of fitted spots that count beyond those of a round one: without z 0."""
        if self._curves is None:
            return np.zeros(len(fits)), np.zeros(len(fits))
        z, pixel_nm = fits[:, boxes.Z], self._calibration.pixel_nm
        return self._curves.x.sigma_nm(z) / pixel_nm, self._curves.y.sigma_nm(z) / pixel_nm

    def _filter(self, read_variance: F32) -> Filter:
        """Return the filter of the frame; emitters at its edge are seen, for others to tell."""
        return make_filter(
            read_variance,
            self._sigma_px,
            threshold=self._settings.threshold,
            excess_noise=self._calibration.excess_noise,
            edge_px=0,
        )

    def table(self, fits: FirstFits, frame_index: NDArray[np.int64]) -> Localizations:
        """Return the settled fits as localizations.

        Parameters
        ----------
        fits
            As `settle` returns them.
        frame_index
            Camera frame numbers of the frames, (n,).
        """
        return self._table(fits, fits.is_settled, frame_index)

    def unanswered(
        self, fits: FirstFits, answers: Localizations, frame_index: NDArray[np.int64]
    ) -> Localizations:
        """Return the likely fits near which a network finds nothing, as localizations.

        Parameters
        ----------
        fits, frame_index
            As for `table`.
        answers
            What the network finds in the same frames.
        """
        likely = self._table(fits, fits.is_likely, frame_index)
        if not len(likely) or not len(answers):
            return likely
        reach_nm = 0.5 * self.reach_px * self._calibration.pixel_nm

        def points(table: Localizations) -> F64:
            # Frames lie further apart than the reach, so that one tree holds them all.
            frame = 4.0 * reach_nm * (table.frame - frame_index[0])
            return np.column_stack([table.x_nm, table.y_nm, frame])

        away = cKDTree(points(answers)).query(points(likely), distance_upper_bound=reach_nm)[0]
        return likely.take(~np.isfinite(away))

    def _table(
        self, fits: FirstFits, which: NDArray[np.bool_], frame_index: NDArray[np.int64]
    ) -> Localizations:
        frame, more = frame_index[fits.found.frame[which]], {"probability": fits.probability[which]}
        return table_of(fits.rows[which], frame, self._calibration.pixel_nm, more)
