"""The flagship network: three frames to maps at half resolution, conditioned on the PSF.

Every pixel is a slot that may hold one emitter; the four slots of a 2x2 cell share one position of
the half-resolution grid, so that no convolution runs at full resolution. Channel 4a + 2r + c is
attribute a of the pixel in row r, column c of its cell.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from rtsmlm.models.flagship.maps import background_channel_of
from rtsmlm.models.flagship.rectifier import rectify
from rtsmlm.models.inputs import BLOCK_PX
from rtsmlm.models.psf_condition import CURVE_CONDITION, WIDTH_CONDITION
from rtsmlm.settings.base import Settings

N_PLANES = 4
FIRST_LOGIT = -5.0


class NetworkSettings(Settings):
    """Size of a network."""

    half_channels: int = 32
    """Channels at half resolution."""
    quarter_channels: int = 64
    """Channels at a quarter of the resolution."""
    half_blocks: int = 1
    quarter_blocks: int = 2
    last_blocks: int = 1
    """Residual blocks at half resolution after the quarter resolution."""
    axial: bool = False
    """Whether z is found from an astigmatic PSF."""

    @property
    def background_channel(self) -> int:
        """The channel after those of the slots."""
        return background_channel_of(axial=self.axial)

    @property
    def channels(self) -> int:
        """Channels of the maps, a multiple of eight; those after the background are unused."""
        return (self.background_channel + 8) // 8 * 8

    @property
    def condition_size(self) -> int:
        """Length of the condition vector."""
        return CURVE_CONDITION if self.axial else WIDTH_CONDITION


SIZES: dict[str, NetworkSettings] = {
    "XS": NetworkSettings(half_channels=16, quarter_channels=32, last_blocks=0),
    "S": NetworkSettings(quarter_blocks=1, last_blocks=0),
    "S+": NetworkSettings(),
    "M": NetworkSettings(half_channels=64, quarter_channels=128, quarter_blocks=1, last_blocks=0),
    "M+": NetworkSettings(half_channels=64, quarter_channels=128),
    "S+ z": NetworkSettings(quarter_blocks=3, axial=True),
    "M+ z": NetworkSettings(half_channels=64, quarter_channels=128, quarter_blocks=3, axial=True),
}
"""Sizes with a name, from CPU to GPU; z where depth is found, which takes more context."""


def light_level(photons: Tensor) -> Tensor:
    """Return a smooth low estimate of the local background, same shape as the frames.

    The least of nine block means, since emitters only add light; it need not be exact, as the
    network is trained with the same estimate, and has it as an input.
    """
    means = functional.avg_pool2d(photons, BLOCK_PX)
    least = -functional.max_pool2d(-means, 3, stride=1, padding=1)
    smooth = functional.avg_pool2d(least, 3, stride=1, padding=1, count_include_pad=False)
    # One value per cell of 2x2 pixels: a quarter of the work, and the level is smooth anyway.
    cells = functional.interpolate(
        smooth, scale_factor=BLOCK_PX // 2, mode="bilinear", align_corners=False
    )
    return functional.interpolate(cells.clamp(min=0.0), scale_factor=2, mode="nearest")


def stabilize(photons: Tensor, read_variance: Tensor, context: Tensor) -> Tensor:
    """Return four planes of order one: noise of equal strength everywhere, and its level.

    Parameters
    ----------
    photons
        Previous, target and next frame, (n, 3, height, width).
    read_variance
        In photons², (n or 1, 1, height, width).
    context
        1 where the previous or next frame is there, else 0, (n, 2).

    Notes
    -----
    The square root of Anscombe (Biometrika 35, 246 (1948)) with the read variance added to
    light and variance alike (Huang et al., Nat. Methods 10, 653 (2013)).
    """
    level = light_level(photons)
    shifted = read_variance + 0.375
    planes = (photons + shifted).clamp(min=0.0).sqrt() - (level + shifted).sqrt()
    previous, target, following = torch.chunk(0.5 * planes, 3, dim=1)
    there = context[:, :, None, None]
    noise_level = noise_plane(level[:, 1:2], read_variance)
    return torch.cat([previous * there[:, :1], target, following * there[:, 1:], noise_level], 1)


def noise_plane(level: Tensor, read_variance: Tensor) -> Tensor:
    """Return the plane that tells how strong the noise is: log(level + variance + 1) / 3."""
    return torch.log(level + read_variance + 1.0) / 3.0


class ResidualBlock(nn.Module):
    """Two convolutions and their input; the PSF scales and shifts what lies between them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.kaiming_normal_(self.first.weight, nonlinearity="relu")
        nn.init.zeros_(cast(Tensor, self.first.bias))
        # Zero: a block starts as the identity, so that depth needs no normalization layer.
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(cast(Tensor, self.second.bias))

    def forward(self, x: Tensor, film: Tensor) -> Tensor:
        """Return features of the same shape."""
        y = self.second(modulate(self.first(x), film))
        return rectify(x + cast(Tensor, y))


class FlagshipNetwork(nn.Module):
    """Planes of `stabilize` and a condition to raw maps; the manifest says what they mean.

    Input (n, 4, height, width) and (n, condition_size); output (n, channels, height / 2,
    width / 2).
    """

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        half, quarter = settings.half_channels, settings.quarter_channels
        self.settings = settings
        self.stem = _conv(4 * N_PLANES, half, 3)
        self.half_blocks = _blocks(half, settings.half_blocks)
        self.down = _conv(half, quarter, 3, stride=2)
        self.quarter_blocks = _blocks(quarter, settings.quarter_blocks)
        self.up = _conv(quarter, half, 1)
        self.last_blocks = _blocks(half, settings.last_blocks)
        self.head = _conv(half, half, 3)
        self.out = nn.Conv2d(half, settings.channels, 1)
        nn.init.normal_(self.out.weight, std=0.01)
        nn.init.zeros_(cast(Tensor, self.out.bias))
        with torch.no_grad():
            cast(Tensor, self.out.bias)[:4] = FIRST_LOGIT
        self.condition_first = nn.Linear(settings.condition_size, 32)
        self.condition_second = nn.Linear(32, 2 * sum(film_channels(settings)))
        nn.init.zeros_(self.condition_second.weight)
        nn.init.zeros_(self.condition_second.bias)

    def forward(self, planes: Tensor, condition: Tensor) -> Tensor:
        """Return raw maps, without activation."""
        films = self._films(condition)
        x = self.stem(functional.pixel_unshuffle(planes, 2))
        fine = modulate(x, next(films))
        for block in self.half_blocks:
            fine = block(fine, next(films))
        coarse = modulate(self.down(fine), next(films))
        for block in self.quarter_blocks:
            coarse = block(coarse, next(films))
        up = functional.interpolate(self.up(coarse), scale_factor=2, mode="nearest")
        merged = rectify(fine + up)
        for block in self.last_blocks:
            merged = block(merged, next(films))
        features = modulate(self.head(merged), next(films))
        return cast(Tensor, self.out(features.to(self.out.weight.dtype)))

    def _films(self, condition: Tensor) -> Iterator[Tensor]:
        """Yield scales and shifts in the order in which the layers come."""
        hidden = rectify(self.condition_first(condition))
        film = cast(Tensor, self.condition_second(hidden))[:, :, None, None]
        sizes = [2 * channels for channels in film_channels(self.settings)]
        return iter(torch.split(film, sizes, dim=1))


def film_channels(settings: NetworkSettings) -> list[int]:
    """Return the channels of each layer that the PSF modulates, in their order."""
    half, quarter = settings.half_channels, settings.quarter_channels
    before = [half] * (1 + settings.half_blocks)
    between = [quarter] * (1 + settings.quarter_blocks)
    return [*before, *between, *[half] * (settings.last_blocks + 1)]


def _blocks(channels: int, count: int) -> nn.ModuleList:
    return nn.ModuleList(ResidualBlock(channels) for _ in range(count))


def _conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    nn.init.zeros_(cast(Tensor, conv.bias))
    return conv


def modulate(x: Tensor, film: Tensor) -> Tensor:
    """Scale and shift each channel by the condition, then cut off what is negative."""
    scale, shift = film.to(x.dtype).chunk(2, dim=1)
    return rectify(x * (1.0 + scale) + shift)
