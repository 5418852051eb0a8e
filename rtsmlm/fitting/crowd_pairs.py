"""Splits emitters of a crowd that are two: candidates by shape, judged by the likelihood."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.fitting.boxes import F64
from rtsmlm.fitting.crowd_draw import draw_some, place_square
from rtsmlm.fitting.crowd_fit import list_pairs, refresh, settle
from rtsmlm.fitting.crowd_patches import LANES
from rtsmlm.fitting.crowd_shape import (
    MOST_NEAR,
    ORDER,
    gain_around,
    members_near,
    neighbours_of,
    quick_score,
    shape_of,
)
from rtsmlm.fitting.crowd_state import Crowd, Ground, Place

QUICK_ALONE, QUICK_AMONG = 0.5, 0.2
"""Of the least misfit: emitters with less by `quick_score` are no candidates, with none near and
among others, which leave more of the shape open."""
LONGEST_HALF = 1.5
"""Of the variance of the PSF, that between both emitters at first."""


class Rules(NamedTuple):
    """When a row is two emitters, and how many steps are taken."""

    min_misfit: float = 12.0
    """Of the shape of a spot: chi² of three degrees of freedom."""
    min_along: float = 0.1
    """Variance beyond that of the PSF, over it, along the longer axis."""
    across: float = 0.2
    across_stds: float = 0.5
    """Most of it along the shorter axis, as part of that along the longer and in deviations."""
    longer_stds: float = 3.0
    """By how many standard deviations that along is more than that across."""
    most_wide: float = 0.1
    """Variance beyond that of the PSF, over it, in all directions: more is a spot of another."""
    wide_stds: float = 2.0
    min_gain: float = 9.0
    """Of the log-likelihood, for two instead of one."""
    min_share: float = 0.1
    """Of the light of both that each must have."""
    min_apart: float = 0.3
    """PSF widths between both."""
    ground_steps: int = 2
    first_steps: int = 5
    next_steps: int = 8
    rounds: int = 4
    final_steps: int = 1
    last_steps: int = 1
    apart_sigma: float = 5.0
    moving_sigma: float = 5.0
    enough_px: float = 0.015


class Candidates(NamedTuple):
    """Emitters that may be two, and what becomes of them; all with room for second ones."""

    misfit: F64
    """Of the shape, 0 where there is no reason to split, (n,)."""
    half: F64
    """From the middle to one of both along x and y, in pixels, (n, 2)."""
    old: F64
    """x, y and photons before, (n, 3)."""
    parent: NDArray[np.int64]
    """Of second ones the first, (n,)."""
    doubt: F64
    """Half the distance of both where two are not sure, along x and y, (n, 2)."""
    is_done: NDArray[np.bool_]


@njit(inline="always", error_model="numpy")
def candidates_of(room: int) -> Candidates:
    """Return memory for so many emitters."""
    return Candidates(
        np.zeros(room),
        np.zeros((room, 2)),
        np.zeros((room, 3)),
        np.full(room, -1, np.int64),
        np.zeros((room, 2)),
        np.zeros(room, np.bool_),
    )


@njit(inline="always", error_model="numpy")
def split_crowd(
    place: Place,
    box: tuple[int, int, int, int],
    crowd: Crowd,
    n: int,
    ground: Ground,
    side: int,
    sigma: tuple[float, float],
    rules: Rules,
    some: Candidates,
) -> int:
    """Split emitters that are two; return how many there are then.

    In each round those are tried that are far enough from each other to be judged by themselves,
    the clearest first.
    """
    count, level = n, ground.level
    width = 0.5 * (sigma[0] + sigma[1])
    for _ in range(rules.rounds):
        _look(place, crowd, count, ground, side, sigma, rules, some)
        first_new = count
        count = _propose(place, crowd, first_new, side, rules.apart_sigma * width, some)
        if count == first_new:
            break
        _keep_near(crowd, first_new, count, rules.moving_sigma * width)
        moving = np.empty(first_new, np.bool_)
        for i in range(first_new):
            moving[i] = crowd.free[i]
        settle(
            place,
            box,
            crowd,
            count,
            ground,
            side,
            sigma,
            rules.next_steps,
            rules.enough_px,
            level[:0],
        )
        tried = count
        count = _judge(place, crowd, first_new, count, side, width, rules, some)
        # Those that were refused are taken out of the mean.
        for i in range(tried):
            crowd.free[i] = i >= first_new or moving[i]
        draw_some(place, crowd, tried, side, sigma)
        for i in range(count, tried):
            crowd.free[i] = False
        settle(
            place,
            box,
            crowd,
            count,
            ground,
            side,
            sigma,
            rules.last_steps,
            rules.enough_px,
            level[:0],
        )
    return count


@njit(inline="always", error_model="numpy")
def _look(
    place: Place, crowd: Crowd, n: int, ground: Ground, side: int, sigma: tuple[float, float],
    rules: Rules, some: Candidates,
) -> None:  # fmt: skip
    """Write which emitters may be two, and how they lie."""
    pairs = list_pairs(crowd, n, sigma)
    for i in range(n):
        crowd.free[i] = not some.is_done[i]
    for k in range(pairs):
        i, j = crowd.system.first[k], crowd.system.second[k]
        if not (some.is_done[i] and some.is_done[j]):
            crowd.free[i] = crowd.free[j] = True
    refresh(place, crowd, n, ground, side, sigma)
    begin, listed = neighbours_of(crowd, n, pairs)
    members = np.empty(MOST_NEAR + 1, np.int32)
    matrix, moments = np.empty((ORDER, ORDER)), np.empty(4)
    bends = np.empty((2, LANES), np.float32)
    variance = sigma[0] * sigma[1]
    for i in range(n):
        some.misfit[i] = 0.0
        if some.is_done[i]:
            continue
        some.is_done[i] = True
        few = QUICK_AMONG if begin[i + 1] > begin[i] else QUICK_ALONE
        if quick_score(place, crowd, i, side, sigma, bends) < few * rules.min_misfit:
            continue
        m = members_near(crowd, i, begin, listed, members, MOST_NEAR)
        misfit = shape_of(place, crowd, i, members, m, begin, listed, side, sigma, matrix, moments)
        middle = 0.5 * (moments[0] + moments[1])
        turn = math.hypot(0.5 * (moments[0] - moments[1]), moments[2])
        along, across, std = middle + turn, middle - turn, moments[3]
        if (
            misfit > rules.min_misfit
            and along > rules.min_along * variance
            and across < rules.across * along + rules.across_stds * std
            and across < rules.most_wide * variance + rules.wide_stds * std
            and along - across > rules.longer_stds * std
        ):
            angle = 0.5 * math.atan2(2.0 * moments[2], moments[0] - moments[1])
            half = math.sqrt(min(along, LONGEST_HALF * variance))
            some.is_done[i], some.misfit[i] = False, misfit
            some.half[i, 0], some.half[i, 1] = half * math.cos(angle), half * math.sin(angle)


@njit(inline="always", error_model="numpy")
def _propose(
    place: Place, crowd: Crowd, n: int, side: int, apart_px: float, some: Candidates
) -> int:
    """Make two of candidates that are not near each other; return how many emitters there are."""
    count, theta = n, crowd.theta
    ordered, listed = np.empty(n, np.int32), 0
    for i in range(n):  # those with the largest misfit first
        if some.misfit[i] == 0.0:
            continue
        at = listed
        while at > 0 and some.misfit[ordered[at - 1]] < some.misfit[i]:
            ordered[at] = ordered[at - 1]
            at -= 1
        ordered[at] = i
        listed += 1
    for k in range(listed):
        i = ordered[k]
        if count == len(theta):
            break
        is_free = True
        for other_new in range(n, count):
            other = some.old[some.parent[other_new]]
            dx, dy = theta[i, 0] - other[0], theta[i, 1] - other[1]
            is_free &= dx * dx + dy * dy > apart_px * apart_px
        if not is_free:
            continue
        _keep_mean(place, theta[i], side)
        some.parent[count], crowd.drawn[count] = i, 0.0
        for a in range(3):
            some.old[i, a] = theta[i, a]
        for a in range(2):
            some.doubt[i, a] = abs(some.half[i, a])
        for a in range(2):
            theta[i, a] = some.old[i, a] - some.half[i, a]
            theta[count, a] = some.old[i, a] + some.half[i, a]
        theta[i, 2] = theta[count, 2] = 0.5 * some.old[i, 2]
        crowd.free[i] = crowd.free[count] = True
        some.is_done[i] = some.is_done[count] = False
        count += 1
    return count


@njit(inline="always", error_model="numpy")
def _keep_mean(place: Place, theta: F64, side: int) -> None:
    """Note the mean around an emitter; see `gain_around`."""
    origin = np.empty(2, np.int32)
    place_square(theta, side, origin)
    for r in range(origin[0], origin[0] + side):
        for c in range(origin[1], origin[1] + side):
            place.before[r, c] = place.mean[r, c]


@njit(inline="always", error_model="numpy")
def _judge(
    place: Place, crowd: Crowd, first_new: int, count: int, side: int, width: float, rules: Rules,
    some: Candidates,
) -> int:  # fmt: skip
    """Keep those that are two, and give the others back as they were; return how many there are."""
    near_px = rules.apart_sigma * width
    theta, old, kept = crowd.theta, some.old, first_new
    refused = np.zeros(first_new, np.bool_)
    for k in range(first_new, count):
        i = some.parent[k]
        refused[i] = not _are_two(place, crowd, old[i], i, k, side, width, rules)
    for k in range(first_new, count):
        i = some.parent[k]
        if refused[i]:
            for a in range(3):
                theta[i, a] = old[i, a]
            continue
        some.doubt[i, 0] = some.doubt[i, 1] = 0.0
        for j in range(first_new):
            dx, dy = theta[j, 0] - old[i, 0], theta[j, 1] - old[i, 1]
            if dx * dx + dy * dy < near_px * near_px:
                some.is_done[j] = False
        for a in range(3):
            theta[kept, a] = theta[k, a]
        some.parent[kept] = i
        kept += 1
    for i in range(first_new):
        some.is_done[i] |= refused[i]
    for k in range(kept, count):
        for a in range(3):
            theta[k, a] = 0.0
    for k in range(len(theta)):
        crowd.order[k] = k
    return kept


@njit(inline="always", error_model="numpy")
def _keep_near(crowd: Crowd, first_new: int, count: int, near_px: float) -> None:
    """Let only those move that are near to one that may be two."""
    theta = crowd.theta
    for i in range(first_new):
        crowd.free[i] = False
    for k in range(first_new, count):
        for i in range(count):
            if (
                abs(theta[i, 1] - theta[k, 1]) < near_px
                and abs(theta[i, 0] - theta[k, 0]) < near_px
            ):
                crowd.free[i] = True


@njit(inline="always", error_model="numpy")
def _are_two(
    place: Place, crowd: Crowd, old: F64, i: int, k: int, side: int, sigma: float, rules: Rules,
) -> bool:  # fmt: skip
    a, b = crowd.theta[i], crowd.theta[k]
    if not min(a[2], b[2]) > rules.min_share * (a[2] + b[2]):
        return False
    if math.hypot(a[0] - b[0], a[1] - b[1]) < rules.min_apart * sigma:
        return False
    origin = np.empty(2, np.int32)
    place_square(old, side, origin)
    return gain_around(place, origin[0], origin[1], side) > rules.min_gain
