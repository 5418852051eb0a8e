"""What the raw outputs of a network after Kim et al. mean, and its loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from rtsmlm.models.box_classes.losses import accuracy, class_loss

DEPTH_WEIGHT = 0.3
"""Of the loss of the depth, beside that of the dye."""
HUBER_NM = 50.0
LOG_STD_LIMITS = (-5.0, 1.0)
"""Of the stated error, in halves of the range of depths."""
FAR_STD = 3.0
"""Errors beyond so many standard deviations count in proportion."""


@dataclass(frozen=True, slots=True)
class Depths:
    """Depths of the dyes as raw outputs hold them, in halves of a range."""

    middle_nm: float
    half_nm: float
    n_dyes: int

    @classmethod
    def of(cls, z_nm: tuple[float, float], n_dyes: int) -> Depths:
        """Return those of a range."""
        return cls((z_nm[0] + z_nm[1]) / 2.0, max((z_nm[1] - z_nm[0]) / 2.0, 1.0), n_dyes)

    def split(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return logits, depths and, where they are stated, the logarithms of their errors.

        (n, dyes) each; depths and errors in halves of the range.
        """
        n = self.n_dyes
        states_error = raw.shape[1] > 2 * n
        log_std = raw[:, 2 * n : 3 * n].clamp(*LOG_STD_LIMITS) if states_error else None
        return raw[:, :n], raw[:, n : 2 * n], log_std


def loss_of(raw: Tensor, dye: Tensor, z_nm: Tensor, depths: Depths) -> dict[str, Tensor]:
    """Return the loss as `total`, and its parts.

    Parameters
    ----------
    raw
        Outputs of the network.
    dye, z_nm
        True dye and depth, (n,).
    depths
        How depths are held.
    """
    logits, depth, log_std = depths.split(raw)
    own = depth.gather(1, dye[:, None])[:, 0]
    off = own - (z_nm - depths.middle_nm) / depths.half_nm
    if log_std is None:
        delta = HUBER_NM / depths.half_nm
        axial = functional.huber_loss(off, torch.zeros_like(off), delta=delta) / delta**2
    else:
        log_own = log_std.gather(1, dye[:, None])[:, 0]
        scaled = off * torch.exp(-log_own)
        misfit = functional.huber_loss(
            scaled, torch.zeros_like(scaled), delta=FAR_STD, reduction="none"
        )
        axial = (misfit + log_own).mean()
    dyes = class_loss(logits, dye)
    return {
        "total": dyes + DEPTH_WEIGHT * axial,
        "dye": dyes,
        "depth": axial,
        "accuracy": accuracy(logits, dye),
    }
