"""Emitter candidates: maxima of the filtered frame, judged against its own noise.

The noise of the filtered image is known: the variance of every pixel goes through the squared
kernel. A noisy sCMOS pixel thereby raises the threshold around itself instead of becoming an
emitter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.fitting.bands import Band, Scratch, band_of, filter_band, keep_rows, open_band
from rtsmlm.fitting.filtering import Filter
from rtsmlm.fitting.noise import (
    MIN_BACKGROUND,
    Tiles,
    background_at,
    measure_tiles,
    tile_above,
    variance_beyond,
)
from rtsmlm.fitting.peaks import is_maximum, mark_peaks, peak_offset
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32
from rtsmlm.physics.gaussian import FAST

I32 = NDArray[np.int32]

LIMIT_MARGIN = 0.999
"""Of the least limit of a tile, for what rounding may take away."""
TINY = 1e-30
"""A candidate is above zero."""


class Candidates(NamedTuple):
    """Maxima of the filtered frames, all of shape (n,)."""

    frame: I32
    """Position of the frame in its batch."""
    y: I32
    x: I32
    start_y: F32
    """Sub-pixel position of the maximum in pixels."""
    start_x: F32
    extra_variance: F32
    """Variance per pixel in photons² that the calibration does not explain."""
    strength: F32
    """Height of the maximum in standard deviations of the noise of the filtered frame; the skew of
    photon noise is allowed for, so that the threshold lies at the same number everywhere."""

    def part(self, which: slice | NDArray[np.int64] | NDArray[np.bool_]) -> Candidates:
        """Return some rows; a slice of them as views."""
        return Candidates._make(column[which] for column in self)


def make_candidates(capacity: int) -> Candidates:
    """Allocate memory for a number of candidates."""
    frame, y, x = np.zeros((3, capacity), dtype=np.int32)
    start_y, start_x, extra_variance, strength = np.zeros((4, capacity), dtype=np.float32)
    return Candidates(frame, y, x, start_y, start_x, extra_variance, strength)


def joined(parts: Sequence[Candidates]) -> Candidates:
    """Return candidates one after the other."""
    if not parts:
        return make_candidates(0)
    return Candidates._make(np.concatenate(columns) for columns in zip(*parts, strict=True))


@njit(cache=True, nogil=True, error_model="numpy")
def _threshold_at(plan: Filter, background: float, extra: float, y: int, x: int) -> float:
    """Return the detection limit of the filtered image at a pixel.

    Photon noise is skewed where there are few photons. The first term of the expansion of Cornish
    and Fisher raises the limit so that false detections stay as rare as in normal noise.
    """
    light = max(background, MIN_BACKGROUND)
    shot = plan.excess_noise * light + extra
    variance = shot * plan.shot_gain[y, x] + plan.read_noise[y, x]
    # Third cumulant of a photon: 1, and 6 behind a gain register (exponential gain).
    third = (6.0 if plan.excess_noise > 1.0 else 1.0) * light * plan.cubes
    z = plan.threshold
    return float(z * math.sqrt(variance) + (z * z - 1.0) / 6.0 * third / variance)


@njit(cache=True, nogil=True, error_model="numpy")
def _set_limits(plan: Filter, i: int, tiles: Tiles, limits: F32) -> None:
    """Write what the pixels between two rows of tiles must reach at the least, column by column.

    It is never above `_threshold_at`, and saves asking for that nearly everywhere.
    """
    background = tiles.background
    rows, columns = background.shape
    width = len(limits)
    below = min(i + 1, rows - 1)
    for j in range(columns):
        light = min(background[i, j], background[below, j])
        for k in (max(j - 1, 0), min(j + 1, columns - 1)):
            light = min(light, background[i, k], background[below, k])
        gain = min(plan.least_shot_gain[i, j], plan.least_shot_gain[below, j])
        read = min(plan.least_read_noise[i, j], plan.least_read_noise[below, j])
        variance = plan.excess_noise * max(light, MIN_BACKGROUND) * gain + read
        # A limit of less than one standard deviation is lowered by the skew of the noise.
        limit = plan.threshold * math.sqrt(variance) if plan.threshold >= 1.0 else 0.0
        for x in range(j * width // columns, (j + 1) * width // columns):
            limits[x] = max(LIMIT_MARGIN * limit, TINY)


@njit(cache=True, nogil=True, error_model="numpy")
def search_band(
    k: int, band: Band, plan: Filter, scratch: Scratch, found: Candidates, n: int
) -> int:
    """Filter the rows of a band, and append the maxima that may be candidates.

    Parameters
    ----------
    k
        Number of the band.
    band
        From `open_band`; its rows are written.
    plan, scratch
        From `make_filter` and `make_scratch` for this shape.
    found
        Written from row `n` on: places, and the height of the maximum as `strength`.
    n
        Number of rows that are taken already.

    Returns
    -------
    :
        Number of rows taken now; -1 if there was not enough room.
    """
    height, width = plan.shot_gain.shape
    own = scratch.photons[band.start - band.kept : band.end - band.kept]
    measure_tiles(own, width, k, plan.tile_variance, plan.excess_noise, scratch.tiles)
    if k > 0:
        tiles, reach = len(plan.tile_variance), len(plan.wide) - 1
        before = band_of(k - 1, tiles, height, reach, plan.radius_px)
        kept = band.filtered_start - band.filtered_kept
        keep_rows(scratch.filtered, band.filtered_kept - before.filtered_kept, kept)
    filter_band(band, plan, scratch, scratch.filtered, band.filtered_start - band.filtered_kept)
    image = scratch.filtered[: band.filtered_end - band.filtered_kept]
    is_peak, edge = scratch.is_peak, plan.edge_px
    eights = is_peak.view(np.uint64)
    level = -1
    for y in range(max(band.searched_start, edge), min(band.searched_end, height - edge)):
        row = y - band.filtered_kept
        now = tile_above(y, height, len(plan.tile_variance))
        if now != level:
            level = now
            _set_limits(plan, level, scratch.tiles, scratch.limits)
        mark_peaks(image, row, scratch.limits, is_peak)
        for eight in range(len(eights)):
            if eights[eight] == 0:
                continue
            for x in range(max(8 * eight, edge), min(8 * eight + 8, width - edge)):
                if not is_peak[x] or not is_maximum(image, row, x, plan.radius_px):
                    continue
                if n == len(found.x):
                    return -1
                upper, lower = image[max(row - 1, 0), x], image[min(row + 1, len(image) - 1), x]
                left, right = image[row, max(x - 1, 0)], image[row, min(x + 1, width - 1)]
                found.y[n], found.x[n] = y, x
                found.start_y[n] = y + peak_offset(upper, image[row, x], lower)
                found.start_x[n] = x + peak_offset(left, image[row, x], right)
                found.strength[n] = image[row, x]
                n += 1
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def judge(frame: int, plan: Filter, scratch: Scratch, found: Candidates, first: int, n: int) -> int:
    """Keep the maxima of a frame that are higher than noise; return the number of rows then.

    Parameters
    ----------
    frame
        What to write into the column `frame`.
    plan, scratch
        As all bands of the frame have left them.
    found
        Rows from `first` to `n` are judged.
    first, n
        Where the rows of the frame begin and end.
    """
    height, width = plan.shot_gain.shape
    background = scratch.tiles.background
    extra = variance_beyond(scratch.tiles)
    kept = first
    for i in range(first, n):
        y, x, value = found.y[i], found.x[i], found.strength[i]
        light = background_at(background, height, width, y, x)
        limit = _threshold_at(plan, light, extra, y, x)
        if value < limit:
            continue
        found.frame[kept], found.y[kept], found.x[kept] = frame, y, x
        found.start_y[kept], found.start_x[kept] = found.start_y[i], found.start_x[i]
        found.extra_variance[kept] = extra
        found.strength[kept] = plan.threshold * value / limit
        kept += 1
    return kept


@njit(cache=True, nogil=True, error_model="numpy")
def detect_in_frame(
    photons: F32, frame: int, plan: Filter, scratch: Scratch, found: Candidates, first: int
) -> int:
    """Append the candidates of one frame.

    Parameters
    ----------
    photons
        One frame in photons, float32, shape (height, width).
    frame
        What to write into the column `frame`.
    plan, scratch
        From `make_filter` and `make_scratch` for this shape.
    found
        Written from row `first` on.
    first
        Number of rows that are taken already.

    Returns
    -------
    :
        Number of rows taken now; -1 if there was not enough room.
    """
    n = first
    for k in range(len(plan.tile_variance)):
        band = open_band(k, plan, scratch.photons)
        for y in range(band.start, band.end):
            for x in range(photons.shape[1]):
                scratch.photons[y - band.kept, x] = photons[y, x]
        n = search_band(k, band, plan, scratch, found, n)
        if n < 0:
            return -1
    return judge(frame, plan, scratch, found, first, n)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def detect_in_batch(
    pixels: Pixels,
    offset_adu: F32,
    photons_per_adu: F32,
    plan: Filter,
    scratch: Scratch,
    found: Candidates,
    first_frame: int,
) -> tuple[int, int]:
    """Detect in raw frames from `first_frame` on, until there is no room for a frame's rows.

    Parameters
    ----------
    pixels
        Raw frames in ADU, uint16, shape (n, height, width).
    offset_adu, photons_per_adu
        Camera calibration, float32, shape (height, width).
    plan, scratch
        From `make_filter` and `make_scratch` for this shape.
    found
        Written from row 0 on, in the order of frames.
    first_frame
        Where in the batch to begin.

    Returns
    -------
    :
        Number of rows taken, and the frame to continue with.
    """
    first = int(np.int64(0))  # of a literal 0 all that follows would be compiled twice
    width = pixels.shape[2]
    for frame in range(first_frame, len(pixels)):
        n = first
        for k in range(len(plan.tile_variance)):
            band = open_band(k, plan, scratch.photons)
            for y in range(band.start, band.end):
                row = y - band.kept
                for x in range(width):
                    light = np.float32(pixels[frame, y, x]) - offset_adu[y, x]
                    scratch.photons[row, x] = light * photons_per_adu[y, x]
            n = search_band(k, band, plan, scratch, found, n)
            if n < 0:
                return first, frame
        first = judge(frame, plan, scratch, found, first, n)
    return first, len(pixels)
