"""The loss of DECODE: number of emitters, mixture over the pixels, background."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from rtsmlm.models.decode.maps import BACKGROUND, LOGIT_LIMIT, STD, logits_of, stds_of
from rtsmlm.models.decode.scaling import Scaling
from rtsmlm.models.simulation.training_windows import Targets
from rtsmlm.models.training.mixture import around, count_term, mixture_term, squared_then_linear

REACH_PX = 3
"""Half side of the window of the mixture: a pixel further off changes it by less than 1e-2."""
LINEAR_FROM = 3.0
"""Errors of more standard deviations cost in proportion. Published as squares throughout, with
which a few pairs of the wrong emitter decide every step, and trainings diverge."""
LEAST_VARIANCE = 0.01
"""Of the number of emitters: without it the loss explodes where all pixels are sure."""


def decode_loss(raw: Tensor, targets: Targets, scaling: Scaling) -> dict[str, Tensor]:
    """Return the loss as `total` and its parts, per emitter, in float32.

    Parameters
    ----------
    raw
        Output of the network, (n, 10, height, width).
    targets
        What is asked for.
    scaling
        Units of the network.

    Notes
    -----
    The count of a window weighs as many times as it has emitters, and once where it has none:
    published as zero there, so that ghosts in dark frames would cost nothing.
    """
    raw = raw.float()
    n = len(raw)
    m = torch.bincount(targets.window, minlength=n).float()
    probability = torch.sigmoid(logits_of(raw[:, 0]))
    count = m.clamp(min=1.0) * count_term(probability, m, LEAST_VARIANCE)
    per_emitter = _mixture(raw[:, :BACKGROUND], targets, scaling)
    per_emitter = per_emitter + torch.log(probability.sum(dim=(1, 2)))[targets.window]
    # What is asked for is the mean of 2 x 2 pixels.
    level = functional.avg_pool2d(torch.sigmoid(raw[:, BACKGROUND:]), 2)[:, 0]
    misfit = 4.0 * (level - targets.background / scaling.background_max).square().sum(dim=(1, 2))
    emitters = m.sum().clamp(min=1.0)
    parts = {
        "count": count.sum() / emitters,
        "mixture": per_emitter.sum() / emitters,
        "background": misfit.sum() / emitters,
    }
    return {"total": parts["count"] + parts["mixture"] + parts["background"], **parts}


def _mixture(maps: Tensor, targets: Targets, scaling: Scaling) -> Tensor:
    """Return the negative log-likelihood of each emitter but for the sum of the shares, (m,)."""
    near = around(maps, targets, REACH_PX)
    logit, photons, dx, dy, z, *_ = near.values.unbind(-1)
    log_std = torch.log(stds_of(near.values[..., STD:BACKGROUND])).unbind(-1)
    light = torch.sigmoid(photons) - (targets.photons / scaling.photons_max)[:, None, None]
    errors = [
        (light, log_std[0]),
        (near.x_px + torch.tanh(dx), log_std[1]),
        (near.y_px + torch.tanh(dy), log_std[2]),
    ]
    if targets.z is not None:
        errors.append((torch.tanh(z) - (targets.z / scaling.z_max)[:, None, None], log_std[3]))
    weight = functional.logsigmoid(logit.clamp(-LOGIT_LIMIT, LOGIT_LIMIT))
    misfit = partial(squared_then_linear, linear_from=LINEAR_FROM)
    return mixture_term(weight, errors, near.outside, misfit)
