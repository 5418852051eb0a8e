"""Figures of rows against their truth, by the protocol of the SMLM-2016 challenge."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from rtsmlm.analysis.matching import match
from rtsmlm.analysis.metrics import Field, Metrics, Protocol, evaluate, has_axial
from rtsmlm.bench.accuracy.figures import (
    AXIAL_NM,
    EFFICIENCY,
    JACCARD,
    MAD_Z,
    NEAR,
    RADIUS_NM,
    RMSE,
    STD_Z,
    Figures,
    stated_scores,
)
from rtsmlm.bench.accuracy.scenes import Scene
from rtsmlm.localizations import Localizations

RECALL, PRECISION = "found, %", "right, %"
AXIAL_RMSE = "axial RMSE, nm"
EFFICIENCY_3D = "efficiency, 3D"
BIAS_X, BIAS_Y, BIAS_Z = "bias x, nm", "bias y, nm", "bias z, nm"
PHOTONS_RATIO = "photons, stated / true"
IN_Z = ", along z"
NEAR_NM = 100.0
"""A crowd pairs with anything within 250 nm; not so within this."""


def row_figures(
    scene: Scene, locs: Localizations, *, axial: bool, subtract_offset: bool = False
) -> Figures:
    """Return all figures of rows.

    Parameters
    ----------
    scene
        The movie with its truth.
    locs
        What was found in it.
    axial
        Compare z, too, where it was found.
    subtract_offset
        Take off the median offset: for PSFs that have no place which all call the centre.
    """
    axial_nm = AXIAL_NM if axial and has_axial(locs) else None
    protocol = Protocol(radius_nm=RADIUS_NM, axial_nm=axial_nm, subtract_offset=subtract_offset)
    field = Field.of_image(scene.batch.shape, scene.calibration.pixel_nm)
    n_frames = 1 + int(scene.batch.index[-1])
    result = evaluate(locs, scene.truth, field, protocol, n_frames)
    near = evaluate(locs, scene.truth, field, replace(protocol, radius_nm=NEAR_NM), n_frames)
    figures = {
        JACCARD: result.jaccard,
        JACCARD + NEAR: near.jaccard,
        RECALL: 100.0 * result.recall,
        PRECISION: 100.0 * result.precision,
        RMSE: result.rmse_lateral_nm,
        EFFICIENCY: result.efficiency_lateral,
        BIAS_X: result.median_dx_nm,
        BIAS_Y: result.median_dy_nm,
        PHOTONS_RATIO: result.photons_ratio,
    }
    if axial_nm is not None:
        figures |= {
            AXIAL_RMSE: result.rmse_axial_nm,
            EFFICIENCY_3D: result.efficiency_3d,
            BIAS_Z: result.median_dz_nm,
        }
    moved = _without_offset(locs, result) if subtract_offset else locs
    return figures | _stated(scene, moved, axial_nm)


def _without_offset(locs: Localizations, result: Metrics) -> Localizations:
    offset = [result.median_dx_nm, result.median_dy_nm, result.median_dz_nm]
    dx, dy, dz = (np.float32(0.0 if math.isnan(by) else by) for by in offset)
    return replace(locs, x_nm=locs.x_nm - dx, y_nm=locs.y_nm - dy, z_nm=locs.z_nm - dz)


def _stated(scene: Scene, locs: Localizations, axial_nm: float | None) -> Figures:
    pairs = match(locs, scene.truth, radius_nm=RADIUS_NM, axial_nm=axial_nm)
    found, truth = locs.take(pairs.locs), scene.truth.take(pairs.truth)
    dx, dy, dz = (
        getattr(found, name).astype(np.float64) - getattr(truth, name)
        for name in ("x_nm", "y_nm", "z_nm")
    )
    figures = stated_scores((dx, found.std_x_nm), (dy, found.std_y_nm))
    if axial_nm is not None:
        in_z = stated_scores((dz, found.std_z_nm))
        figures |= {STD_Z + IN_Z: in_z[STD_Z], MAD_Z + IN_Z: in_z[MAD_Z]}
    return figures
