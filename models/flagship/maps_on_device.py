"""The formulas of `maps` as array steps, for the loss and for the decoder on a device."""

from __future__ import annotations

import torch
from torch import Tensor

from rtsmlm.models.flagship.maps import (
    BACKGROUND_SCALE,
    LOG_BACKGROUND_LEAST,
    LOG_BACKGROUND_MOST,
    LOG_PHOTONS_LIMIT,
    PHOTONS_UNIT,
    RAW_STD_LEAST,
    RAW_STD_MOST,
    STD_BIAS,
    Z_REACH,
)


def log_photons_of(raw: Tensor) -> Tensor:
    """Return the logarithm of the photons in thousands that a raw value states."""
    return raw.clamp(-LOG_PHOTONS_LIMIT, LOG_PHOTONS_LIMIT)


def photons_of(raw: Tensor) -> Tensor:
    """Return the photons that a raw value states."""
    return PHOTONS_UNIT * torch.exp(log_photons_of(raw))


def log_std_of(raw: Tensor) -> Tensor:
    """Return the logarithm of the standard deviation that a raw value states."""
    return raw.clamp(RAW_STD_LEAST, RAW_STD_MOST) - STD_BIAS


def std_of(raw: Tensor) -> Tensor:
    """Return the standard deviation that a raw value states."""
    return torch.exp(log_std_of(raw))


def z_of(raw: Tensor) -> Tensor:
    """Return the height in halves of the range of z that a raw value states."""
    return Z_REACH * torch.tanh(raw)


def background_of(raw: Tensor) -> Tensor:
    """Return the photons per pixel that a raw value states."""
    return torch.exp((BACKGROUND_SCALE * raw).clamp(LOG_BACKGROUND_LEAST, LOG_BACKGROUND_MOST))
