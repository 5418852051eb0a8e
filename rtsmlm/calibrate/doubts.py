"""What the figures of a bead calibration say against it.

A curve can be laid through anything: through a stage that went down and up again, that stood still,
that jumped. Then the curve misses the very beads that it was made from, its planes do not lie where
they should, or widths grow with z as no light does. Each function returns sentences with the
figure and the limit that it exceeds; a calibration with any is not written as good.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibrate.bead_windows import MAD_TO_STD
from rtsmlm.calibrate.beads import BeadWidths, known_median
from rtsmlm.fitting.widths import F64
from rtsmlm.physics.astigmatism import WidthCurves

MOST_ERROR_NM = 75.0
"""Error of z on beads; good stacks give 5 to 30 nm. Of tall stacks, this part of the range:"""
MOST_ERROR_SHARE = 0.05
LEAST_ONE_WAY = 0.5
"""How much of its range the ratio of both widths must go from the first to the last plane."""
MOST_UNEVEN = 0.75
"""Of a step: how far two neighbouring planes may be off the distance that was stated."""
LEAST_UNEVEN_NM = 20.0
NOISE_TIMES = 8.0
"""Beads differ among each other; planes must be off by so much more."""
MOST_DEPTH_RATIO = 5.0
"""Depth of focus beside that of light of 600 nm in water with the same width in focus."""
MOST_SPREAD = 0.1
"""Scatter of the widths of beads in focus, of their median."""
MOST_MISFIT = 0.05
"""Squares of the widths beside their parabola in z, as a part of the least one."""
SECOND_FOCUS = 0.8
"""Brightness of a second maximum along z, of the first; between them it falls to this:"""
BETWEEN_FOCI = 0.5
_WAVELENGTH_NM, _INDEX = 600.0, 1.4


def astigmatic_doubts(
    curves: WidthCurves,
    widths: BeadWidths,
    usable: NDArray[np.bool_],
    error_nm: F64,
    rms_nm: float,
    step_nm: float,
) -> tuple[str, ...]:
    """Return what speaks against astigmatic curves.

    Parameters
    ----------
    curves
        z counts from where both widths are equal.
    widths
        The beads that they were made from.
    usable
        Planes that were used, shape (planes,).
    error_nm
        z as found minus z of the plane, shape (beads, usable planes).
    rms_nm
        Error of z on beads held out, or else on the beads themselves.
    step_nm
        Distance of the planes.
    """
    doubts = []
    log_ratio = np.log(widths.sigma_x_nm[:, usable] / widths.sigma_y_nm[:, usable])
    one_way = _one_way(known_median(log_ratio, axis=0))
    if one_way < LEAST_ONE_WAY:
        doubts.append(
            f"the ratio of both widths goes only {100 * one_way:.0f} % of its range from the first "
            f"plane to the last (at least {100 * LEAST_ONE_WAY:.0f} %): it turns round, as where a "
            "stage went back; give one way only"
        )
    if not curves.z_min_nm <= 0 <= curves.z_max_nm:
        doubts.append(
            f"both widths are equal {min(abs(curves.z_min_nm), abs(curves.z_max_nm)):.0f} nm "
            "outside of the stack, which must go through focus: move it"
        )
    limit_nm = max(MOST_ERROR_NM, MOST_ERROR_SHARE * (curves.z_max_nm - curves.z_min_nm))
    if rms_nm > limit_nm:
        doubts.append(
            f"the error of z on these beads is {rms_nm:.0f} nm, at most {limit_nm:.0f} nm may be"
        )
    doubts += _uneven(error_nm, step_nm)
    depth_nm = math.sqrt(curves.x.depth_nm * curves.y.depth_nm)
    doubts += _depth(depth_nm, math.sqrt(curves.x.sigma0_nm * curves.y.sigma0_nm))
    return tuple(doubts)


def focus_doubts(
    z_nm: F64 | None, widths: BeadWidths, sigma_nm: float, spread_nm: float, depth_nm: float
) -> tuple[str, ...]:
    """Return what speaks against a width in focus.

    Parameters
    ----------
    z_nm
        Of the planes, shape (planes,); None for frames that are all in focus.
    widths
        The beads that it was made from.
    sigma_nm, spread_nm
        Width in focus, and its scatter among beads.
    depth_nm
        Distance from focus at which the width has grown by the square root of two; NaN where
        unknown.
    """
    doubts = []
    if len(widths.position_px) > 2 and spread_nm > MOST_SPREAD * sigma_nm:
        doubts.append(
            f"the widths of the beads scatter by {spread_nm:.0f} nm around {sigma_nm:.0f} nm, at "
            f"most {100 * MOST_SPREAD:.0f} % may be: take brighter beads of one size"
        )
    if z_nm is None:
        return tuple(doubts)
    second = float(np.median([_second_focus(peak) for peak in widths.peak]))
    if second > SECOND_FOCUS:
        doubts.append(
            f"the beads come into focus twice (again to {100 * second:.0f} % of their brightness, "
            f"at most {100 * SECOND_FOCUS:.0f} % may be), as where a stage went back; give one way "
            "only"
        )
    misfit = _misfit(z_nm, widths)
    if misfit > MOST_MISFIT:
        doubts.append(
            f"the squares of the widths are {100 * misfit:.0f} % off a parabola in z, at most "
            f"{100 * MOST_MISFIT:.0f} % may be: the planes do not lie as evenly as --z-step-nm says"
        )
    return (*doubts, *_depth(depth_nm, sigma_nm))


def _one_way(ratio: F64) -> float:
    """Return how far a course goes from its first to its last value, of its range."""
    known = ratio[np.isfinite(ratio)]
    span = float(np.ptp(known)) if len(known) > 1 else 0.0
    return abs(float(known[-1] - known[0])) / span if span > 0 else 1.0


def _uneven(error_nm: F64, step_nm: float) -> list[str]:
    """Return whether planes lie elsewhere than in even steps, by what all beads agree on."""
    error = error_nm - known_median(error_nm, axis=1)[:, None]
    plane = known_median(error, axis=0)
    scatter = MAD_TO_STD * float(np.nanmedian(np.abs(error - plane)))
    off = np.abs(np.diff(plane))
    if not np.isfinite(off).any():
        return []
    worst = int(np.nanargmax(off))
    limit_nm = max(MOST_UNEVEN * abs(step_nm), LEAST_UNEVEN_NM, NOISE_TIMES * scatter)
    if off[worst] <= limit_nm:
        return []
    return [
        f"planes {worst + 1} and {worst + 2} of those used lie {off[worst]:.0f} nm off the "
        f"{abs(step_nm):g} nm between planes, at most {limit_nm:.0f} nm may be: the stage made "
        "unequal steps, or went the wrong way"
    ]


def _depth(depth_nm: float, sigma_nm: float) -> list[str]:
    """Return whether a width grows along z as it does for no light."""
    expected_nm = 4 * math.pi * _INDEX * sigma_nm**2 / _WAVELENGTH_NM
    ratio = depth_nm / expected_nm
    if not math.isfinite(ratio) or 1 / MOST_DEPTH_RATIO <= ratio <= MOST_DEPTH_RATIO:
        return []
    return [
        f"the width grows by 1.41 at {depth_nm:.0f} nm from focus, where light makes it about "
        f"{expected_nm:.0f} nm (a factor of {MOST_DEPTH_RATIO:g} may be between them): check "
        "--z-step-nm and --pixel-nm"
    ]


def _second_focus(peak: F64) -> float:
    """Return the brightness of a second maximum, of the first; 0 where there is none."""
    known = np.nan_to_num(peak) / max(float(np.nanmax(peak)), 1e-12)
    best = int(np.argmax(known))
    second = 0.0
    for side in (known[best:], known[best::-1]):
        behind = np.minimum.accumulate(side) < BETWEEN_FOCI
        second = max(second, float(np.max(side, where=behind, initial=0.0)))
    return second


def _misfit(z_nm: F64, widths: BeadWidths) -> float:
    """Return how far the squares of widths are off a parabola near focus, all beads together."""
    misses = np.full(widths.mean_nm.shape, np.nan)
    for bead, (mean, peak) in enumerate(zip(widths.mean_nm, widths.peak, strict=True)):
        best = int(np.argmax(np.nan_to_num(peak)))
        near = np.flatnonzero(
            (np.nan_to_num(mean, nan=np.inf) < 1.3 * mean[best])
            & (np.abs(z_nm - z_nm[best]) <= 300)
        )
        if len(near) > 3:
            squares = mean[near] ** 2
            fitted = np.polyval(np.polyfit(z_nm[near], squares, 2), z_nm[near])
            misses[bead, near] = (squares - fitted) / mean[best] ** 2
    common = known_median(misses, axis=0, least=0.5)
    if not np.isfinite(common).any():
        return 0.0
    scatter = MAD_TO_STD * known_median(np.abs(misses - common), axis=0, least=0.5)
    rms, noise = (math.sqrt(float(np.nanmean(values**2))) for values in (common, scatter))
    return rms if rms > noise else 0.0
