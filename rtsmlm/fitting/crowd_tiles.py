"""Crowds of whole frames: tiles with what surrounds them, and in these all that is linked."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.fitting.boxes import F64
from rtsmlm.fitting.crowd_island import COLUMNS, PAD_PX, X, Y, fit_island
from rtsmlm.fitting.crowd_pairs import Rules
from rtsmlm.fitting.crowd_patches import I32, MARGIN, reach_of
from rtsmlm.fitting.group_table import group_rows
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32

TILE_PX = 128
"""Side of a tile, about; a frame up to one and a half times as large is one."""
LINK_SIGMA = 5.0
"""Emitters nearer to each other than so many PSF widths and a pixel are fitted together."""
FAR_PX = 1e6
MOST_MEASURED, LEAST_MEASURED = 24, 8
"""Spots of each frame whose width is measured first: with less the one that is stated counts."""
MOST_EACH_PX = 400.0
"""Where there are fewer pixels than this for each emitter, a tile is one crowd."""
SURE_STDS = 2.5
"""By so many of its own standard deviations a width must be another one than stated."""
LEAST_EXCESS, MOST_NARROWER, MOST_WIDER = 0.02, -0.3, 0.4
"""Variance of spots beyond that of the PSF, over it, that is taken for that of the PSF."""


def fit_crowds(
    pixels: Pixels,
    maps: tuple[F32, F32, F32],
    frame: I32,
    rows: F64,
    free: NDArray[np.bool_],
    sigma: tuple[float, float],
    excess_noise: float,
    rules: Rules,
) -> F64:
    """Fit all free rows with their neighbours, and split those that are two emitters.

    Parameters
    ----------
    pixels
        Raw frames in ADU, uint16, (n, height, width).
    maps
        Offset in ADU, photons per ADU and read variance in photons², (height, width).
    frame
        Position of the frame of each row; rows ordered by frame, then y, (m,).
    rows
        x, y, photons, background and standard deviations of the first three, in pixels and photons,
        (m, 7).
    free
        Rows that are fitted; the light of the others is taken for known, (m,).
    sigma
        Standard deviations of the PSF along x and y in pixels.
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    rules
        When a row is two.

    Returns
    -------
    :
        The rows as fitted, then the second ones of those that are two, (m + k, `COLUMNS`).
    """
    mean_px = 0.5 * (sigma[0] + sigma[1])
    fit = _Fit(pixels, maps, frame, rows, free, reach_of(mean_px), LINK_SIGMA * mean_px + 1.0)
    return fit(sigma, excess_noise, rules)


def measured_width(sigma: tuple[float, float], excess: F64) -> tuple[float, float]:
    """Return the width that spots of a frame have, which is that stated unless they deny it.

    Parameters
    ----------
    sigma
        Standard deviations of the PSF along x and y in pixels.
    excess
        By how much the variances of spots exceed that, in pixels², (n,).
    """
    if len(excess) < LEAST_MEASURED:
        return sigma
    middle = float(np.median(excess))
    scatter = 1.4826 * float(np.median(np.abs(excess - middle)))
    std = 1.25 * scatter / math.sqrt(len(excess))
    part = middle / (sigma[0] * sigma[1])
    if abs(middle) < SURE_STDS * std or abs(part) < LEAST_EXCESS:
        return sigma
    scale = math.sqrt(1.0 + min(max(part, MOST_NARROWER), MOST_WIDER))
    return scale * sigma[0], scale * sigma[1]


class _Fit:
    """Rows of frames, and the memory that their tiles share."""

    def __init__(
        self,
        pixels: Pixels,
        maps: tuple[F32, F32, F32],
        frame: I32,
        rows: F64,
        free: NDArray[np.bool_],
        reach: int,
        link_px: float,
    ) -> None:
        self._pixels, self._maps, self._rows, self._free = pixels, maps, rows, free
        self._reach, self._link_px = reach, link_px
        begin = np.flatnonzero(np.diff(frame, prepend=-1))
        end = np.append(begin[1:], len(frame))
        bounds = zip(begin.tolist(), end.tolist(), strict=True)
        frames = [(int(frame[a]), a, b, int(free[a:b].sum())) for a, b in bounds]
        self._frames = [each for each in frames if each[3]]
        halo = link_px + reach
        self._tiles = [
            (*down, *across)
            for down in _parts(pixels.shape[1])
            for across in _parts(pixels.shape[2])
        ]
        # Room for the images of the largest place that a tile may have; see `fit_island`.
        around = 2.0 * (halo + reach + PAD_PX + 2 + MARGIN) + 2.0
        sides = [size / len(_parts(size)) + around for size in pixels.shape[1:]]
        self._memory = np.empty(int(7 * sides[0] * sides[1]), np.float32)

    def __call__(self, sigma: tuple[float, float], excess_noise: float, rules: Rules) -> F64:
        """Return fits as `fit_crowds` does: those of a frame do not depend on other frames."""
        m = len(self._rows)
        # A crowd of n has room for n + 4 second ones: that of one row for five.
        out = np.zeros((6 * m, COLUMNS))
        out[:m, :7] = self._rows[:, :7]
        n = m
        for of_frame in self._frames:
            measured = np.zeros(1 + MOST_MEASURED)
            if of_frame[3] >= LEAST_MEASURED:
                self._fit(of_frame, sigma, excess_noise, rules, out, n, measured)
            width = measured_width(sigma, measured[1 : 1 + int(measured[0])])
            n = self._fit(of_frame, width, excess_noise, rules, out, n, measured[:0])
        return out[:n]

    def _fit(
        self, of_frame: tuple[int, int, int, int], sigma: tuple[float, float],
        excess_noise: float, rules: Rules, out: F64, n: int, measured: F64,
    ) -> int:  # fmt: skip
        """Fit the tiles of a frame, or measure its spots; return how many rows there are then."""
        frame, begin, end, _ = of_frame
        for tile in self._tiles:
            n += fit_tile(
                self._pixels[frame], *self._maps, begin, end, self._rows, self._free, sigma,
                self._reach, self._link_px, excess_noise, rules, tile, out, n, measured,
                self._memory,
            )  # fmt: skip
            if len(measured) and measured[0] + 1 == len(measured):
                break
        return n


def _parts(size_px: int) -> list[tuple[float, float]]:
    """Return first and last place of tiles along a side; the outer ones hold what lies beyond."""
    n = max(1, round(size_px / TILE_PX))
    edges = [k * size_px / n - 0.5 for k in range(1, n)]
    return list(pairwise([-FAR_PX, *edges, FAR_PX]))


@njit(cache=True, nogil=True, error_model="numpy")
def fit_tile(
    pixels: NDArray[np.uint16], offset_adu: F32, photons_per_adu: F32, read_variance: F32,
    begin: int, end: int, rows: F64, free: NDArray[np.bool_], sigma: tuple[float, float],
    reach: int, link_px: float, excess_noise: float, rules: Rules,
    tile: tuple[float, float, float, float], out: F64, next_row: int, measured: F64, memory: F32,
) -> int:  # fmt: skip
    """Fit the crowds of a tile, with what surrounds it; return how many second ones there are."""
    halo = link_px + reach
    inside, count = np.empty(end - begin, np.int64), 0
    for i in range(begin, end):
        x, y = rows[i, X], rows[i, Y]
        if tile[0] - halo <= y < tile[1] + halo and tile[2] - halo <= x < tile[3] + halo:
            inside[count] = i
            count += 1
    if count == 0:
        return 0
    inside = inside[:count]
    moving = inside[free[inside]]
    n_free = len(moving)
    ys, xs, half = np.empty(n_free), np.empty(n_free), np.full(n_free, 0.5 * link_px)
    for k in range(n_free):
        xs[k], ys[k] = rows[moving[k], X], rows[moving[k], Y]
    height = min(tile[1], offset_adu.shape[0]) - max(tile[0], 0.0)
    width = min(tile[3], offset_adu.shape[1]) - max(tile[2], 0.0)
    if n_free * MOST_EACH_PX > height * width:
        half[:] = FAR_PX
    group = group_rows(np.zeros(n_free, np.int32), ys, xs, half, half)
    seconds = 0
    for g in range(n_free):
        if group[g] != g:
            continue
        members, n, is_ours = np.empty(n_free, np.int64), 0, False
        for k in range(g, n_free):
            if group[k] == g:
                members[n] = moving[k]
                n += 1
                is_ours |= tile[0] <= ys[k] < tile[1] and tile[2] <= xs[k] < tile[3]
        if is_ours:
            seconds += fit_island(
                pixels, offset_adu, photons_per_adu, read_variance, members[:n], inside, rows,
                sigma, reach, excess_noise, rules, tile, out, next_row + seconds, measured, memory,
            )  # fmt: skip
    return seconds
