"""The PSF width in focus, and the astigmatic curves of width against z, from beads.

z counts from the focus (2D) or from where both widths are equal (astigmatic), positive away from
the objective.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtsmlm.analysis.calibrate_beads import MAD_TO_STD, BeadWidths
from rtsmlm.analysis.calibrate_curves import WidthCurves, fit_curve
from rtsmlm.analysis.calibrate_widths import F64
from rtsmlm.errors import CalibrationError

# Planes in which the width is below so many times that in focus fix the focus.
FOCUS_RATIO = 1.3
# Out to so many times the width in focus an astigmatic spot is used.
DEFOCUS_RATIO = 3.2
MIN_PLANES = 5
MIN_CURVE_PLANES = 12
# Beads whose width differs more are aggregates, or two beads.
MAX_WIDTH_DIFFERENCE = 0.1
MAX_DEVIATIONS = 4.0
ALIGNMENT_ROUNDS = 3
# Cross-validation leaves out one bead, or one part of many beads.
PARTS = 6
MAX_CHANGE = 0.15
ROUND_RATIO = 1.08
ASTIGMATIC_SHARE = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusWidth:
    """Width of the PSF in focus; one value per bead, shape (beads,)."""

    sigma_x_nm: F64
    sigma_y_nm: F64
    focus_nm: F64
    """z of the best focus from the first plane on; NaN without a z-stack."""
    focus_x_nm: F64
    focus_y_nm: F64
    depth_nm: F64
    """Distance from focus at which the width has grown by the square root of two."""
    n_dropped: int
    notes: tuple[str, ...] = ()

    @property
    def sigma_nm(self) -> float:
        """Width of the round Gaussian: geometric mean of both axes, median of the beads."""
        return float(np.median(np.sqrt(self.sigma_x_nm * self.sigma_y_nm)))

    @property
    def spread_nm(self) -> float:
        """Robust standard deviation of the width among beads."""
        widths = np.sqrt(self.sigma_x_nm * self.sigma_y_nm)
        return float(MAD_TO_STD * np.median(np.abs(widths - np.median(widths))))

    @property
    def ellipticity(self) -> float:
        """Width along x over width along y."""
        return float(np.median(self.sigma_x_nm / self.sigma_y_nm))


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


def calibrate_in_focus(widths: BeadWidths) -> FocusWidth:
    """Return the width of beads that all frames show in focus.

    Raises
    ------
    CalibrationError
        If the widths change over the frames as in a z-stack.
    """
    if widths.sigma_x_nm.shape[1] >= MIN_PLANES:
        across = np.nanmedian(widths.mean_nm, axis=0)
        low, high = np.nanquantile(across, [0.05, 0.95])
        if high - low > 2 * MAX_CHANGE * low:
            raise CalibrationError(
                f"the width of the beads changes from {low:.0f} to {high:.0f} nm over the frames, "
                "as in a z-stack: give the distance of the planes (--z-step-nm), or frames in focus"
            )
    x, y = np.nanmedian(widths.sigma_x_nm, axis=1), np.nanmedian(widths.sigma_y_nm, axis=1)
    unknown = np.full(len(x), np.nan)
    return _chosen(x, y, unknown, unknown, unknown, unknown)


def calibrate_focus(widths: BeadWidths, z_step_nm: float) -> FocusWidth:
    """Return the width of beads at their best focus in a z-stack.

    Parameters
    ----------
    widths
        Beads in planes.
    z_step_nm
        Distance of the planes.

    Raises
    ------
    CalibrationError
        If no bead goes through focus within the stack.

    Notes
    -----
    Near focus the square of the width is a parabola in z, ``sigma² = sigma0² (1 + (z / d)²)``.
    """
    z_nm = _planes(widths, z_step_nm)
    found = []
    for k in range(len(widths.position_px)):
        focus = _through_focus(z_nm, widths.sigma_x_nm[k], widths.sigma_y_nm[k])
        if focus is not None:
            found.append(focus)
    if not found:
        raise CalibrationError(
            f"none of {len(widths.position_px)} beads goes through focus within the "
            f"{len(z_nm)} planes, 3 of them within 30 % of the least width; take a stack from "
            "500 nm below to 500 nm above the focus, in steps of 50 nm or less"
        )
    columns = np.array(found).T
    return _chosen(*columns)


def _through_focus(z: F64, x: F64, y: F64) -> tuple[float, ...] | None:
    """Return widths, foci and depth of one bead, None where it is not seen through focus."""
    mean = np.sqrt(x * y)
    if np.isfinite(mean).sum() < 3:
        return None
    best = int(np.nanargmin(mean))
    near = np.flatnonzero(np.nan_to_num(mean, nan=np.inf) < FOCUS_RATIO * mean[best])
    # Only planes around the focus: noise far from it may look narrow too.
    near = near[np.abs(z[near] - z[best]) <= max(300.0, 1.5 * abs(z[1] - z[0]))]
    if len(near) < 3 or best in (0, len(z) - 1):
        return None
    parabolas = [np.polyfit(z[near] - z[best], w[near] ** 2, 2) for w in (x * y / mean, x, y)]
    if parabolas[0][0] <= 0:
        return None
    focus = -parabolas[0][1] / (2 * parabolas[0][0])
    if not z[near].min() <= z[best] + focus <= z[near].max():
        return None
    squares = [np.polyval(p, focus) for p in parabolas]
    if min(squares) <= 0:
        return None
    # An axis without a minimum of its own here is astigmatic beyond this model.
    foci = [-p[1] / (2 * p[0]) + z[best] if p[0] > 0 else np.nan for p in parabolas[1:]]
    depth = np.sqrt(squares[0] / parabolas[0][0])
    return np.sqrt(squares[1]), np.sqrt(squares[2]), z[best] + focus, *foci, depth


def _chosen(x: F64, y: F64, focus: F64, focus_x: F64, focus_y: F64, depth: F64) -> FocusWidth:
    """Return the beads that agree with each other."""
    mean = np.sqrt(x * y)
    keep = _like_the_others(mean)
    notes = []
    ratio = float(np.median(x[keep] / y[keep]))
    apart = float(np.nanmedian(np.abs(focus_x - focus_y)[keep])) if np.any(focus_x[keep] > -1) else 0
    if apart > ASTIGMATIC_SHARE * float(np.nanmedian(depth)):
        notes.append(
            f"the foci along x and y lie {apart:.0f} nm apart: this PSF is astigmatic, "
            "calibrate it with --astigmatic"
        )
    elif not 1 / ROUND_RATIO < ratio < ROUND_RATIO:
        notes.append(
            f"the PSF is not round in focus (x / y = {ratio:.2f}); a round Gaussian fits it less "
            "well: check the alignment"
        )
    if keep.sum() < 3:
        notes.append(f"{keep.sum()} bead(s) only; some ten tell how much the width varies")
    return FocusWidth(
        sigma_x_nm=x[keep],
        sigma_y_nm=y[keep],
        focus_nm=focus[keep],
        focus_x_nm=focus_x[keep],
        focus_y_nm=focus_y[keep],
        depth_nm=depth[keep],
        n_dropped=int((~keep).sum()),
        notes=tuple(notes),
    )


def _like_the_others(values: F64) -> NDArray[np.bool_]:
    middle = np.nanmedian(values)
    away = np.abs(values - middle)
    limit = max(MAX_WIDTH_DIFFERENCE * middle, MAX_DEVIATIONS * MAD_TO_STD * np.nanmedian(away))
    return np.asarray(np.nan_to_num(away, nan=np.inf) <= limit)


def _planes(widths: BeadWidths, z_step_nm: float) -> F64:
    n = widths.sigma_x_nm.shape[1]
    if n < MIN_PLANES:
        raise CalibrationError(
            f"the stack has {n} planes; {MIN_PLANES} or more are needed to find the focus"
        )
    return np.arange(n) * z_step_nm


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
    z_nm = _planes(widths, z_step_nm)
    usable = _usable(widths)
    shift = np.zeros(len(widths.position_px))
    for _ in range(ALIGNMENT_ROUNDS if align else 1):
        curves = _fit(widths, z_nm, usable, shift, skew)
        error = _errors(curves, widths, z_nm, usable)
        if align:
            shift = -np.nanmedian(error, axis=1)
            shift -= np.nanmedian(shift)
    rms = np.sqrt(np.nanmean((error + shift[:, None]) ** 2, axis=1))
    keep = np.nan_to_num(rms, nan=np.inf) <= np.nanmedian(rms) * MAX_DEVIATIONS
    kept, shift = widths.take(keep), shift[keep]
    curves = _fit(kept, z_nm, usable, shift, skew)
    _check_astigmatic(curves)
    zero = curves.crossing_nm()
    error = _errors(curves, kept, z_nm, usable) + shift[:, None]
    notes = () if keep.sum() > 2 else (f"{keep.sum()} bead(s) only; take five or more",)
    return Astigmatism(
        curves=curves.moved(-zero),
        zero_nm=zero,
        bead_shift_nm=shift,
        residual_nm=float(np.sqrt(np.nanmean(error**2))),
        held_out_nm=_held_out(kept, z_nm, usable, shift, skew),
        n_dropped=int((~keep).sum()),
        notes=notes,
    )


def _usable(widths: BeadWidths) -> NDArray[np.bool_]:
    """Return the planes around focus in which both widths can be used."""
    n = widths.sigma_x_nm.shape[1]
    with np.errstate(all="ignore"):
        x, y = (_median(w) for w in (widths.sigma_x_nm, widths.sigma_y_nm))
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < MIN_CURVE_PLANES:
        raise CalibrationError(
            f"the beads could be fitted in {known.sum()} of {n} planes; the curves need "
            f"{MIN_CURVE_PLANES}: take a stack of 1 µm around focus in steps of 20 to 50 nm"
        )
    best = int(np.nanargmin(x * y))
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


def _median(values: F64) -> F64:
    """Return the median over beads where half of them are known."""
    known = np.isfinite(values).sum(axis=0) * 2 >= len(values)
    out = np.full(values.shape[1], np.nan)
    out[known] = np.nanmedian(values[:, known], axis=0)
    return out


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


def _errors(
    curves: WidthCurves, widths: BeadWidths, z_nm: F64, usable: NDArray[np.bool_]
) -> F64:
    """Return z as found minus z of the plane, shape (beads, usable planes)."""
    x, y = widths.sigma_x_nm[:, usable], widths.sigma_y_nm[:, usable]
    z, _ = curves.z_nm(x.ravel(), y.ravel())
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
    if apart < 0.25 * depth:
        raise CalibrationError(
            f"the foci along x and y lie {apart:.0f} nm apart, the depth of focus is {depth:.0f} "
            "nm: z cannot be told from the widths; put the cylindrical lens in, or calibrate "
            "without --astigmatic"
        )
