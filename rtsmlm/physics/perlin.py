"""Perlin noise: smooth random structure of one scale, or of several that halve."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

RMS = 0.2155
"""Root mean square of two-dimensional Perlin noise of unit gradients, over a whole cell."""


def perlin_noise(
    shape: tuple[int, int],
    scale_px: float,
    rng: np.random.Generator,
    *,
    octaves: int = 1,
    persistence: float = 0.5,
) -> F64:
    """Return a random field of mean 0 and, over many fields, of root mean square 1.

    Parameters
    ----------
    shape
        Height and width in pixels.
    scale_px
        Side of a cell of the coarsest octave; structures are about as large.
    rng
        Draws gradients and the place of the field among the cells.
    octaves
        Each next one has half the scale.
    persistence
        Strength of each next octave beside the one before.

    Notes
    -----
    Perlin, ACM Trans. Graph. 21, 681 (2002): gradients at the corners of square cells, joined by
    a polynomial of fifth order.
    """
    field = np.zeros(shape)
    power = 0.0
    for octave in range(octaves):
        strength = persistence**octave
        field += strength * _one_scale(shape, scale_px / 2**octave, rng)
        power += strength**2
    return field / (RMS * math.sqrt(power))


def _one_scale(shape: tuple[int, int], scale_px: float, rng: np.random.Generator) -> F64:
    starts = rng.uniform(0.0, 1.0, 2)
    y, x = (start + np.arange(n) / scale_px for start, n in zip(starts, shape, strict=True))
    row, column = y.astype(np.int64), x.astype(np.int64)
    angle = rng.uniform(0.0, 2.0 * math.pi, (row[-1] + 2, column[-1] + 2))
    along_x, along_y = np.cos(angle), np.sin(angle)
    v, u = (y - row)[:, None], (x - column)[None]
    value = np.zeros(shape)
    for dy, weight_y in ((0, 1.0 - _fade(v)), (1, _fade(v))):
        for dx, weight_x in ((0, 1.0 - _fade(u)), (1, _fade(u))):
            corner = np.ix_(row + dy, column + dx)
            slope = along_x[corner] * (u - dx) + along_y[corner] * (v - dy)
            value += weight_y * weight_x * slope
    return value


def _fade(t: F64) -> F64:
    faded: F64 = t**3 * (t * (6.0 * t - 15.0) + 10.0)
    return faded
