"""The picture of two views laid over each other: green and magenta, white where they agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import ndimage

from rtsmlm.localizations import F32
from rtsmlm.physics.transforms import F64
from rtsmlm.physics.views import View
from rtsmlm.render.png import write_rgb_png

ZOOM = 3
"""Pixels of the picture along the side of one camera pixel."""
LOW, HIGH = 0.5, 0.998
"""Quantiles of the light that are shown as black and as full colour."""


def write_overlay(path: Path, image: F32, first: View, other: View) -> None:
    """Write the first view in green and another one, moved onto it, in magenta.

    Parameters
    ----------
    path
        Where to; a PNG.
    image
        Beads in photons, shape (height, width).
    first, other
        The views.

    Raises
    ------
    SinkError
        If the file cannot be written.
    """
    height, width = first.shape
    rows, columns = (np.indices((height * ZOOM, width * ZOOM)) + 0.5) / ZOOM - 0.5
    places = np.stack([columns.ravel(), rows.ravel()], axis=1)
    green = _sampled(first.cut(image), places, rows.shape)
    magenta = _sampled(other.cut(image), other.from_first(places), rows.shape)
    rgb = np.stack([magenta, green, magenta], axis=2)
    write_rgb_png(path, np.round(255 * rgb).astype(np.uint8))


def _sampled(part: F32, places: F64, shape: tuple[int, ...]) -> F64:
    """Return the light at places of a view, scaled to 0..1."""
    at = np.nan_to_num(places[:, ::-1].T, nan=-10.0)
    light = ndimage.map_coordinates(part.astype(np.float64), at, order=1, cval=0.0)
    low, high = np.quantile(part, [LOW, HIGH])
    return np.asarray(np.clip((light.reshape(shape) - low) / max(high - low, 1e-9), 0.0, 1.0))
