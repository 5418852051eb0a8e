"""The width of the PSF in focus, from beads in a z-stack or in focus.

`rtsmlm.calibrate.astigmatic` makes curves of width against z instead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibrate.bead_windows import MAD_TO_STD
from rtsmlm.calibrate.beads import BeadWidths, known_median, plane_z_nm
from rtsmlm.calibrate.doubts import focus_doubts
from rtsmlm.errors import CalibrationError
from rtsmlm.fitting.widths import F64

# Planes whose width is below this multiple of that in focus determine the focus.
FOCUS_RATIO = 1.3
# Further from the sharpest plane a narrow fit is noise.
MAX_FROM_FOCUS_NM = 300.0
# Of the beads found; where most stay out of focus, the rest is chance.
LEAST_THROUGH_FOCUS = 0.3
# Beads whose width differs more are aggregates, or two beads.
MAX_WIDTH_DIFFERENCE = 0.1
MAX_DEVIATIONS = 4.0
# Frames in focus differ less; a focus that drifts by half its depth changes widths by as much.
MAX_CHANGE = 0.3
MIN_FRAMES_TO_JUDGE = 5
ROUND_RATIO = 1.08
# Foci of the two axes further apart than this part of the depth are astigmatism on purpose.
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
    doubts: tuple[str, ...] = ()
    """What its own figures say against it; with any it is no good calibration."""

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


def calibrate_in_focus(widths: BeadWidths) -> FocusWidth:
    """Return the width of beads that all frames show in focus.

    Raises
    ------
    CalibrationError
        If the widths change over the frames as in a z-stack.
    """
    if widths.sigma_x_nm.shape[1] >= MIN_FRAMES_TO_JUDGE:
        low, high = np.nanquantile(known_median(widths.mean_nm, axis=0), [0.05, 0.95])
        if high - low > MAX_CHANGE * low:
            raise CalibrationError(
                f"the width of the beads changes from {low:.0f} to {high:.0f} nm over the frames, "
                "as in a z-stack: give the distance of the planes (--z-step-nm), or frames in focus"
            )
    x, y = (known_median(w, axis=1) for w in (widths.sigma_x_nm, widths.sigma_y_nm))
    unknown = np.full(len(x), np.nan)
    found = _chosen(x, y, unknown, unknown, unknown, unknown)
    return _judged(found, None, widths)


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
    z_nm = plane_z_nm(widths, z_step_nm)
    found = []
    for k in range(len(widths.position_px)):
        focus = _through_focus(z_nm, widths.sigma_x_nm[k], widths.sigma_y_nm[k], widths.peak[k])
        if focus is not None:
            found.append(focus)
    if not found:
        raise CalibrationError(
            f"none of {len(widths.position_px)} beads goes through focus within the "
            f"{len(z_nm)} planes, 3 of them within 30 % of the least width; take a stack from "
            "500 nm below to 500 nm above the focus, in steps of 50 nm or less"
        )
    columns = np.array(found).T
    judged = _judged(_chosen(*columns), z_nm, widths)
    n = len(widths.position_px)
    if len(found) < LEAST_THROUGH_FOCUS * n:
        doubt = (
            f"{len(found)} of {n} beads go through focus within the stack, at least "
            f"{100 * LEAST_THROUGH_FOCUS:.0f} % must: take it from 500 nm below to 500 nm above"
        )
        return replace(judged, doubts=(doubt, *judged.doubts))
    return judged


def _judged(found: FocusWidth, z_nm: F64 | None, widths: BeadWidths) -> FocusWidth:
    depth_nm = float(known_median(found.depth_nm, axis=0))
    doubts = focus_doubts(z_nm, widths, found.sigma_nm, found.spread_nm, depth_nm)
    return replace(found, doubts=doubts)


def _through_focus(z: F64, x: F64, y: F64, peak: F64) -> tuple[float, ...] | None:
    """Return widths, foci and depth of one bead, None where it is not seen through focus."""
    mean = np.sqrt(x * y)
    if np.isfinite(mean).sum() < 3:
        return None
    # Rings far from focus may fit narrower than the spot in focus, but never brighter.
    best = int(np.nanargmax(peak))
    near = np.flatnonzero(np.nan_to_num(mean, nan=np.inf) < FOCUS_RATIO * mean[best])
    # Only planes around the focus: noise far from it may appear narrow too.
    near = near[np.abs(z[near] - z[best]) <= max(MAX_FROM_FOCUS_NM, 1.5 * abs(z[1] - z[0]))]
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
    apart = float(known_median(np.abs(focus_x - focus_y)[keep], axis=0))
    if apart > ASTIGMATIC_SHARE * float(known_median(depth[keep], axis=0)):
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
        notes.append(
            f"{keep.sum()} bead(s) only; about ten are needed to measure how much the width varies"
        )
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
