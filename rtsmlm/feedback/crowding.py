"""The crowding alarm: light that changes from frame to frame and that no localization explains.

Where emitters overlap, a detector counts too few of them, and beyond some density ever fewer. A
loop that trusts the count would then give more light where less is wanted. The difference of two
frames tells without any detector whether something changed: emitters came or went. If the
localizations of both frames account for it, the count is sound; if they do not, it is too low.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import LocalizerError
from rtsmlm.fitting.filtering import Filter, filter_frame, make_filter, make_scratch
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32
from rtsmlm.physics.gaussian import pixel_integrals

F64: TypeAlias = NDArray[np.float64]

WINDOW_PX = 256
"""Of larger frames a window is looked at, another one with every pair."""
MAX_UNEXPLAINED = 0.5
KEEP_UNEXPLAINED = 0.4
"""An alarm stays until less than this is unexplained."""
MIN_CHANGE = 0.5
"""Unexplained change over noise, both filtered, below which there is no alarm: a few emitters
that are too dim to be found, or out of focus, make less."""
TICKS = 2
"""So many in a row change the state."""
SIGNIFICANCE = 5.0
SMALLEST_CHANGE = 0.05
"""Change over noise that the camera calibration cannot be trusted to tell from none."""
REACH_SIGMA = 4.0
LARGEST_SCALE = 3.0
"""Light of the frames over that of the localizations: the PSF in force may be too narrow."""
HIGH_PASS_GAIN = 36.0
"""Variance that the kernel (1, -2, 1) x (1, -2, 1) makes of white noise."""

# Sums over the filtered pixels of a pair of frames.
CHANGE, CROSS, MODEL, SHARP, VARIANCE, PIXELS = range(6)
N_SUMS = 6


@njit(cache=True, nogil=True, error_model="numpy")
def _add_photons(
    pixels: Pixels, offset: F32, gain: F32, sign: float, change: F32, total: F32
) -> None:
    """Add a frame in photons to a difference, with its sign, and to the sum of both."""
    height, width = pixels.shape
    for y in range(height):
        for x in range(width):
            photons = (np.float32(pixels[y, x]) - offset[y, x]) * gain[y, x]
            change[y, x] += np.float32(sign) * photons
            total[y, x] += photons


@njit(cache=True, nogil=True, error_model="numpy")
def _add_model(x_px: F32, y_px: F32, photons: F32, sigma_px: float, sign: float, out: F32) -> None:
    """Add Gaussians to a difference, with their sign; rows that are not finite add nothing."""
    height, width = out.shape
    reach = math.ceil(REACH_SIGMA * sigma_px)
    along_x, along_y = np.empty((3, 2 * reach + 1)), np.empty((3, 2 * reach + 1))
    for i in range(len(x_px)):
        x, y, light = float(x_px[i]), float(y_px[i]), sign * float(photons[i])
        # Written so that NaN is left out.
        if not (-reach < x < width + reach and -reach < y < height + reach and abs(light) < 1e9):
            continue
        left, top = int(round(x)) - reach, int(round(y)) - reach
        pixel_integrals(x - left, sigma_px, along_x)
        pixel_integrals(y - top, sigma_px, along_y)
        for row in range(max(0, -top), min(2 * reach + 1, height - top)):
            weight = light * along_y[0, row]
            for column in range(max(0, -left), min(2 * reach + 1, width - left)):
                out[top + row, left + column] += np.float32(weight * along_x[0, column])


@njit(cache=True, nogil=True, error_model="numpy")
def _sum_up(
    change: F32,
    total: F32,
    filtered: F32,
    model: F32,
    read_variance: F32,
    excess_noise: float,
    sums: F64,
) -> None:
    """Add what a pair of frames tells to the sums."""
    height, width = change.shape
    for y in range(1, height - 1):
        above, here, below = change[y - 1], change[y], change[y + 1]
        for x in range(1, width - 1):
            d, m = float(filtered[y, x]), float(model[y, x])
            sharp = float(
                (above[x - 1] + above[x + 1] + below[x - 1] + below[x + 1])
                - 2.0 * (above[x] + below[x] + here[x - 1] + here[x + 1])
                + 4.0 * here[x]
            )
            sums[CHANGE] += d * d
            sums[CROSS] += d * m
            sums[MODEL] += m * m
            sums[SHARP] += sharp * sharp
            sums[VARIANCE] += excess_noise * total[y, x] + 2.0 * read_variance[y, x]
    sums[PIXELS] += (height - 2) * (width - 2)


class CrowdingMonitor:
    """Compares pairs of successive frames with their localizations.

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
    finds more. Emitters that stay on cancel in D, and so do fiducials and background.
    """

    def __init__(
        self, calibration: CameraCalibration, shape: tuple[int, int], sigma_nm: float
    ) -> None:
        self._pixel_nm = calibration.pixel_nm
        self._sigma_px = sigma_nm / calibration.pixel_nm
        self._excess_noise = float(calibration.excess_noise)
        self._shape = shape
        gain = np.asarray(calibration.e_per_adu, dtype=np.float64) / calibration.em_gain
        values = (calibration.offset_adu, gain, calibration.read_variance())
        self._maps = tuple(
            np.array(np.broadcast_to(value, shape), dtype=np.float32, order="C") for value in values
        )
        window = min(shape[0], WINDOW_PX), min(shape[1], WINDOW_PX)
        self._window = window
        self._plan: Filter | None = None
        try:
            none = np.zeros(window, dtype=np.float32)
            self._plan = make_filter(none, self._sigma_px, threshold=1.0)
        except LocalizerError:  # frames smaller than a spot tell nothing
            return
        self._scratch = make_scratch(self._plan)
        self._noise_gain = float(self._plan.shot_gain[window[0] // 2, window[1] // 2])
        self._leak = self._sharp_part()
        self._change, self._total, self._model, self._filtered = (
            np.zeros(window, dtype=np.float32) for _ in range(4)
        )
        self._corner = (0, 0)
        self._turn = 0
        self._sums = np.zeros(N_SUMS)
        self._crowded = False
        self._against: int | None = None

    def begin(self, pixels: Pixels, x_nm: F32, y_nm: F32, photons: F32) -> None:
        """Take the first frame of a pair, ADU, shape (height, width), and its rows, shape (n,)."""
        if self._plan is None:
            return
        # A sequence of low discrepancy: even over the frame, and the same in every run.
        room = self._shape[0] - self._window[0], self._shape[1] - self._window[1]
        steps = 0.7548776662466927, 0.5698402909980532
        top, left = (
            int(self._turn * s % 1.0 * (r + 1)) for s, r in zip(steps, room, strict=True)
        )
        self._corner = (top, left)
        self._turn += 1
        for image in (self._change, self._total, self._model):
            image.fill(0.0)
        self._add(pixels, x_nm, y_nm, photons, -1.0)

    def complete(self, pixels: Pixels, x_nm: F32, y_nm: F32, photons: F32) -> None:
        """Take the frame that follows the one of `begin`, and its rows."""
        if self._plan is None:
            return
        self._add(pixels, x_nm, y_nm, photons, 1.0)
        filter_frame(self._change, self._plan, self._scratch)
        self._filtered[:] = self._scratch.filtered
        filter_frame(self._model, self._plan, self._scratch)
        _sum_up(
            self._change,
            self._total,
            self._filtered,
            self._scratch.filtered,
            self._cut(self._maps[2]),
            self._excess_noise,
            self._sums,
        )

    def judge(self) -> tuple[float, bool]:
        """Return the unexplained part and whether there is an alarm; begin the next tick.

        Returns
        -------
        :
            Part of the change that rows do not explain, 0 to 1, NaN where nothing changes beyond
            noise; and the alarm, which two ticks in a row raise or end, and the first alone raises.
        """
        if self._plan is None:
            return math.nan, False
        change, left, noise, least = self._energies()
        self._sums.fill(0.0)
        unexplained = math.nan
        if change > least * noise and noise > 0:
            unexplained = min(max(left / change, 0.0), 1.0)
        limit = KEEP_UNEXPLAINED if self._crowded else MAX_UNEXPLAINED
        crowded = unexplained > limit and left > MIN_CHANGE * noise
        first, self._against = self._against is None, self._against or 0
        self._against = self._against + 1 if crowded != self._crowded else 0
        if self._against >= (1 if first else TICKS):
            self._crowded, self._against = crowded, 0
        return unexplained, self._crowded

    def _energies(self) -> tuple[float, float, float, float]:
        """Return change beyond noise, what of it is unexplained, noise, and the least change."""
        change, cross, model, sharp, variance, pixels = self._sums.tolist()
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

    def _add(self, pixels: Pixels, x_nm: F32, y_nm: F32, photons: F32, sign: float) -> None:
        # Compiled code tells read-only arrays from others, and knows these in one layout only.
        adu = np.ascontiguousarray(self._cut(pixels)).view()
        adu.flags.writeable = False
        offset, gain = (np.ascontiguousarray(self._cut(part)) for part in self._maps[:2])
        _add_photons(adu, offset, gain, sign, self._change, self._total)
        per_px = np.float32(1.0 / self._pixel_nm)
        x, y = x_nm * per_px - self._corner[1], y_nm * per_px - self._corner[0]
        _add_model(x, y, np.ascontiguousarray(photons), self._sigma_px, sign, self._model)

    def _cut(self, image: NDArray[np.generic]) -> NDArray[np.generic]:
        (top, left), (height, width) = self._corner, self._window
        return image[top : top + height, left : left + width]

    def _sharp_part(self) -> float:
        """Return the energy of a spot behind the high pass over that behind the filter."""
        side = 2 * math.ceil(6.0 * self._sigma_px) + 9
        spot = np.zeros((side, side), dtype=np.float32)
        middle = np.full(1, 0.5 * (side - 1), dtype=np.float32)
        _add_model(middle, middle, np.ones(1, np.float32), self._sigma_px, 1.0, spot)
        plan = make_filter(np.zeros_like(spot), self._sigma_px, threshold=1.0)
        scratch = make_scratch(plan)
        filter_frame(spot, plan, scratch)
        bend = np.diff(np.diff(spot, n=2, axis=0), n=2, axis=1)
        return float(np.square(bend).sum() / np.square(scratch.filtered).sum())
