"""Where the emitters of scenes in depth sit: tubules as in the SMLM-2016 challenge, and others."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.physics.structures import TUBULE_RADIUS_NM, place_emitters

F64: TypeAlias = NDArray[np.float64]

ENDS_NM = ((-640.0, 575.0), (340.0, -170.0), (-190.0, 200.0))
"""z of the challenge's three microtubules where they enter its field of view and leave it, from
the generator of its samples: one of them crosses nearly all of the depth, the others stay near the
focus of its astigmatic PSF. 11 of the 12 fluorophores of the frames that it published with their
truth lie within 200 nm."""
COURSES_DEG = (100.0, 15.0, -35.0)
"""Their directions."""
BETWEEN_MIDDLES_NM = 900.0
"""How far from the middle of the field they pass, at most, along x and y."""
WANDER = 0.05
"""How far they wander from a straight line, in fields of view."""
WAVE_NM = (5000.0, 12000.0)
HALF_DEPTH_NM = 700.0
"""Of tubules at every depth."""


def three_tubules(size_nm: float, n: int, rng: np.random.Generator) -> F64:
    """Place emitters evenly on three tubules that cross a field, as deep as the challenge's.

    Parameters
    ----------
    size_nm
        Side of the field.
    n
        How many emitters.
    rng
        Draws courses and places.

    Returns
    -------
    :
        x, y and z of each in nm, x and y from the corner of the field, shape (n, 3).
    """
    along = np.linspace(-0.75, 0.75, 1500) * size_nm
    turn = rng.uniform(0.0, 360.0)
    points, normals = [], []
    for ends, course in zip(ENDS_NM, COURSES_DEG, strict=True):
        angle = math.radians(turn + course + rng.uniform(-15.0, 15.0))
        cos, sin = math.cos(angle), math.sin(angle)
        middle = size_nm / 2 + rng.uniform(-BETWEEN_MIDDLES_NM, BETWEEN_MIDDLES_NM, 2)
        phase = 2.0 * math.pi * (along / rng.uniform(*WAVE_NM) + rng.random())
        across = WANDER * size_nm * np.sin(phase)
        x, y = middle[0] + along * cos - across * sin, middle[1] + along * sin + across * cos
        inside = np.flatnonzero((np.minimum(x, y) > 0.0) & (np.maximum(x, y) < size_nm))
        z = np.interp(inside, (inside[0], inside[-1]), ends)
        points.append(np.column_stack([x[inside], y[inside], z]))
        normals.append(np.tile((-sin, cos), (len(inside), 1)))
    path, normal = np.concatenate(points), np.concatenate(normals)
    pick = rng.integers(0, len(path), n)
    place = path[pick]
    around = rng.uniform(0.0, 2.0 * math.pi, (n, 1))
    place[:, :2] += TUBULE_RADIUS_NM * np.cos(around) * normal[pick]
    place[:, 2:] += TUBULE_RADIUS_NM * np.sin(around)
    return np.asarray(place)


def at_every_depth(size_nm: float, n: int, rng: np.random.Generator) -> F64:
    """Place emitters on tubules with as many at each depth; see `three_tubules`."""
    place = place_emitters("filaments", n, (size_nm, size_nm), 2 * HALF_DEPTH_NM, rng)
    # A tubule stays smooth where z is replaced by its rank.
    rank = np.argsort(np.argsort(place[:, 2]))
    place[:, 2] = HALF_DEPTH_NM * (2.0 * rank / (n - 1) - 1.0)
    return place
