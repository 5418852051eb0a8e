"""Which dye an emitter is, from its photons in all views: the likelihood of each.

The light of a dye has a known share in each view, which varies a little from emitter to emitter.
How bright an emitter is says nothing: for each dye the brightness is that which fits best, and all
are as probable. A small part of all rows is of no dye (two emitters in one spot, another
fluorophore), with shares that may be anything; a row far from all dyes is most probably one of
these, and belongs to no channel.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rtsmlm.localizations import F32
from rtsmlm.physics.transforms import F64
from rtsmlm.settings.channels import UNDECIDED

OF_NO_DYE = 0.01
"""Share of rows that are of no dye, before their light is looked at."""
STEPS = 3
"""Of brightness and variance, which depend on each other: the last one changes next to nothing."""
LEAST_PHOTONS = 1.0


def dye_probabilities(light: F64, covariance: F64, fractions: F64, spread: float) -> F64:
    """Return how probable each dye is.

    Parameters
    ----------
    light
        Photons in each view, shape (n, views).
    covariance
        Of these, as the fit states it, shape (n, views, views).
    fractions
        Share of the light of each dye in each view, shape (dyes, views).
    spread
        Standard deviation of the shares of one dye.

    Returns
    -------
    :
        Shape (n, dyes); what is missing to 1 is the probability that it is none of them.
    """
    n, n_views = light.shape
    n_dyes = len(fractions)
    logs = np.empty((n, n_dyes + 1))
    for dye, shares in enumerate(fractions):
        logs[:, dye] = _log_density(light, covariance, shares, spread)
    total = np.maximum(light.sum(axis=1), LEAST_PHOTONS)
    # Shares that are anything, each as probable as any other: uniform on the simplex.
    logs[:, -1] = math.lgamma(n_views) - (n_views - 1) * np.log(total)
    prior = np.full(n_dyes + 1, (1.0 - OF_NO_DYE) / n_dyes)
    prior[-1] = OF_NO_DYE
    logs += np.log(prior)
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray((weights / weights.sum(axis=1, keepdims=True))[:, :-1])


def decide(probabilities: F64, min_probability: float) -> tuple[NDArray[np.uint8], F32]:
    """Return the channel of each row, 255 where none is probable enough, and its probability.

    Parameters
    ----------
    probabilities
        Of each dye, shape (n, dyes).
    min_probability
        Least probability of the dye that is chosen.

    Returns
    -------
    :
        Channels and the probability of the most probable dye, shape (n,) each.
    """
    best = probabilities.argmax(axis=1)
    chosen = probabilities[np.arange(len(best)), best]
    channel = np.where(chosen >= min_probability, best, UNDECIDED).astype(np.uint8)
    return channel, chosen.astype(np.float32)


def _log_density(light: F64, covariance: F64, shares: F64, spread: float) -> F64:
    """Return the logarithm of the density of the light, whatever the brightness, shape (n,).

    The noise is normal. Its covariance is that of the fit, with the shot noise that the light would
    have were it of this dye, and what the shares vary by.
    """
    n_views = light.shape[1]
    brightness = np.maximum(light.sum(axis=1), LEAST_PHOTONS)
    diagonal = np.arange(n_views)
    varied = (np.eye(n_views) - 1.0 / n_views) * n_views / max(n_views - 1, 1) * spread**2
    for step in range(STEPS):
        noise = covariance + (brightness**2)[:, None, None] * varied
        # The bound of the photons grows by about one for each photon more.
        more = brightness[:, None] * shares - light
        own = covariance[:, diagonal, diagonal]
        noise[:, diagonal, diagonal] += np.maximum(more, -0.9 * own)
        inverse = np.linalg.inv(noise)
        weighted = inverse @ shares
        information = weighted @ shares
        if step < STEPS - 1:
            brightness = np.maximum((weighted * light).sum(axis=1) / information, LEAST_PHOTONS)
    off = light - brightness[:, None] * shares
    chi2 = np.einsum("ni,nij,nj->n", off, inverse, off)
    _, log_volume = np.linalg.slogdet(noise)
    constant = (n_views - 1) * math.log(2.0 * math.pi)
    return np.asarray(-0.5 * (chi2 + log_volume + np.log(information) + constant))
