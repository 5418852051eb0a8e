"""Which fits become localizations."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.fitting.boxes import (
    BACKGROUND,
    CHI2,
    CONVERGED,
    F64,
    I32,
    PHOTONS,
    SPIKE,
    STATUS,
    STD_PHOTONS,
    STD_X,
    STD_Y,
    X,
    Y,
)
from rtsmlm.localizations import F32

# A spot of fewer photons than two of their own standard deviations may as well be none.
MIN_SIGNIFICANCE = 2.0
# Shot noise alone keeps chi² per pixel within 0.6 of 1. A real PSF is no Gaussian and neighbours
# overlap, which adds a misfit in proportion to the light in a typical pixel of the spot. Single hot
# pixels and cosmic rays misfit by all of it. A tight limit of 0.25 loses half of the emitters at
# one per square micrometre and hardly betters the rest.
MAX_CHI2 = 2.0
MAX_MISFIT = 0.75
FIT_REACH_PX = 5.0
"""Maxima lie at least two pixels apart and fits wander up to two; boxes of networks follow their
emitter, which may lie half a box away."""


# The four neighbours of an emitter's brightest pixel hold at least `exp(-1/2 sigma²)` of its light.
# Half of that leaves room for a PSF width that is set 30 % too large.
SPIKE_SHARE = 0.5
SPIKE_SIGNIFICANCE = 3.0


@njit(cache=True, nogil=True, error_model="numpy")
def reject_spikes(
    photons: F32,
    variance: F32,
    center_y: I32,
    center_x: I32,
    sigma_px: float,
    excess_noise: float,
    rows: F64,
) -> None:
    """Mark fits to a single bright pixel as failed: hot pixels without a map, cosmic rays.

    A goodness of fit that would catch the faint ones would take overlapping emitters along; what
    distinguishes them is that a spike has no neighbours.

    Parameters
    ----------
    photons
        Boxes in photons, float32, shape (n, box, box).
    variance
        Read-noise variance of the boxes in photons², float32, shape (n, box, box).
    center_y, center_x
        Brightest pixel of each spot within its box, int32, shape (n,).
    sigma_px
        Standard deviation of the PSF in pixels.
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    rows
        Fit table, shape (n, N_COLUMNS); the status is overwritten.
    """
    size = photons.shape[1]
    share = SPIKE_SHARE * np.exp(-0.5 / (sigma_px * sigma_px + 1.0 / 12.0))
    for i in range(len(rows)):
        y, x = center_y[i], center_x[i]
        if not (0 < y < size - 1 and 0 < x < size - 1):
            continue
        center = photons[i, y, x]
        around = 0.25 * (
            photons[i, y - 1, x]
            + photons[i, y + 1, x]
            + photons[i, y, x - 1]
            + photons[i, y, x + 1]
        )
        noise = 0.25 * (
            variance[i, y - 1, x]
            + variance[i, y + 1, x]
            + variance[i, y, x - 1]
            + variance[i, y, x + 1]
        )
        noise = 0.25 * (noise + excess_noise * max(around, 1.0))
        noise += share * share * (variance[i, y, x] + excess_noise * max(center, 1.0))
        background = rows[i, BACKGROUND]
        missing = share * (center - background) - (around - background)
        if missing > SPIKE_SIGNIFICANCE * np.sqrt(noise):
            rows[i, STATUS] = SPIKE


@njit(cache=True, nogil=True, error_model="numpy")
def select_rows(
    rows: F64,
    frame: I32,
    height: int,
    width: int,
    sigma_px: float,
    excess_noise: float,
    reach_px: float,
    keep: NDArray[np.bool_],
) -> None:
    """Mark the fits to keep: converged, inside the frame, significant, and the only one there.

    Parameters
    ----------
    rows
        Fit table with positions in pixels of the frame, shape (n, N_COLUMNS).
    frame
        Frame of each row, ascending; rows of a frame from top to bottom, int32, shape (n,).
    height, width
        Shape of the frames in pixels.
    sigma_px
        Standard deviation of the PSF in pixels; of two fits closer than this, the brighter stays.
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    reach_px
        Rows further apart than this in the list, from top to bottom, cannot be the same spot:
        twice as far as a fit may lie from its candidate, and `sigma_px`.
    keep
        Written, shape (n,).
    """
    n = len(rows)
    for i in range(n):
        x, y, photons = rows[i, X], rows[i, Y], rows[i, PHOTONS]
        inside = -0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5
        precise = rows[i, STD_X] < sigma_px and rows[i, STD_Y] < sigma_px
        bright = photons > MIN_SIGNIFICANCE * rows[i, STD_PHOTONS] > 0.0
        keep[i] = rows[i, STATUS] == CONVERGED and inside and precise and bright
        if keep[i]:
            light = photons / (4.0 * np.pi * sigma_px * sigma_px)
            noise = excess_noise * max(light + rows[i, BACKGROUND], 1.0)
            keep[i] = rows[i, CHI2] < MAX_CHI2 + (MAX_MISFIT * light) ** 2 / noise
    for i in range(n):
        for j in range(i + 1, n):
            if frame[j] != frame[i] or rows[j, Y] - rows[i, Y] > reach_px:
                break
            dx, dy = rows[j, X] - rows[i, X], rows[j, Y] - rows[i, Y]
            if keep[i] and keep[j] and dx * dx + dy * dy < sigma_px * sigma_px:
                if rows[j, PHOTONS] > rows[i, PHOTONS]:
                    keep[i] = False
                else:
                    keep[j] = False
