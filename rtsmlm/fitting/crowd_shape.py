"""Which emitters of a crowd are two, and how sure each is: sums over an emitter and those near it.

Two emitters nearer than two PSF widths look like one between them, but for its shape: the variance
of the spot along the line between both is larger by the square of half their distance. What the
emitters around and the background leave open of that shape is taken account of, as a score test
does (Rao, Proc. Camb. Phil. Soc. 44, 50 (1948)).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from rtsmlm.fitting.boxes import F64, factorize
from rtsmlm.fitting.crowd_patches import I32, LANES, MARGIN, SLOPE_X, SLOPE_Y, write_bend
from rtsmlm.fitting.crowd_state import Crowd, Place
from rtsmlm.fitting.crowd_sums import bend_score, write_bend_own, write_bend_shared
from rtsmlm.localizations import F32

MOST_NEAR = 5
"""Emitters around one that are open with it, the nearest ones."""
ORDER = 1 + 3 * (MOST_NEAR + 1) + 3
"""Of the equations: background, those around, the emitter, three moments."""


@njit(cache=True, nogil=True, error_model="numpy")
def neighbours_of(crowd: Crowd, n: int, pairs: int) -> tuple[I32, I32]:
    """Return where the pairs of each emitter begin in a list of pairs, and the list."""
    first, second = crowd.system.first, crowd.system.second
    begin = np.zeros(n + 1, np.int32)
    for k in range(pairs):
        begin[first[k] + 1] += 1
        begin[second[k] + 1] += 1
    for i in range(n):
        begin[i + 1] += begin[i]
    at = begin[:n].copy()
    listed = np.empty(2 * pairs, np.int32)
    for k in range(pairs):
        listed[at[first[k]]] = k
        at[first[k]] += 1
        listed[at[second[k]]] = k
        at[second[k]] += 1
    return begin, listed


@njit(cache=True, nogil=True, error_model="numpy")
def members_near(crowd: Crowd, i: int, begin: I32, listed: I32, members: I32, most: int) -> int:
    """Write the emitters nearest to one, and it itself last; return how many."""
    theta, first, second = crowd.theta, crowd.system.first, crowd.system.second
    distance = np.empty(most)
    count = 0
    for at in range(begin[i], begin[i + 1]):
        k = listed[at]
        j = second[k] if first[k] == i else first[k]
        d = (theta[j, 0] - theta[i, 0]) ** 2 + (theta[j, 1] - theta[i, 1]) ** 2
        if count == most and d >= distance[most - 1]:
            continue
        slot = min(count, most - 1)
        while slot > 0 and distance[slot - 1] > d:
            distance[slot], members[slot] = distance[slot - 1], members[slot - 1]
            slot -= 1
        distance[slot], members[slot] = d, j
        count = min(count + 1, most)
    members[count] = i
    return count + 1


@njit(cache=True, nogil=True, error_model="numpy")
def local_information(
    crowd: Crowd, members: I32, m: int, begin: I32, listed: I32, matrix: F64
) -> int:
    """Write the information of some emitters and their background, the lower half; return its size.

    The background comes first, then each emitter's x, y and photons.
    """
    system = crowd.system
    size = 1 + 3 * m
    for a in range(size):
        for b in range(a + 1):
            matrix[a, b] = 0.0
    i = members[m - 1]
    for t in range(4):
        matrix[0, 0] += system.part[i, t] * system.nodes[system.node[i, t]]
    for s in range(m):
        j = members[s]
        for a in range(3):
            matrix[1 + 3 * s + a, 0] = system.light[j, a]
            for b in range(a + 1):
                matrix[1 + 3 * s + a, 1 + 3 * s + b] = system.own[j, a, b]
        for at in range(begin[j], begin[j + 1]):
            k = listed[at]
            is_first = system.first[k] == j
            other = system.second[k] if is_first else system.first[k]
            for t in range(s):
                if members[t] == other:
                    for a in range(3):
                        for b in range(3):
                            value = system.shared[k, a, b] if is_first else system.shared[k, b, a]
                            matrix[1 + 3 * s + a, 1 + 3 * t + b] = value
    return size


@njit(cache=True, nogil=True, error_model="numpy")
def write_stds(crowd: Crowd, i: int, members: I32, m: int, begin: I32, listed: I32, matrix: F64,
               out: F64) -> bool:  # fmt: skip
    """Write the variances of x, y and photons of an emitter among others; return False if none.

    The bound of Cramér and Rao: of the last parameters it is the inverse of the last block of the
    factor times its transpose.
    """
    size = local_information(crowd, members, m, begin, listed, matrix)
    if not factorize(matrix, size):
        return False
    f = matrix[size - 3 : size, size - 3 : size]
    i00, i11, i22 = 1.0 / f[0, 0], 1.0 / f[1, 1], 1.0 / f[2, 2]
    i10 = -f[1, 0] * i00 * i11
    i21 = -f[2, 1] * i11 * i22
    i20 = -(f[2, 0] * i00 + f[2, 1] * i10) * i22
    out[0] = i00 * i00 + i10 * i10 + i20 * i20
    out[1] = i11 * i11 + i21 * i21
    out[2] = i22 * i22
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def quick_score(
    place: Place, crowd: Crowd, i: int, side: int, sigma: tuple[float, float], bends: F32
) -> float:
    """Return about what `shape_of` would if all else were known: with less work."""
    top, left = crowd.origin[i]
    theta = crowd.theta[i]
    write_bend(theta[0], left - MARGIN, side, sigma[0], crowd.patches[i, SLOPE_X], bends[0])
    write_bend(theta[1], top - MARGIN, side, sigma[1], crowd.patches[i, SLOPE_Y], bends[1])
    own = crowd.system.own[i]
    steepness = max(0.5 * (own[0, 0] + own[1, 1]), 1e-9)
    return bend_score(
        place.excess, top, left, side, theta[2], crowd.patches[i], bends[0], bends[1], steepness,
        sigma[0] * sigma[1],
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def shape_of(
    place: Place,
    crowd: Crowd,
    i: int,
    members: I32,
    m: int,
    begin: I32,
    listed: I32,
    side: int,
    sigma: tuple[float, float],
    matrix: F64,
    moments: F64,
) -> float:
    """Write by how much the variance of a spot is larger, xx, yy and xy; return the misfit.

    Returns
    -------
    :
        Twice what the log-likelihood would gain by these three, to second order; -1 where the
        equations have no answer.
    """
    size = local_information(crowd, members, m, begin, listed, matrix)
    vector = np.zeros(ORDER)
    for s in range(m):
        for a in range(3):
            vector[1 + 3 * s + a] = crowd.gradient[members[s], a]
    _add_moments(place, crowd, i, members, m, side, sigma, matrix, vector, size)
    if not factorize(matrix, size + 3):
        return -1.0
    for a in range(size + 3):
        for b in range(a):
            vector[a] -= matrix[a, b] * vector[b]
        vector[a] /= matrix[a, a]
    misfit, known = 0.0, 0.0
    for a in range(size, size + 3):
        misfit += vector[a] ** 2
    for a in range(size, size + 2):
        for b in range(size, a + 1):
            known += 0.5 * matrix[a, b] ** 2
    moments[3] = 1.0 / math.sqrt(known)
    for a in range(2, -1, -1):
        value = vector[size + a]
        for b in range(a + 1, 3):
            value -= matrix[size + b, size + a] * moments[b]
        moments[a] = value / matrix[size + a, size + a]
    return misfit


@njit(cache=True, nogil=True, error_model="numpy")
def _add_moments(
    place: Place,
    crowd: Crowd,
    i: int,
    members: I32,
    m: int,
    side: int,
    sigma: tuple[float, float],
    matrix: F64,
    vector: F64,
    size: int,
) -> None:
    """Write the rows of the moments into the equations, and their slopes."""
    theta, origin, patches = crowd.theta, crowd.origin, crowd.patches
    top, left = origin[i, 0], origin[i, 1]
    bend_x, bend_y = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    write_bend(theta[i, 0], left - MARGIN, side, sigma[0], patches[i, SLOPE_X], bend_x)
    write_bend(theta[i, 1], top - MARGIN, side, sigma[1], patches[i, SLOPE_Y], bend_y)
    score, light, block = np.empty(4), np.empty(4), np.empty((3, 3))
    write_bend_own(
        place.excess, place.weight, top, left, side, theta[i, 2], patches[i], bend_x, bend_y,
        crowd.sums, score, light, block,
    )  # fmt: skip
    # Light that is shaped otherwise raises the background around: here it is that of the square.
    vector[0], matrix[0, 0] = score[3], light[3]
    for a in range(3):
        vector[size + a], matrix[size + a, 0] = score[a], light[a]
        for b in range(a + 1):
            matrix[size + a, size + b] = block[a, b]
    for s in range(m):
        write_bend_shared(
            place.weight, origin, theta[:, 2], patches, i, members[s], side, bend_x, bend_y,
            crowd.sums, block,
        )  # fmt: skip
        for a in range(3):
            for b in range(3):
                matrix[size + a, 1 + 3 * s + b] = block[a, b]


@njit(cache=True, nogil=True, error_model="numpy")
def gain_around(place: Place, top: int, left: int, side: int) -> float:
    """Return by how much the log-likelihood has grown since `before` in a square of pixels."""
    gain = 0.0
    for r in range(top, top + side):
        for c in range(left, left + side):
            if place.inside[r, c] > 0.0:
                now, before = place.mean[r, c], place.before[r, c]
                gain += max(place.data[r, c], 0.0) * math.log(now / before) - (now - before)
    return gain


@njit(cache=True, nogil=True, error_model="numpy")
def chi2_around(place: Place, top: int, left: int, side: int) -> float:
    """Return the mean of chi² over the pixels of a square."""
    total, count = 0.0, 0
    for r in range(top, top + side):
        for c in range(left, left + side):
            if place.inside[r, c] > 0.0:
                total += place.excess[r, c] ** 2 * place.mean[r, c]
                count += 1
    return total / max(count, 1)
