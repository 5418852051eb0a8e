"""Networks after Zhang et al.: a dispersed spectrum to logits of dyes."""

from __future__ import annotations

from math import erf, sqrt
from typing import cast

from torch import Tensor, nn

ROWS, SAMPLES = 7, 201
LEAST_LIGHT = 50.0
"""Sum of the samples below which a spectrum says nothing."""
SIZES = ("paper", "SpeNet")
SIGMA_PX = 1.3
"""Width across the rows."""
ROW_SHARES = tuple(
    0.5 * (erf((row - 2.5) / (sqrt(2.0) * SIGMA_PX)) - erf((row - 3.5) / (sqrt(2.0) * SIGMA_PX)))
    for row in range(ROWS)
)
"""Part of the light in each row of a spectrum in their middle."""


class SpectrumLayers(nn.Module):
    """Full layers on a spectrum without background, as parts of its light.

    Parameters
    ----------
    n_dyes
        Number of dyes.
    """

    def __init__(self, n_dyes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(SAMPLES, 128),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Linear(128, 64),
            nn.ReLU(),
            nn.Linear(64, n_dyes),
        )

    def forward(self, photons: Tensor) -> Tensor:
        """Return logits, (n, dyes), of spectra in photons per pixel, (n, 1, 7, 201)."""
        return cast(Tensor, self.layers(profile_of(photons)))


class SpeNet(nn.Module):
    """Convolutions on the rows of a spectrum, each divided by its brightest sample.

    Parameters
    ----------
    n_dyes
        Number of dyes.
    """

    def __init__(self, n_dyes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 5, padding=2),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.last = nn.Linear(8 * ((ROWS - 3) // 2 + 1) * ((SAMPLES - 3) // 2 + 1), n_dyes)

    def forward(self, photons: Tensor) -> Tensor:
        """Return logits, (n, dyes), of spectra in photons per pixel, (n, 1, 7, 201)."""
        brightest = photons.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1.0)
        return cast(Tensor, self.last(self.features(photons / brightest)))


def profile_of(photons: Tensor) -> Tensor:
    """Return spectra without background, as parts of their light, of order one, (n, 201).

    Rows count by the light that they hold: those with little of it have as much noise.
    """
    shares = photons.new_tensor(ROW_SHARES)
    total, whole = photons[:, 0].sum(dim=(1, 2)), shares.sum()
    outer = 0.5 * (photons[:, 0, 0] + photons[:, 0, ROWS - 1]).sum(dim=1)
    light = (total - ROWS * outer) / (whole - ROWS * shares[0])
    level = (outer - shares[0] * light) / SAMPLES
    weights = shares / shares.square().sum()
    profile = (weights[:, None] * (photons[:, 0] - level[:, None, None])).sum(dim=1)
    light = profile.sum(dim=1, keepdim=True).clamp(min=LEAST_LIGHT)
    return SAMPLES * profile / light / 2.0


def build(size: str, n_dyes: int) -> nn.Module:
    """Return a network of a size with fresh weights."""
    return SpeNet(n_dyes) if size == "SpeNet" else SpectrumLayers(n_dyes)
