"""The rectifier of the flagship: zero below zero, with a gradient that revives dead channels."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

LEAK = 0.02
"""Share of the gradient that reaches what was cut off."""


class _Rectified(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = functional.relu(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return gradients[0] * torch.where(y > 0.0, 1.0, LEAK).to(gradients[0].dtype)


def rectify(x: Tensor) -> Tensor:
    """Return what is above zero of features, and zero for the rest.

    Where gradients are asked for, a small part of them passes what was cut off. A channel that is
    zero everywhere has no gradient otherwise, and never comes back: after large steps whole
    layers were found so.
    """
    if torch.is_grad_enabled() and x.requires_grad:
        return cast(Tensor, _Rectified.apply(x))  # type: ignore[no-untyped-call]
    return functional.relu(x)
