"""The image of a report: small, and bright enough for a handful of localizations."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from rtsmlm.render.png import write_png
from rtsmlm.render.rgb import color_table, to_index8
from rtsmlm.render.scale_bar import draw_scale_bar

SIDE_PX = 900
_SPARSE = 0.03
"""Part of the pixels that hold light, below which single spots are drawn larger."""
_SPOT_PX = 1.3


def preview_png(image: NDArray[np.float32], pixel_nm: float) -> bytes:
    """Return a PNG file of an image, at most `SIDE_PX` on its longer side.

    Parameters
    ----------
    image
        Localizations per pixel, (height, width).
    pixel_nm
        Side of a pixel.
    """
    step = max(1, -(-max(image.shape) // SIDE_PX))
    height, width = (side // step * step for side in image.shape)
    small = image[:height, :width].reshape(height // step, step, width // step, step)
    light = small.sum(axis=(1, 3)).astype(np.float32)
    lit = light > 0.02 * max(float(light.max(initial=0)), 1e-12)
    if lit.mean() < _SPARSE:
        light = gaussian_filter(light, _SPOT_PX)
        lit = light > 0.02 * max(float(light.max(initial=0)), 1e-12)
    # The contrast goes by the pixels that hold light: of few localizations all others are dark.
    white = float(np.percentile(light[lit], 97)) if lit.any() else 1.0
    index = to_index8(light, white=white, gamma=0.5)
    draw_scale_bar(index, pixel_nm * step)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "preview.png"
        write_png(path, index, color_table(), pixel_nm * step)
        return path.read_bytes()
