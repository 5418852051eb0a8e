"""The crowding alarm: light that changes from frame to frame and that no localization explains.

Where emitters overlap, a detector counts too few of them, and beyond some density ever fewer. A
loop that trusts the count would then give more light where less is wanted. The difference of two
frames tells without any detector whether something changed: emitters came or went. If the
localizations of both frames account for it, the count is sound; if they do not, it is too low.
"""

from __future__ import annotations

import math

import numpy as np

from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import LocalizerError
from rtsmlm.feedback.density.difference_energy import (
    AREA,
    N_SUMS,
    PIXELS,
    ROWS,
    add_model,
    add_photons,
    hide_steady,
    sum_up,
)
from rtsmlm.fitting.bands import filter_frame, make_scratch
from rtsmlm.fitting.filtering import Filter, make_filter
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32

WINDOW_PX = 256
"""Of larger frames a window is sampled, another one with every pair."""
MAX_UNEXPLAINED = 0.35
LESS_WHEN_FOUND = 6.0
"""How much less may be unexplained, per row in a square of the PSF width: of a crowd, which fills
the field with rows, those explain the coarse part of its change."""
LEAST_UNEXPLAINED = 0.05
KEEP = 0.8
"""An alarm stays until this part of the limit is reached."""
MIN_CHANGE = 0.5
"""Unexplained change over noise, both filtered, below which there is no alarm: a few emitters
that are too dim to be found, or out of focus, make less."""
TICKS = 2
"""So many in a row change the state."""
SIGNIFICANCE = 5.0
SMALLEST_CHANGE = 0.05
"""Change over noise that the camera calibration may be wrong by."""
LARGEST_SCALE = 3.0
"""Light of the frames over that of the localizations: the PSF in force may be too narrow."""
HIGH_PASS_GAIN = 36.0
"""Variance that the kernel (1, -2, 1) x (1, -2, 1) makes of white noise."""
BRIGHT = 4.0
"""Over the lower quartile of photons: rows that are so bright in both frames are fiducials, of
which the error of the localizer, not the light, changes."""


class CrowdingMonitor:
    """Compares pairs of frames with their localizations.

    Parameters
    ----------
    calibration
        Camera calibration in force; maps must have the shape of the frames.
    shape
        Height and width of a frame in pixels.
    sigma_nm
        Standard deviation of the PSF in force; 20 % off, or an astigmatic PSF, does no harm.

    Notes
    -----
    The difference D of two frames and the difference M of the Gaussians drawn for their rows are
    filtered with G(s) - G(2 s), s being the PSF width. With E the sum of D² less what noise adds,

        U = 1 - (sum D M)² / (E sum M²)

    is what the rows leave unexplained, however their photons are scaled. Shot noise follows from
    the photons of both frames, and is taken to be more where a filter that the PSF does not pass
    finds more. Fiducials and background cancel in D. Emitters that stay on cancel, too, but
    errors of their localizations do not: frames of a pair should lie some on-times apart.
    """

    def __init__(
        self, calibration: CameraCalibration, shape: tuple[int, int], sigma_nm: float
    ) -> None:
        self._pixel_nm = calibration.pixel_nm
        self._sigma_px = sigma_nm / calibration.pixel_nm
        self._excess_noise = float(calibration.excess_noise)
        self._shape = shape
        per_adu = np.asarray(calibration.e_per_adu, dtype=np.float64) / calibration.em_gain
        values = (calibration.offset_adu, per_adu, calibration.read_variance())
        offset, gain, read_variance = (
            np.array(np.broadcast_to(v, shape), dtype=np.float32) for v in values
        )
        self._maps: tuple[F32, F32, F32] = (offset, gain, read_variance)
        window = min(shape[0], WINDOW_PX), min(shape[1], WINDOW_PX)
        self._window = window
        self._crowded, self._against = False, TICKS - 1  # the first tick may raise it alone
        self._plan: Filter | None = None
        try:
            flat = np.zeros(window, dtype=np.float32)
            self._plan = make_filter(flat, self._sigma_px, threshold=1.0)
        except LocalizerError:  # frames smaller than a spot say nothing
            return
        self._scratch = make_scratch(self._plan)
        self._noise_gain = float(self._plan.shot_gain[window[0] // 2, window[1] // 2])
        self._leak = self._sharp_part()
        self._frames = np.zeros((2, *window), dtype=np.float32)
        self._model, self._filtered, self._filtered_model = np.zeros((3, *window), np.float32)
        self._hidden = np.zeros(window, dtype=np.bool_)
        self._before: F32 | None = None
        self._corner = (0, 0)
        self._turn = 0
        self._sums = np.zeros(N_SUMS)
        # Compile now, so that no frame of a run has to wait for it.
        dark, none = np.zeros(shape, dtype=np.uint16), np.zeros(0, dtype=np.float32)
        for _ in range(2):
            self.sample(dark, none, none, none)
        self._before, self._turn = None, 0
        self._sums.fill(0.0)

    def sample(self, pixels: Pixels, x_nm: F32, y_nm: F32, photons: F32) -> None:
        """Take a frame: it ends the pair that the one before began, and begins the next.

        Parameters
        ----------
        pixels
            ADU, uint16, shape (height, width).
        x_nm, y_nm, photons
            Rows of the frame, shape (n,).
        """
        if self._plan is None or pixels.shape != self._shape:
            return
        rows = np.stack([x_nm, y_nm, photons]).astype(np.float32, copy=False)
        rows[:2] *= np.float32(1.0 / self._pixel_nm)
        if self._before is not None:
            self._complete(self._plan, pixels, rows, self._before)
        self._move_on()
        self._frames.fill(0.0)
        self._model.fill(0.0)
        self._before = self._add(pixels, rows, -1.0)

    def judge(self) -> tuple[float, bool]:
        """Return what was seen since the last call.

        Returns
        -------
        :
            Part of the change that rows do not explain, 0 to 1, NaN where nothing changes beyond
            noise; and the alarm, which two calls in a row raise or end, and the first alone raises.
        """
        if self._plan is None:
            return math.nan, self._crowded
        change, left, noise, least = self._energies()
        rows, area = float(self._sums[ROWS]), float(self._sums[AREA])
        found = rows / area * self._sigma_px**2 if area else 0.0
        self._sums.fill(0.0)
        unexplained = math.nan
        if noise > 0 and change > least * noise:
            unexplained = min(max(left / change, 0.0), 1.0)
        limit = max(MAX_UNEXPLAINED - LESS_WHEN_FOUND * found, LEAST_UNEXPLAINED)
        if self._crowded:
            limit *= KEEP
        crowded = unexplained > limit and left > MIN_CHANGE * noise
        self._against = self._against + 1 if crowded != self._crowded else 0
        if self._against >= TICKS:
            self._crowded, self._against = crowded, 0
        return unexplained, self._crowded

    def _complete(self, plan: Filter, pixels: Pixels, rows: F32, before: F32) -> None:
        after = self._add(pixels, rows, 1.0)
        photons = np.concatenate([before[2], after[2]])
        photons = photons[np.isfinite(photons)]
        bright = BRIGHT * float(np.percentile(photons, 25)) if len(photons) else math.inf
        hide_steady(before, after, bright, self._sigma_px, self._hidden)
        filter_frame(self._frames[0], plan, self._scratch, self._filtered)
        filter_frame(self._model, plan, self._scratch, self._filtered_model)
        sum_up(
            self._frames,
            self._filtered,
            self._filtered_model,
            self._hidden,
            self._maps[2],
            self._corner[0],
            self._corner[1],
            self._excess_noise,
            self._sums,
        )

    def _energies(self) -> tuple[float, float, float, float]:
        """Return change beyond noise, what of it is unexplained, noise, and the least change."""
        change, cross, model, sharp, variance, pixels = self._sums[: PIXELS + 1].tolist()
        if not pixels:
            return 0.0, 0.0, 0.0, 0.0
        gain, leak = self._noise_gain, self._leak
        # Two filters, two unknowns: the noise of the pixels, and the energy that PSFs pass on.
        measured = (sharp - leak * change) / (HIGH_PASS_GAIN - leak * gain)
        noise = gain * max(variance, measured, 0.0)
        scale = min(max(cross / model, 0.0), LARGEST_SCALE) if model > 0 else 0.0
        left = change - 2.0 * scale * cross + scale**2 * model - noise
        # A sum of squares of N pixels of which so many have their noise in common.
        common = 8.0 * math.pi * self._sigma_px**2
        least = max(SMALLEST_CHANGE, SIGNIFICANCE * math.sqrt(2.0 * common / pixels))
        return change - noise, left, noise, least

    def _add(self, pixels: Pixels, rows: F32, sign: float) -> F32:
        """Add a frame and its rows with their sign; return the rows by place in the window."""
        # Compiled code tells read-only arrays from others, and knows these in one layout only.
        adu = np.ascontiguousarray(pixels).view()
        adu.flags.writeable = False
        top, left = self._corner
        offset, gain, _ = self._maps
        add_photons(adu, offset, gain, top, left, sign, self._frames)
        placed = np.asarray(rows - np.array([[left], [top], [0]], dtype=np.float32))
        x, y, photons = placed
        self._sums[ROWS] += add_model(x, y, photons, self._sigma_px, sign, self._model)
        self._sums[AREA] += self._window[0] * self._window[1]
        return placed

    def _move_on(self) -> None:
        # A sequence of low discrepancy: even over the frame, and the same in every run.
        steps = 0.7548776662466927, 0.5698402909980532
        top, left = (
            int(self._turn * step % 1.0 * (whole - part + 1))
            for step, whole, part in zip(steps, self._shape, self._window, strict=True)
        )
        self._corner = top, left
        self._turn += 1

    def _sharp_part(self) -> float:
        """Return the energy of a spot behind the high pass over that behind the filter."""
        side = 2 * math.ceil(6.0 * self._sigma_px) + 9
        spot = np.zeros((side, side), dtype=np.float32)
        middle = np.full(1, 0.5 * (side - 1), dtype=np.float32)
        add_model(middle, middle, np.ones(1, np.float32), self._sigma_px, 1.0, spot)
        plan = make_filter(np.zeros_like(spot), self._sigma_px, threshold=1.0)
        filtered = np.zeros_like(spot)
        filter_frame(spot, plan, make_scratch(plan), filtered)
        bend = np.diff(np.diff(spot, n=2, axis=0), n=2, axis=1)
        return float(np.square(bend).sum() / np.square(filtered).sum())
