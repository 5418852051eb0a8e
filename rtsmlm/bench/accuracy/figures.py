"""Figures of merit of one localizer on one scene: localizations and truth in, numbers out."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.analysis.matching import match
from rtsmlm.analysis.metrics import Field, Metrics, Protocol, evaluate
from rtsmlm.bench.accuracy.scenes import Scene
from rtsmlm.localizations import F32, Localizations

Figures: TypeAlias = dict[str, float]
"""Values by name; NaN where there is nothing to compute one from."""
F64: TypeAlias = NDArray[np.float64]

RADIUS_NM = 250.0
AXIAL_NM = 500.0
PHASES = 10
EDGE_PX = 0.1
"""What counts as near to a border or to a middle."""
EMPTY_SIDE_PX = 64
MAD_TO_STD = 1.4826
BRIGHTEST = 0.75

LATERAL = "RMSE per axis / CRLB"
AXIAL = "axial RMSE / CRLB"
STD_Z = "std of error / stated std"
MAD_Z = "the same from the median deviation"
PHASE_BIAS = "largest bias over the pixel, nm"
JACCARD = "Jaccard index"
RECALL = "recall"
RMSE = "lateral RMSE, nm"
EFFICIENCY = "efficiency, lateral"
EDGES = "rows at borders of pixels over those in their middles"
FALSE = "false positives per 64 x 64"
FALSE_AT_MOST = "at most, with 95 % confidence"
NEAR = ", radius 100 nm"
RANKED = ", brightest 75 %"
ALONG_Z = ", axial"


def isolated(scene: Scene, locs: Localizations) -> Figures:
    """Compare emitters that stand alone with their bound, along z too where it was found."""
    return _against_bound(scene, locs) | _found(scene, locs)


def dim(scene: Scene, locs: Localizations) -> Figures:
    """Count what is found of emitters that hardly rise above the noise, and false ones."""
    result = _metrics(scene, locs)
    height, width = scene.batch.shape
    fields = len(scene.batch) * height * width / EMPTY_SIDE_PX**2
    return _found(scene, locs) | {RECALL: result.recall, FALSE: result.fp / fields}


def honesty(scene: Scene, locs: Localizations) -> Figures:
    """Compare the errors of pairs with those stated, and measure the bias within the pixel."""
    dx, dy, _, pairs_locs, truth = _errors(scene, locs)
    bias = [
        _phase_bias(place / scene.calibration.pixel_nm, error)
        for place, error in ((truth.x_nm, dx), (truth.y_nm, dy))
    ]
    worst = max(bias) if bias else math.nan
    stated = stated_scores((dx, pairs_locs.std_x_nm), (dy, pairs_locs.std_y_nm))
    return stated | {PHASE_BIAS: worst} | _found(scene, locs)


def crowd(scene: Scene, locs: Localizations) -> Figures:
    """Score a scene whose emitters overlap, within 250 nm, and the errors that are stated."""
    dx, dy, _, pairs_locs, _ = _errors(scene, locs)
    stated = stated_scores((dx, pairs_locs.std_x_nm), (dy, pairs_locs.std_y_nm))
    return _found(scene, locs) | stated | {EDGES: _edges(scene, locs)}


def pairs(scene: Scene, locs: Localizations) -> Figures:
    """Count what is found of emitters beside others, and compare its errors with the bound."""
    dx, dy, _, found, _ = _errors(scene, locs)
    stated = stated_scores((dx, found.std_x_nm), (dy, found.std_y_nm))
    return dim(scene, locs) | _against_bound(scene, locs) | stated


def depth(scene: Scene, locs: Localizations) -> Figures:
    """Compare emitters with their bound and with their stated errors, along z too.

    The median offset along x and y is taken off: a PSF measured on beads has no place that is its
    centre.
    """
    dx, dy, dz, found, truth = _errors(scene, locs)
    result: Figures = {RECALL: len(truth) / max(len(scene.truth), 1)}
    if scene.bound is None or not len(dx):
        names = (LATERAL, AXIAL, STD_Z, STD_Z + ALONG_Z, MAD_Z + ALONG_Z)
        return result | dict.fromkeys(names, math.nan)
    dx, dy = dx - np.median(dx), dy - np.median(dy)
    result[LATERAL] = math.sqrt(float(np.mean(dx**2 + dy**2)) / 2) / scene.bound.lateral_nm
    result[STD_Z] = stated_scores((dx, found.std_x_nm), (dy, found.std_y_nm))[STD_Z]
    result[AXIAL] = math.nan
    along_z = {STD_Z: math.nan, MAD_Z: math.nan}
    if _has_z(scene, locs):
        result[AXIAL] = math.sqrt(float(np.mean(dz**2))) / scene.bound.axial_nm
        along_z = stated_scores((dz, found.std_z_nm))
    return result | {name + ALONG_Z: value for name, value in along_z.items()}


def tight(scene: Scene, locs: Localizations) -> Figures:
    """Score a scene within 250 and within 100 nm."""
    near = _metrics(scene, locs, radius_nm=100.0)
    figures = {JACCARD + NEAR: near.jaccard, RMSE + NEAR: near.rmse_lateral_nm}
    return crowd(scene, locs) | figures


def challenge(scene: Scene, locs: Localizations) -> Figures:
    """Score by the protocol of the SMLM-2016 challenge, all emitters and the brightest 75 %.

    The median offset is taken off: a PSF measured on beads has no place that is its centre.
    """
    figures: Figures = {}
    for suffix, dropped in (("", 0.0), (RANKED, 1.0 - BRIGHTEST)):
        result = _metrics(scene, locs, dropped=dropped, subtract_offset=True)
        figures[JACCARD + suffix] = result.jaccard
        figures[RMSE + suffix] = result.rmse_lateral_nm
        figures[EFFICIENCY + suffix] = result.efficiency_lateral
        if scene.curves is not None:
            figures["axial RMSE, nm" + suffix] = result.rmse_axial_nm
            figures["efficiency, 3D" + suffix] = result.efficiency_3d
    return figures


def empty(scene: Scene, locs: Localizations) -> Figures:
    """Count what is found where there is nothing."""
    height, width = scene.batch.shape
    fields = len(scene.batch) * height * width / EMPTY_SIDE_PX**2
    return {FALSE: len(locs) / fields, FALSE_AT_MOST: poisson_limit(len(locs)) / fields}


def poisson_limit(count: int) -> float:
    """Return the mean above which so few events have a probability of at most 5 %."""
    low, high = 0.0, 10.0 + 3.0 * count
    for _ in range(60):
        mean = 0.5 * (low + high)
        terms = [k * math.log(mean) - mean - math.lgamma(k + 1) for k in range(count + 1)]
        low, high = (mean, high) if sum(map(math.exp, terms)) > 0.05 else (low, mean)
    return high


def _found(scene: Scene, locs: Localizations) -> Figures:
    result = _metrics(scene, locs)
    return {
        JACCARD: result.jaccard,
        RMSE: result.rmse_lateral_nm,
        EFFICIENCY: result.efficiency_lateral,
    }


def _metrics(
    scene: Scene,
    locs: Localizations,
    *,
    radius_nm: float = RADIUS_NM,
    dropped: float = 0.0,
    subtract_offset: bool = False,
) -> Metrics:
    protocol = Protocol(
        radius_nm=radius_nm,
        # A fit in two dimensions is scored in two dimensions.
        axial_nm=AXIAL_NM if _has_z(scene, locs) else None,
        dimmest_dropped=dropped,
        subtract_offset=subtract_offset,
    )
    field = Field.of_image(scene.batch.shape, scene.calibration.pixel_nm)
    return evaluate(locs, scene.truth, field, protocol, 1 + int(scene.batch.index[-1]))


def _has_z(scene: Scene, locs: Localizations) -> bool:
    return scene.curves is not None and bool(np.isfinite(locs.std_z_nm).any())


def _errors(
    scene: Scene, locs: Localizations
) -> tuple[F64, F64, F64, Localizations, Localizations]:
    """Return dx, dy, dz of pairs in nm, and both tables of pairs."""
    pairs = match(locs, scene.truth, radius_nm=RADIUS_NM)
    found, truth = locs.take(pairs.locs), scene.truth.take(pairs.truth)
    dx, dy, dz = (
        getattr(found, name).astype(np.float64) - getattr(truth, name)
        for name in ("x_nm", "y_nm", "z_nm")
    )
    return dx, dy, dz, found, truth


def _against_bound(scene: Scene, locs: Localizations) -> Figures:
    dx, dy, dz, _, _ = _errors(scene, locs)
    if scene.bound is None or not len(dx):
        return {LATERAL: math.nan, AXIAL: math.nan}
    lateral = math.sqrt(float(np.mean(dx**2 + dy**2)) / 2) / scene.bound.lateral_nm
    if not _has_z(scene, locs):
        return {LATERAL: lateral, AXIAL: math.nan}
    axial = math.sqrt(float(np.mean(dz**2))) / scene.bound.axial_nm
    return {LATERAL: lateral, AXIAL: axial}


def stated_scores(*columns: tuple[F64, F32]) -> Figures:
    """Return how errors compare with those stated: their spread, and that of most of them.

    Parameters
    ----------
    *columns
        Errors and stated standard deviations of pairs, both (n,), along one or more axes.
    """
    scores = []
    for error, std in columns:
        known = std > 0
        scores.append(error[known] / std[known])
    z = np.concatenate(scores)
    if not len(z):
        return {STD_Z: math.nan, MAD_Z: math.nan}
    typical = MAD_TO_STD * float(np.median(np.abs(z - np.median(z))))
    return {STD_Z: float(np.std(z)), MAD_Z: typical}


def _edges(scene: Scene, locs: Localizations) -> float:
    """Return how many rows lie near the borders of pixels, over those near their middles.

    1 where emitters lie anywhere; on a few structures a little off, as their truth is.
    """

    def ratio(table: Localizations) -> float:
        place = np.concatenate([table.x_nm, table.y_nm]) / scene.calibration.pixel_nm
        from_middle = np.abs(place - np.round(place))
        middle = int(np.count_nonzero(from_middle < EDGE_PX))
        return np.count_nonzero(from_middle > 0.5 - EDGE_PX) / middle if middle else math.nan

    return ratio(locs) / ratio(scene.truth) if len(scene.truth) else math.nan


def _phase_bias(place_px: NDArray[np.floating], error_nm: F64) -> float:
    """Return the largest mean error of ten bins of the place within the pixel."""
    phase = np.floor((place_px + 0.5) % 1.0 * PHASES).astype(np.int64)
    sums = np.bincount(phase, weights=error_nm, minlength=PHASES)
    counts = np.bincount(phase, minlength=PHASES)
    return float(np.abs(sums / np.maximum(counts, 1)).max()) if len(error_nm) else math.nan
