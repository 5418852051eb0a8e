"""Beads in stacks of planes: where they lie alone, and the windows around them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rtsmlm.errors import CalibrationError
from rtsmlm.fitting.widths import F64
from rtsmlm.localizations import F32

Planes: TypeAlias = Callable[[], Iterable[F32]]
"""Yields the planes of a stack in photons, (n, height, width) each, anew at every call."""

SMOOTHING_PX = 1.3
MIN_SIGNIFICANCE = 8.0
MAD_TO_STD = 1.4826
# Half width of the windows cut around beads; the part that is fitted depends on the width.
MAX_WINDOW_HALF_PX = 15
MIN_WINDOW_HALF_PX = 4
OFF_CENTER_PX = 3
# A fainter neighbour changes the widths less than the PSF's own departure from a Gaussian does.
NEIGHBOUR_SHARE = 0.15
# More beads add no information; the windows of 31 pixels of that many are 150 MB.
MAX_BEADS = 200
MAX_WINDOWS = 40_000


def find_beads(projection: F32) -> F64:
    """Return the bright maxima of an image, brightest first.

    Parameters
    ----------
    projection
        Highest value of each pixel over all planes, in photons, shape (height, width).

    Returns
    -------
    :
        x, y and height above the background of each, shape (n, 3).
    """
    image = ndimage.gaussian_filter(projection.astype(np.float64), SMOOTHING_PX)
    background = float(np.median(image))
    # Differences of neighbours measure the noise independently of the background.
    steps = np.abs(np.diff(projection.astype(np.float64), axis=1))
    noise = MAD_TO_STD * float(np.median(steps)) / math.sqrt(2)
    top = ndimage.maximum_filter(image, 2 * MIN_WINDOW_HALF_PX + 1)
    height = image - background
    # Standard deviation of white noise after that smoothing.
    smoothed = noise / (2 * math.sqrt(math.pi) * SMOOTHING_PX)
    y, x = np.nonzero((image == top) & (height > MIN_SIGNIFICANCE * max(smoothed, 1e-9)))
    found = np.stack([x, y, height[y, x]], axis=1).astype(np.float64)
    return np.asarray(found[np.argsort(-found[:, 2])])


def bead_windows(stacks: Sequence[Planes], box_px: int | None) -> tuple[F32, F64, int]:
    """Cut the beads out of all planes.

    Returns
    -------
    :
        Windows, shape (beads, planes, side, side); number of the stack, x, y and height of each
        bead, shape (beads, 4); and how many candidates were rejected.
    """
    parts: list[F32] = []
    places: list[F64] = []
    rejected = 0
    for number, planes in enumerate(stacks):
        projection, n_planes = _projection(planes)
        # In small planes, cut around single beads, the bead is never quite in the middle.
        room = (min(projection.shape) - 1) // 2
        half = min(MAX_WINDOW_HALF_PX, max(room - OFF_CENTER_PX, MIN_WINDOW_HALF_PX))
        if box_px is not None:
            half = min(room, max(box_px // 2, MIN_WINDOW_HALF_PX))
        if half > room or (box_px is not None and half < box_px // 2):
            raise CalibrationError(
                f"planes of {projection.shape[0]} x {projection.shape[1]} pixels are too small "
                f"for boxes of {box_px or 2 * MIN_WINDOW_HALF_PX + 1}; give larger planes"
            )
        found = find_beads(projection)
        inside = np.all(
            (found[:, :2] >= half) & (found[:, :2] < np.array(projection.shape)[::-1] - half),
            axis=1,
        )
        alone = stand_alone(np.insert(found, 0, 0.0, axis=1), 2 * MIN_WINDOW_HALF_PX + 1)
        chosen = found[inside & alone][: min(MAX_BEADS, max(MAX_WINDOWS // n_planes, 1))]
        rejected += len(found) - len(chosen)
        if len(chosen):
            parts.append(_cut(planes, chosen[:, :2].astype(np.int64), half))
            places.append(np.insert(chosen, 0, float(number), axis=1))
    if not parts:
        raise CalibrationError(
            f"no isolated bead was found ({rejected} candidates touch each other or the edge); "
            "take bright beads, some ten pixels apart, or check the offset of the camera"
        )
    return np.concatenate(parts), np.concatenate(places), rejected


def _projection(planes: Planes) -> tuple[F32, int]:
    """Return the highest value of each pixel, and the number of planes."""
    n_planes = 0
    highest: F32 | None = None
    for part in planes():
        n_planes += len(part)
        top = part.max(axis=0)
        highest = top if highest is None else np.maximum(highest, top)
    if highest is None:
        raise CalibrationError("the stack of beads holds no plane; give a stack with planes")
    return highest, n_planes


def _cut(planes: Planes, places: NDArray[np.int64], half: int) -> F32:
    reach = np.arange(-half, half + 1)
    rows = (places[:, 1, None] + reach)[:, :, None]
    columns = (places[:, 0, None] + reach)[:, None, :]
    # (planes, beads, side, side) as read; the fit takes beads first.
    cut = [part[:, rows, columns] for part in planes()]
    return np.ascontiguousarray(np.concatenate(cut).swapaxes(0, 1), dtype=np.float32)


def stand_alone(places: F64, box_px: int) -> NDArray[np.bool_]:
    """Return which beads have no comparable neighbour of the same stack within their box.

    Of each, `places` has the number of its stack, x, y and height, shape (beads, 4).
    """
    alone = np.ones(len(places), dtype=np.bool_)
    for i, (stack, x, y, height) in enumerate(places):
        near = (np.abs(places[:, 1] - x) < box_px) & (np.abs(places[:, 2] - y) < box_px)
        near &= places[:, 0] == stack
        near[i] = False
        alone[i] = not np.any(places[near, 3] > NEIGHBOUR_SHARE * height)
    return alone
