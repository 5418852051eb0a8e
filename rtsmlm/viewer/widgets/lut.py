"""Lookup tables for the density, beyond the two that the renderer writes files with."""

from __future__ import annotations

import numpy as np

from rtsmlm.render.depth_tables import DEPTH_TABLES
from rtsmlm.render.hue import brightness_table, paint_index
from rtsmlm.render.rgb import RGB8, color_table
from rtsmlm.render.view import View

_STOPS: dict[str, tuple[tuple[float, tuple[int, int, int]], ...]] = {
    "ice": (
        (0.0, (0, 0, 0)),
        (0.3, (8, 38, 84)),
        (0.6, (20, 110, 190)),
        (0.85, (120, 205, 250)),
        (1.0, (240, 252, 255)),
    ),
    "green": ((0.0, (0, 0, 0)), (0.75, (30, 220, 70)), (1.0, (235, 255, 235))),
    "magenta": ((0.0, (0, 0, 0)), (0.75, (230, 40, 220)), (1.0, (255, 235, 255))),
    "viridis": (
        (0.0, (0, 0, 0)),
        (0.12, (68, 1, 84)),
        (0.35, (59, 82, 139)),
        (0.6, (33, 145, 140)),
        (0.82, (94, 201, 98)),
        (1.0, (253, 231, 37)),
    ),
    "inverse": ((0.0, (255, 255, 255)), (1.0, (0, 0, 0))),
}

LUTS = ("ember", "gray", *_STOPS)
"""Names, the default first."""


def lut_table(name: str) -> RGB8:
    """Return 256 colours from no density to the greatest, uint8, shape (256, 3)."""
    if name == "ember" or name not in LUTS:
        return color_table("ember")
    if name == "gray":
        return color_table("gray")
    stops = _STOPS[name]
    at = np.linspace(0, 1, 256)
    places = [place for place, _ in stops]
    channels = [np.interp(at, places, [color[c] for _, color in stops]) for c in range(3)]
    return np.round(np.column_stack(channels)).astype(np.uint8)


def colored(
    view: View,
    white_per_um2: float,
    *,
    lut: str,
    gamma: float,
    limits: tuple[float, float] | None = None,
    depth_colors: str = DEPTH_TABLES[0],
) -> RGB8:
    """Return a view in colours, uint8, (height, width, 3).

    Parameters
    ----------
    view
        What is seen.
    white_per_um2
        Localizations per square micrometre that are shown brightest.
    lut
        One of `LUTS`; for views without a value for the hue.
    gamma
        Exponent of the brightness.
    limits
        Values with the first and the last hue.
    depth_colors
        One of `DEPTH_TABLES`, for views with such a value.
    """
    if len(view.planes) > 1:
        return view.rgb(white_per_um2, gamma=gamma, limits=limits, depth_colors=depth_colors)
    white = white_per_um2 * view.pixel_nm**2 / 1e6
    height, width = view.density.shape
    out = np.empty((height, width, 3), np.uint8)
    at = np.minimum(brightness_table(gamma) * 255 + 0.5, 255).astype(np.uint8)
    colors = lut_table(lut)[at]
    paint_index(view.planes, white, colors, out, (0, height))
    return out
