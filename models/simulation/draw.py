"""Random numbers of training windows, batched."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Draw:
    """Random numbers per window from one generator."""

    def __init__(self, n: int, generator: torch.Generator) -> None:
        self.n = n
        self.generator = generator
        self.device = generator.device

    def uniform(self, span: tuple[float, float], *shape: int) -> Tensor:
        """Return uniform numbers, shape (n, *shape)."""
        unit = torch.rand(self.n, *shape, generator=self.generator, device=self.device)
        return span[0] + (span[1] - span[0]) * unit

    def log_uniform(self, span: tuple[float, float], *shape: int) -> Tensor:
        """Return numbers that are uniform in the logarithm, shape (n, *shape)."""
        return torch.exp(self.uniform((math.log(span[0]), math.log(span[1])), *shape))

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal numbers, shape (n, *shape)."""
        return torch.randn(self.n, *shape, generator=self.generator, device=self.device)

    def chance(self, probability: float, *shape: int) -> Tensor:
        """Return True with this probability, shape (n, *shape)."""
        return self.uniform((0.0, 1.0), *shape) < probability
