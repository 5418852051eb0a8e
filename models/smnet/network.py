"""smNet: residual blocks at the full resolution of one box, a few numbers at the end.

Layers as published: Zhang et al., Nat. Methods 15, 913 (2018), and its program.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from rtsmlm.models.box_parameters.scaling import stabilized
from rtsmlm.settings.base import Settings


class NetworkSettings(Settings):
    """Size of a network."""

    box_px: int = 16
    planes: int = 1
    """Views of an emitter: 2 with two focal planes."""
    stem: tuple[int, int] = (64, 128)
    wide: int = 256
    blocks: int = 3
    """Residual blocks before the one that widens, and as many after it."""
    stride: int = 1
    """Of the second convolution; 2 is a quarter of the work, and less exact."""
    neck: int = 10
    """Neurons before the last layer; more than the original's for more than two numbers."""
    outputs: int = 2


SIZES: dict[str, NetworkSettings] = {
    "paper": NetworkSettings(),
    "S": NetworkSettings(stem=(16, 32), wide=64, blocks=1, stride=2, neck=64),
}


def _layer(n_in: int, n_out: int, side: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, side, stride, side // 2),
        nn.BatchNorm2d(n_out, eps=1e-3),
        nn.PReLU(),
    )


class _Residual(nn.Module):
    def __init__(self, n_in: int, n: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            _layer(n_in, n // 4, 3),
            _layer(n // 4, n // 2, 3),
            nn.Conv2d(n // 2, n, 3, padding=1),
            nn.BatchNorm2d(n, eps=1e-3),
        )
        self.past: nn.Module = nn.Identity()
        if n_in != n:
            self.past = nn.Sequential(nn.Conv2d(n_in, n, 1), nn.BatchNorm2d(n, eps=1e-3))
        self.last = nn.PReLU()

    def forward(self, features: Tensor) -> Tensor:
        return cast(Tensor, self.last(self.inner(features) + self.past(features)))


class SmNetwork(nn.Module):
    """Boxes to parameters of one kind: position, depth, orientation or aberrations."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        a, b = settings.stem
        wide, side = settings.wide, settings.box_px // settings.stride
        self.layers = nn.Sequential(
            _layer(settings.planes, a, 7), _layer(a, b, 5, settings.stride),
            *[_Residual(b, b) for _ in range(settings.blocks)], _Residual(b, wide),
            *[_Residual(wide, wide) for _ in range(settings.blocks)],
            _layer(wide, wide // 2, 1), _layer(wide // 2, wide // 4, 1), _layer(wide // 4, 1, 1),
            nn.Flatten(), nn.Linear(side * side, settings.neck), nn.PReLU(),
            nn.Linear(settings.neck, settings.outputs),
        )  # fmt: skip

    def forward(self, photons: Tensor, variance: Tensor) -> Tensor:
        """Return raw parameters, (n, outputs), of boxes in photons, (n, planes, box, box)."""
        light = stabilized(photons, variance)
        # As the original: how bright a box is shows in its noise alone.
        return cast(
            Tensor, self.layers(light / light.amax(dim=(1, 2, 3), keepdim=True).clamp(min=0.1))
        )
