"""Whether spots among others have the shape of one emitter each.

As `rtsmlm.fitting.spot_shape` for lone ones: what the others shine into the pixels of a spot is
known from their rows.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.fitting.boxes import F64, I32
from rtsmlm.fitting.group_table import GROUP_BACKGROUND, GROUP_PHOTONS, GROUP_X, GROUP_Y
from rtsmlm.fitting.spot_shape import ALL_MOMENTS, add_shape, beyond_fitted, solve_moments
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32
from rtsmlm.physics.gaussian import pixel_integrals

REACH_SIGMA = 4.0
"""How far the light of others is added."""


@njit(cache=True, nogil=True, error_model="numpy")
def group_shapes(
    pixels: Pixels,
    offset_adu: F32,
    photons_per_adu: F32,
    read_variance: F32,
    frame: I32,
    wanted: NDArray[np.bool_],
    rows: F64,
    sigma_px: float,
    excess_noise: float,
    half_px: int,
    misfits: F64,
    moments: F64,
) -> None:
    """Write how far the second moments of spots are from those of one emitter.

    Parameters
    ----------
    pixels
        Raw frames in ADU, uint16, shape (n, height, width).
    offset_adu, photons_per_adu, read_variance
        Camera calibration, float32, shape (height, width); variance in photons².
    frame
        Position of the frame of each row; rows ordered by frame, then nearly by y, (m,).
    wanted
        Which rows are looked at, (m,).
    rows
        Fits of `rtsmlm.fitting.group_fit`, (m, `GROUP_COLUMNS`).
    sigma_px
        Standard deviation of the PSF in pixels.
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    half_px
        Pixels to either side of the one that holds the emitter.
    misfits, moments
        Written for rows that are wanted, (m,) and (m, 3); see `shape_misfits`.
    """
    side = 2 * half_px + 1
    height, width = offset_adu.shape
    along_x, along_y = np.empty((3, side)), np.empty((3, side))
    other_x, other_y = np.empty((3, side)), np.empty((3, side))
    known = np.empty((side, side))
    information = np.empty((ALL_MOMENTS, ALL_MOMENTS))
    score, slope = np.empty(ALL_MOMENTS), np.empty(ALL_MOMENTS)
    # Fits have moved rows by less than this: ordered by y they are within it.
    reach = REACH_SIGMA * sigma_px + half_px + 1.0
    begin = 0
    for i in range(len(frame)):
        if frame[i] != frame[begin]:
            begin = i
        if not wanted[i]:
            continue
        x, y = rows[i, GROUP_X], rows[i, GROUP_Y]
        left, top = round(x) - half_px, round(y) - half_px
        if left < 0 or top < 0 or left + side > width or top + side > height:
            continue
        known[:] = rows[i, GROUP_BACKGROUND]
        for j in range(begin, len(frame)):
            if frame[j] != frame[i] or rows[j, GROUP_Y] - y > reach + 2.0:
                break
            dx, dy = rows[j, GROUP_X] - x, rows[j, GROUP_Y] - y
            if j == i or abs(dx) > reach or abs(dy) > reach:
                continue
            pixel_integrals(rows[j, GROUP_X] - left, sigma_px, other_x)
            pixel_integrals(rows[j, GROUP_Y] - top, sigma_px, other_y)
            for r in range(side):
                light = rows[j, GROUP_PHOTONS] * other_y[0, r]
                for c in range(side):
                    known[r, c] += light * other_x[0, c]
        pixel_integrals(x - left, sigma_px, along_x)
        pixel_integrals(y - top, sigma_px, along_y)
        information[:] = 0.0
        score[:] = 0.0
        for r in range(side):
            for c in range(side):
                at = top + r, left + c
                light = (np.float32(pixels[frame[i]][at]) - offset_adu[at]) * photons_per_adu[at]
                add_shape(
                    light, read_variance[at], rows[i, GROUP_PHOTONS], known[r, c],
                    along_x[:, c], along_y[:, r], excess_noise, slope, score, information,
                )  # fmt: skip
        misfits[i] = beyond_fitted(information, score)
        solve_moments(information, score, sigma_px, moments[i])
