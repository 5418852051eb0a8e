"""What the fit of an astigmatic Gaussian finds beside the true places of beads, against z.

The beads are fitted as a run fits its spots: the same box, the same curves, weights as on the
background of a movie. What is left of x, y and z is the same for all beads: it belongs to the PSF.
"""

from __future__ import annotations

import numpy as np

from rtsmlm.calibrate.beads import BeadBoxes, BeadWidths, known_median
from rtsmlm.calibrate.widths import F64
from rtsmlm.fitting import boxes
from rtsmlm.fitting.astigmatic_mle import fit_astigmatic_mle, z_limits_nm
from rtsmlm.physics.astigmatism import WidthCurves, Wobble

SPACING_NM = 50.0
LEAST_SPOTS = 5
"""Spots within half the spacing that a value is the median of."""
MAX_SLOPE = 0.6
"""z as corrected must rise with z as found."""
MAX_ITERATIONS = 40
ALIGNMENT_ROUNDS = 3


def measure_wobble(curves: WidthCurves, widths: BeadWidths, z_nm: F64) -> Wobble | None:
    """Return what a fit of the beads finds beside their places.

    Parameters
    ----------
    curves
        z counts from where both widths are equal.
    widths
        The beads, with the boxes that they were measured in.
    z_nm
        True z of each bead in each plane, shape (beads, planes).

    Returns
    -------
    :
        None where there are no boxes, or too few spots could be fitted.
    """
    if widths.boxes is None:
        return None
    rows = _fits(curves, widths.boxes, widths.pixel_nm)
    good = rows[..., boxes.STATUS] == boxes.CONVERGED
    good &= (z_nm >= curves.z_min_nm) & (z_nm <= curves.z_max_nm)
    found = np.where(good, rows[..., boxes.Z], np.nan)
    x, y = (
        widths.pixel_nm * _aligned(np.where(good, rows[..., axis], np.nan))
        for axis in (boxes.X, boxes.Y)
    )
    error = found - z_nm
    knots = np.arange(
        SPACING_NM * np.ceil(curves.z_min_nm / SPACING_NM), curves.z_max_nm, SPACING_NM
    )
    values = np.array([[_median_near(found, v, z) for z in knots] for v in (x, y, error)])
    known = np.isfinite(values).all(axis=0)
    if known.sum() < 2:
        return None
    knots, (x_nm, y_nm, along_z_nm) = knots[known], values[:, known]
    x_nm, y_nm = (v - np.interp(0.0, knots, v) for v in (x_nm, y_nm))
    return Wobble(
        z_nm=tuple(map(float, knots)),
        x_nm=tuple(map(float, x_nm)),
        y_nm=tuple(map(float, y_nm)),
        along_z_nm=tuple(map(float, _not_steeper(knots, along_z_nm))),
    )


def _fits(curves: WidthCurves, beads: BeadBoxes, pixel_nm: float) -> F64:
    """Return the fit table of all beads in all planes, shape (beads, planes, columns)."""
    photons = beads.photons
    n, planes, box, _ = photons.shape
    flat = np.ascontiguousarray(photons.reshape(n * planes, box, box), dtype=np.float32)
    variance = np.repeat(beads.variance, planes).astype(np.float32)
    middle = np.full(len(flat), box // 2, dtype=np.float32)
    rows = boxes.fit_table(len(flat))
    fit_astigmatic_mle(
        flat,
        np.ascontiguousarray(np.broadcast_to(variance[:, None, None], flat.shape)),
        middle,
        middle,
        np.full(len(flat), np.nan, dtype=np.float32),
        curves.as_array(pixel_nm),
        z_limits_nm(curves),
        1.0,
        MAX_ITERATIONS,
        rows,
    )
    return rows.reshape(n, planes, -1)


def _aligned(place: F64) -> F64:
    """Return places of beads less that of each bead, whichever planes it was fitted in."""
    own = known_median(place, axis=1)
    for _ in range(ALIGNMENT_ROUNDS):
        common = known_median(place - own[:, None], axis=0)
        own = known_median(place - common, axis=1)
    return np.asarray(place - own[:, None])


def _median_near(found: F64, values: F64, z_nm: float) -> float:
    near = values[np.abs(found - z_nm) <= SPACING_NM / 2]
    near = near[np.isfinite(near)]
    return float(np.median(near)) if len(near) >= LEAST_SPOTS else float("nan")


def _not_steeper(z_nm: F64, error_nm: F64) -> F64:
    """Return the error along z, which nowhere grows as fast as z itself."""
    out = error_nm.copy()
    middle = int(np.argmin(np.abs(z_nm)))
    for order in (range(middle + 1, len(z_nm)), range(middle - 1, -1, -1)):
        for k in order:
            before = k - 1 if k > middle else k + 1
            most = MAX_SLOPE * abs(z_nm[k] - z_nm[before])
            out[k] = out[before] + np.clip(out[k] - out[before], -most, most)
    return out
