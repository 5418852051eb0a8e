"""How the curves of an astigmatic PSF have to change so that lone spots of a run lie on them.

The z of a spot in a run is not known, but its two widths lie on a line in the plane of widths, as
z runs through its range. Three numbers move that line where optics differ from those of the beads:
a factor on the widths along x, one along y, and one on the distance of the two foci. A shift or a
stretch of z as a whole leaves the line where it is, and is not to be seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rtsmlm.fitting.astigmatic_localizer import DETECTED_WIDTH
from rtsmlm.fitting.boxes import astigmatic_box_px
from rtsmlm.fitting.lone_spots import lone_spots
from rtsmlm.fitting.widths import F64, LIGHT, SIGMA_X, SIGMA_Y, fit_widths, widths_covariance
from rtsmlm.localizations import F32
from rtsmlm.physics.astigmatism import WidthCurves

LEAST_SPOTS = 80
MOST_SPOTS = 600
MIN_SIGNIFICANCE = 8.0
BEYOND = 0.15
"""Part of the range of z by which a spot may lie beyond its ends and still count."""
STEP_NM = 5.0
ROUNDS = 25
ENOUGH = 1e-4
OUTLIER = 4.0
"""Distances from the line in their typical one, beyond which a spot is none of one emitter."""
FAR = 0.4
"""Natural logarithm of a factor beyond which it is another PSF, which no factor makes right."""


@dataclass(frozen=True, slots=True)
class CurveFactors:
    """What the curves are to be multiplied with, and the errors of the factors."""

    widths_x: float
    widths_y: float
    separation: float
    """On the distance of the foci, about their middle."""
    std: tuple[float, float, float]
    """Relative standard errors, in this order."""
    n_spots: int

    @property
    def values(self) -> tuple[float, float, float]:
        """The factors, in the order of the errors."""
        return self.widths_x, self.widths_y, self.separation


def with_factors(curves: WidthCurves, factors: CurveFactors) -> WidthCurves:
    """Return curves multiplied with factors; range and wobble stay."""
    middle = 0.5 * (curves.x.focus_nm + curves.y.focus_nm)

    def focus(before: float) -> float:
        return middle + factors.separation * (before - middle)

    x, y = curves.x, curves.y
    return replace(
        curves,
        x=replace(x, sigma0_nm=factors.widths_x * x.sigma0_nm, focus_nm=focus(x.focus_nm)),
        y=replace(y, sigma0_nm=factors.widths_y * y.sigma0_nm, focus_nm=focus(y.focus_nm)),
    )


def measure_curves(
    frames: F32,
    variance: F32,
    curves: WidthCurves,
    pixel_nm: float,
    *,
    excess_noise: float = 1.0,
) -> CurveFactors | None:
    """Return the factors that bring the curves to lone bright spots; None where these are few.

    Parameters
    ----------
    frames
        Light in photons, contiguous, shape (n, height, width).
    variance
        Variance of the read noise in photons², contiguous, shape (height, width).
    curves
        As calibrated.
    pixel_nm
        Camera pixel in the sample plane.
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    """
    box = astigmatic_box_px(curves, pixel_nm)
    if min(frames.shape[1:]) < box:
        return None
    spots = lone_spots(
        frames,
        variance,
        DETECTED_WIDTH * curves.mean_nm() / pixel_nm,
        excess_noise=excess_noise,
        box_px=box,
        apart_px=0.5 * box + curves.wider_nm() / pixel_nm,
        once=True,
    )
    photons = spots.photons[:MOST_SPOTS] / np.float32(excess_noise)
    read = spots.variance[:MOST_SPOTS] / np.float32(excess_noise**2)
    theta, good = fit_widths(photons, read)
    noise = np.sqrt(np.maximum(photons.sum(axis=(1, 2)), 1.0))
    good &= theta[:, LIGHT] > MIN_SIGNIFICANCE * noise
    if np.count_nonzero(good) < LEAST_SPOTS:
        return None
    theta, photons, read = theta[good], photons[good], read[good]
    widths = theta[:, [SIGMA_X, SIGMA_Y]]
    covariance = widths_covariance(photons, read, theta)
    logs = np.log(widths * pixel_nm)
    return fit_factors(logs, covariance / (widths[:, :, None] * widths[:, None, :]), curves)


def fit_factors(logs: F64, covariance: F64, curves: WidthCurves) -> CurveFactors | None:
    """Return the factors that bring the curves to measured widths; None where too few are near.

    Parameters
    ----------
    logs
        Natural logarithms of the widths along x and y in nm, shape (n, 2).
    covariance
        Of these, shape (n, 2, 2).
    curves
        As calibrated.

    Notes
    -----
    The likelihood over z of each spot is taken at its largest (the nearest point of the line, in
    its errors), and outliers count little (Tukey's weights).
    """
    known = np.column_stack([covariance.reshape(len(logs), -1), logs])
    good: NDArray[np.bool_] = np.asarray(np.isfinite(known).all(axis=1), dtype=np.bool_)
    usable: F64 = np.where(good[:, None, None], covariance, np.eye(2))
    good &= np.asarray(np.linalg.det(usable), dtype=np.float64) > 0
    logs, covariance = logs[good], covariance[good]
    whiten = np.linalg.inv(np.linalg.cholesky(covariance)) if len(logs) else covariance
    observed = np.einsum("nij,nj->ni", whiten, logs)
    found = np.zeros(3)
    for _ in range(ROUNDS):
        misfit, slopes, inside = _misfits(observed, whiten, curves, found)
        if np.count_nonzero(inside) < LEAST_SPOTS:
            return None
        misfit, slopes = misfit[inside], slopes[inside]
        scatter = max(1.4826 * float(np.median(np.abs(misfit))), 1.0)
        weight = np.maximum(1.0 - (misfit / (OUTLIER * scatter)) ** 2, 0.0) ** 2
        normal = (slopes * weight[:, None]).T @ slopes + 1e-9 * np.eye(3)
        step = np.linalg.solve(normal, (slopes * weight[:, None]).T @ misfit)
        found = np.clip(found + np.clip(step, -0.1, 0.1), -FAR, FAR)
        if np.abs(step).max() < ENOUGH:
            break
    near = weight > 0
    # By the scatter of the spots themselves: light of neighbours is not in the stated errors.
    spread = float(np.sqrt((weight[near] * misfit[near] ** 2).sum() / weight[near].sum()))
    std = np.sqrt(np.diag(np.linalg.inv(normal))) * max(spread, 1.0)
    x, y, apart = np.exp(found)
    errors = (float(std[0]), float(std[1]), float(std[2]))
    return CurveFactors(float(x), float(y), float(apart), errors, int(near.sum()))


def _misfits(
    observed: F64, whiten: F64, curves: WidthCurves, logs: F64
) -> tuple[F64, F64, NDArray[np.bool_]]:
    """Return distances from the line, their slopes by the logarithms, and which are within it.

    Distances are signed, in standard errors.
    """
    x, y, apart = (float(v) for v in np.exp(logs))
    moved = with_factors(curves, CurveFactors(x, y, apart, (0.0, 0.0, 0.0), 0))
    margin = BEYOND * (curves.z_max_nm - curves.z_min_nm)
    z = np.arange(curves.z_min_nm - margin, curves.z_max_nm + margin + STEP_NM, STEP_NM)
    middle = 0.5 * (curves.x.focus_nm + curves.y.focus_nm)
    line, along, by_focus = np.empty((3, len(z), 2))
    for k, curve in enumerate((moved.x, moved.y)):
        line[:, k] = np.log(curve.sigma_nm(z))
        along[:, k] = curve.slope(z) / curve.sigma_nm(z)
        by_focus[:, k] = -along[:, k] * (curve.focus_nm - middle)
    points = np.einsum("nij,zj->nzi", whiten, line)
    best = ((observed[:, None] - points) ** 2).sum(axis=2).argmin(axis=1)
    rows = np.arange(len(best))
    tangent = np.einsum("nij,nj->ni", whiten, along[best])
    length = np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-12)
    normal = np.column_stack([-tangent[:, 1], tangent[:, 0]]) / length
    misfit = (normal * (observed - points[rows, best])).sum(axis=1)
    slopes = np.empty((len(best), 3))
    slopes[:, 0] = (normal * whiten[:, :, 0]).sum(axis=1)
    slopes[:, 1] = (normal * whiten[:, :, 1]).sum(axis=1)
    slopes[:, 2] = (normal * np.einsum("nij,nj->ni", whiten, by_focus[best])).sum(axis=1)
    inside = (best > 0) & (best < len(z) - 1)
    return misfit, slopes, inside
