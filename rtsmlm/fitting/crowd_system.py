"""The equations of a step of a crowd: emitters that share pixels, on a background that bends.

Fisher information of each emitter, of each two that are near, and of the background at the nodes of
a grid; conjugate gradients solve them (Hestenes & Stiefel, J. Res. NBS 49, 409 (1952)), with the
block of each emitter as the preconditioner.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.fitting.boxes import F64
from rtsmlm.fitting.crowd_patches import I32

DAMPING = 0.05
"""Added to the information of each emitter on itself, as part of it."""
MAX_STEPS = 20
ENOUGH = 1e-3
"""Of the squared residual of the equations at first."""


class System(NamedTuple):
    """What conjugate gradients work on; emitters first, then nodes of the background."""

    own: F64
    """Information of each emitter on its x, y and photons, (n, 3, 3)."""
    first: I32
    second: I32
    """Emitters that are near each other, (m,)."""
    shared: F64
    """What they share, (m, 3, 3)."""
    light: F64
    """What each shares with a background that is the same everywhere, (n, 3)."""
    node: I32
    part: F64
    """Nodes around each emitter, and how much of the background there each is, (n, 4)."""
    nodes: F64
    """Information on each node, (k,)."""
    columns: int
    """Nodes along x."""
    stiffness: F64
    """Inverse variance of the difference of two nodes beside each other, (1,)."""


@njit(cache=True, nogil=True, error_model="numpy")
def invert_3x3(a: F64, out: F64) -> bool:
    """Write the inverse of a symmetric matrix; return False if it has none."""
    c00 = a[1, 1] * a[2, 2] - a[1, 2] * a[1, 2]
    c01 = a[0, 2] * a[1, 2] - a[0, 1] * a[2, 2]
    c02 = a[0, 1] * a[1, 2] - a[0, 2] * a[1, 1]
    det = a[0, 0] * c00 + a[0, 1] * c01 + a[0, 2] * c02
    if not det > 0.0:
        return False
    s = 1.0 / det
    out[0, 0], out[0, 1], out[0, 2] = c00 * s, c01 * s, c02 * s
    out[1, 0], out[2, 0] = out[0, 1], out[0, 2]
    out[1, 1] = (a[0, 0] * a[2, 2] - a[0, 2] * a[0, 2]) * s
    out[1, 2] = out[2, 1] = (a[0, 1] * a[0, 2] - a[0, 0] * a[1, 2]) * s
    out[2, 2] = (a[0, 0] * a[1, 1] - a[0, 1] * a[0, 1]) * s
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _times(system: System, active: I32, linked: I32, p: F64, q: F64, out: F64, out_q: F64) -> None:
    """Write the equations times (p, q); emitters by their place among the active ones."""
    columns, stiffness = system.columns, system.stiffness[0]
    for b in range(len(q)):
        out_q[b] = system.nodes[b] * q[b]
    for b in range(len(q)):
        if (b + 1) % columns:
            out_q[b] -= stiffness * q[b + 1]
            out_q[b + 1] -= stiffness * q[b]
        if b + columns < len(q):
            out_q[b] -= stiffness * q[b + columns]
            out_q[b + columns] -= stiffness * q[b]
    own, light = system.own, system.light
    for k in range(len(active)):
        i = active[k]
        level = 0.0
        if len(q):
            for t in range(4):
                level += system.part[i, t] * q[system.node[i, t]]
        x, y, n = p[k, 0], p[k, 1], p[k, 2]
        a = own[i]
        out[k, 0] = (1.0 + DAMPING) * a[0, 0] * x + a[0, 1] * y + a[0, 2] * n + light[i, 0] * level
        out[k, 1] = a[1, 0] * x + (1.0 + DAMPING) * a[1, 1] * y + a[1, 2] * n + light[i, 1] * level
        out[k, 2] = a[2, 0] * x + a[2, 1] * y + (1.0 + DAMPING) * a[2, 2] * n + light[i, 2] * level
        if len(q):
            shared = light[i, 0] * x + light[i, 1] * y + light[i, 2] * n
            for t in range(4):
                out_q[system.node[i, t]] += system.part[i, t] * shared
    for row in linked:
        s, i, j = system.shared[row[0]], row[1], row[2]
        for a in range(3):
            out[i, a] += s[a, 0] * p[j, 0] + s[a, 1] * p[j, 1] + s[a, 2] * p[j, 2]
            out[j, a] += s[0, a] * p[i, 0] + s[1, a] * p[i, 1] + s[2, a] * p[i, 2]


@njit(inline="always", error_model="numpy")
def _active(
    system: System, n: int, pairs: int, free: NDArray[np.bool_], inverse: F64
) -> tuple[I32, I32]:
    """Return the emitters that can move, and pairs of them: pair and the places of both."""
    active, place = np.empty(n, np.int32), np.full(n, -1, np.int32)
    count = 0
    damped = np.empty((3, 3))
    for i in range(n):
        if not free[i]:
            continue
        for a in range(3):
            for b in range(3):
                damped[a, b] = system.own[i, a, b]
            damped[a, a] *= 1.0 + DAMPING
        if invert_3x3(damped, inverse[count]):
            active[count], place[i] = i, count
            count += 1
    linked = np.empty((pairs, 3), np.int32)
    links = 0
    for k in range(pairs):
        i, j = place[system.first[k]], place[system.second[k]]
        if i >= 0 and j >= 0:
            linked[links, 0], linked[links, 1], linked[links, 2] = k, i, j
            links += 1
    return active[:count], linked[:links]


@njit(cache=True, nogil=True, error_model="numpy")
def solve(
    system: System,
    n: int,
    pairs: int,
    free: NDArray[np.bool_],
    gradient: F64,
    gradient_nodes: F64,
    step: F64,
    step_nodes: F64,
) -> None:
    """Write the step that the equations ask for.

    Parameters
    ----------
    system
        The equations.
    n, pairs
        How many emitters there are, and pairs of them.
    free
        Emitters that may move, (n,).
    gradient, gradient_nodes
        Slope of the log-likelihood, (n, 3) and (k,); no nodes where the background stays.
    step, step_nodes
        Written.
    """
    inverse = np.empty((n, 3, 3))
    active, linked = _active(system, n, pairs, free, inverse)
    m, k = len(active), len(gradient_nodes)
    # Residual, the same preconditioned, direction, and the equations times it; last the answer.
    work, work_nodes = np.zeros((5, m, 3)), np.zeros((4, k))
    r, z, p, q, x = work[0], work[1], work[2], work[3], work[4]
    r_nodes, z_nodes, p_nodes, q_nodes = work_nodes[0], work_nodes[1], work_nodes[2], work_nodes[3]
    for i in range(m):
        for a in range(3):
            r[i, a] = gradient[active[i], a]
    for b in range(k):
        r_nodes[b] = gradient_nodes[b]
        step_nodes[b] = 0.0
    last, at_first = 0.0, 0.0
    for turn in range(MAX_STEPS):
        now = 0.0
        for i in range(m):
            for a in range(3):
                z[i, a] = (
                    inverse[i, a, 0] * r[i, 0]
                    + inverse[i, a, 1] * r[i, 1]
                    + inverse[i, a, 2] * r[i, 2]
                )
                now += z[i, a] * r[i, a]
        for b in range(k):
            z_nodes[b] = r_nodes[b] / system.nodes[b]
            now += z_nodes[b] * r_nodes[b]
        if turn == 0:
            at_first = now
        if not now > ENOUGH * at_first:
            break
        ratio = now / last if turn else 0.0
        last = now
        for i in range(m):
            for a in range(3):
                p[i, a] = z[i, a] + ratio * p[i, a]
        for b in range(k):
            p_nodes[b] = z_nodes[b] + ratio * p_nodes[b]
        _times(system, active, linked, p, p_nodes, q, q_nodes)
        bent = 0.0
        for i in range(m):
            for a in range(3):
                bent += p[i, a] * q[i, a]
        for b in range(k):
            bent += p_nodes[b] * q_nodes[b]
        if not bent > 0.0:
            break
        length = now / bent
        for i in range(m):
            for a in range(3):
                x[i, a] += length * p[i, a]
                r[i, a] -= length * q[i, a]
        for b in range(k):
            step_nodes[b] += length * p_nodes[b]
            r_nodes[b] -= length * q_nodes[b]
    for i in range(n):
        for a in range(3):
            step[i, a] = 0.0
    for i in range(m):
        for a in range(3):
            step[active[i], a] = x[i, a]
