"""Multiply-accumulates of a network, counted while it runs once."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


@torch.no_grad()
def macs_of(module: nn.Module, *inputs: Tensor) -> float:
    """Return the multiply-accumulates of convolutions and matrices for one item of a batch."""
    total = 0.0

    def count(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        n = len(inputs[0])
        if isinstance(layer, nn.Conv2d):
            total += output.numel() / n * math.prod(layer.weight.shape[1:])
        elif isinstance(layer, nn.Linear):
            total += output.numel() / n * layer.in_features

    handles = [layer.register_forward_hook(count) for layer in module.modules()]
    module(*inputs)
    for handle in handles:
        handle.remove()
    return total
