"""Draws a crowd: what each pixel should hold, and how far it is from that."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from rtsmlm.fitting.boxes import F64
from rtsmlm.fitting.crowd_patches import (
    I32,
    LANES,
    MARGIN,
    SLOPE_X,
    SLOPE_Y,
    VALUE_X,
    VALUE_Y,
    add_square,
    write_axis,
)
from rtsmlm.fitting.crowd_state import Crowd, Ground, Place
from rtsmlm.localizations import F32

MIN_MEAN = np.float32(0.02)


@njit(cache=True, nogil=True, error_model="numpy")
def place_square(theta: F64, side: int, origin: I32) -> None:
    """Write first row and column of the square around an emitter."""
    half = side // 2
    origin[0] = math.floor(theta[1] + 0.5) - half + MARGIN
    origin[1] = math.floor(theta[0] + 0.5) - half + MARGIN


@njit(cache=True, nogil=True, error_model="numpy")
def write_patch(theta: F64, side: int, sigma: tuple[float, float], origin: I32, patch: F32) -> None:
    """Write where the square of an emitter lies, and its light there."""
    place_square(theta, side, origin)
    left, top = origin[1] - MARGIN, origin[0] - MARGIN
    write_axis(theta[0], left, side, sigma[0], patch[VALUE_X], patch[SLOPE_X])
    write_axis(theta[1], top, side, sigma[1], patch[VALUE_Y], patch[SLOPE_Y])


@njit(cache=True, nogil=True, error_model="numpy")
def clear(place: Place, box: tuple[int, int, int, int]) -> None:
    """Write nothing into the margins of images, and that no emitter shines anywhere."""
    height, width = place.mean.shape
    for r in range(height):
        for c in range(width):
            place.inside[r, c] = 0.0
        is_beyond = r < box[0] or r >= box[1]
        for c in range(width if is_beyond else box[2]):
            place.data[r, c] = place.mean[r, c] = place.weight[r, c] = place.excess[r, c] = 0.0
        for c in range(width if is_beyond else box[3], width):
            place.data[r, c] = place.mean[r, c] = place.weight[r, c] = place.excess[r, c] = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def light_up(place: Place, theta: F64, reach: int) -> None:
    """Mark the pixels of the frame that are near enough to an emitter to be of its crowd."""
    height, width = place.mean.shape[0] - 2 * MARGIN, place.mean.shape[1] - 2 * MARGIN
    for r in range(max(int(theta[1]) - reach, 0), min(int(theta[1]) + reach + 2, height)):
        left = (reach + 0.5) ** 2 - (r - theta[1]) ** 2
        if left <= 0.0:
            continue
        half = math.sqrt(left)
        first, last = (
            max(math.ceil(theta[0] - half), 0),
            min(math.floor(theta[0] + half), width - 1),
        )
        for c in range(first, last + 1):
            place.inside[r + MARGIN, c + MARGIN] = 1.0


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def draw(
    place: Place,
    box: tuple[int, int, int, int],
    crowd: Crowd,
    n: int,
    ground: Ground,
    side: int,
    sigma: tuple[float, float],
) -> None:
    """Write mean, weight and excess of the pixels of a crowd; see `settle`."""
    lines, last, a, b = ground.lines, len(ground.lines) - 1, box[2], box[3]
    for k in range(last + 1):
        for c in range(box[2], box[3]):
            u, j = ground.column_part[c], k * ground.columns + ground.column[c]
            after = j + 1 if ground.columns > 1 else j
            lines[k, c] = np.float32(ground.level[j] * (1 - u) + ground.level[after] * u)
    for r in range(box[0], box[1]):
        k, v = ground.row[r], ground.row_part[r]
        upper, lower = lines[k, a:b], lines[min(k + 1, last), a:b]
        mean, known, part = place.mean[r, a:b], place.known[r, a:b], np.float32(1.0) - v
        for c in range(b - a):
            mean[c] = known[c] + upper[c] * part + lower[c] * v
    for i in range(n):
        if crowd.theta[i, 2] > 0.0:
            if crowd.free[i] or crowd.patches[i, VALUE_X, side // 2] == 0.0:
                write_patch(crowd.theta[i], side, sigma, crowd.origin[i], crowd.patches[i])
            top, left = crowd.origin[i, 0], crowd.origin[i, 1]
            add_square(place.mean, top, left, side, crowd.theta[i, 2], crowd.patches[i])
        crowd.drawn[i] = crowd.theta[i, 2]
    for r in range(box[0], box[1]):
        means, data, inside = place.mean[r, a:b], place.data[r, a:b], place.inside[r, a:b]
        weights, excess = place.weight[r, a:b], place.excess[r, a:b]
        for c in range(b - a):
            value = max(means[c], MIN_MEAN)
            means[c] = value
            weights[c] = inside[c] / value
            excess[c] = data[c] * weights[c] - inside[c]


@njit(cache=True, nogil=True, error_model="numpy")
def draw_some(place: Place, crowd: Crowd, n: int, side: int, sigma: tuple[float, float]) -> None:
    """Write mean, weight and excess around those that are free, as `draw` does everywhere."""
    for i in range(n):
        if not crowd.free[i]:
            continue
        top, left = crowd.origin[i, 0], crowd.origin[i, 1]
        crowd.last[i, 0], crowd.last[i, 1] = top, left
        was_drawn = crowd.drawn[i] > 0.0
        if was_drawn:
            add_square(place.mean, top, left, side, -crowd.drawn[i], crowd.patches[i])
        crowd.drawn[i] = crowd.theta[i, 2]
        if crowd.theta[i, 2] == 0.0:
            continue
        write_patch(crowd.theta[i], side, sigma, crowd.origin[i], crowd.patches[i])
        top, left = crowd.origin[i, 0], crowd.origin[i, 1]
        if not was_drawn:
            crowd.last[i, 0], crowd.last[i, 1] = top, left
        add_square(place.mean, top, left, side, crowd.theta[i, 2], crowd.patches[i])
    for i in range(n):
        if crowd.free[i]:
            _weigh(place, crowd.origin[i, 0], crowd.origin[i, 1], side)
            if crowd.last[i, 0] != crowd.origin[i, 0] or crowd.last[i, 1] != crowd.origin[i, 1]:
                _weigh(place, crowd.last[i, 0], crowd.last[i, 1], side)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _weigh(place: Place, top: int, left: int, side: int) -> None:
    """Write weight and excess of the pixels of a square."""
    for r in range(top, top + side):
        means, data = place.mean[r, left : left + LANES], place.data[r, left : left + LANES]
        inside = place.inside[r, left : left + LANES]
        weights, excess = place.weight[r, left : left + LANES], place.excess[r, left : left + LANES]
        for c in range(LANES):
            value = max(means[c], MIN_MEAN)
            weights[c] = inside[c] / value
            excess[c] = data[c] * weights[c] - inside[c]
