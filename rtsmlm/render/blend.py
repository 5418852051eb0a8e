"""Images that a network predicts, laid over a picture of localizations: seen as what they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import affine_transform

from rtsmlm.localizations import F32
from rtsmlm.protocols import ImageLayer
from rtsmlm.render.rgb import RGB8, white_level

COLORS: tuple[tuple[int, int, int], ...] = ((70, 150, 255), (90, 230, 140), (240, 90, 200))
"""Of the first predictions; other colours than the default table of the density has."""
UNCERTAINTY_COLOR = (255, 70, 70)
"""Of how uncertain a prediction is, over whichever it lies."""


@dataclass(frozen=True, slots=True)
class LayerShown:
    """A layer that is on, and how strongly it shows."""

    key: str
    """Of `ImageLayer`."""
    opacity: float
    """From 0 to 1."""


def color_of(layer: ImageLayer, predictions: Sequence[str]) -> tuple[int, int, int]:
    """Return the colour of a layer.

    Parameters
    ----------
    layer
        The layer.
    predictions
        Names of all predictions that there are, in the order in which they came.
    """
    if layer.quantity == "uncertainty" or layer.name not in predictions:
        return UNCERTAINTY_COLOR
    return COLORS[predictions.index(layer.name) % len(COLORS)]


def seen(
    layer: ImageLayer,
    corner_nm: tuple[float, float],
    nm_per_px: float,
    shape: tuple[int, int],
    white: float | None = None,
) -> F32:
    """Return what a window shows of a layer, 0 to 1 of its white level, 0 beside it.

    Parameters
    ----------
    layer
        The layer.
    corner_nm
        x and y of the window's corner, from the corner of the layer.
    nm_per_px
        Side of a screen pixel.
    shape
        Height and width in screen pixels.
    white
        Value that is shown as white; None takes that of the layer.
    """
    scale = nm_per_px / layer.pixel_nm
    # Of pixel centres: between them it is linear.
    start = [at / layer.pixel_nm + 0.5 * scale - 0.5 for at in reversed(corner_nm)]
    shown: F32 = affine_transform(
        layer.image.astype(np.float32, copy=False), np.full(2, scale), start, shape, order=1
    )
    white = white_level(layer.image) if white is None else white
    share: F32 = np.clip(shown / np.float32(white), 0, 1)
    return share


def laid_over(rgb: RGB8, share: F32, color: tuple[int, int, int], opacity: float) -> RGB8:
    """Return a picture with a layer over it; both stay visible, as two lights that add.

    Parameters
    ----------
    rgb
        Shape (height, width, 3).
    share
        Of `seen`.
    color
        Of the layer where it is brightest.
    opacity
        From 0 to 1.
    """
    light = np.float32(opacity) * share[..., None] * np.array(color, np.float32)
    free = np.float32(255) - rgb
    mixed: RGB8 = (rgb + light * free * np.float32(1 / 255) + np.float32(0.5)).astype(np.uint8)
    return mixed
