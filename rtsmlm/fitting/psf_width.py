"""The PSF width of frames, measured on their bright isolated spots."""

from __future__ import annotations

import numpy as np

from rtsmlm.calibration import Map
from rtsmlm.errors import LocalizerError
from rtsmlm.fitting.boxes import (
    CHI2,
    CONVERGED,
    F64,
    PHOTONS,
    SIGMA,
    STATUS,
    STD_PHOTONS,
    default_box_px,
    fit_table,
)
from rtsmlm.fitting.gaussian_mle import fit_gaussian_mle
from rtsmlm.fitting.lone_spots import lone_spots
from rtsmlm.localizations import F32

# Start widths a factor of 1.6 apart: one of them is within 30 % of any width from 0.6 to 3.3 px.
START_SIGMAS_PX = (0.8, 1.3, 2.1, 3.0)
MIN_SIGMA_PX, MAX_SIGMA_PX = 0.4, 5.0
ROUNDS = 4
SETTLED = 0.01
# Widths this near to the mode are taken for the same PSF.
NEIGHBOURHOOD = 0.2
MAX_ITERATIONS = 40
# Brighter than any noise that passes detection, and wide enough known to be worth a vote.
MIN_SIGNIFICANCE = 8.0
MAX_SPOTS = 800
MIN_SPOTS = 10


def estimate_sigma_px(
    photons: F32,
    *,
    read_variance: Map = 0.0,
    excess_noise: float = 1.0,
    threshold: float = 6.0,
) -> float:
    """Return the standard deviation of the Gaussian that fits most isolated spots.

    Parameters
    ----------
    photons
        Frames in photons, float32, shape (n, height, width); some hundred spots are enough.
    read_variance
        Variance of the read noise in photons², number or shape (height, width).
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    threshold
        Detection threshold in standard deviations of the filtered noise.

    Returns
    -------
    :
        Standard deviation of the pixel-integrated Gaussian in pixels.

    Raises
    ------
    LocalizerError
        If there are fewer than ten bright isolated spots.

    Notes
    -----
    Detection assumes a width, hence it is repeated with the width that was found.
    Of several starts, the one that most spots agree with wins. The answer is taken at the
    mode of the fitted widths: out of focus and overlapping emitters would shift a mean.
    """
    frames = np.ascontiguousarray(photons, dtype=np.float32)
    variance = np.ascontiguousarray(
        np.broadcast_to(np.asarray(read_variance, dtype=np.float32), frames.shape[1:])
    )
    best, votes = float("nan"), 0
    for start_px in START_SIGMAS_PX:
        if min(frames.shape[1:]) < default_box_px(start_px):
            continue
        sigma_px, n = _settle(frames, variance, start_px, excess_noise, threshold)
        if n > votes:
            best, votes = sigma_px, n
    if votes < MIN_SPOTS:
        raise LocalizerError(
            f"found {votes} bright isolated spots in {len(frames)} frames to measure the PSF "
            f"width; {MIN_SPOTS} are needed: give psf.sigma_nm, or frames with more emitters"
        )
    return best


def _settle(
    frames: F32, variance: F32, sigma_px: float, excess_noise: float, threshold: float
) -> tuple[float, int]:
    """Return the width that detection at that very width finds, and how many spots agree."""
    votes = 0
    for _ in range(ROUNDS):
        widths = _fit_widths(frames, variance, sigma_px, excess_noise, threshold)
        if len(widths) < MIN_SPOTS:
            return sigma_px, 0
        found = typical_width(widths)
        votes = int(np.count_nonzero(np.abs(widths - found) < NEIGHBOURHOOD * found))
        done = abs(found - sigma_px) < SETTLED * sigma_px
        sigma_px = min(max(found, MIN_SIGMA_PX), MAX_SIGMA_PX)
        if done or min(frames.shape[1:]) < default_box_px(sigma_px):
            break
    return sigma_px, votes


def _fit_widths(
    frames: F32, variance: F32, sigma_px: float, excess_noise: float, threshold: float
) -> F64:
    """Return the fitted widths of bright isolated spots, detected at one width."""
    spots = lone_spots(
        frames,
        variance,
        sigma_px,
        excess_noise=excess_noise,
        threshold=threshold,
        most=MAX_SPOTS,
    )
    table = fit_table(len(spots.photons))
    fit_gaussian_mle(*spots, float(sigma_px), True, float(excess_noise), MAX_ITERATIONS, table)
    good = table[:, STATUS] == CONVERGED
    good &= table[:, PHOTONS] > MIN_SIGNIFICANCE * table[:, STD_PHOTONS]
    table = table[good]
    # Relative rank: no absolute limit on chi² suits both a faint spot and a bright real PSF.
    fitting = table[:, CHI2] <= np.quantile(table[:, CHI2], 0.8) if len(table) else []
    return np.asarray(table[fitting, SIGMA], dtype=np.float64)


def typical_width(widths: F64) -> float:
    """Return the median of the widths around their mode.

    Parameters
    ----------
    widths
        Sample of shape (n,), n at least 1.

    Notes
    -----
    The mode is found by halving the sample to its densest half again and again (Robertson and
    Cryer (1974); Bickel and Frühwirth, Comput. Stat. Data Anal. 50, 3500 (2006)). It is blind to
    outliers and scatters much; the median of its neighbourhood scatters less.
    """
    sample = np.sort(widths)
    while len(sample) > 12:
        half = (len(sample) + 1) // 2
        start = int(np.argmin(sample[half - 1 :] - sample[: len(sample) - half + 1]))
        sample = sample[start : start + half]
    center = float(np.median(sample))
    for _ in range(5):
        center = float(np.median(widths[np.abs(widths - center) < NEIGHBOURHOOD * center]))
    return center
