"""A scale bar with its length in letters, drawn into the pixels of an image."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rtsmlm.render.rgb import RGB8

# 5 x 7 dots per letter, a row per number, the leftmost dot in the highest bit.
_LETTERS = {
    "0": (14, 17, 17, 17, 17, 17, 14),
    "1": (4, 12, 4, 4, 4, 4, 14),
    "2": (14, 17, 1, 6, 8, 16, 31),
    "5": (31, 16, 30, 1, 1, 17, 14),
    "n": (0, 0, 22, 25, 17, 17, 17),
    "m": (0, 0, 26, 21, 21, 21, 21),
    "µ": (0, 0, 18, 18, 18, 29, 16),
    " ": (0, 0, 0, 0, 0, 0, 0),
}
_WIDTH, _HEIGHT, _STEP = 5, 7, 6


def bar_length_nm(width_nm: float) -> float:
    """Return 1, 2 or 5 times a power of ten, 10 to 25 % of the width of an image."""
    most = 0.25 * width_nm
    power = 10.0 ** math.floor(math.log10(most))
    return max(step * power for step in (1, 2, 5) if step * power <= most * (1 + 1e-9))


def length_text(length_nm: float) -> str:
    """Return the length of a bar as it is written beside it."""
    return f"{length_nm / 1000:g} µm" if length_nm >= 1000 else f"{length_nm:g} nm"


def draw_scale_bar(index: RGB8, pixel_nm: float, white: int = 255) -> None:
    """Draw a bar and its length into the lower right corner.

    Parameters
    ----------
    index
        Image, uint8, (height, width); changed in place. One too small for a bar stays as it is.
    pixel_nm
        Side of a pixel.
    white
        Value of bar and letters.
    """
    height, width = index.shape
    length_nm = bar_length_nm(width * pixel_nm)
    letters = _letters(length_text(length_nm), zoom=max(1, round(min(height, width) / 360)))
    bar_px = round(length_nm / pixel_nm)
    thick = max(2, round(min(height, width) / 160))
    margin = max(3, round(min(height, width) / 32))
    box_width = max(bar_px, letters.shape[1])
    top = height - margin - thick - thick - letters.shape[0]
    if top < margin or box_width + 2 * margin > width:
        return
    # Dimmed ground: letters stay readable on a bright structure.
    ground = index[top - thick : height - margin + thick, width - margin - box_width - thick :]
    ground[:, : box_width + 2 * thick] = ground[:, : box_width + 2 * thick] * 0.35
    index[height - margin - thick : height - margin, width - margin - bar_px : width - margin] = (
        white
    )
    left = width - margin - (bar_px + letters.shape[1]) // 2
    left = min(max(left, width - margin - box_width), width - margin - letters.shape[1])
    place = index[top : top + letters.shape[0], left : left + letters.shape[1]]
    place[letters] = white


def _letters(text: str, zoom: int) -> NDArray[np.bool_]:
    """Return the dots of a text, each `zoom` pixels wide."""
    dots = np.zeros((_HEIGHT, _STEP * len(text) - 1), np.bool_)
    for k, letter in enumerate(text):
        for row, bits in enumerate(_LETTERS.get(letter, _LETTERS[" "])):
            for column in range(_WIDTH):
                dots[row, k * _STEP + column] = bool(bits >> (_WIDTH - 1 - column) & 1)
    return dots.repeat(zoom, axis=0).repeat(zoom, axis=1)
