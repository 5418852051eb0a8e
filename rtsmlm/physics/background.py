"""Background light: smooth in space, wandering in time, as bright as the readout laser."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rtsmlm.localizations import F32

F64 = NDArray[np.float64]


class Background:
    """A map of mean 1 with structure that changes over a minute.

    Parameters
    ----------
    shape
        Height and width in pixels.
    contrast
        Standard deviation of the structure relative to its mean.
    rng
        Draws the structure.
    """

    def __init__(
        self, shape: tuple[int, int], rng: np.random.Generator, contrast: float = 0.2
    ) -> None:
        self._contrast = contrast
        self._fields = [_smooth_field(shape, rng) for _ in range(2)]
        self._period_s = 60.0

    def relative(self, t_s: float) -> F32:
        """Return the map at a time, at least 0.1 everywhere, float32, shape (height, width)."""
        phase = 2 * math.pi * t_s / self._period_s
        structure = self._fields[0] * math.cos(phase) + self._fields[1] * math.sin(phase)
        return np.maximum(1.0 + self._contrast * structure, 0.1).astype(np.float32)


def haze_map(x_px: F64, y_px: F64, shape: tuple[int, int], blur_px: float) -> F32:
    """Return the out-of-focus light of a structure, summing to 1; 0 where none lies on the map.

    Parameters
    ----------
    x_px, y_px
        Emitter positions in pixels, shape (n,).
    shape
        Height and width of the map in pixels.
    blur_px
        Standard deviation of the blur.
    """
    height, width = shape
    edges = (np.arange(height + 1) - 0.5, np.arange(width + 1) - 0.5)
    counts, _, _ = np.histogram2d(y_px, x_px, bins=edges)
    blurred = ndimage.gaussian_filter(counts, blur_px, mode="nearest")
    total = float(blurred.sum())
    return np.asarray(blurred / total if total > 0 else blurred, dtype=np.float32)


def _smooth_field(shape: tuple[int, int], rng: np.random.Generator) -> F64:
    field = ndimage.gaussian_filter(rng.normal(size=shape), max(shape) / 12, mode="reflect")
    spread = float(field.std())
    return np.asarray((field - field.mean()) / spread if spread > 0 else field)
