"""The astigmatic curves of width against z, from beads in a z-stack.

z counts from where both widths are equal, positive away from the objective.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibrate.beads import BeadWidths, known_median, plane_z_nm
from rtsmlm.calibrate.curves import fit_curve
from rtsmlm.calibrate.doubts import astigmatic_doubts
from rtsmlm.calibrate.wobble import measure_wobble
from rtsmlm.errors import CalibrationError
from rtsmlm.fitting.boxes import astigmatic_box_px
from rtsmlm.fitting.widths import F64
from rtsmlm.physics.astigmatism import WidthCurves

# An astigmatic spot is used up to this multiple of its width in focus.
DEFOCUS_RATIO = 3.2
MIN_CURVE_PLANES = 12
MARGIN_NM = 100.0
BOX_ROUNDS = 3
RUN_BACKGROUND = 0.01
"""Background per pixel as a share of the light of a spot: 20 photons under one of 2000."""
# Beads whose error of z is above this multiple of the typical one are left out.
MAX_ERROR_RATIO = 4.0
ALIGNMENT_ROUNDS = 3
# Cross-validation leaves out one bead, or one part of many beads.
PARTS = 6
# Foci nearer to each other than this part of the depth of focus leave z ambiguous.
LEAST_SEPARATION = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Astigmatism:
    """Astigmatic curves, and how well z is found from them."""

    curves: WidthCurves
    """z = 0 where both widths are equal."""
    zero_nm: float
    """Where z = 0 lies in the stack, from its first plane on, for the typical bead."""
    bead_shift_nm: F64
    """How much further along the stack each bead's own zero lies, shape (beads,)."""
    residual_nm: float
    """RMS error of z of beads that the curves were made from, within the range."""
    held_out_nm: float
    """The same for beads that the curves were not made from; NaN with a single bead."""
    n_dropped: int
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    """What its own figures say against it; with any it is no good calibration."""


def calibrate_in_run_boxes(
    measure: Callable[[int | None], BeadWidths],
    z_step_nm: float,
    *,
    skew: bool = True,
    box_px: int | None = None,
) -> tuple[BeadWidths, Astigmatism]:
    """Calibrate on beads in the boxes in which a run will fit its spots.

    The widths of a real PSF depend on the box: curves of larger boxes than those of the fit move z
    by up to 90 nm at the ends of the range.

    Parameters
    ----------
    measure
        Measures the beads in boxes of a side, None for one that holds the spot out of focus.
    z_step_nm, skew
        As `calibrate_astigmatic` takes them.
    box_px
        Side that was asked for; None takes that of a run.

    Raises
    ------
    CalibrationError
        If the beads cannot be measured, or are not astigmatic.
    """
    widths = measure(box_px)
    found = calibrate_astigmatic(widths, z_step_nm, skew=skew)
    for _ in range(BOX_ROUNDS if box_px is None else 0):
        wanted = astigmatic_box_px(found.curves, widths.pixel_nm)
        if wanted == widths.box_px:
            break
        try:
            trial = measure(wanted)
            found = calibrate_astigmatic(trial, z_step_nm, skew=skew)
        except CalibrationError:
            break  # planes too small for that box: the first one is what there is
        widths = trial
    return widths, found


def calibrate_astigmatic(
    widths: BeadWidths, z_step_nm: float, *, skew: bool = True, align: bool = True
) -> Astigmatism:
    """Fit the astigmatic curves to all beads together.

    Parameters
    ----------
    widths
        Beads in planes, measured in boxes that hold the spot out of focus.
    z_step_nm
        How much further from the objective a bead lies, relative to the focal plane, from one
        plane to the next; negative for stacks taken the other way.
    skew
        Fit the cubic term of the curves too.
    align
        Let each bead have its own height; without, all lie at the same height exactly.

    Raises
    ------
    CalibrationError
        If the stack is too short, or the PSF is not astigmatic.
    """
    z_nm = plane_z_nm(widths, z_step_nm)
    usable = _usable(widths)
    shift = np.zeros(len(widths.position_px))
    for _ in range(ALIGNMENT_ROUNDS if align else 1):
        curves = _fit(widths, z_nm, usable, shift, skew)
        error = _errors(curves, widths, z_nm, usable)
        if align:
            shift = -known_median(error, axis=1)
            shift -= known_median(shift, axis=0)
    away = np.sqrt(known_median((error + shift[:, None]) ** 2, axis=1))
    keep = np.nan_to_num(away, nan=np.inf) <= MAX_ERROR_RATIO * known_median(away, axis=0)
    kept, shift = widths.take(keep), shift[keep]
    curves = _fit(kept, z_nm, usable, shift, skew)
    _check_astigmatic(curves)
    zero = curves.crossing_nm()
    error = _errors(curves, kept, z_nm, usable) + shift[:, None]
    notes = () if keep.sum() > 2 else (f"{keep.sum()} bead(s) only; take five or more",)
    residual_nm = float(np.sqrt(np.nanmean(error**2)))
    held_out_nm = _held_out(kept, z_nm, usable, shift, skew)
    rms_nm = held_out_nm if np.isfinite(held_out_nm) else residual_nm
    moved = curves.moved(-zero)
    moved = replace(moved, wobble=measure_wobble(moved, kept, z_nm - shift[:, None] - zero))
    return Astigmatism(
        curves=moved,
        zero_nm=zero,
        bead_shift_nm=shift,
        residual_nm=residual_nm,
        held_out_nm=held_out_nm,
        n_dropped=int((~keep).sum()),
        notes=notes,
        doubts=astigmatic_doubts(moved, kept, usable, error, rms_nm, z_step_nm),
    )


def _usable(widths: BeadWidths) -> NDArray[np.bool_]:
    """Return the planes around focus in which both widths can be used."""
    n = widths.sigma_x_nm.shape[1]
    x, y, peak = (
        known_median(w, axis=0, least=0.5)
        for w in (widths.sigma_x_nm, widths.sigma_y_nm, widths.peak)
    )
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < MIN_CURVE_PLANES:
        raise CalibrationError(
            f"the beads could be fitted in {known.sum()} of {n} planes; the curves need "
            f"{MIN_CURVE_PLANES}: take a stack of 1 µm around focus in steps of 20 to 50 nm"
        )
    best = int(np.nanargmax(peak))
    near = known.copy()
    for width in (x, y):
        around = width[max(best - n // 3, 0) : best + n // 3 + 1]
        near &= np.nan_to_num(width, nan=np.inf) < DEFOCUS_RATIO * np.nanmin(around)
    last = best + int(np.argmin(np.append(near[best:], False)))
    first = best - int(np.argmin(np.append(near[best::-1], False))) + 1
    inside = np.zeros(n, dtype=np.bool_)
    inside[first:last] = True
    if inside.sum() < MIN_CURVE_PLANES:
        raise CalibrationError(
            f"both widths can be used in {inside.sum()} planes only; the curves need "
            f"{MIN_CURVE_PLANES}: take smaller steps, or a stack with the focus in its middle"
        )
    return inside


def _fit(
    widths: BeadWidths, z_nm: F64, usable: NDArray[np.bool_], shift: F64, skew: bool
) -> WidthCurves:
    z = (z_nm[usable] - shift[:, None]).ravel()
    x, y = (
        fit_curve(z, sigma[:, usable].ravel(), skew=skew)
        for sigma in (widths.sigma_x_nm, widths.sigma_y_nm)
    )
    ends = z_nm[usable]
    return WidthCurves(x=x, y=y, z_min_nm=float(ends.min()), z_max_nm=float(ends.max()))


def _errors(curves: WidthCurves, widths: BeadWidths, z_nm: F64, usable: NDArray[np.bool_]) -> F64:
    """Return z as found minus z of the plane, shape (beads, usable planes)."""
    x, y = widths.sigma_x_nm[:, usable], widths.sigma_y_nm[:, usable]
    # Within the bare range, errors at its ends could go one way only.
    wider = replace(
        curves, z_min_nm=curves.z_min_nm - MARGIN_NM, z_max_nm=curves.z_max_nm + MARGIN_NM
    )
    z, _ = wider.z_nm(x.ravel(), y.ravel())
    return np.asarray(z.reshape(x.shape) - z_nm[usable])


def _held_out(
    widths: BeadWidths, z_nm: F64, usable: NDArray[np.bool_], shift: F64, skew: bool
) -> float:
    """Return the RMS error of z of beads by the curves of the others."""
    n = len(widths.position_px)
    if n < 2:
        return float("nan")
    part = np.arange(n) % min(n, PARTS)
    squares = []
    for k in range(min(n, PARTS)):
        curves = _fit(widths.take(part != k), z_nm, usable, shift[part != k], skew)
        error = _errors(curves, widths.take(part == k), z_nm, usable)
        squares.append((error + shift[part == k, None]).ravel() ** 2)
    return float(np.sqrt(np.nanmean(np.concatenate(squares))))


def _check_astigmatic(curves: WidthCurves) -> None:
    apart = abs(curves.x.focus_nm - curves.y.focus_nm)
    depth = 0.5 * (curves.x.depth_nm + curves.y.depth_nm)
    if apart < LEAST_SEPARATION * depth:
        raise CalibrationError(
            f"the foci along x and y lie {apart:.0f} nm apart, the depth of focus is {depth:.0f} "
            "nm: z cannot be determined from the widths; put the cylindrical lens in, or calibrate "
            "without --astigmatic"
        )
