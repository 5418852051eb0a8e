"""A network after Zelger et al.: one box to position, light and Zernike amplitudes.

The layers of the original (Opt. Express 26, 33166 (2018)) were not published in a form that could
be had: these are a stand-in of the size that it reports.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from rtsmlm.models.box_parameters.scaling import noise_input, stabilized
from rtsmlm.settings.base import Settings


class NetworkSettings(Settings):
    """Size of a network."""

    box_px: int = 16
    widths: tuple[int, int, int] = (32, 64, 128)
    hidden: int = 256
    outputs: int = 5
    """x, y, z, photons, background; 12 more with Zernike amplitudes, twice as many with errors."""


SIZES: dict[str, NetworkSettings] = {
    "paper": NetworkSettings(),
    "S": NetworkSettings(widths=(16, 32, 64), hidden=128),
}


class ZelgerNetwork(nn.Module):
    """Boxes to parameters.

    Parameters
    ----------
    settings
        Its size.
    noise
        Background and read noise are inputs of the first full layer, too; the original is given
        the light of the box alone.
    """

    def __init__(self, settings: NetworkSettings, *, noise: bool = False) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        n_in = 1
        for n in settings.widths:
            for width in (n_in, n):
                parts += [nn.Conv2d(width, n, 3, padding=1), nn.ReLU()]
            parts.append(nn.MaxPool2d(2))
            n_in = n
        side = settings.box_px // 2 ** len(settings.widths)
        self.features = nn.Sequential(*parts, nn.Flatten())
        self._noise = noise
        n_features = n_in * side * side + 2 * int(noise)
        self.last = nn.Sequential(
            nn.Linear(n_features, settings.hidden),
            nn.ReLU(),
            nn.Linear(settings.hidden, settings.outputs),
        )

    def forward(self, photons: Tensor, variance: Tensor) -> Tensor:
        """Return raw parameters, (n, outputs), of boxes in photons, (n, 1, box, box)."""
        features = self.features(stabilized(photons, variance))
        if self._noise:
            features = torch.cat([features, noise_input(photons, variance)], 1)
        return cast(Tensor, self.last(features))
