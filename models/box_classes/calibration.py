"""Probabilities that mean what they say: one temperature, fitted on samples held out.

After Guo et al., Proc. Mach. Learn. Res. 70, 1321 (2017): logits are divided by a number that makes
the true classes most probable. Which class is the most probable one stays as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

LIMITS = (0.2, 5.0)
STEPS = 60
BINS = 10


def fit_temperature(logits: Tensor, truth: Tensor) -> float:
    """Return the temperature with the least cross entropy.

    Parameters
    ----------
    logits
        (n, classes).
    truth
        True classes, (n,).
    """
    # The cross entropy has one minimum in the logarithm of the temperature.
    low, high = torch.tensor(LIMITS).log().tolist()
    golden = 0.5 * (5.0**0.5 - 1.0)

    def cost(log_temperature: float) -> float:
        scaled = logits * float(torch.tensor(-log_temperature).exp())
        return float(functional.cross_entropy(scaled, truth))

    for _ in range(STEPS):
        inner, outer = high - golden * (high - low), low + golden * (high - low)
        if cost(inner) < cost(outer):
            high = outer
        else:
            low = inner
    return float(torch.tensor(0.5 * (low + high)).exp())


def calibration_error(probability: Tensor, truth: Tensor) -> float:
    """Return how far stated probabilities are from the part that is right, mean over rows.

    Parameters
    ----------
    probability
        Of all classes, (n, classes).
    truth
        True classes, (n,).
    """
    best, chosen = probability.max(dim=1)
    right = (chosen == truth).float()
    which = (best * BINS).long().clamp(max=BINS - 1)
    error = 0.0
    for k in range(BINS):
        inside = which == k
        if inside.any():
            off = (best[inside].mean() - right[inside].mean()).abs()
            error += float(off * inside.float().mean())
    return error
