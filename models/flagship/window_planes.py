"""Compiled: planes of windows of frames, the same values as those of whole frames.

Where a network looks at some places of a frame only, most of the frame needs no planes. The level
of light is measured on whole frames all the same: it depends on more than a window shows.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32
from rtsmlm.models.flagship.planes import (
    PLANES,
    block_means,
    level_of_cells,
    smoothed,
    third_of_log,
)
from rtsmlm.models.inputs import BLOCK_PX
from rtsmlm.models.windows import Windows


class WindowPlanes:
    """Turns windows of frames into planes; one for each thread.

    Parameters
    ----------
    maps
        Offset in ADU, photons per ADU and read variance, padded.
    """

    def __init__(self, maps: tuple[F32, F32, F32]) -> None:
        self._maps = maps
        self._smooth = np.empty((0, 0, 0), dtype=np.float32)

    def begin(self, frames: Pixels, windows: Windows) -> None:
        """Measure the levels of light of all frames that windows show, and of their neighbours.

        Parameters
        ----------
        frames
            Padded frames, uint16 ADU, read-only, (n, height, width).
        windows
            Of all calls until the next `begin`.
        """
        n, height, width = frames.shape
        if len(self._smooth) < n:
            blocks = height // BLOCK_PX, width // BLOCK_PX
            self._smooth = np.empty((n, *blocks), dtype=np.float32)
        needed = np.zeros(n, dtype=np.bool_)
        for step in (-1, 0, 1):
            needed[np.clip(windows[:, 0] + step, 0, n - 1)] = True
        offset, gain, _ = self._maps
        _smooth_blocks(frames, needed, offset, gain, self._smooth)

    def __call__(self, frames: Pixels, context: F32, windows: Windows, planes: F32) -> None:
        """Write the planes of windows.

        Parameters
        ----------
        frames
            As given to `begin`.
        context
            1 where the previous, the next frame of each is there, (n, 2).
        windows
            Some of those given to `begin`, (m, 3).
        planes
            Written, at least (m, side / 2, side / 2, 16).
        """
        offset, gain, variance = self._maps
        _write(frames, self._smooth, offset, gain, variance, context, windows, planes)


@njit(cache=True, nogil=True, error_model="numpy")
def _smooth_blocks(
    frames: Pixels, needed: NDArray[np.bool_], offset: F32, gain: F32, smooth: F32
) -> None:
    for k in range(len(frames)):
        if needed[k]:
            smooth[k] = smoothed(block_means(frames[k], offset, gain))


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _write(
    frames: Pixels,
    smooth: F32,
    offset: F32,
    gain: F32,
    variance: F32,
    context: F32,
    windows: Windows,
    planes: F32,
) -> None:
    side = 2 * planes.shape[1]
    last = len(frames) - 1
    shifted, light, noise = np.empty((3, side), np.float32)
    between, level = np.empty(smooth.shape[2], np.float32), np.empty(side // 2, np.float32)
    zero, half, bias, one = (
        np.float32(0.0),
        np.float32(0.5),
        np.float32(0.375),
        np.float32(1.0),
    )
    for w in range(len(windows)):
        k, top, left = windows[w]
        for step in range(3):
            share = one if step == 1 else context[k, step // 2]
            frame = min(max(k + step - 1, 0), last)
            for r in range(side):
                y = top + r
                if r & 1 == 0:
                    level_of_cells(smooth[frame], y >> 1, left >> 1, between, level)
                for c in range(side // 2):
                    shifted[2 * c] = level[c]
                    shifted[2 * c + 1] = level[c]
                row = frames[frame, y, left : left + side]
                dark, scale = offset[y, left : left + side], gain[y, left : left + side]
                read = variance[y, left : left + side]
                for c in range(side):
                    v = read[c] + bias
                    signal = (np.float32(row[c]) - dark[c]) * scale[c] + v
                    light[c] = half * share * (np.sqrt(max(signal, zero)) - np.sqrt(shifted[c] + v))
                first = 4 * step + 2 * (r & 1)
                cells = planes[w, r >> 1]
                for c in range(side // 2):
                    cells[c, first] = light[2 * c]
                    cells[c, first + 1] = light[2 * c + 1]
                if step == 1:
                    for c in range(side):
                        shifted[c] += read[c] + one
                    third_of_log(shifted, noise)
                    first = PLANES - 4 + 2 * (r & 1)
                    for c in range(side // 2):
                        cells[c, first] = noise[2 * c]
                        cells[c, first + 1] = noise[2 * c + 1]
