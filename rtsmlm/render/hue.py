"""Hue for a value, brightness for the density: compiled loops."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.localizations import F32
from rtsmlm.render.rgb import RGB8

BRIGHTNESS_STEPS = 4096


def brightness_table(gamma: float) -> F32:
    """Return the brightness of evenly spaced shares of white, shape (BRIGHTNESS_STEPS + 1,)."""
    table: F32 = (np.linspace(0, 1, BRIGHTNESS_STEPS + 1) ** gamma).astype(np.float32)
    return table


@njit(cache=True, nogil=True, error_model="numpy")
def paint_index(planes: F32, white: float, colors: RGB8, out: RGB8, rows: tuple[int, int]) -> None:
    """Fill rows of `out` with colours for the density alone.

    Parameters
    ----------
    planes
        Shape (n, height, width); only the first counts.
    white
        Density shown as white.
    colors
        Shape (BRIGHTNESS_STEPS + 1, 3), from dark to bright.
    out
        Shape (height, width, 3).
    rows
        First and past-the-end row to fill.
    """
    scale, most = np.float32(BRIGHTNESS_STEPS / white), np.float32(BRIGHTNESS_STEPS)
    for row in range(rows[0], rows[1]):
        for column in range(planes.shape[2]):
            k = np.uint32(min(max(planes[0, row, column] * scale, np.float32(0)), most))
            for c in range(3):
                out[row, column, c] = colors[k, c]


@njit(cache=True, nogil=True, error_model="numpy")
def paint_hue(
    planes: F32,
    white: float,
    brightness: F32,
    hues: F32,
    limits: NDArray[np.float64],
    out: RGB8,
    rows: tuple[int, int],
) -> None:
    """Fill rows of `out`: hue by the mean value in a pixel, brightness by the density.

    Parameters
    ----------
    planes
        Density and density times value, (2, height, width); or density and density times colour,
        (4, height, width), where the strongest component of the mean colour is made full.
    white
        Density shown at full brightness.
    brightness
        Of `brightness_table`.
    hues
        Of `depth_tables.depth_table`.
    limits
        Values with the first and the last hue.
    out
        Shape (height, width, 3).
    rows
        First and past-the-end row to fill.
    """
    scale, most = np.float32(BRIGHTNESS_STEPS / white), np.float32(BRIGHTNESS_STEPS)
    per_value = (len(hues) - 1) / max(limits[1] - limits[0], 1e-30)
    for row in range(rows[0], rows[1]):
        for column in range(planes.shape[2]):
            density = planes[0, row, column]
            if not density > 0:
                out[row, column] = 0
                continue
            full = np.float32(255) * brightness[np.uint32(min(density * scale, most))]
            if len(planes) == 2:
                at = (planes[1, row, column] / density - limits[0]) * per_value
                # Written so that NaN, a value not known, gets the first hue.
                k = int(min(at + 0.5, len(hues) - 1.0)) if at > 0 else 0
                for c in range(3):
                    out[row, column, c] = np.uint8(full * hues[k, c] + np.float32(0.5))
                continue
            strongest = max(planes[1, row, column], planes[2, row, column], planes[3, row, column])
            for c in range(3):
                share = planes[c + 1, row, column] / max(strongest, np.float32(1e-30))
                out[row, column, c] = np.uint8(full * share + np.float32(0.5))
