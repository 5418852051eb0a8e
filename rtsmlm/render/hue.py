"""Hue for a value, brightness for the density: compiled loops, and an even scale of hues."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.localizations import F32
from rtsmlm.render.rgb import RGB8

# Oklab, B. Ottosson, "A perceptual color space for image processing", 2020: to cone responses and
# on to linear sRGB.
_TO_CONES = np.array(
    [(1, 0.3963377774, 0.2158037573), (1, -0.1055613458, -0.0638541728),
     (1, -0.0894841775, -1.2914855480)]
)  # fmt: skip
_TO_RGB = np.array(
    [(4.0767416621, -3.3077115913, 0.2309699292), (-1.2684380046, 2.6097574011, -0.3413193965),
     (-0.0041960863, -0.7034186147, 1.7076147010)]
)  # fmt: skip
LIGHTNESS, CHROMA = 0.78, 0.125
FIRST_HUE_DEG, LAST_HUE_DEG = 290.0, 20.0
"""Blue over cyan, green and amber to red: not a whole circle: both ends would be equal."""

BRIGHTNESS_STEPS = 4096


def hue_table() -> F32:
    """Return 256 colours of one lightness and evenly spaced hue, 0 to 1, shape (256, 3)."""
    angle = np.radians(np.linspace(FIRST_HUE_DEG, LAST_HUE_DEG, 256))
    lab = np.column_stack((np.full(256, LIGHTNESS), CHROMA * np.cos(angle), CHROMA * np.sin(angle)))
    linear = np.clip((lab @ _TO_CONES.T) ** 3 @ _TO_RGB.T, 0, 1)
    # The transfer function of sRGB, IEC 61966-2-1.
    shown = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    table: F32 = shown.astype(np.float32)
    return table


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
        Of `hue_table`.
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
