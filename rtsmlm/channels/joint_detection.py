"""One detection for all views: emitters are looked for in the sum of the views.

Each view is moved onto the first one by whole pixels, which leaves the noise of pixels independent
and blurs the sum by less than half a pixel; the fit takes each view as it is. What is dim in every
view is found where the sum is bright enough.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.fitting.bands import Scratch, open_band
from rtsmlm.fitting.detection import Candidates, judge, search_band
from rtsmlm.fitting.filtering import Filter
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32
from rtsmlm.physics.gaussian import FAST
from rtsmlm.physics.views import Views

I32 = NDArray[np.int32]


class SumMap(NamedTuple):
    """Which pixel of a frame of each view lies on which pixel of the first view."""

    row: I32
    """Shape (views, height, width) of the first view."""
    column: I32


def sum_map(views: Views) -> SumMap:
    """Return the nearest pixel of each view; beyond its edge its last pixels repeat."""
    height, width = views.first.shape
    rows, columns = np.indices((height, width))
    places = np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.float64)
    found = np.empty((2, len(views), height, width), dtype=np.int32)
    for k, view in enumerate(views):
        at = np.nan_to_num(view.from_first(places), nan=0.0)
        x = np.clip(np.rint(at[:, 0]), 0, view.shape[1] - 1) + view.corner[0]
        y = np.clip(np.rint(at[:, 1]), 0, view.shape[0] - 1) + view.corner[1]
        found[0, k], found[1, k] = y.reshape(height, width), x.reshape(height, width)
    return SumMap(row=found[0], column=found[1])


def summed(image: F32, which: SumMap) -> F32:
    """Return the sum over all views of an image of a whole frame, shape of the first view."""
    return np.asarray(image[which.row, which.column].sum(axis=0), dtype=np.float32)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def detect_in_sums(
    pixels: Pixels,
    offset_adu: F32,
    photons_per_adu: F32,
    row: I32,
    column: I32,
    plan: Filter,
    scratch: Scratch,
    found: Candidates,
    first_frame: int,
) -> tuple[int, int]:
    """Detect in the sums of the views; see `rtsmlm.fitting.detection.detect_in_batch`.

    Parameters
    ----------
    pixels
        Raw frames in ADU, uint16, shape (n, height, width).
    offset_adu, photons_per_adu
        Camera calibration, float32, shape (height, width).
    row, column
        Of `SumMap`.
    plan, scratch
        Made for the first view.
    found
        Written from row 0 on; places in pixels of the first view.
    first_frame
        Where in the batch to begin.

    Returns
    -------
    :
        Number of rows taken, and the frame to continue with.
    """
    first = 0
    n_views, _, width = row.shape
    for frame in range(first_frame, len(pixels)):
        raw = pixels[frame]
        n = first
        for b in range(len(plan.tile_variance)):
            band = open_band(b, plan, scratch.photons)
            for y in range(band.start, band.end):
                out = scratch.photons[y - band.kept]
                out[:] = np.float32(0.0)
                for k in range(n_views):
                    for x in range(width):
                        v, u = row[k, y, x], column[k, y, x]
                        out[x] += (np.float32(raw[v, u]) - offset_adu[v, u]) * photons_per_adu[v, u]
            n = search_band(b, band, plan, scratch, found, n)
            if n < 0:
                return first, frame
        first = judge(frame, plan, scratch, found, first, n)
    return first, len(pixels)
