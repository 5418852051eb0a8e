"""Where the emitters sit: labelled structures of known shape.

Positions in nm, shape (n, 3), x along columns, y along rows, origin at the centre of pixel (0, 0).
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
StructureName = Literal["filaments", "mitochondria", "nuclear-pores", "origami", "uniform"]

TUBULE_RADIUS_NM = 12.5
"""Microtubule, outer wall."""
PORE_RADIUS_NM = 53.5
"""Nup96 in the nuclear pore: a ring of 107 nm diameter with eight corners."""
PORE_RING_DISTANCE_NM = 50.0
MITOCHONDRIA_UM2 = 0.3
"""Mitochondria in each µm² of the field."""
MITOCHONDRION_RADIUS_NM = (150.0, 300.0)
MITOCHONDRION_LENGTH_NM = (800.0, 4000.0)
MITOCHONDRION_BEND = 1.5
"""Largest turn of its axis from the middle to an end, in radians."""
ORIGAMI_STEP_NM = 20.0
ORIGAMI_GRID = (3, 4)


def place_emitters(
    structure: StructureName,
    n_emitters: int,
    size_nm: tuple[float, float],
    depth_nm: float,
    rng: np.random.Generator,
) -> F64:
    """Place emitters on a structure that fills a field of view.

    Parameters
    ----------
    structure
        Which structure.
    n_emitters
        How many emitters in all.
    size_nm
        Width and height of the field.
    depth_nm
        The structure lies within plus and minus half of this about z = 0.
    rng
        Draws shape and labels.

    Returns
    -------
    :
        Positions, shape (n_emitters, 3).
    """
    place = {
        "filaments": _filaments,
        "mitochondria": _mitochondria,
        "nuclear-pores": _nuclear_pores,
        "origami": _origami,
        "uniform": _uniform,
    }[structure]
    return place(n_emitters, size_nm, depth_nm, rng)


def _uniform(
    n: int, size_nm: tuple[float, float], depth_nm: float, rng: np.random.Generator
) -> F64:
    low = (0.0, 0.0, -depth_nm / 2)
    return rng.uniform(low, (*size_nm, depth_nm / 2), (n, 3))


def _filaments(
    n: int, size_nm: tuple[float, float], depth_nm: float, rng: np.random.Generator
) -> F64:
    """Wiggly tubules that cross the field, labelled on their wall."""
    width, height = size_nm
    # One tubule per 30 um² is a well spread cytoskeleton; fewer than 3 resemble a test chart.
    n_tubules = max(3, round(width * height / 30e6))
    length_nm = 1.5 * math.hypot(width, height)
    steps = np.linspace(-0.5, 0.5, 400) * length_nm
    angle = rng.uniform(0, math.pi, (n_tubules, 1))
    centre = rng.uniform((0, 0), size_nm, (n_tubules, 2))
    along = np.broadcast_to(steps, (n_tubules, len(steps)))
    across = _waves(steps, n_tubules, 0.05 * max(size_nm), 9000.0, rng)
    x = centre[:, :1] + along * np.cos(angle) - across * np.sin(angle)
    y = centre[:, 1:] + along * np.sin(angle) + across * np.cos(angle)
    z = _waves(steps, n_tubules, depth_nm / 2, 12000.0, rng)
    path = np.stack([x, y, z], axis=-1)
    inside = (x > 0) & (x < width) & (y > 0) & (y < height)
    inside[:, -1] = False
    tubule, step = np.nonzero(inside)
    pick = rng.integers(0, len(tubule), n)
    tubule, step = tubule[pick], step[pick]
    tangent = path[tubule, step + 1] - path[tubule, step]
    points = path[tubule, step] + rng.random((n, 1)) * tangent
    return points + _on_wall(tangent, TUBULE_RADIUS_NM, rng)


def _waves(
    steps: F64, n_curves: int, amplitude_nm: float, period_nm: float, rng: np.random.Generator
) -> F64:
    """Return smooth random curves that stay within plus and minus the amplitude."""
    phase = rng.uniform(0, 2 * math.pi, (n_curves, 3, 1))
    period = period_nm * rng.uniform(0.6, 2.0, (n_curves, 3, 1))
    weight = rng.dirichlet((1.0, 1.0, 1.0), n_curves)[:, :, None]
    curves = weight * np.sin(2 * math.pi * steps / period + phase)
    return np.asarray(amplitude_nm * curves.sum(axis=1))


def _on_wall(tangent: F64, radius_nm: float, rng: np.random.Generator) -> F64:
    direction = tangent / np.linalg.norm(tangent, axis=1, keepdims=True)
    radial = rng.normal(size=tangent.shape)
    radial -= (radial * direction).sum(axis=1, keepdims=True) * direction
    return np.asarray(radius_nm * radial / np.linalg.norm(radial, axis=1, keepdims=True))


def _mitochondria(
    n: int, size_nm: tuple[float, float], depth_nm: float, rng: np.random.Generator
) -> F64:
    """Bent tubes of different size with labels on their outer membrane, flattened to the depth."""
    width, height = size_nm
    n_tubes = max(1, round(MITOCHONDRIA_UM2 * width * height / 1e6))
    radius = rng.uniform(*MITOCHONDRION_RADIUS_NM, n_tubes)
    length = rng.uniform(*MITOCHONDRION_LENGTH_NM, n_tubes)
    along = np.linspace(-0.5, 0.5, 100)
    turn = _waves(along, n_tubes, MITOCHONDRION_BEND, 1.0, rng)
    heading = rng.uniform(0, 2 * math.pi, (n_tubes, 1)) + turn
    step = length[:, None, None] / len(along) * np.stack([np.cos(heading), np.sin(heading)], -1)
    axis = np.cumsum(step, axis=1)
    low = np.minimum(MITOCHONDRION_RADIUS_NM[1], np.array(size_nm) / 2)
    axis += rng.uniform(low, np.array(size_nm) - low, (n_tubes, 1, 2)) - axis[:, [len(along) // 2]]
    reach = np.minimum(radius[:, None, None], low)
    inside = (axis >= reach) & (axis <= np.array(size_nm) - reach)
    tube, place = np.nonzero(inside.all(axis=-1))
    # As many labels on each patch of membrane, whatever the size of the tube.
    share = (length * radius)[tube]
    pick = rng.choice(len(tube), n, p=share / share.sum())
    tube, place = tube[pick], place[pick]
    tangent = np.zeros((n, 3))
    tangent[:, :2] = step[tube, place]
    middle = axis[tube, place] + rng.uniform(-0.5, 0.5, (n, 1)) * tangent[:, :2]
    points = np.concatenate([middle, np.zeros((n, 1))], axis=1)
    points += _on_wall(tangent, 1.0, rng) * radius[tube][:, None]
    points[:, 2] = points[:, 2].clip(-depth_nm / 2, depth_nm / 2)
    return points


def _nuclear_pores(
    n: int, size_nm: tuple[float, float], depth_nm: float, rng: np.random.Generator
) -> F64:
    """Pores of two rings with eight corners each, four labels to a corner."""
    n_pores = max(1, round(n / 64))
    centre = _uniform(n_pores, size_nm, depth_nm, rng)
    turn = rng.uniform(0, math.pi / 4, n_pores)
    pore = rng.integers(0, n_pores, n)
    # Both copies of Nup96 in a corner sit about 12 degrees apart.
    angle = turn[pore] + rng.integers(0, 8, n) * math.pi / 4
    angle += math.radians(12.0) * (rng.integers(0, 2, n) - 0.5)
    ring = (rng.integers(0, 2, n) - 0.5) * PORE_RING_DISTANCE_NM
    offset = np.stack([PORE_RADIUS_NM * np.cos(angle), PORE_RADIUS_NM * np.sin(angle), ring], 1)
    return centre[pore] + offset


def _origami(
    n: int, size_nm: tuple[float, float], depth_nm: float, rng: np.random.Generator
) -> F64:
    """DNA origami with a grid of 3 x 4 docking sites 20 nm apart, lying flat."""
    rows, columns = ORIGAMI_GRID
    n_origami = max(1, math.ceil(n / (rows * columns)))
    centre = _uniform(n_origami, size_nm, depth_nm, rng)
    turn = rng.uniform(0, 2 * math.pi, n_origami)
    site = np.arange(n)
    origami, site = site // (rows * columns), site % (rows * columns)
    u = (site % columns - (columns - 1) / 2) * ORIGAMI_STEP_NM
    v = (site // columns - (rows - 1) / 2) * ORIGAMI_STEP_NM
    cos, sin = np.cos(turn[origami]), np.sin(turn[origami])
    turned = np.stack([u * cos - v * sin, u * sin + v * cos, np.zeros(n)], axis=1)
    return np.asarray(centre[origami] + turned)
