"""Bright spots of frames with no other one near them, cut out: what tells of a PSF."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsmlm.fitting.bands import make_scratch
from rtsmlm.fitting.boxes import default_box_px
from rtsmlm.fitting.detection import detect_in_frame, make_candidates
from rtsmlm.fitting.filtering import make_filter
from rtsmlm.localizations import F32

ISOLATION_SIGMA = 4.5
"""Neighbours nearer than this lift the rim of the box and make the spot appear narrow."""
CANDIDATES = 20_000
"""At most, lone or not; frames beyond that number are not looked at."""
PLACE_PX = 3


class LoneSpots(NamedTuple):
    """Boxes around lone spots, as the compiled fits take them."""

    photons: F32
    """Light, (n, box, box)."""
    variance: F32
    """Variance of the read noise in photons², (n, box, box)."""
    start_x: F32
    """Where the spots are, in pixels from the centre of the first pixel, (n,)."""
    start_y: F32


def lone_spots(
    frames: F32,
    variance: F32,
    sigma_px: float,
    *,
    excess_noise: float = 1.0,
    threshold: float = 6.0,
    box_px: int | None = None,
    apart_px: float | None = None,
    most: int = CANDIDATES,
    once: bool = False,
) -> LoneSpots:
    """Return boxes around the lone spots of frames.

    Parameters
    ----------
    frames
        Light in photons, contiguous, shape (n, height, width).
    variance
        Variance of the read noise in photons², contiguous, shape (height, width).
    sigma_px
        Standard deviation of the PSF that is looked for.
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    threshold
        In standard deviations of the filtered noise.
    box_px
        Side of the boxes, odd; by default that of the fit of a Gaussian.
    apart_px
        No other spot is so near along either axis; by default `ISOLATION_SIGMA` widths.
    most
        Spots at most, lone or not: frames beyond that number are not looked at.
    once
        Take one spot of each place of `PLACE_PX` pixels: a bead, a pair that shines for long, or a
        frame that was written twice says the same each time, and counts once.
    """
    box = box_px or default_box_px(sigma_px)
    plan = make_filter(variance, sigma_px, threshold=threshold, excess_noise=excess_noise)
    scratch = make_scratch(plan)
    found = make_candidates(CANDIDATES)
    n = 0
    for i in range(len(frames)):
        after = detect_in_frame(frames[i], i, plan, scratch, found, n)
        if after < 0 or after > most:
            break
        n = after
    frame, y, x = found.frame[:n], found.y[:n], found.x[:n]
    height, width = variance.shape
    half = box // 2
    inside = (y >= half) & (x >= half) & (y < height - half) & (x < width - half)
    apart = ISOLATION_SIGMA * sigma_px if apart_px is None else apart_px
    rows = np.flatnonzero(inside & _isolated(frame, y, x, apart))
    if once:
        places = (y[rows] // PLACE_PX).astype(np.int64) * width + x[rows] // PLACE_PX
        rows = rows[np.sort(np.unique(places, return_index=True)[1])]
    reach = np.arange(-half, half + 1)
    window_y = (y[rows, None] + reach)[:, :, None]
    window_x = (x[rows, None] + reach)[:, None, :]
    extra = found.extra_variance[rows, None, None]
    return LoneSpots(
        frames[frame[rows, None, None], window_y, window_x],
        variance[window_y, window_x] + extra,
        (found.start_x[rows] - x[rows] + half).astype(np.float32),
        (found.start_y[rows] - y[rows] + half).astype(np.float32),
    )


def _isolated(
    frame: NDArray[np.int32], y: NDArray[np.int32], x: NDArray[np.int32], reach_px: float
) -> NDArray[np.bool_]:
    """Return which candidates have no other one of the same frame within reach."""
    alone = np.ones(len(x), dtype=np.bool_)
    for number in np.unique(frame):
        rows = np.flatnonzero(frame == number)
        apart = np.maximum(np.abs(y[rows, None] - y[rows]), np.abs(x[rows, None] - x[rows]))
        np.fill_diagonal(apart, np.iinfo(np.int32).max)
        alone[rows] = apart.min(axis=1) > reach_px
    return alone
