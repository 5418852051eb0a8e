"""Brightness of a super-resolution image: contrast, gamma and the colour table."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.localizations import F32

RGB8: TypeAlias = NDArray[np.uint8]
Colormap: TypeAlias = Literal["ember", "gray"]

# Black over wine, red and amber to warm white; lightness rises evenly, so that a filament twice
# as dense appears brighter but never flips its hue.
_EMBER = (
    (0.00, (0, 0, 0)),
    (0.15, (45, 8, 32)),
    (0.35, (126, 18, 34)),
    (0.55, (206, 62, 20)),
    (0.75, (248, 142, 28)),
    (0.90, (255, 214, 110)),
    (1.00, (255, 251, 235)),
)
_GRAY = ((0.0, (0, 0, 0)), (1.0, (255, 255, 255)))

CHANNEL_COLORS: F32 = np.array(
    [(1, 0, 1), (0, 1, 0), (0, 1, 1), (1, 1, 0)], dtype=np.float32
)  # fmt: skip
"""Magenta, green, cyan, yellow: distinct also in red-green colour blindness."""

SAMPLES = 1 << 22
"""Pixels that the contrast is judged by; a larger image is sampled."""

LIVE_SAMPLES = 1 << 16
"""For an image that changes many times a second."""


def color_table(colormap: Colormap = "ember") -> RGB8:
    """Return 256 colours from dark to bright, uint8, shape (256, 3)."""
    stops = {"ember": _EMBER, "gray": _GRAY}[colormap]
    at = np.linspace(0, 1, 256)
    places = [place for place, _ in stops]
    channels = [np.interp(at, places, [color[c] for _, color in stops]) for c in range(3)]
    return np.round(np.column_stack(channels)).astype(np.uint8)


def white_level(image: F32, percentile: float = 99.5, samples: int = SAMPLES) -> float:
    """Return the value shown as white: a percentile of the occupied pixels, 1 where there are none.

    Of the occupied ones, since most of an image is empty and would otherwise set the contrast.
    """
    # Odd, so that it does not meet the same few columns in every row.
    stride = (image.size // samples) | 1
    values = image.ravel()[::stride]
    occupied = values[values > 0]
    if occupied.size:
        # Without the faint tails of splats. Not relative to the brightest pixel: one fiducial
        # bead would then leave nothing but itself.
        occupied = occupied[occupied > 0.1 * np.median(occupied)]
    return float(np.percentile(occupied, percentile)) if occupied.size else 1.0


def to_index8(
    image: F32, *, percentile: float = 99.5, gamma: float = 0.6, white: float | None = None
) -> RGB8:
    """Return the place of each pixel in the colour table, uint8, shape of the image.

    Parameters
    ----------
    image
        Localizations per pixel, (height, width), float32.
    percentile
        Percentile of the occupied pixels that is shown as white.
    gamma
        Exponent of the brightness; below 1 it lifts what is sparse.
    white
        Value shown as white, instead of the percentile, so that a live view does not flicker.
    """
    level = white_level(image, percentile) if white is None else white
    if gamma <= 0 or level <= 0:
        raise ValueError(f"gamma {gamma} and white level {level} must be positive")
    shown = np.clip(image * np.float32(1 / level), 0, 1)
    np.power(shown, np.float32(gamma), out=shown)
    index: RGB8 = (shown * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    return index


def to_rgb8(
    image: F32,
    colormap: Colormap = "ember",
    percentile: float = 99.5,
    *,
    gamma: float = 0.6,
    white: float | None = None,
) -> RGB8:
    """Return the image in colours, uint8, (height, width, 3); options as in `to_index8`."""
    index = to_index8(image, percentile=percentile, gamma=gamma, white=white)
    return color_table(colormap)[index]
