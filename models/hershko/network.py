"""One grey frame to one image for each colour, on a grid four times as fine as the camera's.

The layers of the original (Opt. Express 27, 6158 (2019)) were not published in a form that could
be had: an encoder of five convolutions and four transposed ones after it are a stand-in.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

from torch import Tensor, nn

from rtsmlm.settings.base import Settings

UPSAMPLING = 4
"""Fine pixels along the side of a camera pixel."""
BLOCK_PX = 4
"""Sides of frames are multiples of it: the encoder halves them twice."""
LEAK = 0.02
"""Slope of the answer beyond its limits."""
MIDDLE, SPREAD = 8.0, 4.0
"""Roots of light, twice the square root of photons, that are zero and one to the network."""


class NetworkSettings(Settings):
    """Size of a network."""

    down: tuple[int, int, int, int, int] = (64, 64, 128, 128, 128)
    """Channels of the convolutions; the second and the fourth halve the image."""
    up: tuple[int, int, int, int] = (64, 64, 32, 32)
    """Channels of the transposed convolutions, each of which doubles it."""
    colours: int = 2


SIZES: dict[str, NetworkSettings] = {
    "paper": NetworkSettings(),
    "S": NetworkSettings(down=(24, 32, 48, 64, 64), up=(48, 32, 16, 16)),
}


class HershkoNetwork(nn.Module):
    """Frames to images of each colour: what a fine pixel holds of an emitter, 0 to 1."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for k, (n_in, n_out) in enumerate(pairwise((1, *settings.down))):
            parts += [nn.Conv2d(n_in, n_out, 3, 1 + k % 2, padding=1), nn.ReLU()]
        for n_in, n_out in pairwise((settings.down[-1], *settings.up)):
            # A kernel of twice the stride leaves no pattern of squares.
            parts += [nn.ConvTranspose2d(n_in, n_out, 4, 2, padding=1), nn.ReLU()]
        self.layers = nn.Sequential(*parts)
        self.last = nn.Conv2d(settings.up[-1], settings.colours, 1)
        # Images begin nearly empty, as they are.
        nn.init.normal_(self.last.weight, std=0.02)
        nn.init.zeros_(cast(Tensor, self.last.bias))

    def forward(self, photons: Tensor, variance: Tensor) -> Tensor:
        """Return images, (n, colours, 4 height, 4 width).

        Parameters
        ----------
        photons
            Light in photons, (n, 1, height, width), sides multiples of `BLOCK_PX`.
        variance
            Read variance in photons², of the same shape or one that fits.
        """
        # Noise is equally strong everywhere then (Anscombe, Biometrika 35, 246 (1948)).
        roots = 2.0 * (photons + variance + 0.375).clamp(min=0.0).sqrt()
        raw = self.last(self.layers((roots - MIDDLE) / SPREAD))
        clamped = raw.clamp(0.0, 1.0)
        # With some slope outside, pixels that are empty at first do not stay so.
        return cast(Tensor, clamped + LEAK * (raw - clamped))
