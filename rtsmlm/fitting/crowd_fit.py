"""Maximum likelihood fit of a crowd: all emitters of a place at once, and their background.

Steps are those of Fisher scoring; who rests where it belongs is left out of the next ones.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from rtsmlm.fitting.crowd_draw import draw, draw_some
from rtsmlm.fitting.crowd_patches import MARGIN, write_own, write_pair_block
from rtsmlm.fitting.crowd_state import Crowd, Ground, Place
from rtsmlm.fitting.crowd_system import System, solve

NEAR_SIGMA = 4.0
"""Emitters further from each other share nothing that counts."""
UNEVEN, LEAST_UNEVEN = 0.08, 0.1
"""Standard deviation of what the background differs by from node to node, as part of it, and in
photons. In a crowd nothing else tells light of the background from that of emitters."""
LONGEST_SIGMA = 0.5
"""Of a step, along x or y."""
MOST_BRIGHTER, MOST_DIMMER = 1.8, 0.4
"""Change of photons in a step."""
OUTSIDE_PX = 1.0
"""How far beyond the frame an emitter may be found."""


@njit(cache=True, nogil=True, error_model="numpy")
def settle(
    place: Place,
    box: tuple[int, int, int, int],
    crowd: Crowd,
    n: int,
    ground: Ground,
    side: int,
    sigma: tuple[float, float],
    steps: int,
    enough_px: float,
) -> None:
    """Take steps towards the highest likelihood, with the emitters that are free.

    Parameters
    ----------
    place
        The pixels.
    box
        First and last row and column (exclusive) of the squares, in images with margins.
    crowd, n
        Emitters, and how many there are.
    ground
        Their background.
    side
        Of the square of an emitter.
    sigma
        Standard deviations of the PSF along x and y in pixels.
    steps
        Most steps.
    enough_px
        It ends where no emitter moves further.
    """
    system = crowd.system
    for _ in range(steps):
        pairs = list_pairs(crowd, n, sigma)
        draw(place, box, crowd, n, ground, side, sigma)
        _ground_equations(place, box, ground, system)
        _equations(place, crowd, n, ground, side, pairs)
        solve(
            system, n, pairs, crowd.free, crowd.gradient[:n], ground.gradient, crowd.step[:n],
            ground.step,
        )  # fmt: skip
        for b in range(len(ground.level)):
            level = ground.level[b]
            ground.level[b] = max(level + ground.step[b], 0.3 * level)
        if _move(place, crowd, n, sigma) < enough_px:
            break
        _rest(crowd, n, pairs, enough_px)


@njit(cache=True, nogil=True, error_model="numpy")
def settle_some(
    place: Place,
    crowd: Crowd,
    n: int,
    ground: Ground,
    side: int,
    sigma: tuple[float, float],
    steps: int,
    enough_px: float,
) -> None:
    """Take steps with those that are free, on a background that stays: only their squares count.

    See `settle`; the mean must have been drawn.
    """
    system = crowd.system
    for _ in range(steps):
        pairs = list_pairs(crowd, n, sigma)
        draw_some(place, crowd, n, side, sigma)
        _equations(place, crowd, n, ground, side, pairs)
        solve(
            system, n, pairs, crowd.free, crowd.gradient[:n], ground.gradient[:0], crowd.step[:n],
            ground.step[:0],
        )  # fmt: skip
        if _move(place, crowd, n, sigma) < enough_px:
            break
        _rest(crowd, n, pairs, enough_px)


@njit(cache=True, nogil=True, error_model="numpy")
def refresh(
    place: Place, crowd: Crowd, n: int, ground: Ground, side: int, sigma: tuple[float, float]
) -> int:
    """Write pixels and equations of those that are free; return how many pairs there are.

    The mean must have been drawn.
    """
    pairs = list_pairs(crowd, n, sigma)
    draw_some(place, crowd, n, side, sigma)
    _equations(place, crowd, n, ground, side, pairs)
    return pairs


@njit(cache=True, nogil=True, error_model="numpy")
def list_pairs(crowd: Crowd, n: int, sigma: tuple[float, float]) -> int:
    """Write which emitters are near each other; return how many pairs there are."""
    system, theta = crowd.system, crowd.theta
    near_px = NEAR_SIGMA * max(sigma[0], sigma[1])
    order = np.argsort(theta[:n, 1])
    count = 0
    for a in range(n):
        i = order[a]
        if theta[i, 2] == 0.0:
            continue
        for b in range(a + 1, n):
            j = order[b]
            dy, dx = theta[j, 1] - theta[i, 1], theta[j, 0] - theta[i, 0]
            if dy > near_px:
                break
            if dy * dy + dx * dx > near_px * near_px or theta[j, 2] == 0.0:
                continue
            if count == len(system.first):
                return count
            system.first[count], system.second[count] = i, j
            count += 1
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def _rest(crowd: Crowd, n: int, pairs: int, enough_px: float) -> None:
    """Let those rest that are where they belong, unless one beside them moves."""
    moved, free, system = crowd.moved, crowd.free, crowd.system
    for i in range(n):
        free[i] &= moved[i] > enough_px
    for k in range(pairs):
        i, j = system.first[k], system.second[k]
        if max(moved[i], moved[j]) > 3.0 * enough_px:
            free[i] = free[j] = True


@njit(cache=True, nogil=True, error_model="numpy")
def _equations(place: Place, crowd: Crowd, n: int, ground: Ground, side: int, pairs: int) -> None:
    """Write information and slopes of those that are free."""
    system, theta = crowd.system, crowd.theta
    for i in range(n):
        if not crowd.free[i]:
            crowd.gradient[i] = 0.0
            continue
        top, left = crowd.origin[i]
        write_own(
            place.excess, place.weight, top, left, side, theta[i, 2], crowd.patches[i], crowd.sums,
            crowd.gradient[i], system.light[i], system.own[i],
        )  # fmt: skip
        _nodes_around(ground, top + side // 2, left + side // 2, system, i)
    _pair_equations(place, crowd, pairs, side)


@njit(cache=True, nogil=True, error_model="numpy")
def _nodes_around(ground: Ground, r: int, c: int, system: System, i: int) -> None:
    columns, last = ground.columns, len(ground.lines) - 1
    row, v = ground.row[r], float(ground.row_part[r])
    first, beside = row * columns, min(row + 1, last) * columns
    k, u = ground.column[c], float(ground.column_part[c])
    after = min(k + 1, columns - 1)
    system.node[i, 0], system.part[i, 0] = first + k, (1 - v) * (1 - u)
    system.node[i, 1], system.part[i, 1] = first + after, (1 - v) * u
    system.node[i, 2], system.part[i, 2] = beside + k, v * (1 - u)
    system.node[i, 3], system.part[i, 3] = beside + after, v * u


@njit(cache=True, nogil=True, error_model="numpy")
def _pair_equations(place: Place, crowd: Crowd, pairs: int, side: int) -> None:
    system, photons = crowd.system, crowd.theta[:, 2]
    for k in range(pairs):
        i, j = system.first[k], system.second[k]
        if crowd.free[i] and crowd.free[j]:
            write_pair_block(
                place.weight, crowd.origin, photons, crowd.patches, i, j, side, crowd.sums,
                system.shared[k],
            )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _ground_equations(
    place: Place, box: tuple[int, int, int, int], ground: Ground, system: System
) -> None:
    """Write slope and information of the nodes of the background.

    What two nodes share is given to each: steps are shorter for it, and never too long.
    """
    slopes, weights, last = ground.lines, ground.weights, len(ground.lines) - 1
    a, b = box[2], box[3]
    slopes[:, box[2] : box[3]] = 0.0
    weights[:, box[2] : box[3]] = 0.0
    for r in range(box[0], box[1]):
        k, v = ground.row[r], ground.row_part[r]
        part, after = np.float32(1.0) - v, min(k + 1, last)
        excess, weight = place.excess[r, a:b], place.weight[r, a:b]
        upper, lower = slopes[k, a:b], slopes[after, a:b]
        upper_w, lower_w = weights[k, a:b], weights[after, a:b]
        for c in range(b - a):
            upper[c] += part * excess[c]
            upper_w[c] += part * weight[c]
        if v > 0.0:
            for c in range(b - a):
                lower[c] += v * excess[c]
                lower_w[c] += v * weight[c]
    nodes = system.nodes
    ground.gradient[:] = 0.0
    nodes[:] = 1e-6
    for k in range(last + 1):
        first = k * ground.columns
        for c in range(box[2], box[3]):
            i, u = ground.column[c], ground.column_part[c]
            after = min(i + 1, ground.columns - 1)
            ground.gradient[first + i] += slopes[k, c] * (1 - u)
            ground.gradient[first + after] += slopes[k, c] * u
            nodes[first + i] += weights[k, c] * (1 - u)
            nodes[first + after] += weights[k, c] * u
    level, columns = ground.level, ground.columns
    stiffness = 1.0 / (UNEVEN * level.mean() + LEAST_UNEVEN) ** 2
    system.stiffness[0] = stiffness
    for b in range(len(level)):
        for beside, is_there in (
            (b + 1, (b + 1) % columns > 0),
            (b + columns, b + columns < len(level)),
        ):
            if is_there:
                pull = stiffness * (level[beside] - level[b])
                ground.gradient[b] += pull
                ground.gradient[beside] -= pull
                nodes[b] += stiffness
                nodes[beside] += stiffness


@njit(cache=True, nogil=True, error_model="numpy")
def _move(place: Place, crowd: Crowd, n: int, sigma: tuple[float, float]) -> float:
    """Add the steps, none of them too long; return the longest along x or y."""
    height, width = place.mean.shape[0] - 2 * MARGIN, place.mean.shape[1] - 2 * MARGIN
    longest = 0.0
    for i in range(n):
        crowd.moved[i] = 0.0
        if not crowd.free[i]:
            continue
        theta, step = crowd.theta[i], crowd.step[i]
        for a, size, s in ((0, width, sigma[0]), (1, height, sigma[1])):
            most = LONGEST_SIGMA * s
            move = min(max(step[a], -most), most)
            old = theta[a]
            theta[a] = min(max(old + move, -0.5 - OUTSIDE_PX), size - 0.5 + OUTSIDE_PX)
            far = abs(theta[a] - old)
            crowd.moved[i] = far if a == 0 else max(crowd.moved[i], far)
        longest = max(longest, crowd.moved[i])
        photons = theta[2]
        theta[2] = min(max(photons + step[2], MOST_DIMMER * photons), MOST_BRIGHTER * photons)
    return longest
