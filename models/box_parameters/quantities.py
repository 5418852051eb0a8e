"""Raw outputs of a network of boxes, and what they state: means and standard deviations."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rtsmlm.models.simulation.box_ranges import BoxRanges
from rtsmlm.models.simulation.boxes import Boxes, moments_of

LOG_STD_LIMITS = (-6.0, 3.0)
"""Of the stated standard deviations, in the scale of each quantity."""
LOG_LIMITS = (-6.0, 14.0)
"""Of the logarithms of light and background."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number that is asked for."""

    name: str
    """Of the channel of the model."""
    unit: str
    middle: float
    """Value of a raw output of 0; of the logarithm where `log`."""
    scale: float
    """Change by a raw output of 1."""
    log: bool = False


def quantities_of(ranges: BoxRanges) -> tuple[Quantity, ...]:
    """Return what a network trained on these boxes states, in the order of its outputs."""
    middle = (ranges.z_nm[0] + ranges.z_nm[1]) / 2.0
    found = [
        Quantity("x", "px", 0.0, 1.0),
        Quantity("y", "px", 0.0, 1.0),
        Quantity("z_nm", "nm", middle, (ranges.z_nm[1] - ranges.z_nm[0]) / 4.0),
        Quantity("photons", "photon", 7.5, 1.0, log=True),
        Quantity("background", "photon/px", 3.0, 1.5, log=True),
    ]
    for n, m in ranges.modes:
        found.append(Quantity(zernike_name(n, m), "nm", 0.0, max(ranges.aberration_nm, 1.0)))
    if ranges.fixed_dipoles:
        # The moments of a dipole: both its ends give the same, and nothing jumps.
        found += [Quantity(name, "1", 0.0, 0.5) for name in DIPOLE_MOMENTS]
    return tuple(found)


DIPOLE_MOMENTS = ("dipole_xx", "dipole_yy", "dipole_xy", "dipole_xz", "dipole_yz")
"""Products of the components of the unit vector of a dipole; zz is one less xx and yy."""


def zernike_name(n: int, m: int) -> str:
    """Return the name of the channel of an amplitude, such as zernike_3_-1_nm."""
    return f"zernike_{n}_{m}_nm"


def truths_of(boxes: Boxes, wanted: tuple[Quantity, ...]) -> Tensor:
    """Return the true values as raw outputs, (n, quantities)."""
    values = [boxes.x_px, boxes.y_px, boxes.z_nm, boxes.light, boxes.background]
    values += list(boxes.amplitudes_nm.unbind(1))
    if boxes.dipole is not None:
        values += list(moments_of(boxes.dipole).unbind(1))
    raw = []
    for value, quantity in zip(values, wanted, strict=True):
        number = value.clamp(min=1e-3).log() if quantity.log else value
        raw.append((number - quantity.middle) / quantity.scale)
    return torch.stack(raw, dim=1)


def stated(raw: Tensor, wanted: tuple[Quantity, ...]) -> Tensor:
    """Return means and standard deviations in their units, (n, 2 quantities).

    Parameters
    ----------
    raw
        Means and the logarithms of the standard deviations, (n, 2 quantities).
    wanted
        What they are of.
    """
    n = len(wanted)
    means = raw_to_units(raw[:, :n], wanted)
    stds = []
    for i, quantity in enumerate(wanted):
        std = quantity.scale * raw[:, n + i].clamp(*LOG_STD_LIMITS).exp()
        stds.append(std * means[:, i] if quantity.log else std)
    return torch.cat([means, torch.stack(stds, dim=1)], dim=1)


def raw_to_units(raw: Tensor, wanted: tuple[Quantity, ...]) -> Tensor:
    """Return raw means or truths in their units, (n, quantities)."""
    parts = []
    for i, quantity in enumerate(wanted):
        value = quantity.middle + quantity.scale * raw[:, i]
        parts.append(value.clamp(*LOG_LIMITS).exp() if quantity.log else value)
    return torch.stack(parts, dim=1)


def loss_of(raw: Tensor, truth: Tensor) -> Tensor:
    """Return the negative log-likelihood of each quantity, mean over boxes, (quantities,).

    Errors beyond three standard deviations count in proportion: a neighbour in the middle of a
    box is not to drown what all others teach.
    """
    n = truth.shape[1]
    log_std = raw[:, n : 2 * n].clamp(*LOG_STD_LIMITS)
    z = (raw[:, :n] - truth) * torch.exp(-log_std)
    misfit = torch.nn.functional.huber_loss(z, torch.zeros_like(z), delta=3.0, reduction="none")
    return (misfit + log_std).mean(dim=0)
