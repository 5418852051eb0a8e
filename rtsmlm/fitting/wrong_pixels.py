"""Pixels that are wrong in all frames: hot, dead, or of a noise that light does not explain.

An emitter, also a fiducial, is drawn by the PSF: its light and the variance that its blinking adds
reach the neighbouring pixels. What stands out alone, in every part of a movie, is the pixel's own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.calibration import CameraCalibration
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32

SEGMENTS = 4
"""Parts of a movie, in each of which a pixel must stand out."""
FRAMES_PER_SEGMENT = 24
LEAST_PER_SEGMENT = 4
MOST_PIXELS = 1 << 27
"""That are looked at in all; of larger frames fewer are."""
NARROWEST_SIGMA_PX = 0.6
"""The narrowest PSF that is sampled at all."""
PART = 0.5
"""Of the light that this PSF would bring to the neighbours; with less a pixel stands alone."""
NOISES = 1.5
"""A pixel that is off by less than so many standard deviations of the noise of a frame does little
harm."""
MEAN_NOISES = 5.5
"""The same of the noise of the mean over a segment: among a million pixels no accident."""
SPREADS = 6.0
"""The same of the robust spread of all pixels, which dark values that are not in a map widen."""
FLICKER = 6.0
"""Variance over that of the neighbours, and more where few frames tell it."""
MOST_SHARE = 0.02
"""Of all pixels; where more stand out, they are how this camera is, and no fault of some pixels."""
HOT, FLICKERING, DEAD = 1, 2, 3
QUIET_QUANTILE = 0.1
"""Of the variances of all pixels: that of the background."""
_HOT_ROUNDS, _ROUNDS = 2, 4
"""In each the wrong pixels found so far are left out as neighbours; hot ones, beside which others
look dead, are found first."""


class WrongPixels(NamedTuple):
    """What is wrong with each pixel."""

    kind: NDArray[np.uint8]
    """0, `HOT`, `FLICKERING` or `DEAD`, shape (height, width)."""
    note: str = ""
    """One sentence where there is something to be said."""

    @property
    def masked(self) -> NDArray[np.bool_]:
        """Which pixels are wrong."""
        return self.kind > 0


def frames_per_segment(shape: tuple[int, int]) -> int:
    """Return how many successive frames of each segment are looked at."""
    fitting = MOST_PIXELS // (SEGMENTS * shape[0] * shape[1])
    return int(min(max(fitting, LEAST_PER_SEGMENT), FRAMES_PER_SEGMENT))


def segments_of(n_frames: int, shape: tuple[int, int]) -> list[range]:
    """Return the frames to look at, spread over a movie; empty where it is too short."""
    n = min(frames_per_segment(shape), n_frames // SEGMENTS)
    if n < LEAST_PER_SEGMENT:
        return []
    starts = np.linspace(0, n_frames - n, SEGMENTS).astype(np.int64).tolist()
    return [range(start, start + n) for start in starts]


def find_wrong_pixels(
    segments: Iterable[Pixels], calibration: CameraCalibration, sigma_px: float | None = None
) -> WrongPixels:
    """Return the pixels that are wrong in all segments.

    Parameters
    ----------
    segments
        Successive frames each, uint16 ADU, shape (n, height, width), read one after the other.
    calibration
        Its maps are taken into account: a noise that is stated is none that is unexplained.
    sigma_px
        Width of the PSF, where it is known.
    """
    offset, gain, stated = _maps(calibration)
    means: list[F32] = []
    variance = np.zeros((0, 0), dtype=np.float32)
    n = 0
    first: Pixels | None = None
    for pixels in segments:
        n = len(pixels)
        if first is None:
            first = pixels[0].copy()
        elif holds(first, pixels):  # frames that are repeated say nothing anew
            return WrongPixels(np.zeros(pixels.shape[1:], dtype=np.uint8))
        mean, scatter = _statistics(pixels, offset, gain)
        variance = np.minimum(variance, scatter) if means else scatter
        means.append(mean)
    if min(variance.shape) < 5:
        return WrongPixels(np.zeros(variance.shape, dtype=np.uint8))
    # What the calibration says of a pixel's noise is known of it.
    variance = np.maximum(variance - stated, np.float32(0.0))
    narrow = NARROWEST_SIGMA_PX if sigma_px is None else max(0.85 * sigma_px, NARROWEST_SIGMA_PX)
    light, squared = _around(narrow)
    kind = np.zeros(variance.shape, dtype=np.uint8)
    spread = _spread(means[0])
    stack = np.stack(means)
    quiet = float(np.quantile(variance, QUIET_QUANTILE))
    limits = np.array(
        [
            *(SPREADS * spread, 1.0 / math.sqrt(n), PART * light, PART * squared, quiet),
            FLICKER * (1.0 + 3.0 / math.sqrt(n)),
        ]
    )
    for k in range(_ROUNDS):
        before = kind.copy()
        _judge(stack, variance, before, limits, k < _HOT_ROUNDS, kind)
    n_wrong = int(np.count_nonzero(kind))
    if n_wrong > MOST_SHARE * kind.size:
        return WrongPixels(
            np.zeros_like(kind),
            f"{100 * n_wrong / kind.size:.0f} % of the pixels stand out from their neighbours in "
            "all frames, too many to mask them: give camera maps (camera.maps), or run rtsmlm "
            "calibrate camera",
        )
    return WrongPixels(kind, _sentence(kind))


def holds(frame: Pixels, pixels: Pixels) -> bool:
    """Tell whether a frame is among others, which noise excludes unless frames are repeated."""
    return any(np.array_equal(frame, other) for other in pixels)


def _sentence(kind: NDArray[np.uint8]) -> str:
    counts = [int(np.count_nonzero(kind == k)) for k in (HOT, FLICKERING, DEAD)]
    if not (total := sum(counts)):
        return ""
    kinds = zip(counts, ("hot", "flickering", "dead"), strict=True)
    words = [f"{n} {word}" for n, word in kinds if n]
    pixels = "pixel is" if total == 1 else "pixels are"
    return (
        f"{total} {pixels} masked: {', '.join(words)}; the neighbours stand for them "
        '(camera.wrong_pixels = "off" leaves them as they are)'
    )


def _maps(calibration: CameraCalibration) -> tuple[F32, F32, F32]:
    """Return offset, gain and variance of the read noise, maps or of shape (1, 1)."""
    values = (calibration.offset_adu, calibration.e_per_adu, calibration.read_noise_e)
    offset, gain, noise = (np.atleast_2d(np.asarray(v, dtype=np.float32)) for v in values)
    if noise.size == 1:  # the typical one, which may be assumed: neighbours have it as well
        noise = np.zeros_like(noise)
    return offset, gain, noise * noise


def _around(sigma_px: float) -> tuple[float, float]:
    """Return light and squared light of seven neighbours of a spot's middle, over its own.

    The brightest of the eight is left out, as it may be wrong, too.
    """
    edges = np.array([0.5, 1.5]) / (math.sqrt(2.0) * sigma_px)
    inner = math.erf(edges[0])
    outer = 0.5 * (math.erf(edges[1]) - inner)
    beside, corner = outer / inner, (outer / inner) ** 2
    return (3.0 * beside + 4.0 * corner) / 7.0, (3.0 * beside**2 + 4.0 * corner**2) / 7.0


def _spread(mean: F32) -> float:
    """Return the robust standard deviation of pixels against the mean of two neighbours."""
    rows = mean[:: max(mean.size >> 20, 1)]
    middle = rows[:, 1:-1] - 0.5 * (rows[:, 2:] + rows[:, :-2])
    return float(1.4826 * np.median(np.abs(middle)) / math.sqrt(1.5))


@njit(cache=True, nogil=True, error_model="numpy")
def _statistics(pixels: Pixels, offset: F32, gain: F32) -> tuple[F32, F32]:
    """Return the mean, and the variance by differences of successive frames, (height, width)."""
    n, height, width = pixels.shape
    mean = np.zeros((height, width), dtype=np.float32)
    scatter = np.zeros((height, width), dtype=np.float32)
    is_map = offset.size > 1
    gain_is_map = gain.size > 1
    for k in range(n):
        before = max(k - 1, 0)
        for y in range(height):
            for x in range(width):
                here = np.float32(pixels[k, y, x])
                step = here - np.float32(pixels[before, y, x])
                mean[y, x] += here
                scatter[y, x] += step * step
    for y in range(height):
        for x in range(width):
            dark = offset[y, x] if is_map else offset[0, 0]
            factor = gain[y, x] if gain_is_map else gain[0, 0]
            mean[y, x] = (mean[y, x] / n - dark) * factor
            scatter[y, x] *= factor * factor / (2.0 * (n - 1))
    return mean, scatter


@njit(cache=True, nogil=True, error_model="numpy")
def _beside(image: F32, wrong: NDArray[np.uint8], y: int, x: int, reach: int) -> float:
    """Return the mean of the right pixels at a distance, without the highest of them."""
    height, width = image.shape
    total, n, highest = 0.0, 0, -np.inf
    for v in range(max(y - reach, 0), min(y + reach + 1, height)):
        for u in range(max(x - reach, 0), min(x + reach + 1, width)):
            is_at = max(abs(v - y), abs(u - x)) == reach
            if is_at and wrong[v, u] == 0:
                total += image[v, u]
                n += 1
                highest = max(highest, image[v, u])
    if n < 3:
        return total / max(n, 1)
    return (total - highest) / (n - 1)


@njit(cache=True, nogil=True, error_model="numpy")
def _rise(mean: F32, y: int, x: int) -> float:
    """Return by how much a pixel lies above its surroundings, roughly: the larger of two."""
    height, width = mean.shape
    here = mean[y, x]
    along_x = here - 0.5 * (mean[y, max(x - 2, 0)] + mean[y, min(x + 2, width - 1)])
    along_y = here - 0.5 * (mean[max(y - 2, 0), x] + mean[min(y + 2, height - 1), x])
    return float(along_x if abs(along_x) > abs(along_y) else along_y)


@njit(cache=True, nogil=True, error_model="numpy")
def _is_summit(mean: F32, wrong: NDArray[np.uint8], y: int, x: int, sign: float) -> bool:
    """Tell whether at most one right neighbour is as high: the flank of a bright spot is none."""
    height, width = mean.shape
    n, here = 0, sign * mean[y, x]
    for v in range(max(y - 1, 0), min(y + 2, height)):
        for u in range(max(x - 1, 0), min(x + 2, width)):
            if wrong[v, u] == 0 and sign * mean[v, u] >= here:
                n += 1
    return n <= 2  # itself is one


@njit(cache=True, nogil=True, error_model="numpy")
def _stands_out(
    means: F32, wrong: NDArray[np.uint8], y: int, x: int, need: float, part: float, sign: float
) -> bool:
    """Tell whether a pixel is brighter (1) or darker (-1) than its neighbours in all segments.

    In one of them an emitter may lie beside it.
    """
    n_beside = 0
    for mean in means:
        if not _is_summit(mean, wrong, y, x, sign):
            return False
        under = _beside(mean, wrong, y, x, 2)
        height = sign * (mean[y, x] - under)
        if height < need:
            return False
        light = sign * (_beside(mean, wrong, y, x, 1) - under)
        if light > part * height:
            n_beside += 1
            if n_beside > 1:
                return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _judge(
    means: F32,
    variance: F32,
    wrong: NDArray[np.uint8],
    limits: NDArray[np.float64],
    only_hot: bool,
    kind: NDArray[np.uint8],
) -> None:
    """Write what is wrong with each pixel.

    Parameters
    ----------
    means
        Of the segments, (segments, height, width).
    variance
        Lowest of the variances that the calibration does not state, (height, width).
    wrong
        Pixels that are no neighbours.
    limits
        Least distance; noise of a mean over that of a frame; most part of light and of variance
        that the neighbours may have; variance of the background; variance of a pixel that flickers
        over that of its neighbours.
    only_hot
        Look for hot pixels alone.
    kind
        Written.
    """
    height, width = variance.shape
    for y in range(height):
        for x in range(width):
            if wrong[y, x]:
                continue
            own = variance[y, x]
            alone = _rise(means[0], y, x)
            may_flicker = own > limits[5] * limits[4]
            if abs(alone) < 0.5 * limits[0] and not may_flicker:  # nearly all of them
                continue
            beside = _beside(variance, wrong, y, x, 1)
            is_alone = beside - limits[4] < limits[3] * (own - limits[4])
            need = max(limits[0], NOISES * math.sqrt(beside))
            need = max(need, MEAN_NOISES * limits[1] * math.sqrt(max(own, beside)))
            if _stands_out(means, wrong, y, x, need, limits[2], 1.0):
                kind[y, x] = HOT
            elif only_hot:
                continue
            elif _stands_out(means, wrong, y, x, need, limits[2], -1.0):
                kind[y, x] = DEAD
            elif may_flicker and own > limits[5] * beside and is_alone:
                kind[y, x] = FLICKERING
