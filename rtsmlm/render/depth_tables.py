"""Colours for a value such as depth: perceptually ordered, two of them safe for the colour-blind.

The density dims these colours, so that none of them may be dark. In deuteranopia and protanopia
colours differ from blue to yellow and from dim to bright alone: the safe tables rise along both,
hence depth stays in order at any density.
One more table: its colours in `_STOPS`; a test simulates it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsmlm.localizations import F32

DEPTH_TABLES: tuple[str, ...] = ("blue-yellow", "violet-yellow", "hue")
"""Names, the default first; `hue` is for normal sight alone."""

_STOPS: dict[str, tuple[str, ...]] = {
    "blue-yellow": ("#3f63e0", "#a99fa4", "#fff04a"),
    "violet-yellow": ("#6a45d8", "#2aa1a2", "#fde725"),
}

# Oklab, B. Ottosson, "A perceptual color space for image processing", 2020: from linear sRGB to
# cone responses and on, and the way back.
_FROM_RGB = np.array(
    [(0.4122214708, 0.5363325363, 0.0514459929), (0.2119034982, 0.6806995451, 0.1073969566),
     (0.0883024619, 0.2817188376, 0.6299787005)]
)  # fmt: skip
_FROM_CONES = np.array(
    [(0.2104542553, 0.7936177850, -0.0040720468), (1.9779984951, -2.4285922050, 0.4505937099),
     (0.0259040371, 0.7827717662, -0.8086757660)]
)  # fmt: skip
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

_N = 256
_FINE = 2048


def depth_table(name: str = DEPTH_TABLES[0]) -> F32:
    """Return 256 colours for values from low to high, 0 to 1, shape (256, 3).

    Parameters
    ----------
    name
        One of `DEPTH_TABLES`; another one gives the default.
    """
    if name == "hue":
        return hue_table()
    colors = _STOPS.get(name, _STOPS[DEPTH_TABLES[0]])
    stops = np.array([[int(text[k : k + 2], 16) for k in (1, 3, 5)] for text in colors]) / 255
    lab = np.cbrt(_linear(stops) @ _FROM_RGB.T) @ _FROM_CONES.T
    at = np.linspace(0, 1, len(lab))
    fine = np.column_stack([np.interp(np.linspace(0, 1, _FINE), at, axis) for axis in lab.T])
    # Evenly along the way, so that equal steps in depth are equal steps in colour.
    way = np.append(0, np.cumsum(np.linalg.norm(np.diff(fine, axis=0), axis=1)))
    even = np.linspace(0, way[-1], _N)
    return _shown(np.column_stack([np.interp(even, way, axis) for axis in fine.T]))


def hue_table() -> F32:
    """Return 256 colours of one lightness and evenly spaced hue, 0 to 1, shape (256, 3)."""
    angle = np.radians(np.linspace(FIRST_HUE_DEG, LAST_HUE_DEG, _N))
    return _shown(
        np.column_stack((np.full(_N, LIGHTNESS), CHROMA * np.cos(angle), CHROMA * np.sin(angle)))
    )


def _linear(srgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Undo the transfer function of sRGB, IEC 61966-2-1."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _shown(lab: NDArray[np.float64]) -> F32:
    """Return the sRGB of Oklab colours, shape (n, 3)."""
    linear = np.clip((lab @ _TO_CONES.T) ** 3 @ _TO_RGB.T, 0, 1)
    shown = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    table: F32 = shown.astype(np.float32)
    return table
