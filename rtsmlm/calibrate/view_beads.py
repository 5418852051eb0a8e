"""Beads in the views of a frame, and which bead of one view is which of another.

No starting guess is needed: all differences of places vote for a shift, for each way in which a
view may be mirrored and for rotations of some degrees, and the shift of most votes is made exact by
fits to the beads that agree with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from rtsmlm.calibrate.bead_windows import find_beads, stand_alone
from rtsmlm.fitting.boxes import default_box_px
from rtsmlm.fitting.widths import LIGHT, SIGMA_X, SIGMA_Y, X, Y, fit_widths
from rtsmlm.localizations import F32
from rtsmlm.physics.transforms import F64, PlaneTransform, terms

MIRRORS: dict[str, tuple[float, float]] = {
    "none": (1.0, 1.0),
    "x": (-1.0, 1.0),
    "y": (1.0, -1.0),
    "both": (-1.0, -1.0),
}
"""Signs of x and y, by which axis a view is mirrored along; both is a half turn."""
ROTATIONS_DEG = np.arange(-5.0, 5.01, 1.0)
BIN_PX = 2.0
FIRST_HALF_PX = 5
TOLERANCES_PX = (5.0, 3.0, 2.0, 1.0, 0.5)
"""Of a pair, from the rough shift on; the last one also holds for the final fit."""
MAX_DEVIATIONS = 4.0
MAD_TO_STD = 1.4826


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewBeads:
    """Isolated beads of one view of one image."""

    places_px: F64
    """x and y from the centre of the view's first pixel, shape (n, 2)."""
    photons: F64
    sigma_px: F64
    """Width of the spot, shape (n,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """Which beads of two views are the same."""

    mirror: str
    """Key of `MIRRORS`."""
    rotation_deg: float
    pairs: NDArray[np.int64]
    """Index into the beads of the first and of the other view, shape (n, 2)."""


def measure_view(image: F32, read_variance: float) -> ViewBeads:
    """Find the isolated beads of a view and fit a Gaussian to each.

    Parameters
    ----------
    image
        The view in photons, the mean of several frames or one of them, shape (height, width).
    read_variance
        Variance of the read noise in photons².
    """
    found = find_beads(image)
    half = FIRST_HALF_PX
    theta, good, cut = _fitted(image, found, half, read_variance)
    if good.any():
        typical_px = float(np.median(np.sqrt(theta[good, SIGMA_X] * theta[good, SIGMA_Y])))
        wanted = default_box_px(typical_px) // 2
        if wanted > half:
            theta, good, cut = _fitted(image, found, wanted, read_variance)
            half = wanted
    rows = theta[good]
    places = rows[:, [X, Y]] + cut[good] - half
    return ViewBeads(
        places_px=places,
        photons=rows[:, LIGHT],
        sigma_px=np.asarray(np.sqrt(rows[:, SIGMA_X] * rows[:, SIGMA_Y])),
    )


def _fitted(
    image: F32, found: F64, half: int, read_variance: float
) -> tuple[F64, NDArray[np.bool_], F64]:
    """Return parameters of all isolated beads inside, which are good, and where they were cut."""
    height, width = image.shape
    alone = stand_alone(np.insert(found, 0, 0.0, axis=1), 2 * half + 1)
    inside = (found[:, 0] >= half) & (found[:, 0] < width - half)
    inside &= (found[:, 1] >= half) & (found[:, 1] < height - half)
    cut = found[alone & inside][:, :2]
    if not len(cut):
        return np.empty((0, 6)), np.zeros(0, dtype=np.bool_), cut
    reach = np.arange(-half, half + 1)
    x, y = cut.astype(np.int64).T
    boxes = image[(y[:, None] + reach)[:, :, None], (x[:, None] + reach)[:, None, :]]
    theta, good = fit_widths(boxes, read_variance)
    return theta, good, cut


def pair_beads(
    first: Sequence[F64], other: Sequence[F64], mirrors: Sequence[str] = tuple(MIRRORS)
) -> Pairing:
    """Return which beads of the first view are which of another one.

    Parameters
    ----------
    first, other
        Places of beads in pixels, shape (n, 2), of every image; the views lie on each other in the
        same way in all of them.
    mirrors
        Which ways of mirroring to try.
    """
    best: tuple[float, str, float, F64] | None = None
    for mirror in mirrors:
        for rotation in ROTATIONS_DEG:
            turned = [_turned(places, mirror, rotation) for places in other]
            votes, shift = _vote(first, turned)
            # Of equal votes the smaller rotation wins.
            score = votes - 1e-3 * abs(rotation)
            if best is None or score > best[0]:
                best = (score, mirror, float(rotation), shift)
    if best is None or best[0] <= 0:
        return Pairing(mirror="none", rotation_deg=0.0, pairs=np.empty((0, 2), dtype=np.int64))
    _, mirror, rotation, shift = best
    moved = [_turned(places, mirror, rotation) + shift for places in other]
    pairs = _refined(first, other, moved)
    return Pairing(mirror=mirror, rotation_deg=rotation, pairs=pairs)


def _turned(places: F64, mirror: str, rotation_deg: float) -> F64:
    angle = np.deg2rad(rotation_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray((places * MIRRORS[mirror]) @ turn.T)


def _vote(first: Sequence[F64], other: Sequence[F64]) -> tuple[float, F64]:
    """Return how many pairs agree on the best shift, and that shift."""
    apart = [
        (one[:, None, :] - two[None, :, :]).reshape(-1, 2)
        for one, two in zip(first, other, strict=True)
        if len(one) and len(two)
    ]
    if not apart:
        return 0.0, np.zeros(2)
    shifts = np.concatenate(apart)
    low = shifts.min(axis=0) - BIN_PX
    cells = np.floor((shifts - low) / BIN_PX).astype(np.int64)
    sides = cells.max(axis=0) + 2
    counts = np.bincount(cells[:, 0] * sides[1] + cells[:, 1], minlength=int(sides.prod()))
    near = ndimage.uniform_filter(counts.reshape(sides) * 9.0, 3, mode="constant")
    top = np.array(np.unravel_index(int(near.argmax()), near.shape))
    close = np.all(np.abs(cells - top) <= 1, axis=1)
    return float(near.max()), np.asarray(np.median(shifts[close], axis=0))


def _refined(first: Sequence[F64], other: Sequence[F64], moved: Sequence[F64]) -> NDArray[np.int64]:
    """Return pairs that agree on an affine transform, as indices into all beads of each view."""
    whole_first, whole_other = np.concatenate(first), np.concatenate(other)
    pairs = _nearest(first, moved, TOLERANCES_PX[0])
    for tolerance in TOLERANCES_PX[1:]:
        if len(pairs) < 3:
            return pairs
        fitted = robust_fit(whole_other[pairs[:, 1]], whole_first[pairs[:, 0]], 1)
        pairs = _nearest(first, [fitted(places) for places in other], max(tolerance, 1.0))
    return pairs


def _nearest(first: Sequence[F64], moved: Sequence[F64], within_px: float) -> NDArray[np.int64]:
    """Return pairs whose beads are each other's nearest, counted through all images."""
    found: list[NDArray[np.int64]] = [np.empty((0, 2), dtype=np.int64)]
    before_first = before_other = 0
    for one, two in zip(first, moved, strict=True):
        if len(one) and len(two):
            found_at = cKDTree(two).query(one, distance_upper_bound=within_px)
            distance, there = np.asarray(found_at[0]), np.asarray(found_at[1])
            back = np.asarray(cKDTree(one).query(two)[1])
            mine = np.flatnonzero(np.isfinite(distance))
            mine = mine[back[there[mine]] == mine]
            pair = np.stack([mine + before_first, there[mine] + before_other], axis=1)
            found.append(pair.astype(np.int64))
        before_first, before_other = before_first + len(one), before_other + len(two)
    return np.concatenate(found)


def robust_fit(source: F64, target: F64, degree: int) -> PlaneTransform:
    """Return the transform from places to places, pairs that deviate most left out.

    Parameters
    ----------
    source, target
        Places in pixels, shape (n, 2).
    degree
        1 for an affine transform, 2 for one of the second order.
    """
    keep = np.ones(len(source), dtype=np.bool_)
    fitted = fit_transform(source, target, degree)
    for _ in range(10):
        off = np.hypot(*(fitted(source) - target).T)
        limit = MAX_DEVIATIONS * max(MAD_TO_STD * float(np.median(off[keep])), 1e-3)
        now = off <= limit
        if now.sum() < max(2 * terms(source[:1], degree).shape[1], 4) or np.array_equal(now, keep):
            break
        keep = now
        fitted = fit_transform(source[keep], target[keep], degree)
    return fitted


def fit_transform(source: F64, target: F64, degree: int) -> PlaneTransform:
    """Return the transform that moves places to places with the least squared distance."""
    powers = terms(source, degree)
    # Columns of like size, so that the squares of a thousand pixels lose no digits.
    scale = np.maximum(np.abs(powers).max(axis=0), 1.0)
    found, *_ = np.linalg.lstsq(powers / scale, target, rcond=None)
    x, y = (found / scale[:, None]).T.tolist()
    return PlaneTransform(tuple(x), tuple(y))
