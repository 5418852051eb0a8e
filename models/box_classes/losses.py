"""Loss of networks that tell dyes apart."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

SMOOTHING = 0.02
"""Part of the probability that is spread over all dyes: no answer is certain."""


def class_loss(logits: Tensor, dye: Tensor) -> Tensor:
    """Return the cross entropy, mean over the batch.

    Parameters
    ----------
    logits
        (n, dyes).
    dye
        Index of the true dye, (n,).
    """
    return functional.cross_entropy(logits, dye, label_smoothing=SMOOTHING)


def accuracy(logits: Tensor, dye: Tensor) -> Tensor:
    """Return the part of the answers that are right."""
    return (logits.argmax(dim=1) == dye).float().mean()
