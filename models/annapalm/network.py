"""ANNA-PALM: a U-Net down to a few pixels, and the critic that tells its images from true ones.

Layers as published: Ouyang et al., Nat. Biotechnol. 36, 460 (2018), after Isola et al., CVPR
(2017), and its program.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from rtsmlm.settings.base import Settings

N_INPUTS = 2
"""Localizations, and the widefield image."""
SLOPE = 0.2
"""Of units below zero in the encoder and the critic."""


class NetworkSettings(Settings):
    """Size of a network."""

    widths: tuple[int, ...] = (64, 128, 256, 512, 512, 512, 512, 512)
    """Channels of each level; each halves the image."""
    critic_widths: tuple[int, ...] = (64, 128, 256, 512)
    """Channels of the critic; all layers but the last halve the image."""
    dropout: float = 0.5
    """In the three deepest layers of the decoder, while it learns."""

    @property
    def block_px(self) -> int:
        """Sides of an image are multiples of it."""
        return int(2 ** len(self.widths))


SIZES: dict[str, NetworkSettings] = {
    "paper": NetworkSettings(),
    "S": NetworkSettings(
        widths=(16, 32, 64, 96, 112, 112), critic_widths=(8, 16, 32, 64), dropout=0.0
    ),
}


class InstanceNorm(nn.InstanceNorm2d):
    """The published norm for one image at a time; mean and variance are taken in float32."""

    def __init__(self, width: int) -> None:
        super().__init__(width, affine=True)

    def forward(self, features: Tensor) -> Tensor:
        """Return normalized features."""
        with torch.autocast(features.device.type, enabled=False):
            if not self.training:
                return super().forward(features.float())
            # The same, without a copy of what lies in memory channel by channel.
            return functional.group_norm(
                features.float(), self.num_features, self.weight, self.bias, self.eps
            )


class Down(nn.Module):
    """A level of the encoder: half the side, and what the structure adds to each channel."""

    def __init__(self, n_in: int, n_out: int, n_structures: int, *, norm: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(n_in, n_out, 4, stride=2, padding=1)
        self.structure = nn.Linear(n_structures, n_out, bias=False)
        self.norm = InstanceNorm(n_out) if norm else None

    def forward(self, features: Tensor, structure: Tensor) -> Tensor:
        """Return features of half the side."""
        found: Tensor = self.convolution(features) + self.structure(structure)[:, :, None, None]
        return found if self.norm is None else cast(Tensor, self.norm(found))


class Up(nn.Module):
    """A level of the decoder: twice the side."""

    def __init__(self, n_in: int, n_out: int, dropout: float) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(n_in, n_out, 3, padding=1)
        self.norm = InstanceNorm(n_out)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Return features of twice the side."""
        large = functional.interpolate(functional.relu(features), scale_factor=2, mode="nearest")
        return cast(Tensor, self.dropout(self.norm(self.convolution(large))))


class Generator(nn.Module):
    """Localizations, a widefield image and a structure to an image between -1 and 1."""

    def __init__(self, settings: NetworkSettings, n_structures: int) -> None:
        super().__init__()
        widths = settings.widths
        last = len(widths) - 1
        # Neither the first level nor the deepest one, which may be a single pixel.
        self.encoder = nn.ModuleList(
            Down(n_in, n_out, n_structures, norm=0 < level < last)
            for level, (n_in, n_out) in enumerate(
                zip((N_INPUTS, *widths[:-1]), widths, strict=True)
            )
        )
        self.decoder = nn.ModuleList(
            Up(
                widths[level] * (1 if level == last else 2),
                widths[level - 1],
                settings.dropout if level > last - 3 else 0.0,
            )
            for level in range(last, 0, -1)
        )
        self.predict = nn.Conv2d(2 * widths[0], 1, 3, padding=1)

    def forward(self, inputs: Tensor, structure: Tensor) -> Tensor:
        """Return images, (n, 1, height, width).

        Parameters
        ----------
        inputs
            (n, 2, height, width).
        structure
            1 for what each shows, (n, structures).
        """
        found = [self.encoder[0](inputs, structure)]
        for level in self.encoder[1:]:
            found.append(level(functional.leaky_relu(found[-1], SLOPE), structure))
        features = found.pop()
        for layer in self.decoder:
            features = torch.cat([layer(features), found.pop()], dim=1)
        large = functional.interpolate(functional.relu(features), scale_factor=2, mode="nearest")
        return torch.tanh(self.predict(large).float())


class Critic(nn.Sequential):
    """Inputs with an image to how true each part of it looks: 1 true, 0 made up."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        layers: list[nn.Module] = []
        for level, (n_in, n_out) in enumerate(
            zip((N_INPUTS + 1, *widths[:-1]), widths, strict=True)
        ):
            stride = 1 if level == len(widths) - 1 else 2
            layers.append(nn.Conv2d(n_in, n_out, 4, stride=stride, padding=1))
            if level:
                layers.append(InstanceNorm(n_out))
            layers.append(nn.LeakyReLU(SLOPE))
        super().__init__(*layers, nn.Conv2d(widths[-1], 1, 4, padding=1))


class AnnaPalmNetwork(nn.Module):
    """Generator and critic, which learn side by side."""

    def __init__(self, settings: NetworkSettings, n_structures: int) -> None:
        super().__init__()
        self.generator = Generator(settings, n_structures)
        self.critic = Critic(settings.critic_widths)
