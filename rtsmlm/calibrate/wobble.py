"""What the fit of an astigmatic Gaussian finds beside the true places of beads, against z.

The beads are fitted as a run fits its spots: the same box, the same curves, weights as on the
background of a movie. What is left of x, y and z is the same for all beads: it belongs to the PSF.
"""

from __future__ import annotations

import numpy as np

from rtsmlm.calibrate.beads import BeadBoxes, BeadWidths, known_median
from rtsmlm.fitting import boxes
from rtsmlm.fitting.astigmatic_mle import LONE_WANDER_SIGMA, fit_astigmatic_mle, z_limits_nm
from rtsmlm.fitting.widths import F64
from rtsmlm.localizations import F32
from rtsmlm.physics.astigmatism import WidthCurves, Wobble

SPACING_NM = 50.0
LEAST_SPOTS = 5
"""Spots within half the spacing that a value is the median of."""
MAX_SLOPE = 0.6
"""z as corrected must rise with z as found."""
MAX_ITERATIONS = 40
DIMMED_PHOTONS, DIMMED_BACKGROUND = 2000.0, 20.0
"""Light of a molecule that the beads are dimmed to, to see how far its stated errors hold."""
DRAWS = 20_000
LEAST_DRAWN = 100
OUTLIER_STD = 6.0
FACTORS = (0.8, 3.0)
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
    inside = (z_nm >= curves.z_min_nm) & (z_nm <= curves.z_max_nm)
    photons, variance = widths.boxes.photons, widths.boxes.variance[:, None, None, None]
    rows = _fits(curves, photons, np.broadcast_to(variance, photons.shape), widths.pixel_nm)
    rows[(rows[..., boxes.STATUS] != boxes.CONVERGED) | ~inside] = np.nan
    found = rows[..., boxes.Z]
    x, y = (widths.pixel_nm * _aligned(rows[..., axis]) for axis in (boxes.X, boxes.Y))
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
    factors = _std_factors(curves, widths.boxes, rows, knots, widths.pixel_nm)
    names = ("x_nm", "y_nm", "along_z_nm", "std_x", "std_y", "std_z")
    columns = (x_nm, y_nm, _not_steeper(knots, along_z_nm), *factors)
    return Wobble(
        z_nm=tuple(map(float, knots)),
        **{name: tuple(map(float, v)) for name, v in zip(names, columns, strict=True)},
    )


def _std_factors(
    curves: WidthCurves, beads: BeadBoxes, bright: F64, knots_nm: F64, pixel_nm: float
) -> F64:
    """Return how many times larger than stated the errors of dimmed beads are, shape (3, knots).

    Parameters
    ----------
    curves
        As for `measure_wobble`.
    beads
        Bright: their own noise is small beside that of dimmed ones.
    bright
        Fits of them, NaN where one failed, shape (beads, planes, columns).
    knots_nm
        z at which the factors are wanted.
    pixel_nm
        Camera pixel in the sample plane.
    """
    rng = np.random.default_rng(0)
    light, under = bright[..., boxes.PHOTONS], bright[..., boxes.BACKGROUND]
    dim = (beads.photons - under[..., None, None]) * (DIMMED_PHOTONS / light)[..., None, None]
    mean = np.nan_to_num(np.maximum(dim, 0.0)) + DIMMED_BACKGROUND
    scores: list[list[F64]] = [[], [], []]
    at: list[F64] = []
    for _ in range(max(1, round(DRAWS / max(np.isfinite(light).sum(), 1)))):
        drawn = rng.poisson(mean).astype(np.float32)
        rows = _fits(curves, drawn, np.zeros_like(drawn), pixel_nm)
        rows[rows[..., boxes.STATUS] != boxes.CONVERGED] = np.nan
        for which, (place, std) in enumerate(
            ((boxes.X, boxes.STD_X), (boxes.Y, boxes.STD_Y), (boxes.Z, boxes.STD_Z))
        ):
            error = rows[..., place] - bright[..., place]
            # What the fit of the dim ones finds elsewhere than that of the bright ones is noise
            # of the mean here: it is the same for all and no spread.
            scores[which].append((error / rows[..., std]).ravel())
        at.append(bright[..., boxes.Z].ravel())
    z = np.concatenate(at)
    return np.array([_spread_near(z, np.concatenate(s), knots_nm) for s in scores])


def _spread_near(z_nm: F64, score: F64, knots_nm: F64) -> F64:
    out = np.ones(len(knots_nm))
    for k, knot in enumerate(knots_nm):
        near = score[(np.abs(z_nm - knot) <= SPACING_NM) & np.isfinite(score)]
        if len(near) >= LEAST_DRAWN:
            # A fit that took the other side of focus is no measure of the others.
            near = near[np.abs(near - np.median(near)) < OUTLIER_STD]
            out[k] = np.clip(np.std(near), *FACTORS)
    return out


def _fits(curves: WidthCurves, photons: F32, variance: F32 | F64, pixel_nm: float) -> F64:
    """Return the fit table of all beads in all planes, shape (beads, planes, columns)."""
    n, planes, box, _ = photons.shape
    shape = (n * planes, box, box)
    middle = np.full(n * planes, box // 2, dtype=np.float32)
    rows = boxes.fit_table(n * planes)
    fit_astigmatic_mle(
        np.ascontiguousarray(photons, dtype=np.float32).reshape(shape),
        np.ascontiguousarray(variance, dtype=np.float32).reshape(shape),
        middle,
        middle,
        np.full(n * planes, np.nan, dtype=np.float32),
        curves.as_array(pixel_nm),
        z_limits_nm(curves),
        1.0,
        MAX_ITERATIONS,
        LONE_WANDER_SIGMA,
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
