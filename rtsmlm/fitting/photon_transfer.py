"""Photon transfer: how the noise of a camera grows with its signal, from a movie of blinking light.

The variance of camera values is a straight line over their mean, whose slope is the gain and whose
foot is the dark value. A pixel is compared with itself one frame later, so that neither what it
shows nor how it differs from others counts; and only where its eight neighbours, whose noise is
their own, say that the light stayed the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32

LEAST_PAIRS = 8
"""Pairs of frames; with fewer nothing is said."""
MOST_SAMPLES = 400_000
"""Of a segment."""
STEADY = 0.7
"""Standard deviations by which the sum of the neighbours may differ between two frames."""
ROUNDS = 4
"""In each the noise found so far tells which neighbours stayed the same."""
BINS = 24
LEAST_IN_BIN = 300
LEAST_STEADY = 0.15
"""Part of the pairs of a bin that are steady; with less those that are left are accidents."""
MODEL_ERROR = 0.03
"""Relative error of the variance of a bin beside its statistics."""
NORMAL_QUARTILE = 0.31864
ROUNDING = 1.0 / 12.0
"""Variance of whole numbers, ADU²."""
STEADY_PART = 0.45
"""The same where frames have nothing to do with each other: a light that has changed to one as
bright is not rare then. Of pairs that stayed the same, half are steady."""
COHERENT = 1.5
"""Change of the neighbours' mean over that of a pixel's own noise, as variances, up to which the
light of a bin has not changed in most pairs."""
LAG_RATIO = 0.7
"""Change from frame to frame over that between frames far apart, above which they are unrelated."""
BRIGHT = 20
"""This is asked of the brightest twentieth."""
_LEVEL, _STEP, _MEAN, _SQUARE, _LATER = range(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """The line of variance over mean."""

    slope: float
    """Variance per signal, ADU."""
    slope_std: float
    """Its standard deviation; infinite where all is of one brightness."""
    foot_adu: float
    """Mean at which the line has no variance: the dark value, less what read noise adds."""
    foot_std: float
    low_adu: float
    """Mean of the darkest tenth of the steady pixels."""
    low_variance: float
    """Their variance, ADU²."""
    low_std: float
    """Relative standard deviation of that variance."""


def steady_samples(pixels: Pixels, masked: NDArray[np.bool_], ceiling: float = math.inf) -> F32:
    """Return pixels with their successors and neighbours, shape (n, 5).

    Parameters
    ----------
    pixels
        Successive frames, uint16 ADU, shape (n, height, width).
    masked
        Pixels that are left out, shape (height, width).
    ceiling
        Values from here on are saturated, and left out.

    Returns
    -------
    :
        Mean and difference of the neighbours' means, mean of the pixel, half its squared
        difference, difference of the neighbours' means to half a segment later.
    """
    n, height, width = pixels.shape
    pairs = n // 2
    step = max(math.ceil(pairs * height * width / MOST_SAMPLES), 1)
    found = np.empty((pairs * height * width // step + 1, 5), dtype=np.float32)
    count = _collect(pixels, masked, float(min(ceiling, 1e9)), step, found)
    return found[:count]


@njit(cache=True, nogil=True, error_model="numpy")
def _collect(
    pixels: Pixels, masked: NDArray[np.bool_], ceiling: float, step: int, found: F32
) -> int:
    n, height, width = pixels.shape
    count, at = 0, 0
    for k in range(0, n - 1, 2):
        far = (k + n // 2) % n
        for y in range(1, height - 1):
            for x in range(1, width - 1):
                at += 1
                if at % step or count >= len(found):
                    continue
                a, b = float(pixels[k, y, x]), float(pixels[k + 1, y, x])
                first, second, later, is_good = -a, -b, -float(pixels[far, y, x]), True
                for v in range(y - 1, y + 2):
                    for u in range(x - 1, x + 2):
                        c, d = float(pixels[k, v, u]), float(pixels[k + 1, v, u])
                        if masked[v, u] or c >= ceiling or d >= ceiling:
                            is_good = False
                        first += c
                        second += d
                        later += float(pixels[far, v, u])
                if not is_good:
                    continue
                found[count, 0] = (first + second) / 16.0
                found[count, 1] = (first - second) / 8.0
                found[count, 2] = 0.5 * (a + b)
                found[count, 3] = 0.5 * (a - b) * (a - b)
                found[count, 4] = (first - later) / 8.0
                count += 1
    return count


def photon_transfer(segments: Sequence[F32]) -> Transfer | None:
    """Return the line of variance over mean, or None where there is too little to tell it.

    Parameters
    ----------
    segments
        As `steady_samples` returns them, one for each part of the movie.
    """
    samples = np.concatenate(segments) if segments else np.empty((0, 5), np.float32)
    if len(samples) < 4 * LEAST_IN_BIN:
        return None
    samples = samples[np.argsort(samples[:, _LEVEL])]
    parts = np.split(samples, _edges(samples[:, _LEVEL]))
    quiet = _through(parts, STEADY_PART, COHERENT)
    if _are_unrelated(samples):
        return quiet
    changing = _through(parts, LEAST_STEADY, math.inf)
    lines = [line for line in (quiet, changing) if line is not None]
    return min(lines, key=_slope_error, default=None)


def _slope_error(line: Transfer) -> float:
    return line.slope_std / line.slope if line.slope > 0 else math.inf


def _through(parts: Sequence[F32], least: float, coherent: float) -> Transfer | None:
    """Return the line through bins of rising brightness.

    Parameters
    ----------
    parts
        The samples of each bin.
    least
        Least part of the pairs of a bin that are steady.
    coherent
        Change of the neighbours' mean over the noise, as variances, up to which a bin counts.
    """
    first = noise = np.array([_noise(part[:, _STEP]) for part in parts])
    levels = np.array([float(part[:, _LEVEL].mean()) if len(part) else 0.0 for part in parts])
    line = None
    for _ in range(ROUNDS):
        bins = [_bin(part, limit, least) for part, limit in zip(parts, STEADY * noise, strict=True)]
        table = np.array(
            [
                found
                for found, seen in zip(bins, first, strict=True)
                if found is not None and 4.0 * seen**2 < coherent * (found[1] + ROUNDING)
            ]
        )
        if not len(table):
            return None
        line = _line(table)
        expected = line.low_variance + max(line.slope, 0.0) * (levels - line.low_adu)
        # The mean of eight neighbours, once for each frame.
        noise = np.minimum(noise, np.sqrt(np.maximum(expected, ROUNDING) / 4.0))
    return line


def _are_unrelated(samples: F32) -> bool:
    """Tell whether bright places change from frame to frame as between frames far apart.

    So they do, too, where nothing changes at all; all pairs are steady then.
    """
    before = samples[:, _LEVEL] + 0.5 * samples[:, _STEP]  # of the first of two frames
    bright = samples[before >= np.quantile(before, 1.0 - 1.0 / BRIGHT)].astype(np.float64)
    near, far = np.square(bright[:, _STEP]).mean(), np.square(bright[:, _LATER]).mean()
    return bool(near > LAG_RATIO * far)


def _edges(level: F32) -> NDArray[np.int64]:
    """Return where bins of rising brightness begin: tenths of the pixels, then equal steps."""
    n = len(level)
    tenths = (np.linspace(0.1, 0.9, 9) * n).astype(np.int64)
    start, top = float(level[tenths[-1]]), float(level[-1])
    if not top > start:
        return tenths
    dark = float(level[0])
    steps = dark + np.geomspace(max(start - dark, 1e-3), top - dark, BINS - 8)[1:-1]
    return np.unique(np.concatenate([tenths, np.searchsorted(level, steps)]))


def _noise(step: F32) -> float:
    """Return the standard deviation of differences of which a quarter or more are of noise."""
    if not len(step):
        return 0.0
    return float(np.quantile(np.abs(step), 0.25)) / NORMAL_QUARTILE


def _bin(part: F32, limit: float, least: float) -> tuple[float, float, float] | None:
    """Return mean, variance and its relative error of the steady pairs of a bin."""
    steady = part[np.abs(part[:, _STEP]) <= limit]
    if len(steady) < LEAST_IN_BIN or len(steady) < least * len(part):
        return None
    mean, square = float(steady[:, _MEAN].mean()), steady[:, _SQUARE].astype(np.float64)
    variance = float(square.mean()) - ROUNDING
    if not variance > 0.0:
        return None
    error = float(square.std()) / (math.sqrt(len(square)) * variance)
    return mean, variance, math.hypot(error, MODEL_ERROR)


def _line(table: NDArray[np.float64]) -> Transfer:
    """Return the straight line through bins of mean, variance and relative error."""
    mean, variance, error = table.T
    low = int(np.argmin(mean))
    model = np.maximum(variance, 1e-9)
    slope = foot = 0.0
    slope_std = foot_std = math.inf
    for _ in range(3):
        weight = 1.0 / np.square(error * model)
        total = weight.sum()
        middle = float((weight * mean).sum() / total)
        spread = float((weight * np.square(mean - middle)).sum())
        if len(mean) < 3 or spread <= 0.0:
            break
        height = float((weight * variance).sum() / total)
        slope = float((weight * (mean - middle) * variance).sum() / spread)
        left = variance - height - slope * (mean - middle)
        excess = max(float((weight * np.square(left)).sum()) / (len(mean) - 2), 1.0)
        slope_std = math.sqrt(excess / spread)
        if slope <= 0.0:
            break
        foot = middle - height / slope
        foot_std = math.sqrt(excess / total / slope**2 + (height / slope**2) ** 2 * slope_std**2)
        model = np.maximum(height + slope * (mean - middle), 0.2 * variance)
    return Transfer(
        slope=slope,
        slope_std=slope_std,
        foot_adu=foot,
        foot_std=foot_std,
        low_adu=float(mean[low]),
        low_variance=float(variance[low]),
        low_std=float(error[low]),
    )
