"""Deep-STORM: an encoder and a decoder on the frame enlarged eightfold, without skipped layers.

Layers as published: Nehme et al., Optica 5, 458 (2018), and its program.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from rtsmlm.models.deepstorm.scaling import scaled
from rtsmlm.models.deepstorm.targets import PEAK
from rtsmlm.settings.base import Settings


class NetworkSettings(Settings):
    """Size of a network."""

    widths: tuple[int, int, int, int] = (32, 64, 128, 512)
    """Channels on the enlarged grid, at a half, a quarter and an eighth of it."""
    upsampling: int = 8
    """Pixels of the image along a camera pixel."""


SIZES: dict[str, NetworkSettings] = {
    "paper": NetworkSettings(),
    "S": NetworkSettings(widths=(8, 16, 64, 128), upsampling=4),
}


def _layer(n_in: int, n_out: int) -> nn.Sequential:
    convolution = nn.Conv2d(n_in, n_out, 3, padding=1, bias=False)
    nn.init.orthogonal_(convolution.weight)
    return nn.Sequential(convolution, nn.BatchNorm2d(n_out), nn.ReLU())


class DeepStormNetwork(nn.Module):
    """One frame to an image on a finer grid."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        a, b, c, d = settings.widths
        self.upsampling = settings.upsampling
        self.encoder = nn.Sequential(
            _layer(1, a), nn.MaxPool2d(2), _layer(a, b), nn.MaxPool2d(2), _layer(b, c),
            nn.MaxPool2d(2), _layer(c, d),
        )  # fmt: skip
        self.decoder = nn.ModuleList([_layer(d, c), _layer(c, b), _layer(b, a)])
        self.predict = nn.Conv2d(a, 1, 1, bias=False)

    def forward(self, frames: Tensor) -> Tensor:
        """Return images, (n, 1, upsampling height, upsampling width), of scaled frames."""
        large = functional.interpolate(frames, scale_factor=self.upsampling, mode="nearest")
        features = self.encoder(large)
        for layer in self.decoder:
            features = layer(functional.interpolate(features, scale_factor=2, mode="nearest"))
        return cast(Tensor, self.predict(features))


def image_of(network: nn.Module, photons: Tensor) -> Tensor:
    """Return images whose sum is `PEAK` for each emitter, of frames in photons, (n, 1, h, w)."""
    return cast(Tensor, PEAK * network(scaled(photons)))
