"""Agreement of localizations with a ground truth, after the protocol of the SMLM-2016 challenge.

Per frame, nearest pairs first, within 250 nm laterally and 500 nm axially; both tables without a
border of 450 nm; optionally only the brightest 75 % of the emitters. Sage et al., Nat. Methods 16,
387 (2019).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.analysis.matching import Matches, Method, match
from rtsmlm.localizations import Localizations

ALPHA_LATERAL = 1.0
"""Percent of Jaccard index that one nm of lateral error is worth."""
ALPHA_AXIAL = 0.5


@dataclass(frozen=True, slots=True)
class Field:
    """Area that was imaged, in nm; pixel (0, 0) is centred at 0."""

    x_min_nm: float
    x_max_nm: float
    y_min_nm: float
    y_max_nm: float

    @classmethod
    def of_image(cls, shape: tuple[int, int], pixel_nm: float) -> Field:
        """Return the area of an image of `shape` (height, width) in pixels."""
        height, width = shape
        low = -pixel_nm / 2
        return cls(low, low + width * pixel_nm, low, low + height * pixel_nm)

    @classmethod
    def around(cls, *tables: Localizations, pixel_nm: float | None = None) -> Field:
        """Return the smallest area with all rows of all tables; empty where there are none.

        With `pixel_nm` the edges move outwards to those of camera pixels.
        """
        x = np.concatenate([table.x_nm for table in tables])
        y = np.concatenate([table.y_nm for table in tables])
        finite = np.isfinite(x) & np.isfinite(y)
        if not finite.any():
            return cls(0, 0, 0, 0)
        low = np.array([x[finite].min(), y[finite].min()], dtype=np.float64)
        high = np.array([x[finite].max(), y[finite].max()], dtype=np.float64)
        if pixel_nm is not None:
            low = (np.floor(low / pixel_nm + 0.5) - 0.5) * pixel_nm
            high = (np.ceil(high / pixel_nm - 0.5) + 0.5) * pixel_nm
        return cls(float(low[0]), float(high[0]), float(low[1]), float(high[1]))

    def inside(self, table: Localizations, border_nm: float) -> NDArray[np.bool_]:
        """Return which rows lie at least `border_nm` from the edges."""
        x, y = table.x_nm, table.y_nm
        inside: NDArray[np.bool_] = (
            (x >= self.x_min_nm + border_nm)
            & (x <= self.x_max_nm - border_nm)
            & (y >= self.y_min_nm + border_nm)
            & (y <= self.y_max_nm - border_nm)
        )
        return inside


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How the tables are compared; the defaults are those of the challenge."""

    radius_nm: float = 250.0
    axial_nm: float | None = None
    """Largest axial distance of a pair, 500 in the challenge; None compares x and y only."""
    border_nm: float = 450.0
    method: Method = "greedy"
    dimmest_dropped: float = 0.0
    """Fraction of the emitters, the dimmest, that count neither as found nor as missed; 0.25 in
    the ranking of the challenge."""
    subtract_offset: bool = False
    """Take the median offset of the pairs off the localizations and match again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Result of `evaluate`. NaN where there is nothing to compute it from."""

    tp: int
    """Emitters that were found."""
    fp: int
    """Localizations without emitter."""
    fn: int
    """Emitters without localization."""
    jaccard: float
    """tp / (tp + fp + fn), 0..1, as recall, precision and f1."""
    recall: float
    precision: float
    f1: float
    rmse_lateral_nm: float
    """sqrt(mean(dx² + dy²)): of both axes together, sqrt(2) times that of one."""
    rmse_axial_nm: float
    """NaN where z was not compared, as the other axial figures."""
    rmse_volume_nm: float
    efficiency_lateral: float
    """100 - sqrt((100 - Jaccard in %)² + (1 %/nm · lateral RMSE)²): at most 100, may be < 0."""
    efficiency_axial: float
    """The same with 0.5 %/nm and the axial RMSE."""
    efficiency_3d: float
    """Mean of lateral and axial efficiency."""
    median_dx_nm: float
    """Localization minus emitter, of the pairs as first matched."""
    median_dy_nm: float
    median_dz_nm: float
    std_ratio: float
    """RMS of lateral error over stated standard deviation, median offset removed; ideally 1."""
    photons_ratio: float
    """Median of localized over true photons."""
    n_locs: int
    """Localizations inside the border."""
    n_truth: int
    """Emitters inside the border, dim ones left out."""
    n_frames: int
    locs_per_frame: float
    truth_per_frame: float
    min_photons: float
    """Emitters below it were left out; 0 without photon filter."""

    def as_dict(self) -> dict[str, Any]:
        """Return the figures by name; what is NaN becomes None, for JSON."""
        return {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in asdict(self).items()
        }


def evaluate(
    locs: Localizations,
    truth: Localizations,
    field: Field,
    protocol: Protocol = Protocol(),
    n_frames: int | None = None,
) -> Metrics:
    """Compare localizations with a ground truth.

    Parameters
    ----------
    locs
        What was localized.
    truth
        The emitters, one row per frame in which each is on.
    field
        Area that was imaged; `protocol.border_nm` on its sides is left out.
    protocol
        Rules of the comparison.
    n_frames
        Frames that both tables cover, for the counts per frame; not given takes all up to the
        last one that occurs.
    """
    min_photons = photon_threshold(truth, protocol.dimmest_dropped)
    if n_frames is None:
        n_frames = 1 + int(max(locs.frame.max(initial=-1), truth.frame.max(initial=-1)))
    truth = truth.take(field.inside(truth, protocol.border_nm))
    kept, matches = _matched(locs, truth, field, protocol)
    offset_nm = _median_offset(kept, truth, matches)
    if protocol.subtract_offset and len(matches):
        kept, matches = _matched(_shifted(locs, offset_nm), truth, field, protocol)
    dim = truth.photons < min_photons
    on_dim = dim[matches.truth]
    counted = Matches(matches.locs[~on_dim], matches.truth[~on_dim])
    n_locs = len(kept) - int(on_dim.sum())
    n_truth = len(truth) - int(dim.sum())
    return _figures(
        kept,
        truth,
        counted,
        n_locs,
        n_truth,
        offset_nm,
        protocol.axial_nm is not None,
        n_frames,
        min_photons,
    )


def photon_threshold(truth: Localizations, dimmest_dropped: float) -> float:
    """Return the photons below which emitters are left out, as the challenge rounds them."""
    photons = truth.photons[np.isfinite(truth.photons)]
    if not dimmest_dropped or not len(photons):
        return 0.0
    return float(np.floor(np.quantile(photons, dimmest_dropped)))


def has_axial(table: Localizations) -> bool:
    """Whether a table has measured z (neither all NaN nor all 0)."""
    return bool(np.isfinite(table.std_z_nm).any() or np.any(table.z_nm != 0))


def efficiency(jaccard: float, rmse_nm: float, alpha_per_nm: float) -> float:
    """Return the efficiency of the challenge in percent, from a Jaccard index of 0..1."""
    return 100 - math.hypot(100 - 100 * jaccard, alpha_per_nm * rmse_nm)


def _matched(
    locs: Localizations, truth: Localizations, field: Field, protocol: Protocol
) -> tuple[Localizations, Matches]:
    kept = locs.take(field.inside(locs, protocol.border_nm))
    return kept, match(
        kept,
        truth,
        radius_nm=protocol.radius_nm,
        axial_nm=protocol.axial_nm,
        method=protocol.method,
    )


def _errors(
    locs: Localizations, truth: Localizations, matches: Matches
) -> tuple[NDArray[np.float64], ...]:
    """Return dx, dy, dz of the pairs in nm."""
    return tuple(
        getattr(locs, name)[matches.locs].astype(np.float64) - getattr(truth, name)[matches.truth]
        for name in ("x_nm", "y_nm", "z_nm")
    )


def _median_offset(
    locs: Localizations, truth: Localizations, matches: Matches
) -> tuple[float, float, float]:
    if not len(matches):
        return math.nan, math.nan, math.nan
    dx, dy, dz = (float(np.median(error)) for error in _errors(locs, truth, matches))
    return dx, dy, dz


def _shifted(locs: Localizations, offset_nm: tuple[float, float, float]) -> Localizations:
    dx, dy, dz = np.array(offset_nm, dtype=np.float32)
    return replace(locs, x_nm=locs.x_nm - dx, y_nm=locs.y_nm - dy, z_nm=locs.z_nm - dz)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _figures(
    locs: Localizations,
    truth: Localizations,
    matches: Matches,
    n_locs: int,
    n_truth: int,
    offset_nm: tuple[float, float, float],
    axial: bool,
    n_frames: int,
    min_photons: float,
) -> Metrics:
    tp = len(matches)
    fp, fn = n_locs - tp, n_truth - tp
    jaccard = _ratio(tp, tp + fp + fn)
    dx, dy, dz = _errors(locs, truth, matches)
    lateral = math.sqrt(_ratio(float(np.sum(dx**2 + dy**2)), tp))
    depth = math.sqrt(_ratio(float(np.sum(dz**2)), tp)) if axial else math.nan
    lateral_efficiency = efficiency(jaccard, lateral, ALPHA_LATERAL)
    axial_efficiency = efficiency(jaccard, depth, ALPHA_AXIAL)
    return Metrics(
        tp=tp,
        fp=fp,
        fn=fn,
        jaccard=jaccard,
        recall=_ratio(tp, n_truth),
        precision=_ratio(tp, n_locs),
        f1=_ratio(2 * tp, n_locs + n_truth),
        rmse_lateral_nm=lateral,
        rmse_axial_nm=depth,
        rmse_volume_nm=math.sqrt(lateral**2 + depth**2),
        efficiency_lateral=lateral_efficiency,
        efficiency_axial=axial_efficiency,
        efficiency_3d=(lateral_efficiency + axial_efficiency) / 2,
        median_dx_nm=offset_nm[0],
        median_dy_nm=offset_nm[1],
        median_dz_nm=offset_nm[2] if axial else math.nan,
        std_ratio=_std_ratio(locs, matches, dx, dy),
        photons_ratio=_photons_ratio(locs, truth, matches),
        n_locs=n_locs,
        n_truth=n_truth,
        n_frames=n_frames,
        locs_per_frame=_ratio(n_locs, n_frames),
        truth_per_frame=_ratio(n_truth, n_frames),
        min_photons=min_photons,
    )


def _std_ratio(
    locs: Localizations, matches: Matches, dx: NDArray[np.float64], dy: NDArray[np.float64]
) -> float:
    scores = []
    for error, std in ((dx, locs.std_x_nm[matches.locs]), (dy, locs.std_y_nm[matches.locs])):
        stated = std > 0
        if stated.any():
            scores.append((error[stated] - np.median(error)) / std[stated])
    return float(np.sqrt(np.mean(np.concatenate(scores) ** 2))) if scores else math.nan


def _photons_ratio(locs: Localizations, truth: Localizations, matches: Matches) -> float:
    true = truth.photons[matches.truth]
    stated = np.isfinite(locs.photons[matches.locs]) & (true > 0)
    if not stated.any():
        return math.nan
    return float(np.median(locs.photons[matches.locs][stated] / true[stated]))
