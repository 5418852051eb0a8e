"""The loss: emitter count, mixture of positions, presence per pixel, background."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from rtsmlm.models.flagship.maps import BACKGROUND_SCALE, PHOTONS_UNIT, background_channel_of
from rtsmlm.models.flagship.maps_on_device import log_photons_of, log_std_of, z_of
from rtsmlm.models.simulation.training_windows import Targets
from rtsmlm.models.training.mixture import around, count_term, mixture_term, squared_then_linear

REACH_PX = 2
"""Half side of the mixture window: offsets reach one pixel beyond a pixel's centre."""
LINEAR_FROM = 2.5
"""Errors of more standard deviations cost in proportion: pairs of the wrong emitter in a crowd
would otherwise drown what all others teach."""
LOGIT_LIMIT = 16.0
LEAST_VARIANCE = 0.05
"""Of the count of a window."""


@dataclass(frozen=True, slots=True)
class LossWeights:
    """Weights of the terms relative to the mixture."""

    count: float = 1.0
    presence: float = 1.0
    background: float = 0.1


@dataclass(frozen=True, slots=True)
class LossTerms:
    """The loss and its parts per labelled emitter, for the log."""

    total: Tensor
    count: Tensor
    mixture: Tensor
    presence: Tensor
    background: Tensor

    def as_dict(self) -> dict[str, Tensor]:
        """Return the terms by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def flagship_loss(maps: Tensor, targets: Targets, weights: LossWeights) -> LossTerms:
    """Return the loss of raw maps, in float32.

    Parameters
    ----------
    maps
        Output of the network, (n, channels, height / 2, width / 2).
    targets
        What is asked for; with depths, the network must state them.
    weights
        Weights of the terms.

    Notes
    -----
    A window of m emitters is divided by (m + 3)^0.65, between one weight for every emitter, with
    which crowds decide everything, and one for every window.
    """
    maps = maps.float()
    background_channel = background_channel_of(axial=targets.z is not None)
    slots = functional.pixel_shuffle(maps[:, :background_channel], 2)
    logits = slots[:, 0].clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
    n = len(maps)
    m = torch.bincount(targets.window, minlength=n).float()
    probability = torch.sigmoid(logits)
    count = count_term(probability, m, LEAST_VARIANCE)
    per_emitter = _mixture(slots, probability.sum(dim=(1, 2)), targets)
    mixture = torch.zeros_like(m).index_add(0, targets.window, per_emitter)
    presence = _presence(logits, targets)
    truth = torch.log(targets.background.clamp(min=0.3)) / BACKGROUND_SCALE
    misfit = functional.smooth_l1_loss(
        maps[:, background_channel], truth, beta=0.05, reduction="none"
    ).sum(dim=(1, 2))
    total = mixture + weights.count * count + weights.presence * presence
    total = total + weights.background * misfit
    share = (m + 3.0).pow(0.65)
    emitters = m.sum().clamp(min=1.0)
    return LossTerms(
        total=(total / share).sum() / (m + 3.0).div(share).sum(),
        count=count.sum() / emitters,
        mixture=mixture.sum() / emitters,
        presence=presence.sum() / emitters,
        background=misfit.mean(),
    )


def _mixture(slots: Tensor, expected: Tensor, targets: Targets) -> Tensor:
    """Return the negative log-likelihood of each emitter under the mixture, (m,)."""
    near = around(slots, targets, REACH_PX)
    logit, dx, dy, photons, std_x, std_y, std_photons, *axial = near.values.unbind(-1)
    light = log_photons_of(photons) - torch.log(targets.photons / PHOTONS_UNIT)[:, None, None]
    errors = [
        (near.x_px + torch.tanh(dx), log_std_of(std_x)),
        (near.y_px + torch.tanh(dy), log_std_of(std_y)),
        (light, log_std_of(std_photons)),
    ]
    if targets.z is not None:
        raw_z, std_z = axial
        errors.append((z_of(raw_z) - targets.z[:, None, None], log_std_of(std_z)))
    weight = functional.logsigmoid(logit.clamp(-LOGIT_LIMIT, LOGIT_LIMIT))
    misfit = partial(squared_then_linear, linear_from=LINEAR_FROM)
    return torch.log(expected)[targets.window] + mixture_term(weight, errors, near.outside, misfit)


def _presence(logits: Tensor, targets: Targets) -> Tensor:
    """Return the cross entropy of emitters per pixel, summed per window, (n,)."""
    height, width = logits.shape[1:]
    truth = torch.zeros_like(logits)
    row = targets.y_px.round().long().clamp(0, height - 1)
    column = targets.x_px.round().long().clamp(0, width - 1)
    truth[targets.window, row, column] = 1.0
    weight = (~targets.ignored).float().maximum(truth)
    cross = functional.binary_cross_entropy_with_logits(logits, truth, weight, reduction="none")
    return cross.sum(dim=(1, 2))
