"""Distances and line profiles in the sample plane, and the width of what a line crosses."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from rtsmlm.analysis.measurement import Measurement, Quantity
from rtsmlm.errors import number_text

F64 = NDArray[np.float64]

FWHM_PER_STD = 2.0 * math.sqrt(2.0 * math.log(2.0))
LEAST_ROWS = 10
"""Fewer localizations in the peak are not fitted."""

_FIT_BINS = 512
_LEAST_FIT_BIN_NM = 0.25
_LEAST_LENGTH_NM = 1.0
_STEPS = 80
_LEAST_RATE = 1e-9
"""Of localizations in a bin, so that no logarithm is infinite."""
_INVERSE_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)


@dataclass(frozen=True, slots=True)
class Line:
    """A line from one point of the sample plane to another, in nm."""

    x0_nm: float
    y0_nm: float
    x1_nm: float
    y1_nm: float

    @property
    def length_nm(self) -> float:
        """From end to end."""
        return math.hypot(self.x1_nm - self.x0_nm, self.y1_nm - self.y0_nm)

    @property
    def angle_deg(self) -> float:
        """Against the x axis, counter-clockwise on a screen where y runs down; -180 to 180."""
        return math.degrees(math.atan2(self.y0_nm - self.y1_nm, self.x1_nm - self.x0_nm))

    def along_and_across(self, x_nm: NDArray[np.floating], y_nm: NDArray[np.floating]) -> F64:
        """Return the distance from the start along the line, and that to its side, (2, n)."""
        length_nm = max(self.length_nm, 1e-9)
        right = np.array([self.x1_nm - self.x0_nm, self.y1_nm - self.y0_nm]) / length_nm
        dx, dy = x_nm - self.x0_nm, y_nm - self.y0_nm
        return np.stack([dx * right[0] + dy * right[1], dy * right[0] - dx * right[1]])

    def measurement(self) -> Measurement:
        """Return length and angle as a measurement."""
        return Measurement("distance", (
            Quantity("distance", self.length_nm, "nm"),
            Quantity("angle", self.angle_deg, "°"),
            *_ends(self),
        ))  # fmt: skip


@dataclass(frozen=True, slots=True)
class PeakFit:
    """A Gaussian on an even ground; errors are standard deviations by the Fisher information."""

    centre_nm: float
    """From the start of the line."""
    centre_error_nm: float
    fwhm_nm: float
    fwhm_error_nm: float
    n_peak: float
    """Localizations in the Gaussian."""
    ground_per_nm: float

    def expected(self, edges_nm: F64) -> F64:
        """Return the localizations expected in each bin, shape (len(edges_nm) - 1,)."""
        std_nm = self.fwhm_nm / FWHM_PER_STD
        inside = np.diff(ndtr((edges_nm - self.centre_nm) / std_nm))
        expected: F64 = self.n_peak * inside + self.ground_per_nm * np.diff(edges_nm)
        return expected


@dataclass(frozen=True, slots=True)
class Profile:
    """Localizations along a line."""

    line: Line
    width_nm: float
    edges_nm: F64
    """Of the bins, from the start of the line."""
    counts: NDArray[np.int64]
    n_rows: int
    fit: PeakFit | None
    why_no_fit: str = ""
    """One sentence where there is none."""

    def measurement(self) -> Measurement:
        """Return the profile with its fit as a measurement."""
        found = [
            Quantity("localizations", self.n_rows),
            Quantity("length", self.line.length_nm, "nm"),
            Quantity("width of the line", self.width_nm, "nm"),
            *_ends(self.line),
        ]
        if self.fit is None:
            found.append(Quantity("FWHM", self.why_no_fit))
        else:
            found += [
                Quantity("FWHM", self.fit.fwhm_nm, "nm"),
                Quantity("error of the FWHM", self.fit.fwhm_error_nm, "nm"),
                Quantity("centre", self.fit.centre_nm, "nm"),
                Quantity("error of the centre", self.fit.centre_error_nm, "nm"),
                Quantity("localizations in the peak", round(self.fit.n_peak)),
                Quantity("ground", self.fit.ground_per_nm, "1/nm"),
            ]
        middles = (self.edges_nm[:-1] + self.edges_nm[1:]) / 2
        found += [
            Quantity(f"localizations at {at:.1f} nm", int(count))
            for at, count in zip(middles, self.counts, strict=True)
        ]
        return Measurement("profile", tuple(found))


def line_profile(
    x_nm: NDArray[np.floating], y_nm: NDArray[np.floating], line: Line, width_nm: float
) -> Profile:
    """Count localizations along a line and fit the peak.

    Parameters
    ----------
    x_nm, y_nm
        Positions, shape (n,).
    line
        Along which they are counted, best across a structure.
    width_nm
        Full width of the strip that counts: half of it on either side of the line.
    """
    along, across = line.along_and_across(x_nm, y_nm)
    length_nm = line.length_nm
    inside = (np.abs(across) <= width_nm / 2) & (along >= 0) & (along <= length_nm)
    at_nm = along[inside]
    n_bins = int(np.clip(2 * math.sqrt(len(at_nm)), 12, 120))
    counts, edges = np.histogram(at_nm, n_bins, (0.0, max(length_nm, 1e-6)))
    fit, why_not = fit_peak(at_nm, length_nm)
    return Profile(line, width_nm, edges, counts.astype(np.int64), len(at_nm), fit, why_not)


def fit_peak(at_nm: F64, length_nm: float) -> tuple[PeakFit | None, str]:
    """Fit a Gaussian on an even ground by maximum likelihood.

    Parameters
    ----------
    at_nm
        Positions from 0 to `length_nm`, shape (n,).
    length_nm
        Of the line; the Gaussian may be cut off by its ends.

    Returns
    -------
    :
        The fit, and an empty text; or None and why there is none.
    """
    if len(at_nm) < LEAST_ROWS:
        return None, f"{len(at_nm)} localizations are too few for a fit; {LEAST_ROWS} are needed"
    if length_nm < _LEAST_LENGTH_NM:
        return (
            None,
            f"a line of {number_text(length_nm, 2)} nm is too short for a fit; draw a longer one",
        )
    n_bins = int(np.clip(length_nm / _LEAST_FIT_BIN_NM, 16, _FIT_BINS))
    # Fine: the model is integrated over each bin, hence their size widens nothing.
    counts, edges = np.histogram(at_nm, n_bins, (0.0, length_nm))
    found = [_climb(start, counts, edges) for start in _starts(at_nm, length_nm)]
    best, likelihood = max(found, key=lambda pair: pair[1])
    if not math.isfinite(likelihood):
        return None, "the fit does not converge; draw the line across one structure"
    return _judge(best, counts, edges)


def _judge(best: F64, counts: NDArray[np.int64], edges: F64) -> tuple[PeakFit | None, str]:
    """Return the fit where its own errors say that there is a peak, else why not."""
    length_nm = float(edges[-1])
    mean, slopes = _model(best, edges)
    try:
        variances = np.diag(np.linalg.inv(slopes.T @ (slopes / mean[:, None])))
    except np.linalg.LinAlgError:
        variances = np.full(4, np.nan)
    errors = np.sqrt(np.where(variances > 0, variances, np.nan))
    n_peak, centre_nm, std_nm, ground = best
    if n_peak < LEAST_ROWS or not np.isfinite(errors[1:3]).all():
        return None, "no peak stands out; draw the line across one structure"
    if std_nm > length_nm / 2 or errors[2] > std_nm or not 0 <= centre_nm <= length_nm:
        return None, "the peak is wider than the line; draw a longer one"
    fit = PeakFit(
        float(centre_nm), float(errors[1]), float(FWHM_PER_STD * std_nm),
        float(FWHM_PER_STD * errors[2]), float(n_peak), float(ground),
    )  # fmt: skip
    return fit, ""


def _starts(at_nm: F64, length_nm: float) -> list[F64]:
    """Return where to begin: localizations in the peak, its centre, its width, ground per nm."""
    counts, edges = np.histogram(at_nm, 64, (0.0, length_nm))
    smooth = np.convolve(counts, np.ones(5) / 5, mode="same")
    top = int(np.argmax(smooth))
    ground = float(np.percentile(smooth, 20)) * len(counts) / length_nm
    centre_nm = float(edges[top] + edges[top + 1]) / 2
    n_peak = max(len(at_nm) - ground * length_nm, 0.2 * len(at_nm))
    spread_nm = float(np.median(np.abs(at_nm - centre_nm))) * 1.48
    widths = (length_nm / 60, length_nm / 20, max(spread_nm, length_nm / 200))
    return [np.array([n_peak, centre_nm, width, max(ground, 1e-6)]) for width in widths]


def _model(at: F64, edges: F64) -> tuple[F64, F64]:
    """Return the localizations expected in each bin, (n,), and the slopes in the four, (n, 4)."""
    n_peak, centre_nm, std_nm, ground = at
    z = (edges - centre_nm) / std_nm
    inside, height = np.diff(ndtr(z)), _INVERSE_SQRT_2PI * np.exp(-0.5 * z**2)
    mean = n_peak * inside + ground * np.diff(edges) + _LEAST_RATE
    scale = -n_peak / std_nm
    slopes = np.column_stack(
        [inside, scale * np.diff(height), scale * np.diff(z * height), np.diff(edges)]
    )
    return mean, slopes


def _likelihood(mean: F64, counts: NDArray[np.int64]) -> float:
    return float((counts * np.log(mean) - mean).sum())


def _climb(start: F64, counts: NDArray[np.int64], edges: F64) -> tuple[F64, float]:
    """Raise the Poisson likelihood by damped Fisher scoring; return place and value at its end."""
    length_nm, bin_nm = float(edges[-1]), float(edges[1])
    low = np.array([1e-3, -length_nm, 0.1 * bin_nm, 0.0])
    high = np.array([2.0 * counts.sum() + 1, 2 * length_nm, 2 * length_nm, np.inf])
    at, damping = np.clip(start, low, high), 1e-3
    mean, slopes = _model(at, edges)
    value = _likelihood(mean, counts)
    for _ in range(_STEPS):
        information = slopes.T @ (slopes / mean[:, None])
        uphill = slopes.T @ (counts / mean - 1)
        damped = information + damping * np.diag(np.diag(information) + 1e-12)
        step = np.linalg.lstsq(damped, uphill, rcond=None)[0]
        tried = np.clip(at + step, low, high)
        new_mean, new_slopes = _model(tried, edges)
        new_value = _likelihood(new_mean, counts)
        if new_value < value:
            damping *= 10
            if damping > 1e8:
                break
            continue
        gained, at, mean, slopes, value = new_value - value, tried, new_mean, new_slopes, new_value
        damping = max(damping / 10, 1e-9)
        if gained < 1e-7:
            break
    return at, value


def _ends(line: Line) -> tuple[Quantity, ...]:
    return tuple(
        Quantity(name, getattr(line, f"{name}_nm"), "nm") for name in ("x0", "y0", "x1", "y1")
    )
