"""Figures of parameters found in boxes against the truth and its Cramér-Rao bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.bench.accuracy.figures import Figures, stated_scores
from rtsmlm.bench.accuracy.scenes import F64
from rtsmlm.bench.models.row_figures import IN_Z
from rtsmlm.fitting import boxes
from rtsmlm.localizations import F32

Chosen: TypeAlias = NDArray[np.bool_]
LATERAL, AXIAL = "x, y: RMSE, nm", "z: RMSE, nm"
BOUND = " / CRLB"
LIGHT, LEVEL = "photons: RMSE, %", "background: RMSE, %"
ZERNIKES, TURN = "Zernikes: RMSE, nm", "orientation: median error, degrees"
ANSWERED, LATERAL_BIAS, AXIAL_BIAS = "answered, %", "x, y: bias, nm", "z: bias, nm"
FAR_PX, FAR_NM = 1.5, 500.0
"""An answer so far from the truth is none."""
UNTOLD = ", spread"
MOMENTS = ("dipole_xx", "dipole_yy", "dipole_xy", "dipole_xz", "dipole_yz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What is true of boxes, and how well it can be known."""

    values: dict[str, F64]
    """x and y in pixels from the centre of the box, z_nm, photons, background; (n,) each."""
    bounds: dict[str, F64] = field(default_factory=dict)
    """Cramér-Rao bounds of the same and of Zernike amplitudes, (n,) each."""
    amplitudes_nm: F64 = field(default_factory=lambda: np.zeros((0, 0)))
    """(n, modes)."""
    modes: tuple[tuple[int, int], ...] = ()
    dipoles: F64 | None = None
    """Unit vectors, (n, 3)."""


def box_figures(
    rows: F64, extras: Mapping[str, F32], truth: Truth, *, box_px: int, pixel_nm: float, axial: bool
) -> Figures:
    """Return all figures of an answer.

    Parameters
    ----------
    rows
        Table of `rtsmlm.fitting.boxes.fit_table`.
    extras
        Other columns by name: Zernike amplitudes as zernike_N_M_nm, moments of dipoles.
    truth
        What is true.
    box_px
        Side of the boxes.
    pixel_nm
        Camera pixel.
    axial
        Whether z was asked for.
    """
    middle = (box_px - 1) / 2.0
    dx, dy = (
        rows[:, column] - middle - truth.values[name]
        for column, name in ((boxes.X, "x"), (boxes.Y, "y"))
    )
    near = (np.hypot(dx, dy) < FAR_PX) & (rows[:, boxes.STATUS] == boxes.CONVERGED)
    dz = rows[:, boxes.Z] - truth.values["z_nm"] if axial else np.zeros(len(rows))
    near &= np.abs(dz) < FAR_NM
    figures = {
        ANSWERED: 100.0 * float(near.mean()),
        LATERAL: pixel_nm * _rms(dx[near], dy[near]),
        LATERAL + BOUND: _over(truth, near, x=dx, y=dy),
        LATERAL_BIAS: pixel_nm * float(np.hypot(_mean(dx[near]), _mean(dy[near]))),
    }
    figures |= stated_scores(
        (dx[near], rows[near, boxes.STD_X].astype(np.float32)),
        (dy[near], rows[near, boxes.STD_Y].astype(np.float32)),
    )
    if axial:
        figures |= {
            AXIAL: _rms(dz[near]),
            AXIAL + BOUND: _over(truth, near, z_nm=dz),
            AXIAL_BIAS: _mean(dz[near]),
        }
        in_z = stated_scores((dz[near], rows[near, boxes.STD_Z].astype(np.float32)))
        figures |= {name + IN_Z: value for name, value in in_z.items()}
    for name, column, title in (
        ("photons", boxes.PHOTONS, LIGHT),
        ("background", boxes.BACKGROUND, LEVEL),
    ):
        error = rows[:, column] - truth.values[name]
        figures[title] = 100.0 * _rms(error[near]) / float(truth.values[name].mean())
        figures[title + BOUND] = _over(truth, near, **{name: error})
    return figures | _of_modes(extras, truth, near) | _of_turns(extras, truth, near)


def _of_modes(extras: Mapping[str, F32], truth: Truth, near: Chosen) -> Figures:
    """Return the error of the Zernike amplitudes, of all modes together."""
    names = [f"zernike_{n}_{m}_nm" for n, m in truth.modes]
    if not names or not all(name in extras for name in names):
        return {}
    errors = {
        name: extras[name].astype(np.float64) - truth.amplitudes_nm[:, k]
        for k, name in enumerate(names)
    }
    figures = {
        ZERNIKES: _rms(*(error[near] for error in errors.values())),
        ZERNIKES + UNTOLD: _rms(truth.amplitudes_nm[near]),
        ZERNIKES + BOUND: _over(truth, near, **errors),
    }
    return figures


def _of_turns(extras: Mapping[str, F32], truth: Truth, near: Chosen) -> Figures:
    """Return the angle between stated and true axes of dipoles."""
    if truth.dipoles is None or not all(name in extras for name in MOMENTS):
        return {}
    xx, yy, xy, xz, yz = (extras[name].astype(np.float64) for name in MOMENTS)
    moments = np.empty((len(xx), 3, 3))
    moments[:, 0, 0], moments[:, 1, 1], moments[:, 2, 2] = xx, yy, 1.0 - xx - yy
    for (i, j), value in (((0, 1), xy), ((0, 2), xz), ((1, 2), yz)):
        moments[:, i, j] = moments[:, j, i] = value
    # The axis is the direction of the largest moment.
    axis = np.linalg.eigh(moments)[1][:, :, 2]
    cosine = np.abs(np.einsum("ni,ni->n", axis, truth.dipoles)).clip(0.0, 1.0)
    return {TURN: float(np.median(np.degrees(np.arccos(cosine[near]))))}


def _over(truth: Truth, near: Chosen, **errors: F64) -> float:
    """Return the root mean square error over that of the bounds."""
    if not all(name in truth.bounds for name in errors):
        return math.nan
    bound = _rms(*(truth.bounds[name][near] for name in errors))
    return _rms(*(error[near] for error in errors.values())) / bound


def _mean(values: F64) -> float:
    return float(values.mean()) if len(values) else math.nan


def _rms(*values: F64) -> float:
    both = np.concatenate([np.ravel(part) for part in values])
    return float(np.sqrt(np.mean(both**2))) if len(both) else math.nan
