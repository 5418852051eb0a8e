"""Maximum likelihood fit of a crowd: all emitters of a place at once, and their background.

Steps are those of Fisher scoring; who rests where it belongs is left out of the next ones.
"""

from __future__ import annotations

from numba import njit

from rtsmlm.fitting.boxes import F64
from rtsmlm.fitting.crowd_draw import draw, draw_some
from rtsmlm.fitting.crowd_ground import ground_equations
from rtsmlm.fitting.crowd_patches import MARGIN
from rtsmlm.fitting.crowd_state import Crowd, Ground, Place
from rtsmlm.fitting.crowd_sums import write_own, write_pair_block
from rtsmlm.fitting.crowd_system import System, solve

NEAR_SIGMA = 4.0
"""Emitters further from each other share nothing that counts."""
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
    level: F64,
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
    level
        Of the nodes of the background that change with them: all of `ground.level`, or none of it.
        Where it stays only the squares of those that are free count, and the mean must have been
        drawn.
    """
    system, nodes = crowd.system, len(level)
    for _ in range(steps):
        pairs = list_pairs(crowd, n, sigma)
        if nodes > 0:
            draw(place, box, crowd, n, ground, side, sigma)
            ground_equations(place, box, ground, system)
        else:
            draw_some(place, crowd, n, side, sigma)
        _equations(place, crowd, n, ground, side, pairs)
        solve(
            system, n, pairs, crowd.free, crowd.gradient[:n], ground.gradient[:nodes],
            crowd.step[:n], ground.step[:nodes],
        )  # fmt: skip
        for b in range(nodes):
            level[b] = max(level[b] + ground.step[b], 0.3 * level[b])
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
    system, theta, order = crowd.system, crowd.theta, crowd.order
    near_px = NEAR_SIGMA * max(sigma[0], sigma[1])
    # By y, from the order of last time, which is nearly right.
    for a in range(1, n):
        i, b = order[a], a
        while b > 0 and theta[order[b - 1], 1] > theta[i, 1]:
            order[b] = order[b - 1]
            b -= 1
        order[b] = i
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


@njit(inline="always", error_model="numpy")
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
        top, left = crowd.origin[i, 0], crowd.origin[i, 1]
        write_own(
            place.excess, place.weight, top, left, side, theta[i, 2], crowd.patches[i], crowd.sums,
            crowd.gradient[i], system.light[i], system.own[i],
        )  # fmt: skip
        _nodes_around(ground, top + side // 2, left + side // 2, system, i)
    _pair_equations(place, crowd, pairs, side)


@njit(inline="always", error_model="numpy")
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


@njit(inline="always", error_model="numpy")
def _pair_equations(place: Place, crowd: Crowd, pairs: int, side: int) -> None:
    system, photons = crowd.system, crowd.theta[:, 2]
    for k in range(pairs):
        i, j = system.first[k], system.second[k]
        if crowd.free[i] and crowd.free[j]:
            write_pair_block(
                place.weight, crowd.origin, photons, crowd.patches, i, j, side, crowd.sums,
                system.shared[k],
            )  # fmt: skip


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
        for a in range(2):
            size = width if a == 0 else height
            most = LONGEST_SIGMA * sigma[a]
            move = min(max(step[a], -most), most)
            old = theta[a]
            theta[a] = min(max(old + move, -0.5 - OUTSIDE_PX), size - 0.5 + OUTSIDE_PX)
            far = abs(theta[a] - old)
            crowd.moved[i] = far if a == 0 else max(crowd.moved[i], far)
        longest = max(longest, crowd.moved[i])
        photons = theta[2]
        theta[2] = min(max(photons + step[2], MOST_DIMMER * photons), MOST_BRIGHTER * photons)
    return longest
