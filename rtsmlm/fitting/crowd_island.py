"""A crowd of a tile: the rows that are linked, fitted together, measured, and written."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.fitting.boxes import F64
from rtsmlm.fitting.crowd_draw import clear, draw, light_up, place_square, write_patch
from rtsmlm.fitting.crowd_fit import refresh, settle
from rtsmlm.fitting.crowd_ground import write_start
from rtsmlm.fitting.crowd_pairs import (
    QUICK_AMONG,
    Candidates,
    Rules,
    candidates_of,
    split_crowd,
)
from rtsmlm.fitting.crowd_patches import LANES, MARGIN, add_square
from rtsmlm.fitting.crowd_shape import (
    MOST_NEAR,
    ORDER,
    chi2_around,
    members_near,
    neighbours_of,
    quick_score,
    shape_of,
    write_stds,
)
from rtsmlm.fitting.crowd_state import Crowd, Ground, Place, crowd_of, ground_of
from rtsmlm.fitting.crowd_width import measured_width
from rtsmlm.localizations import F32

NOT_WRITTEN = -1
"""Instead of how many second ones there are: the width of spots was measured, and that is all."""
PAD_PX = 4
"""How far squares may wander beyond those at first."""
X, Y, PHOTONS, BACKGROUND, STD_X, STD_Y, STD_PHOTONS, CHI2, IS_FITTED, PARENT, DOUBT_X, DOUBT_Y = (
    range(12)
)
COLUMNS = 12


@njit(inline="always", error_model="numpy")
def fit_island(
    pixels: NDArray[np.uint16], offset_adu: F32, photons_per_adu: F32, read_variance: F32,
    members: NDArray[np.int64], around: NDArray[np.int64], rows: F64,
    sigma: tuple[float, float], reach: int, excess_noise: float, rules: Rules,
    tile: tuple[float, float, float, float], out: F64, next_row: int, measured: F64,
    enough: int, memory: F32,
) -> int:  # fmt: skip
    """Fit rows that are linked; write those of the tile, and return how many second ones.

    Where widths are measured that is all, unless they are enough to go on with what they say.
    """
    n, side = len(members), 2 * reach + 1
    # Place of the island: its first pixel is pixel (0, 0) from here on.
    top, left, bottom, right = 1e9, 1e9, -1e9, -1e9
    for k in range(n):
        top, bottom = min(top, rows[members[k], Y]), max(bottom, rows[members[k], Y])
        left, right = min(left, rows[members[k], X]), max(right, rows[members[k], X])
    far = reach + PAD_PX
    y0, x0 = max(int(top) - far, 0), max(int(left) - far, 0)
    y1 = min(int(bottom) + far + 2, offset_adu.shape[0])
    x1 = min(int(right) + far + 2, offset_adu.shape[1])
    shape = (y1 - y0 + 2 * MARGIN, x1 - x0 + 2 * MARGIN)
    images = memory[: 7 * shape[0] * shape[1]].reshape((7, shape[0], shape[1]))
    place = Place(images[0], images[1], images[2], images[3], images[4], images[5], images[6])
    box = (MARGIN, shape[0] - MARGIN, MARGIN, shape[1] - MARGIN)
    clear(place, box)
    _load(pixels, offset_adu, photons_per_adu, read_variance, (y0, y1, x0, x1), excess_noise, place)
    ground = ground_of(box, shape)
    level, room = ground.level, 2 * n + 4
    crowd = crowd_of(room, ground)
    _start(crowd, members, around, rows, (y0, x0), sigma, side, excess_noise, place, ground)
    settle(place, box, crowd, n, ground, side, sigma, rules.ground_steps, rules.enough_px, level)
    draw(place, box, crowd, n, ground, side, sigma)
    settle(place, box, crowd, n, ground, side, sigma, rules.first_steps, rules.enough_px, level[:0])
    if len(measured):
        _measure(place, crowd, n, ground, side, sigma, measured)
        if measured[0] < enough:
            return NOT_WRITTEN
        stated, sigma = sigma, measured_width(sigma, measured)
        if sigma[0] != stated[0]:
            for i in range(n):
                crowd.free[i] = True
            settle(
                place,
                box,
                crowd,
                n,
                ground,
                side,
                sigma,
                rules.ground_steps,
                rules.enough_px,
                level,
            )
            draw(place, box, crowd, n, ground, side, sigma)
    some = candidates_of(room)
    count = split_crowd(place, box, crowd, n, ground, side, sigma, rules, some)
    if count > n:
        for i in range(count):
            crowd.free[i] = True
        settle(
            place, box, crowd, count, ground, side, sigma, rules.final_steps, rules.enough_px, level
        )
        draw(place, box, crowd, count, ground, side, sigma)
    return _write(
        place, crowd, n, count, ground, side, sigma, rules, members, some, (y0, x0), tile,
        excess_noise, rows, out, next_row,
    )  # fmt: skip


@njit(inline="always", error_model="numpy")
def _load(
    pixels: NDArray[np.uint16], offset_adu: F32, photons_per_adu: F32, read_variance: F32,
    part: tuple[int, int, int, int], excess_noise: float, place: Place,
) -> None:  # fmt: skip
    """Write light and read variance of a part of a frame, both divided by the excess noise."""
    per, columns = np.float32(1.0 / excess_noise), part[3] - part[2]
    for y in range(part[0], part[1]):
        raw, offset = pixels[y, part[2] : part[3]], offset_adu[y, part[2] : part[3]]
        gain, read = photons_per_adu[y, part[2] : part[3]], read_variance[y, part[2] : part[3]]
        r = y - part[0] + MARGIN
        known, data = place.known[r, MARGIN:], place.data[r, MARGIN:]
        for c in range(columns):
            variance = read[c] * per * per
            light = (np.float32(raw[c]) - offset[c]) * gain[c] * per
            known[c] = variance
            data[c] = max(light + variance, np.float32(0.0))


@njit(inline="always", error_model="numpy")
def _start(
    crowd: Crowd, members: NDArray[np.int64], around: NDArray[np.int64], rows: F64,
    corner: tuple[int, int], sigma: tuple[float, float], side: int, excess_noise: float,
    place: Place, ground: Ground,
) -> None:  # fmt: skip
    """Write emitters and background as the rows say, where they shine, and the light of others."""
    n = len(members)
    height, width = place.mean.shape[0] - 2 * MARGIN, place.mean.shape[1] - 2 * MARGIN
    reach = side // 2
    for k in range(n):
        row, theta = rows[members[k]], crowd.theta[k]
        theta[0], theta[1] = row[X] - corner[1], row[Y] - corner[0]
        theta[2] = max(row[PHOTONS] / excess_noise, 5.0)
        crowd.free[k] = True
        light_up(place, theta, reach)
    write_start(ground, crowd.theta, members, rows[:, BACKGROUND], n, excess_noise, height, width)
    member = 0
    theta, origin = np.empty(3), np.empty(2, np.int32)
    patch = np.empty_like(crowd.patches[0])
    for i in around:
        if member < n and members[member] == i:
            member += 1
            continue
        theta[0], theta[1] = rows[i, X] - corner[1], rows[i, Y] - corner[0]
        theta[2] = rows[i, PHOTONS] / excess_noise
        place_square(theta, side, origin)
        if 0 <= origin[0] < height + 2 * MARGIN - side and 0 <= origin[1] < width + MARGIN:
            write_patch(theta, side, sigma, origin, patch)
            add_square(place.known, origin[0], origin[1], side, theta[2], patch)


@njit(inline="always", error_model="numpy")
def _measure(
    place: Place, crowd: Crowd, n: int, ground: Ground, side: int, sigma: tuple[float, float],
    measured: F64,
) -> None:  # fmt: skip
    """Add by how much the variances of spots that are not longer than wide exceed the PSF's."""
    for i in range(n):
        crowd.free[i] = True
    pairs = refresh(place, crowd, n, ground, side, sigma)
    begin, listed = neighbours_of(crowd, n, pairs)
    members = np.empty(MOST_NEAR + 1, np.int32)
    matrix, moments = np.empty((ORDER, ORDER)), np.empty(4)
    for i in range(n):
        count = int(measured[0])
        if count + 1 == len(measured):
            return
        m = members_near(crowd, i, begin, listed, members, MOST_NEAR)
        if shape_of(place, crowd, i, members, m, begin, listed, side, sigma, matrix, moments) < 0.0:
            continue
        turn = math.hypot(0.5 * (moments[0] - moments[1]), moments[2])
        if turn < moments[3] and moments[3] < 0.3 * sigma[0] * sigma[1]:
            measured[count + 1] = 0.5 * (moments[0] + moments[1])
            measured[0] += 1.0


@njit(inline="always", error_model="numpy")
def _write(
    place: Place, crowd: Crowd, n: int, count: int, ground: Ground, side: int,
    sigma: tuple[float, float], rules: Rules, members: NDArray[np.int64], some: Candidates,
    corner: tuple[int, int],
    tile: tuple[float, float, float, float], excess_noise: float, rows: F64, out: F64,
    next_row: int,
) -> int:  # fmt: skip
    """Write what is fitted of the rows of a tile; return how many second ones there are."""
    for i in range(count):
        crowd.free[i] = True
    pairs = refresh(place, crowd, count, ground, side, sigma)
    begin, listed = neighbours_of(crowd, count, pairs)
    near = np.empty(MOST_NEAR + 1, np.int32)
    matrix, variance, moments = np.empty((ORDER, ORDER)), np.zeros(3), np.zeros(4)
    bends = np.empty((2, LANES), np.float32)
    core = min(2 * math.ceil(2.0 * max(sigma[0], sigma[1])) + 1, side)
    seconds = 0
    for k in range(count):
        i = k
        while i >= n:
            i = some.parent[i]
        row = members[i]
        if not (tile[0] <= rows[row, Y] < tile[1] and tile[2] <= rows[row, X] < tile[3]):
            continue
        at = row
        if k >= n:
            at = next_row + seconds
            seconds += 1
        m = members_near(crowd, k, begin, listed, near, MOST_NEAR)
        is_known = write_stds(crowd, k, near, m, begin, listed, matrix, variance)
        if quick_score(place, crowd, k, side, sigma, bends) > QUICK_AMONG * rules.min_misfit:
            misfit = shape_of(place, crowd, k, near, m, begin, listed, side, sigma, matrix, moments)
            turn = math.hypot(0.5 * (moments[0] - moments[1]), moments[2])
            across = 0.5 * (moments[0] + moments[1]) - turn
            most = rules.most_wide * sigma[0] * sigma[1] + rules.wide_stds * moments[3]
            # Without an answer the moments are not written.
            is_known &= misfit < 0.0 or across < most
        theta, result = crowd.theta[k], out[at]
        result[X], result[Y] = theta[0] + corner[1], theta[1] + corner[0]
        result[PHOTONS] = theta[2] * excess_noise
        level = 0.0
        for t in range(4):
            level += crowd.system.part[k, t] * ground.level[crowd.system.node[k, t]]
        result[BACKGROUND] = level * excess_noise
        result[STD_X], result[STD_Y] = math.sqrt(variance[0]), math.sqrt(variance[1])
        result[STD_PHOTONS] = excess_noise * math.sqrt(variance[2])
        shift = (side - core) // 2
        result[CHI2] = chi2_around(
            place, crowd.origin[k, 0] + shift, crowd.origin[k, 1] + shift, core
        )
        result[IS_FITTED] = 1.0 if is_known else 0.0
        result[PARENT] = row
        result[DOUBT_X], result[DOUBT_Y] = some.doubt[k, 0], some.doubt[k, 1]
    return seconds
