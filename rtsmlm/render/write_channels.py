"""Images of channels as files: a TIFF for each, and one PNG of all in their colours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rtsmlm.localizations import F32
from rtsmlm.render.png import write_rgb_png
from rtsmlm.render.rgb import CHANNEL_COLORS, RGB8, to_index8
from rtsmlm.render.write import reduced, with_bar, write_tif

PICTURE = "image_channels.png"


def write_channel(folder: Path, name: str, image: F32, image_pixel_nm: float) -> Path:
    """Write `image_<name>.tif`: localizations of one channel per pixel, as `image.tif` of all.

    Parameters
    ----------
    folder
        Where to; a file there is replaced.
    name
        Of the channel; part of a file name.
    image
        Localizations per pixel, shape (height, width).
    image_pixel_nm
        Side of a pixel.

    Raises
    ------
    SinkError
        If the file cannot be written.
    """
    path = folder / f"image_{name}.tif"
    metadata = {
        "axes": "YX",
        "unit": "um",
        "min": 0.0,
        "max": float(image.max(initial=0)),
        "channel": name,
    }
    write_tif(path, image, 1000 / image_pixel_nm, metadata)
    return path


def channel_picture(image: F32, image_pixel_nm: float) -> tuple[RGB8, float]:
    """Return the brightness of a channel in the picture, 0 to 255, and the side of its pixels."""
    picture, pixel_nm = reduced(image, image_pixel_nm)
    return to_index8(picture), pixel_nm


def write_channels_picture(folder: Path, pictures: Sequence[RGB8], pixel_nm: float) -> Path:
    """Write all channels over each other, each in its colour, with a scale bar.

    Parameters
    ----------
    folder
        Where to; a file there is replaced.
    pictures
        Of `channel_picture`, in the order of the channels.
    pixel_nm
        Side of a pixel.

    Raises
    ------
    SinkError
        If the file cannot be written.
    """
    sum_of_all = np.zeros((*pictures[0].shape, 3), dtype=np.float32)
    for k, picture in enumerate(pictures):
        sum_of_all += picture[..., None] * CHANNEL_COLORS[k % len(CHANNEL_COLORS)]
    rgb: RGB8 = np.minimum(sum_of_all, np.float32(255.0)).astype(np.uint8)
    path = folder / PICTURE
    write_rgb_png(path, with_bar(rgb, pixel_nm), pixel_nm)
    return path
