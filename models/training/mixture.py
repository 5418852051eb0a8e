"""Losses of networks that state one possible emitter per pixel: how many there are, and where.

After Speiser et al., Nat. Methods 18, 1082 (2021): emitters are as many as independent pixels
make, and each is drawn from a mixture over all pixels. The mixture is evaluated in a window
around each emitter, as only pixels within reach of their offsets can explain it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from rtsmlm.models.simulation.training_windows import Targets

NEVER = -1e4
"""Logarithm of the weight of a pixel that is not there."""


@dataclass(frozen=True, slots=True)
class Near:
    """What maps state around each emitter."""

    values: Tensor
    """(m, side, side, channels)."""
    x_px: Tensor
    """Centre of each pixel less the place of the emitter, (m, 1, side)."""
    y_px: Tensor
    """(m, side, 1)."""
    outside: Tensor
    """Pixels beyond the edge of the window, bool, (m, side, side)."""


def around(maps: Tensor, targets: Targets, reach_px: int) -> Near:
    """Return the maps in a square around each emitter.

    Parameters
    ----------
    maps
        (n, channels, height, width).
    targets
        The emitters.
    reach_px
        Pixels to either side of the one that holds the emitter.
    """
    height, width = maps.shape[2:]
    reach = torch.arange(-reach_px, reach_px + 1, device=maps.device)
    rows = targets.y_px.round().long()[:, None, None] + reach[:, None]
    columns = targets.x_px.round().long()[:, None, None] + reach
    outside = (rows < 0) | (rows >= height) | (columns < 0) | (columns >= width)
    rows_in, columns_in = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    flat = (targets.window[:, None, None] * height + rows_in) * width + columns_in
    table = maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])
    near = table.index_select(0, flat.reshape(-1)).view(*flat.shape, maps.shape[1])
    return Near(
        near, columns - targets.x_px[:, None, None], rows - targets.y_px[:, None, None], outside
    )


def count_term(probability: Tensor, m: Tensor, least_variance: float) -> Tensor:
    """Return the negative log-likelihood of the number of emitters but for a constant, (n,).

    Parameters
    ----------
    probability
        Of an emitter in each pixel, (n, height, width).
    m
        Emitters of each window, (n,).
    least_variance
        Added to the variance, which vanishes where all pixels are sure.
    """
    expected = probability.sum(dim=(1, 2))
    variance = (probability * (1.0 - probability)).sum(dim=(1, 2)) + least_variance
    return (m - expected).square() / (2.0 * variance) + 0.5 * torch.log(variance)


def mixture_term(
    log_weight: Tensor,
    errors: Sequence[tuple[Tensor, Tensor]],
    outside: Tensor,
    misfit: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return the negative log-likelihood of each emitter under the mixture, (m,).

    Parameters
    ----------
    log_weight
        Logarithm of the share of each pixel around an emitter, (m, side, side).
    errors
        Of each quantity: the error of what a pixel states, and the logarithm of the standard
        deviation that it states, (m, side, side) both.
    outside
        Pixels that are not there.
    misfit
        What an error in standard deviations costs: half its square for a normal density.
    """
    log_density = log_weight
    for error, log_std in errors:
        log_density = log_density - log_std - misfit(error * torch.exp(-log_std))
    log_density = log_density.masked_fill(outside, NEVER)
    normal = 0.5 * len(errors) * math.log(2.0 * math.pi)
    return normal - torch.logsumexp(log_density.flatten(1), dim=1)


def squared_then_linear(z: Tensor, linear_from: float) -> Tensor:
    """Return half the square of errors, as a normal density has it; far ones cost in proportion.

    Parameters
    ----------
    z
        Errors in standard deviations.
    linear_from
        From where on they cost in proportion.
    """
    return functional.huber_loss(z, torch.zeros_like(z), delta=linear_from, reduction="none")
