"""A network after Zelger et al.: one box to position, light and Zernike amplitudes.

The layers of the original (Opt. Express 26, 33166 (2018)) were not published in a form that could
be had: these are a stand-in of the size that it reports.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from rtsmlm.settings.base import Settings

BOX_PX = 16


class NetworkSettings(Settings):
    """Size of a network."""

    widths: tuple[int, int, int] = (32, 64, 128)
    hidden: int = 256
    outputs: int = 5
    """x, y, z, photons, background; 12 more with Zernike amplitudes."""


SIZES: dict[str, NetworkSettings] = {
    "paper": NetworkSettings(),
    "paper-zernike": NetworkSettings(outputs=17),
}


class ZelgerNetwork(nn.Module):
    """Boxes to parameters."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        n_in = 1
        for n in settings.widths:
            for width in (n_in, n):
                parts += [nn.Conv2d(width, n, 3, padding=1), nn.ReLU()]
            parts.append(nn.MaxPool2d(2))
            n_in = n
        side = BOX_PX // 2 ** len(settings.widths)
        self.layers = nn.Sequential(
            *parts, nn.Flatten(), nn.Linear(n_in * side * side, settings.hidden), nn.ReLU(),
            nn.Linear(settings.hidden, settings.outputs),
        )  # fmt: skip

    def forward(self, boxes: Tensor) -> Tensor:
        """Return scaled parameters, (n, outputs), of scaled boxes (n, 1, 16, 16)."""
        return cast(Tensor, self.layers(boxes))
