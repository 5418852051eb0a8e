"""The background of a crowd: where it starts, and what the pixels say of it at its nodes."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.fitting.boxes import F64
from rtsmlm.fitting.crowd_state import Ground, Place
from rtsmlm.fitting.crowd_system import System

LEAST_START = 0.02
"""Photons per pixel."""
UNEVEN, LEAST_UNEVEN = 0.08, 0.1
"""Standard deviation of what the background differs by from node to node, as part of it, and in
photons. In a crowd nothing else tells light of the background from that of emitters."""


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def write_start(
    ground: Ground, theta: F64, members: NDArray[np.int64], background: F64, n: int,
    excess_noise: float, height: int, width: int,
) -> None:  # fmt: skip
    """Write the background at its nodes as the rows near them say.

    Parameters
    ----------
    ground
        Written.
    theta
        Places of the emitters, (n or more, 3).
    members
        Their rows, (n,).
    background
        Of all rows, in photons, (m,).
    n
        How many emitters there are.
    excess_noise
        Squared excess noise factor.
    height, width
        Of the place, in pixels.
    """
    x, y, level = np.empty(n), np.empty(n), np.empty(n)
    for k in range(n):
        x[k], y[k] = theta[k, 0], theta[k, 1]
        level[k] = max(background[members[k]], LEAST_START)
    last = len(ground.lines) - 1
    for a in range(last + 1):
        node_y = a * (height - 1) / last if last else 0.5 * height
        for b in range(ground.columns):
            along = b * (width - 1) / max(ground.columns - 1, 1)
            node_x = along if ground.columns > 1 else 0.5 * width
            total = weights = 0.0
            for k in range(n):
                d = (x[k] - node_x) ** 2 + (y[k] - node_y) ** 2 + 64.0
                w = 1.0 / (d * d)
                total += w * level[k]
                weights += w
            ground.level[a * ground.columns + b] = total / weights / excess_noise


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def ground_equations(
    place: Place, box: tuple[int, int, int, int], ground: Ground, system: System
) -> None:
    """Write slope and information of the nodes of the background.

    What two nodes share is given to each: steps are shorter for it, and never too long.
    """
    slopes, weights, last = ground.lines, ground.weights, len(ground.lines) - 1
    a, b = box[2], box[3]
    for k in range(last + 1):
        for c in range(box[2], box[3]):
            slopes[k, c] = weights[k, c] = 0.0
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
    for b in range(len(nodes)):
        ground.gradient[b], nodes[b] = 0.0, 1e-6
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
    mean = 0.0
    for b in range(len(level)):
        mean += level[b] / len(level)
    stiffness = 1.0 / (UNEVEN * mean + LEAST_UNEVEN) ** 2
    system.stiffness[0] = stiffness
    for b in range(len(level)):
        for turn in range(2):
            # The next one along x, then along y, where there is one.
            beside = b + 1 if turn == 0 else b + columns
            if beside >= len(level) or (turn == 0 and beside % columns == 0):
                continue
            pull = stiffness * (level[beside] - level[b])
            ground.gradient[b] += pull
            ground.gradient[beside] -= pull
            nodes[b] += stiffness
            nodes[beside] += stiffness
