"""The loss of DeepLOCO: how far two weighted sets of points are apart, without matching them.

Of points a with weights v, those found and, with negative weights, those that are there, it is
the sum of v_a v_b K(a, b), with a Laplacian kernel summed over four scales (a maximum mean
discrepancy; Boyd et al., bioRxiv 267096 (2018)).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rtsmlm.models.deeploco.geometry import Z_FACTOR

WIDEST_NM = 1920.0


def discrepancy(
    found_nm: Tensor, found: Tensor, true_nm: Tensor, true: Tensor
) -> tuple[Tensor, ...]:
    """Return the discrepancy of measures on the same two sets of points, (n,) for each measure.

    Parameters
    ----------
    found_nm
        Points that a network has found, (n, slots, 3).
    found
        Their weights in each measure, (n, measures, slots).
    true_nm
        Points that are there, (n, k, 3).
    true
        Their weights, (n, measures, k); 0 pads.

    Notes
    -----
    The points learn from the first measure alone.
    """
    factors = found_nm.new_tensor([1.0, 1.0, Z_FACTOR])
    values: Tensor = _Discrepancy.apply(found_nm * factors, found, true_nm * factors, true)  # type: ignore[no-untyped-call]
    return values.unbind(1)


class _Discrepancy(torch.autograd.Function):
    """With its gradient written out: pairs by scales would be kept for it otherwise."""

    @staticmethod
    def forward(ctx: Any, at: Tensor, found: Tensor, true_at: Tensor, true: Tensor) -> Tensor:
        points, weights = torch.cat([at, true_at], 1), torch.cat([found, -true], 2)
        apart = [at[:, :, None, i] - points[:, None, :, i] for i in range(3)]
        kernel, slope = _kernel(sum(part.abs() for part in apart), slope=True)  # type: ignore[arg-type]
        felt = torch.einsum("naj,nmj->nma", kernel, weights)
        n_slots = at.shape[1]
        crossed = torch.einsum("naj,nmj->nma", kernel[:, :, n_slots:], -true)
        truth = sum((true_at[:, :, None, i] - true_at[:, None, :, i]).abs() for i in range(3))
        among, _ = _kernel(truth, slope=False)  # type: ignore[arg-type]
        constant = torch.einsum("nmi,nij,nmj->nm", true, among, true)
        pull = slope * weights[:, :1]
        along = torch.stack([(pull * part.sign()).sum(2) for part in apart], 2)
        ctx.save_for_backward(2.0 * along * found[:, 0, :, None], 2.0 * felt)
        return (found * (felt + crossed)).sum(2) + constant

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        along, felt = ctx.saved_tensors
        (grad,) = grads
        return along * grad[:, :1, None], felt * grad[:, :, None], None, None


def _kernel(distance_nm: Tensor, *, slope: bool) -> tuple[Tensor, Tensor]:
    """Return the kernel summed over 1920, 640, 320 and 64 nm, and its slope by the distance.

    These scales are the widest one over 1, 3, 6 and 30: one exponential serves all of them.
    """
    one = torch.exp(distance_nm * (-1.0 / WIDEST_NM))
    three = one * one * one
    six = three * three
    twelve = six * six
    thirty = twelve * twelve * six
    total = one + three + six + thirty
    if not slope:
        return total, total
    return total, (one + 3.0 * three + 6.0 * six + 30.0 * thirty) * (-1.0 / WIDEST_NM)
