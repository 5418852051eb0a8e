"""What lone spots say of a PSF that a single Gaussian width does not tell: ellipticity and halo.

Both are averages over many spots, with their errors, by which it is decided whether they are worth
a change. A halo is light in a broad ring around each spot, which a fit in a small box takes for
background: what it states of the photons is too little by the same share for all emitters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rtsmlm.fitting.boxes import CONVERGED, PHOTONS, STATUS, STD_PHOTONS, default_box_px, fit_table
from rtsmlm.fitting.gaussian_mle import fit_gaussian_mle
from rtsmlm.fitting.lone_spots import LoneSpots, lone_spots
from rtsmlm.fitting.widths import F64, LIGHT, SIGMA_X, SIGMA_Y, fit_widths, integrals
from rtsmlm.localizations import F32

LEAST_SPOTS = 40
"""Fewer do not tell ellipticity and halo to a few per cent."""
MOST_SPOTS = 1000
SAME_SIZE = 0.2
"""Part by which the mean width of a spot may differ from that of the PSF: others are several."""
HALO_REACH_SIGMA = 7.0
"""Half a box in which a halo ends and the background is seen, in widths of the PSF."""
HALO_APART_SIGMA = 10.0
HALO_SIGMAS = (2.0, 2.5, 3.0, 4.0)
"""Widths of the halo that are tried, in widths of the PSF."""
MIN_SIGNIFICANCE = 8.0
MAX_ITERATIONS = 40


@dataclass(frozen=True, slots=True)
class RoundShape:
    """What was measured, each with its standard error; NaN where the spots were too few."""

    sigma_px: float
    """Geometric mean of the widths along x and y."""
    sigma_std_px: float
    ellipticity: float
    """Width along x over that along y."""
    ellipticity_std: float
    halo: float
    """Share of an emitter's light that the fit of a Gaussian does not see."""
    halo_std: float


def measure_round_shape(
    frames: F32, variance: F32, sigma_px: float, *, excess_noise: float = 1.0
) -> RoundShape:
    """Return ellipticity and halo of the PSF, by lone bright spots.

    Parameters
    ----------
    frames
        Light in photons, contiguous, shape (n, height, width).
    variance
        Variance of the read noise in photons², contiguous, shape (height, width).
    sigma_px
        Width of the Gaussian that fits most spots.
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    """
    sigma, ellipticity = _widths(frames, variance, sigma_px, excess_noise)
    halo = _halo(frames, variance, sigma_px, excess_noise)
    return RoundShape(*sigma, *ellipticity, *halo)


_UNKNOWN = (math.nan, math.nan)


def _widths(
    frames: F32, variance: F32, sigma_px: float, excess_noise: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return mean width and ratio of widths, each with its error."""
    spots = lone_spots(frames, variance, sigma_px, excess_noise=excess_noise, once=True)
    # Light in units in which it scatters as counted photons do.
    theta, good = fit_widths(
        spots.photons[:MOST_SPOTS] / np.float32(excess_noise),
        spots.variance[:MOST_SPOTS] / np.float32(excess_noise**2),
    )
    noise = spots.photons[:MOST_SPOTS].sum(axis=(1, 2)) / excess_noise
    good &= theta[:, LIGHT] > MIN_SIGNIFICANCE * np.sqrt(np.maximum(noise, 1.0))
    size = np.sqrt(theta[:, SIGMA_X] * theta[:, SIGMA_Y])
    good &= np.abs(size / sigma_px - 1.0) < SAME_SIZE
    if np.count_nonzero(good) < LEAST_SPOTS:
        return _UNKNOWN, _UNKNOWN
    ratio = _median(np.log(theta[good, SIGMA_X] / theta[good, SIGMA_Y]))
    return _exp(*_median(np.log(size[good]))), _exp(*ratio)


def _median(values: F64) -> tuple[float, float]:
    """Return the median and its standard error."""
    middle = float(np.median(values))
    scatter = 1.4826 * float(np.median(np.abs(values - middle)))
    return middle, 1.2533 * scatter / math.sqrt(len(values))


def _exp(value: float, std: float) -> tuple[float, float]:
    return math.exp(value), std * math.exp(value)


def _halo(frames: F32, variance: F32, sigma_px: float, excess_noise: float) -> tuple[float, float]:
    """Return the share of the light that a fit in its box does not see, and its error."""
    half = math.ceil(HALO_REACH_SIGMA * sigma_px)
    if min(frames.shape[1:]) < 2 * half + 1:
        return _UNKNOWN
    spots = lone_spots(
        frames,
        variance,
        sigma_px,
        excess_noise=excess_noise,
        box_px=2 * half + 1,
        apart_px=HALO_APART_SIGMA * sigma_px,
        once=True,
    )
    spots = LoneSpots(*(values[:MOST_SPOTS] for values in spots))
    inner = default_box_px(sigma_px) // 2
    cut = slice(half - inner, half + inner + 1)
    fits = fit_table(len(spots.photons))
    fit_gaussian_mle(
        np.ascontiguousarray(spots.photons[:, cut, cut]),
        np.ascontiguousarray(spots.variance[:, cut, cut]),
        spots.start_x - (half - inner),
        spots.start_y - (half - inner),
        float(sigma_px),
        False,
        float(excess_noise),
        MAX_ITERATIONS,
        fits,
    )
    good = fits[:, STATUS] == CONVERGED
    good &= fits[:, PHOTONS] > MIN_SIGNIFICANCE * fits[:, STD_PHOTONS]
    if np.count_nonzero(good) < LEAST_SPOTS:
        return _UNKNOWN
    fits, kept = fits[good], LoneSpots(*(values[good] for values in spots))
    center = fits[:, :2] + (half - inner)
    best, total = np.inf, fits[:, PHOTONS]
    for wide in HALO_SIGMAS:
        chi2, light = _with_ring(kept, center, fits, sigma_px, wide * sigma_px, excess_noise)
        if chi2 < best:
            best, total = chi2, light
    # A neighbour too dim to be seen makes a halo of one spot; that of the PSF is around all.
    return _median(1.0 - fits[:, PHOTONS] / np.maximum(total, 1.0))


def _with_ring(
    spots: LoneSpots, center: F64, fits: F64, sigma_px: float, wide_px: float, excess_noise: float
) -> tuple[float, F64]:
    """Return the sum of chi² and the light of each spot, of a Gaussian with a ring around it."""
    box = spots.photons.shape[1]
    core, ring = (_shares(center, width_px, box) for width_px in (sigma_px, wide_px))
    flat = np.ones_like(core)
    shapes = np.stack([core, ring, flat], axis=1)
    data = spots.photons.reshape(len(core), -1).astype(np.float64)
    model = np.maximum(fits[:, 2, None] * core + fits[:, 3, None], 0.0)
    noise = excess_noise * model + spots.variance.reshape(len(core), -1)
    weighted = shapes / np.maximum(noise, 1e-3)[:, None]
    normal = weighted @ shapes.transpose(0, 2, 1)
    found = np.linalg.solve(normal, np.einsum("nip,np->ni", weighted, data)[..., None])[..., 0]
    left = data - np.einsum("ni,nip->np", found, shapes)
    chi2 = float((left**2 * weighted[:, 2]).sum())
    return chi2, found[:, 0] + found[:, 1]


def _shares(center: F64, sigma_px: float, box: int) -> F64:
    """Return the share of each pixel in the light of Gaussians, shape (n, pixels)."""
    sigma = np.full(len(center), sigma_px)
    along_x, along_y = (integrals(center[:, k], sigma, box)[0] for k in range(2))
    return (along_y[:, :, None] * along_x[:, None, :]).reshape(len(center), -1)
