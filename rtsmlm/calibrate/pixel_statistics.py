"""Mean and variance of every pixel over a movie of any length, in constant memory.

Sums are kept in whole numbers relative to the first frame, so that nothing is lost to rounding
however long the movie is.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.errors import CalibrationError
from rtsmlm.fitting.saturation import plateau_adu
from rtsmlm.frames import Pixels

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

# Frames further from the others than this many robust standard deviations hold a cosmic ray.
ODD_FRAME = 6.0
_MAD_TO_STD = 1.4826
_FULL = 65535


@njit(cache=True, nogil=True, error_model="numpy")
def _accumulate(
    pixels: Pixels, first: Pixels, total: I64, squares: I64, low: Pixels, high: Pixels, sums: I64
) -> None:
    n, height, width = pixels.shape
    for frame in range(n):
        frame_sum = np.int64(0)
        for row in range(height):
            for column in range(width):
                value = pixels[frame, row, column]
                away = np.int64(value) - np.int64(first[row, column])
                total[row, column] += away
                squares[row, column] += away * away
                frame_sum += np.int64(value)
                low[row, column] = min(low[row, column], value)
                high[row, column] = max(high[row, column], value)
        sums[frame] = frame_sum


class PixelStatistics:
    """Mean, variance, least and highest value of each pixel; frames are added as they come.

    Parameters
    ----------
    name
        What errors call these frames.
    """

    def __init__(self, name: str = "the movie") -> None:
        self.name = name
        self.n_frames = 0
        self._first: Pixels | None = None
        self._frame_sums: list[I64] = []

    def add(self, pixels: Pixels) -> None:
        """Take frames in.

        Parameters
        ----------
        pixels
            Raw frames in ADU, uint16, shape (n, height, width).

        Raises
        ------
        CalibrationError
            If the frames differ in shape from those before.
        """
        pixels = np.ascontiguousarray(pixels, dtype=np.uint16)
        if not len(pixels):
            return
        if self._first is None:
            self._first = pixels[0].copy()
            self._total, self._squares = np.zeros((2, *self.shape), dtype=np.int64)
            self.minimum, self.maximum = self._first.copy(), self._first.copy()
        if pixels.shape[1:] != self.shape:
            raise CalibrationError(
                f"{self.name} holds frames of {pixels.shape[1:]} pixels after frames of "
                f"{self.shape}; all must show the same region of the sensor"
            )
        sums = np.empty(len(pixels), dtype=np.int64)
        _accumulate(
            pixels, self._first, self._total, self._squares, self.minimum, self.maximum, sums
        )
        self._frame_sums.append(sums)
        self.n_frames += len(pixels)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the frames in pixels."""
        if self._first is None:
            raise CalibrationError(f"{self.name} holds no frame; give a movie with frames")
        return self._first.shape[0], self._first.shape[1]

    @property
    def mean(self) -> F64:
        """Mean of each pixel in ADU, shape (height, width)."""
        if self._first is None:
            raise CalibrationError(f"{self.name} holds no frame; give a movie with frames")
        return np.asarray(self._first + self._total / self.n_frames)

    @property
    def variance(self) -> F64:
        """Unbiased variance of each pixel in ADU², shape (height, width); two frames at least."""
        total = self._total.astype(np.float64)
        squares = self._squares - total * total / self.n_frames
        return np.asarray(np.maximum(squares, 0.0) / (self.n_frames - 1))

    @property
    def frame_means(self) -> F64:
        """Mean of each frame in ADU, shape (n_frames,)."""
        return np.asarray(np.concatenate(self._frame_sums) / np.prod(self.shape))

    @property
    def drift_adu(self) -> float:
        """How much higher the last quarter of the frames is than the first."""
        means = self._steady_means()
        quarter = max(len(means) // 4, 1)
        return float(means[-quarter:].mean() - means[:quarter].mean())

    @property
    def saturated(self) -> NDArray[np.bool_]:
        """Pixels that reached the end of the camera's scale, shape (height, width).

        All of them where all have one value, always: light has noise.
        """
        top = plateau_adu(self.maximum)
        full = (self.maximum == _FULL) | bool(self.minimum.min() == self.maximum.max())
        return np.asarray(full if top is None else full | (self.maximum == top), dtype=np.bool_)

    def flicker(self, offset_adu: float) -> float:
        """Return the relative variance of the light that all pixels share.

        Parameters
        ----------
        offset_adu
            Mean value in the dark.

        Notes
        -----
        The variance of the frames' means, without what the noise of single pixels adds to it.
        """
        means = self._steady_means() - offset_adu
        noise = float(self.variance.mean()) / self.maximum.size
        return max(float(np.var(means, ddof=1)) - noise, 0.0) / float(means.mean()) ** 2

    def _steady_means(self) -> F64:
        """Return the mean of each frame; a frame with a cosmic ray counts like its neighbours."""
        means = self.frame_means
        middle = np.median(means)
        reach = ODD_FRAME * _MAD_TO_STD * np.median(np.abs(means - middle))
        return np.asarray(np.clip(means, middle - reach, middle + reach))
