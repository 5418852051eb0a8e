"""Compiled: raw frames to the planes that the first convolution takes, on the CPU.

The same as `rtsmlm.models.flagship.network.stabilize`, of which the ONNX model holds a copy, four
times as fast: every frame is transformed once for the three in which it takes part, and channels
lie together as the convolution wants them.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32
from rtsmlm.models.inputs import BLOCK_PX

PLANES = 16
"""Previous, target and next frame and the noise level, of each of the four pixels of a cell."""
_CELLS = BLOCK_PX // 2


class PlaneMaker:
    """Turns frames of one shape into planes; keeps its memory from call to call.

    Parameters
    ----------
    n_frames
        How many are localized at once.
    maps
        Offset in ADU, photons per ADU and read variance, padded.
    """

    def __init__(self, n_frames: int, maps: tuple[F32, F32, F32]) -> None:
        height, width = maps[0].shape
        self._maps = maps
        self._roots = np.empty((n_frames + 2, height, width), dtype=np.float32)
        self._levels = np.empty((n_frames + 2, height // 2, width // 2), dtype=np.float32)
        self.planes = np.empty((n_frames, height // 2, width // 2, PLANES), dtype=np.float32)

    def __call__(self, frames: Pixels, context: F32) -> F32:
        """Return the planes, (n, height / 2, width / 2, 16); overwritten by the next call.

        Parameters
        ----------
        frames
            uint16 ADU, (n + 2, height, width).
        context
            1 where the previous, the next frame is there, (n, 2).
        """
        # Compiled code tells read-only arrays from others: frames are always made so.
        frames = np.ascontiguousarray(frames).view()
        frames.flags.writeable = False
        offset, gain, variance = self._maps
        for frame, roots, level in zip(frames, self._roots, self._levels, strict=True):
            _stabilize(frame, offset, gain, variance, level, roots)
        _assemble(self._roots, self._levels, variance, context, self.planes)
        return self.planes


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _stabilize(
    frame: Pixels, offset: F32, gain: F32, variance: F32, level: F32, roots: F32
) -> None:
    """Write half the differences of square roots of one frame, and its level of light."""
    level_of_light(block_means(frame, offset, gain), level)
    height, width = frame.shape
    shifted = np.empty(width, np.float32)
    zero, half, bias = np.float32(0.0), np.float32(0.5), np.float32(0.375)
    for y in range(height):
        dim = level[y >> 1]
        for x in range(width // 2):
            shifted[2 * x] = dim[x]
            shifted[2 * x + 1] = dim[x]
        row, out = frame[y], roots[y]
        for x in range(width):
            v = variance[y, x] + bias
            light = (np.float32(row[x]) - offset[y, x]) * gain[y, x] + v
            out[x] = half * (np.sqrt(max(light, zero)) - np.sqrt(shifted[x] + v))


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def block_means(frame: Pixels, offset: F32, gain: F32) -> F32:
    """Return the mean light of each block of a frame, photons per pixel."""
    height, width = frame.shape
    means = np.zeros((height // BLOCK_PX, width // BLOCK_PX), np.float32)
    sums = np.empty(width, np.float32)
    for block in range(height // BLOCK_PX):
        sums[:] = 0.0
        for y in range(block * BLOCK_PX, (block + 1) * BLOCK_PX):
            for x in range(width):
                sums[x] += (np.float32(frame[y, x]) - offset[y, x]) * gain[y, x]
        for x in range(width):
            means[block, x // BLOCK_PX] += sums[x] * np.float32(1.0 / BLOCK_PX**2)
    return means


@njit(cache=True, nogil=True, error_model="numpy")
def level_of_light(means: F32, level: F32) -> None:
    """Write the level of each cell of a frame, between blocks by straight lines."""
    smooth = smoothed(means)
    between = np.empty(means.shape[1], np.float32)
    for y in range(level.shape[0]):
        level_of_cells(smooth, y, 0, between, level[y])


@njit(cache=True, nogil=True, error_model="numpy")
def smoothed(means: F32) -> F32:
    """Return the mean of nine least block means around each block."""
    rows, columns = means.shape
    least, smooth = np.empty_like(means), np.empty_like(means)
    for i in range(rows):
        for j in range(columns):
            lowest = means[i, j]
            for k in range(max(i - 1, 0), min(i + 2, rows)):
                for m in range(max(j - 1, 0), min(j + 2, columns)):
                    lowest = min(lowest, means[k, m])
            least[i, j] = lowest
    for i in range(rows):
        for j in range(columns):
            total, count = np.float32(0.0), 0
            for k in range(max(i - 1, 0), min(i + 2, rows)):
                for m in range(max(j - 1, 0), min(j + 2, columns)):
                    total += least[k, m]
                    count += 1
            smooth[i, j] = total / np.float32(count)
    return smooth


@njit(cache=True, nogil=True, error_model="numpy")
def level_of_cells(smooth: F32, y: int, first: int, between: F32, level: F32) -> None:
    """Write the level of some cells of row `y`, from column `first` on.

    Parameters
    ----------
    smooth
        Of the frame, as `smoothed` returns it.
    y, first
        Row and column of the first cell.
    between
        Scratch memory, one number for each column of blocks.
    level
        Written, one number for each cell.
    """
    rows, columns = smooth.shape
    i, next_i, down = _place(y, rows)
    for j in range(_place(first, columns)[0], _place(first + len(level) - 1, columns)[1] + 1):
        between[j] = smooth[i, j] + down * (smooth[next_i, j] - smooth[i, j])
    for x in range(len(level)):
        j, next_j, right = _place(first + x, columns)
        value = between[j] + right * (between[next_j] - between[j])
        level[x] = max(value, np.float32(0.0))


@njit(cache=True, nogil=True, error_model="numpy")
def _place(cell: int, blocks: int) -> tuple[int, int, np.float32]:
    """Return the blocks before and after the middle of a cell, and how far between it lies."""
    at = min(max((cell + 0.5) / _CELLS - 0.5, 0.0), blocks - 1.0)
    before = int(at)
    return before, min(before + 1, blocks - 1), np.float32(at - before)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _assemble(roots: F32, levels: F32, variance: F32, context: F32, planes: F32) -> None:
    n, rows, columns, _ = planes.shape
    light, noise = np.empty(2 * columns, np.float32), np.empty((2, 2 * columns), np.float32)
    for k in range(n):
        before, after = context[k, 0], context[k, 1]
        for i in range(rows):
            for r in range(2):
                for j in range(columns):
                    light[2 * j] = levels[k + 1, i, j]
                    light[2 * j + 1] = levels[k + 1, i, j]
                for x in range(2 * columns):
                    light[x] += variance[2 * i + r, x] + np.float32(1.0)
                third_of_log(light, noise[r])
            for j in range(columns):
                cell = planes[k, i, j]
                for r in range(2):
                    y = 2 * i + r
                    for c in range(2):
                        x, slot = 2 * j + c, 2 * r + c
                        cell[slot] = before * roots[k, y, x]
                        cell[4 + slot] = roots[k + 1, y, x]
                        cell[8 + slot] = after * roots[k + 2, y, x]
                        cell[12 + slot] = noise[r, x]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def third_of_log(value: F32, out: F32) -> None:
    """Write log(value) / 3 of numbers from 1 on, within 1e-6; `value` is used up.

    No compiler makes vectors of calls of a logarithm everywhere. A number is 2^e m: the logarithm
    of m, between 1 and 2, is the series of atanh((m - 1) / (m + 1)), which is at most 1/3.
    """
    bits, mantissa = value.view(np.int32), out.view(np.int32)
    for x in range(len(value)):
        exponent = (bits[x] >> 23) - 127
        mantissa[x] = (bits[x] & 0x7FFFFF) | 0x3F800000
        value[x] = np.float32(exponent)
    ln2, third, one = np.float32(math.log(2.0)), np.float32(1.0 / 3.0), np.float32(1.0)
    c3, c5, c7, c9 = third, np.float32(1 / 5), np.float32(1 / 7), np.float32(1 / 9)
    for x in range(len(value)):
        u = (out[x] - one) / (out[x] + one)
        v = u * u
        series = one + v * (c3 + v * (c5 + v * (c7 + v * c9)))
        out[x] = third * (ln2 * value[x] + np.float32(2.0) * u * series)
