"""`image.tif` to measure in, `image.png` to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

from rtsmlm.errors import SinkError
from rtsmlm.localizations import F32
from rtsmlm.render.png import write_png
from rtsmlm.render.rgb import Colormap, color_table, to_index8
from rtsmlm.render.scale_bar import draw_scale_bar

PNG_SIDE = 4096
"""A picture is not larger; the TIFF has every pixel."""


def write_image(
    folder: Path,
    image: F32,
    image_pixel_nm: float,
    *,
    colormap: Colormap = "ember",
    percentile: float = 99.5,
    gamma: float = 0.6,
) -> tuple[Path, Path]:
    """Write `image.tif` (float32, ImageJ, with its pixel size) and `image.png` (with scale bar).

    Parameters
    ----------
    folder
        Where to; files there are replaced.
    image
        Localizations per pixel, (height, width).
    image_pixel_nm
        Side of a pixel.
    colormap, percentile, gamma
        Look of the PNG, as in `to_rgb8`.

    Returns
    -------
    :
        Paths of the TIFF and the PNG.

    Raises
    ------
    SinkError
        If a file cannot be written.
    """
    tif, png = folder / "image.tif", folder / "image.png"
    per_um = 1000 / image_pixel_nm
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(
            tif,
            image,
            imagej=True,
            resolution=(per_um, per_um),
            metadata={"axes": "YX", "unit": "um", "min": 0.0, "max": float(image.max(initial=0))},
        )
    except OSError as error:
        raise SinkError(f"cannot write {tif}: {error.strerror or error}; free space") from error
    picture, picture_pixel_nm = _reduced(image, image_pixel_nm)
    index = to_index8(picture, percentile=percentile, gamma=gamma)
    draw_scale_bar(index, picture_pixel_nm)
    write_png(png, index, color_table(colormap), picture_pixel_nm)
    return tif, png


def _reduced(image: F32, pixel_nm: float) -> tuple[F32, float]:
    """Sum blocks of pixels until the image fits into `PNG_SIDE`; an incomplete block is cut off."""
    block = -(-max(image.shape) // PNG_SIDE)
    if block == 1:
        return image, pixel_nm
    height, width = (side // block * block for side in image.shape)
    blocks = image[:height, :width].reshape(height // block, block, width // block, block)
    return blocks.sum(axis=(1, 3), dtype=np.float32), pixel_nm * block
