"""What the maps of DECODE mean: raw values to quantities, their errors, and the loss's view."""

from __future__ import annotations

import torch
from torch import Tensor

from rtsmlm.models.decode.scaling import Scaling

LOGIT_LIMIT = 8.0
STD_MAX, STD_MIN = 3.0, 0.001
"""Standard deviations, in the units in which their quantity is stated."""
CHANNELS = {
    "probability": "1",
    "photons": "photon",
    "dx": "px",
    "dy": "px",
    "z": "1",
    "std_photons": "photon",
    "std_x": "px",
    "std_y": "px",
    "std_z": "1",
    "background": "photon/px",
}
"""What the network answers with, and the unit; the names are those of `pixel-maps`."""
PHOTONS, X, Y, Z = range(1, 5)
STD = 5
BACKGROUND = 9


def logits_of(raw: Tensor) -> Tensor:
    """Return the logits of detection."""
    return raw.clamp(-LOGIT_LIMIT, LOGIT_LIMIT)


def stds_of(raw: Tensor) -> Tensor:
    """Return standard deviations in the units of the network."""
    return STD_MAX * torch.sigmoid(raw) + STD_MIN


def quantities(raw: Tensor, scaling: Scaling) -> Tensor:
    """Return raw maps in physical units, same shape; z in halves of its range.

    Parameters
    ----------
    raw
        Output of the network, (n, 10, height, width).
    scaling
        Units of the network.
    """
    stds = stds_of(raw[:, STD:BACKGROUND])
    return torch.cat(
        [
            torch.sigmoid(logits_of(raw[:, :1])),
            scaling.photons_max * torch.sigmoid(raw[:, PHOTONS : PHOTONS + 1]),
            torch.tanh(raw[:, X : Y + 1]),
            scaling.z_max * torch.tanh(raw[:, Z : Z + 1]),
            scaling.photons_max * stds[:, :1],
            stds[:, 1:3],
            scaling.z_max * stds[:, 3:],
            scaling.background_max * torch.sigmoid(raw[:, BACKGROUND:]),
        ],
        dim=1,
    )
