"""Crowds of whole frames: tiles with what surrounds them, and in these all that is linked."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.fitting.boxes import F64
from rtsmlm.fitting.crowd_island import COLUMNS, NOT_WRITTEN, PAD_PX, X, Y, fit_island
from rtsmlm.fitting.crowd_pairs import Rules
from rtsmlm.fitting.crowd_patches import I32, MARGIN, reach_of
from rtsmlm.fitting.crowd_width import LEAST_MEASURED, MOST_MEASURED, measured_width
from rtsmlm.fitting.group_table import group_rows
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32

TILE_PX = 128
"""Side of a tile, about; a frame up to one and a half times as large is one."""
LINK_SIGMA = 5.0
"""Emitters nearer to each other than so many PSF widths and a pixel are fitted together."""
FAR_PX = 1e6
MOST_EACH_PX = 400.0
"""Where there are fewer pixels than this for each emitter, a tile is one crowd."""


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
            measured, left = np.zeros(1 + MOST_MEASURED), self._tiles
            for tile in self._tiles if of_frame[3] >= LEAST_MEASURED else ():
                seconds = self._fit(of_frame, tile, sigma, excess_noise, rules, out, n, measured)
                if seconds != NOT_WRITTEN:
                    n, left = n + seconds, [each for each in self._tiles if each != tile]
                if measured[0] == MOST_MEASURED:
                    break
            width = measured_width(sigma, measured)
            for tile in left:
                n += self._fit(of_frame, tile, width, excess_noise, rules, out, n, measured[:0])
        return out[:n]

    def _fit(
        self, of_frame: tuple[int, int, int, int], tile: tuple[float, float, float, float],
        sigma: tuple[float, float], excess_noise: float, rules: Rules, out: F64, n: int,
        measured: F64,
    ) -> int:  # fmt: skip
        """Fit a tile of a frame, or measure its spots; return what `fit_tile` does."""
        frame, begin, end, _ = of_frame
        return int(
            fit_tile(
                self._pixels[frame], *self._maps, begin, end, self._rows, self._free, sigma,
                self._reach, self._link_px, excess_noise, rules, tile, out, n, measured,
                0 if len(self._tiles) == 1 else MOST_MEASURED, self._memory,
            )
        )  # fmt: skip


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
    tile: tuple[float, float, float, float], out: F64, next_row: int, measured: F64,
    enough: int, memory: F32,
) -> int:  # fmt: skip
    """Fit the crowds of a tile, with what surrounds it; return how many second ones there are.

    With room in `measured` widths are measured and nothing is written, and that is said, unless the
    tile is one crowd that gives enough of them.
    """
    halo = link_px + reach
    inside, count = np.empty(end - begin, np.int64), 0
    for i in range(begin, end):
        x, y = rows[i, X], rows[i, Y]
        if tile[0] - halo <= y < tile[1] + halo and tile[2] - halo <= x < tile[3] + halo:
            inside[count] = i
            count += 1
    if count == 0:
        return NOT_WRITTEN if len(measured) else 0
    inside = inside[:count]
    moving, n_free = np.empty(count, np.int64), 0
    for k in range(count):
        if free[inside[k]]:
            moving[n_free] = inside[k]
            n_free += 1
    ys, xs, half = np.empty(n_free), np.empty(n_free), np.full(n_free, 0.5 * link_px)
    for k in range(n_free):
        xs[k], ys[k] = rows[moving[k], X], rows[moving[k], Y]
    height = min(tile[1], offset_adu.shape[0]) - max(tile[0], 0.0)
    width = min(tile[3], offset_adu.shape[1]) - max(tile[2], 0.0)
    is_one = n_free * MOST_EACH_PX > height * width
    if is_one:
        for k in range(n_free):
            half[k] = FAR_PX
    group = group_rows(np.zeros(n_free, np.int32), ys, xs, half, half)
    if not is_one or (len(measured) and measured[0] > 0.0):
        # What spots of several crowds say must be known before any of them is fitted.
        enough = len(measured)
    seconds, is_written = 0, False
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
            added = fit_island(
                pixels, offset_adu, photons_per_adu, read_variance, members[:n], inside, rows,
                sigma, reach, excess_noise, rules, tile, out, next_row + seconds, measured,
                enough, memory,
            )  # fmt: skip
            seconds += max(added, 0)
            is_written = added != NOT_WRITTEN
    return seconds if is_written or len(measured) == 0 else NOT_WRITTEN
