"""One fit to both views, and a fit to each combined by their errors, on the same boxes.

Boxes are drawn here, so that detection and selection play no part: AF647 and CF680 on both sides of
a dichroic mirror, one emitter in each pair of boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtsmlm.channels.dye_likelihood import decide, dye_probabilities
from rtsmlm.channels.joint_fit import fit_views
from rtsmlm.fitting import boxes
from rtsmlm.fitting.gaussian_mle import fit_gaussian_mle
from rtsmlm.localizations import F32
from rtsmlm.physics.psf import GaussianPsf
from rtsmlm.physics.spectra import DYES, dichroic, split_fractions
from rtsmlm.physics.transforms import F64
from rtsmlm.settings.channels import LEAST_PROBABILITY, UNDECIDED, ChannelsSettings

NAMES = ("AF647", "CF680")
CUT_NM = 685.0
SIGMA_PX, BOX_PX, PIXEL_NM = 1.3, 9, 100.0
BACKGROUND, READ_NOISE_E = 2.5, 1.6
"""Photons per pixel in each view, and electrons."""
PHOTONS = (200.0, 500.0, 1000.0, 2000.0, 5000.0)
"""Of both views together."""
MAX_ITERATIONS = 30
_STEP_PX, _REACH_PX = 0.5, 1.0
"""Error of a start, and the largest shift of an emitter from the middle of its box."""


@dataclass(frozen=True, slots=True)
class Boxes:
    """Pairs of boxes with one emitter each, and the truth."""

    photons: F32
    """Shape (n, 2, box, box)."""
    variance: F32
    start: F64
    """Shape (n, 2, 2)."""
    places_px: F64
    """True places in the first box, shape (n, 2)."""
    dye: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Estimates:
    """What a way of combining the views finds; NaN where a fit failed."""

    places_px: F64
    std_px: F64
    light: F64
    covariance: F64


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelFigures:
    """Figures of one way at one brightness."""

    way: str
    photons: float
    failed: float
    """Share of emitters without a place."""
    error_nm: float
    """Root mean square along one axis."""
    bound_nm: float
    """Cramér-Rao bound of both views together."""
    crosstalk: float
    """Share of decided emitters with the wrong dye."""
    undecided: float


def draw(photons: float, n: int, rng: np.random.Generator) -> Boxes:
    """Return pairs of boxes; the second view lies a fraction of a pixel beside the first."""
    mirror = dichroic(CUT_NM)
    shares = np.array([split_fractions(DYES[name], mirror) for name in NAMES])
    dye = rng.integers(0, len(NAMES), n)
    places = (BOX_PX - 1) / 2 + rng.uniform(-_REACH_PX, _REACH_PX, (n, 2))
    shift = rng.uniform(-0.5, 0.5, (n, 2))
    image = np.full((n, 2, BOX_PX, BOX_PX), BACKGROUND, dtype=np.float32)
    psf, z = GaussianPsf(SIGMA_PX), np.zeros(1)
    for i in range(n):
        for k in range(2):
            x, y = places[i] + k * shift[i]
            light = np.array([photons * shares[dye[i], k]])
            psf.render(image[i, k], np.array([x]), np.array([y]), z, light)
    noisy = rng.poisson(image) + rng.normal(0.0, READ_NOISE_E, image.shape)
    guess = places + rng.uniform(-_STEP_PX, _STEP_PX, (n, 2))
    return Boxes(
        photons=noisy.astype(np.float32),
        variance=np.full(image.shape, READ_NOISE_E**2, dtype=np.float32),
        start=np.stack([guess, guess + shift], axis=1),
        places_px=places,
        dye=dye,
    )


def joint(drawn: Boxes) -> Estimates:
    """Return the estimates of one fit to both views."""
    n = len(drawn.dye)
    rows, light, backgrounds = boxes.fit_table(n), np.empty((n, 2)), np.empty((n, 2))
    covariance = np.empty((n, 2, 2))
    slopes = np.broadcast_to(np.eye(2), (n, 2, 2, 2)).copy()
    fit_views(
        drawn.photons, drawn.variance, drawn.start, slopes, np.full(2, SIGMA_PX), 1.0,
        MAX_ITERATIONS, rows, light, covariance, backgrounds,
    )  # fmt: skip
    rows[rows[:, boxes.STATUS] != boxes.CONVERGED] = np.nan
    return Estimates(
        rows[:, [boxes.X, boxes.Y]] + drawn.start[:, 0],
        rows[:, [boxes.STD_X, boxes.STD_Y]],
        light,
        covariance,
    )


def paired(drawn: Boxes) -> Estimates:
    """Return the estimates of a fit to each view, weighted with their stated errors."""
    n = len(drawn.dye)
    places, variances = np.empty((2, n, 2)), np.empty((2, n, 2))
    light, covariance = np.empty((n, 2)), np.zeros((n, 2, 2))
    for k in range(2):
        rows = boxes.fit_table(n)
        start_x, start_y = np.ascontiguousarray(drawn.start[:, k].T, dtype=np.float32)
        fit_gaussian_mle(
            np.ascontiguousarray(drawn.photons[:, k]), np.ascontiguousarray(drawn.variance[:, k]),
            start_x, start_y, SIGMA_PX, False, 1.0, MAX_ITERATIONS, rows,
        )  # fmt: skip
        shift = drawn.start[:, k] - drawn.start[:, 0]
        places[k] = rows[:, [boxes.X, boxes.Y]] - shift
        variances[k] = rows[:, [boxes.STD_X, boxes.STD_Y]] ** 2
        light[:, k] = rows[:, boxes.PHOTONS]
        covariance[:, k, k] = rows[:, boxes.STD_PHOTONS] ** 2
        failed = (rows[:, boxes.STATUS] != boxes.CONVERGED) | ~np.isfinite(covariance[:, k, k])
        variances[k][failed] = np.inf
        places[k][failed] = 0.0
        light[failed, k], covariance[failed, k, k] = 0.0, 1e6
    weights = 1.0 / variances
    with np.errstate(invalid="ignore", divide="ignore"):
        total = weights.sum(axis=0)
        return Estimates(
            (weights * places).sum(axis=0) / total, np.sqrt(1.0 / total), light, covariance
        )


WAYS: Mapping[str, Callable[[Boxes], Estimates]] = {"one fit": joint, "a fit each": paired}


def measure(photons: float, n: int, rng: np.random.Generator) -> list[ChannelFigures]:
    """Return the figures of every way on the same boxes.

    Parameters
    ----------
    photons
        Of each emitter in both views together.
    n
        Number of emitters.
    rng
        Draws the boxes.
    """
    drawn = draw(photons, n, rng)
    mirror = dichroic(CUT_NM)
    fractions = np.array([split_fractions(DYES[name], mirror) for name in NAMES])
    bound_px = float(np.sqrt(np.nanmean(joint(drawn).std_px ** 2)))
    figures = []
    for way, estimate in WAYS.items():
        found = estimate(drawn)
        good = np.isfinite(found.places_px).all(axis=1)
        error = (found.places_px - drawn.places_px)[good]
        spread, least = ChannelsSettings().spread, LEAST_PROBABILITY
        chances = dye_probabilities(found.light[good], found.covariance[good], fractions, spread)
        channel, _ = decide(chances, least)
        decided = channel != UNDECIDED
        figures.append(
            ChannelFigures(
                way=way,
                photons=photons,
                failed=float(1.0 - good.mean()),
                error_nm=PIXEL_NM * float(np.sqrt(np.mean(error**2))),
                bound_nm=PIXEL_NM * bound_px,
                crosstalk=float(np.mean(channel[decided] != drawn.dye[good][decided])),
                undecided=float(1.0 - decided.mean()),
            )
        )
    return figures
