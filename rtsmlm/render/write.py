"""Images as files: a TIFF for measurements, a PNG for display."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tifffile

from rtsmlm.errors import SinkError
from rtsmlm.localizations import F32
from rtsmlm.render.png import write_png, write_rgb_png
from rtsmlm.render.rgb import RGB8, Colormap, color_table, to_index8
from rtsmlm.render.scale_bar import draw_scale_bar
from rtsmlm.render.view import View

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
        Appearance of the PNG, as in `to_rgb8`.

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
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"cannot write {tif}: {error.strerror or error}") from error
    # The picture first: it is small, and a report shows it even where the disk is full.
    picture, picture_pixel_nm = reduced(image, image_pixel_nm)
    index = to_index8(picture, percentile=percentile, gamma=gamma)
    draw_scale_bar(index, picture_pixel_nm)
    write_png(png, index, color_table(colormap), picture_pixel_nm)
    per_um = 1000 / image_pixel_nm
    metadata = {"axes": "YX", "unit": "um", "min": 0.0, "max": float(image.max(initial=0))}
    write_tif(tif, image, per_um, metadata)
    return tif, png


def write_tif(path: Path, image: F32, pixels_per_um: float, metadata: Mapping[str, object]) -> None:
    """Write an image for ImageJ whole, or leave nothing of it."""
    try:
        tifffile.imwrite(
            path,
            image,
            imagej=True,
            resolution=(pixels_per_um, pixels_per_um),
            metadata=dict(metadata),
        )
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        raise SinkError(f"cannot write {path}: {error.strerror or error}; free space") from error


def write_view(
    tif: Path,
    png: Path,
    view: View,
    rgb: RGB8,
    title: str = "localizations",
    predictions: Sequence[str] = (),
) -> dict[str, object]:
    """Write a view as a TIFF of 16 bits to measure in and as a PNG with a scale bar.

    Parameters
    ----------
    tif, png
        Where to; replaced if there.
    view
        What is seen; its density becomes the TIFF, scaled to its maximum.
    rgb
        The same in the colours shown, uint8, (height, width, 3).
    title
        Of the picture.
    predictions
        What networks have predicted of the PNG; the TIFF has localizations alone.

    Returns
    -------
    :
        What is written into both as JSON: pixel size, corner, mode, colour and filter, and the
        localizations that one step of the TIFF's grey values stands for.

    Raises
    ------
    SinkError
        If a file cannot be written, or the view is not complete.
    """
    if not view.complete:
        raise SinkError(f"the view for {tif} is not complete yet; ask for it without a time limit")
    most = float(view.density.max(initial=0))
    per_step = most / 65535 if most > 0 else 1.0
    metadata = {
        "title": title,
        "pixel_nm": view.pixel_nm,
        "x0_nm": view.corner_nm[0],
        "y0_nm": view.corner_nm[1],
        "mode": view.style.mode,
        "color": view.style.color,
        "filter": view.style.filter.describe(),
        "localizations_per_step": per_step,
        "predictions_in_png": list(predictions),
    }
    per_cm = 1e7 / view.pixel_nm
    try:
        tifffile.imwrite(
            tif,
            np.round(view.density / np.float32(per_step)).clip(0, 65535).astype(np.uint16),
            resolution=(per_cm, per_cm),
            resolutionunit="CENTIMETER",
            description=json.dumps(metadata),
            metadata=None,
        )
    except OSError as error:
        raise SinkError(f"cannot write {tif}: {error.strerror or error}; free space") from error
    write_rgb_png(
        png, with_bar(rgb, view.pixel_nm), view.pixel_nm, {"Comment": json.dumps(metadata)}
    )
    return metadata


def with_bar(rgb: RGB8, pixel_nm: float) -> RGB8:
    """Return a copy with a scale bar, the same in all three colours."""
    picture = rgb.copy()
    for channel in range(3):
        plane = np.ascontiguousarray(picture[..., channel])
        draw_scale_bar(plane, pixel_nm)
        picture[..., channel] = plane
    return picture


def reduced(image: F32, pixel_nm: float) -> tuple[F32, float]:
    """Sum blocks of pixels until the image fits into `PNG_SIDE`; an incomplete block is cut off."""
    block = -(-max(image.shape) // PNG_SIDE)
    if block == 1:
        return image, pixel_nm
    height, width = (side // block * block for side in image.shape)
    blocks = image[:height, :width].reshape(height // block, block, width // block, block)
    return blocks.sum(axis=(1, 3), dtype=np.float32), pixel_nm * block
