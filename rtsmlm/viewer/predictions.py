"""Predictions of a run: the images that `write_layer` left in its folder; no Qt."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import tifffile

from rtsmlm.protocols import ImageLayer

PREFIX = "predicted_"
MOST_BYTES = 1 << 30

_log = logging.getLogger(__name__)


def read_predictions(folder: Path) -> list[ImageLayer]:
    """Return the layers of a run folder by name; what cannot be read is logged and left out.

    Parameters
    ----------
    folder
        Of the run; it need not have any.
    """
    found = []
    for path in sorted(folder.glob(f"{PREFIX}*.tif")):
        try:
            layer = _read(path)
        except Exception as error:  # a damaged file must not take the picture of the rows away
            _log.warning("%s is not shown: %s", path, error)
            continue
        if layer is not None:
            found.append(layer)
    return found


def _read(path: Path) -> ImageLayer | None:
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        if not isinstance(page, tifffile.TiffPage) or len(page.shape) != 2:
            raise ValueError("it holds no image of one plane")
        if page.nbytes > MOST_BYTES:
            raise ValueError(f"{page.nbytes / 1e6:.0f} MB are more than a window shows")
        dots, unit_length = page.tags["XResolution"].value
        if not dots or not unit_length:
            raise ValueError("it states no pixel size")
        image = page.asarray().astype(np.float32)
    # `write_layer` states pixels per µm.
    return ImageLayer(path.stem.removeprefix(PREFIX), 1000 * unit_length / dots, image)
