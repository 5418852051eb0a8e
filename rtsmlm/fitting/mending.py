"""PixelMender: neighbours stand for masked pixels, in raw frames, before anything looks at them.

This is the one door: where frames enter an analysis or leave a movie. All that follows takes the
frames as they are, and states `CameraCalibration.pixel_variance` of a masked pixel.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.calibration import CameraCalibration
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32

_REACH_PX = 2
"""Where all eight neighbours are masked, too, those around them stand in."""
_SOURCES = (2 * _REACH_PX + 1) ** 2 - 1
_HIGHEST_ADU = 65535.0


class PixelMender:
    """Writes the mean of its neighbours, as light, in place of every masked pixel.

    Parameters
    ----------
    calibration
        Its `masked` tells which, its maps which value a pixel has for that light.
    """

    def __init__(self, calibration: CameraCalibration) -> None:
        masked = calibration.masked
        if masked is None:
            masked = np.zeros(calibration.map_shape or (0, 0), dtype=np.bool_)
        y, x = np.nonzero(masked)
        self._y, self._x = y.astype(np.int32), x.astype(np.int32)
        self._from = np.zeros((len(y), _SOURCES, 2), dtype=np.int32)
        self._count = np.zeros(len(y), dtype=np.int32)
        _find_sources(masked, self._y, self._x, self._from, self._count)
        offset, gain = (
            np.broadcast_to(np.asarray(value, dtype=np.float64), masked.shape)
            for value in (calibration.offset_adu, calibration.e_per_adu)
        )
        at_y, at_x = self._from[..., 0], self._from[..., 1]
        used = np.arange(_SOURCES) < self._count[:, None]
        if len(y):
            weight = np.where(used, gain[at_y, at_x] / gain[y, x, None], 0.0)
            weight /= np.maximum(self._count, 1)[:, None]
            dark = offset[y, x] - (weight * offset[at_y, at_x]).sum(axis=1)
        else:
            weight, dark = np.zeros((0, _SOURCES)), np.zeros(0)
        self._weight, self._dark = weight.astype(np.float32), dark.astype(np.float32)

    @property
    def n_pixels(self) -> int:
        """Number of masked pixels."""
        return len(self._y)

    def __call__(self, pixels: Pixels) -> Pixels:
        """Return the frames with masked pixels mended: the same memory where it can be written.

        Safe to call more than once: the neighbours that are taken never change.

        Parameters
        ----------
        pixels
            uint16 ADU, shape (n, height, width).
        """
        if not len(self._y):
            return pixels
        if not pixels.flags.writeable:
            pixels = pixels.copy()
        _mend(pixels, self._y, self._x, self._from, self._count, self._weight, self._dark)
        return pixels


@njit(cache=True, nogil=True, error_model="numpy")
def _find_sources(
    masked: NDArray[np.bool_],
    y: NDArray[np.int32],
    x: NDArray[np.int32],
    sources: NDArray[np.int32],
    count: NDArray[np.int32],
) -> None:
    """Write the nearest pixels around each masked one that are not masked, and how many."""
    height, width = masked.shape
    for i in range(len(y)):
        n = 0
        for reach in range(1, _REACH_PX + 1):
            for v in range(max(y[i] - reach, 0), min(y[i] + reach + 1, height)):
                for u in range(max(x[i] - reach, 0), min(x[i] + reach + 1, width)):
                    if not masked[v, u]:
                        sources[i, n, 0], sources[i, n, 1] = v, u
                        n += 1
            if n:
                break
        count[i] = n


@njit(cache=True, nogil=True, error_model="numpy")
def _mend(
    pixels: Pixels,
    y: NDArray[np.int32],
    x: NDArray[np.int32],
    sources: NDArray[np.int32],
    count: NDArray[np.int32],
    weight: F32,
    dark: F32,
) -> None:
    for frame in range(len(pixels)):
        for i in range(len(y)):
            value = dark[i]
            for k in range(count[i]):
                adu = pixels[frame, sources[i, k, 0], sources[i, k, 1]]
                value += weight[i, k] * np.float32(adu)
            value = min(max(value, np.float32(0.0)), np.float32(_HIGHEST_ADU))
            pixels[frame, y[i], x[i]] = np.uint16(value + np.float32(0.5))
