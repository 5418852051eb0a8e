"""The flagship with attention along time: a window of seven or fifteen frames, not of three.

All layers of the flagship are there under their names, so that it may start from its weights;
attention adds what the other frames of the window say, after the first block at a quarter of the
resolution.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from rtsmlm.errors import ConfigError
from rtsmlm.models.flagship.attention import FrameFeatures, TimeAttention
from rtsmlm.models.flagship.network import (
    FlagshipNetwork,
    NetworkSettings,
    light_level,
    modulate,
    noise_plane,
)
from rtsmlm.models.flagship.rectifier import rectify
from rtsmlm.models.training.recipe import Recipe


class TimeNetworkSettings(NetworkSettings):
    """Size of a network with attention."""

    window_frames: int = 7

    @property
    def neighbours(self) -> int:
        """Frames before and after the target."""
        return self.window_frames // 2


TIME_SIZES: dict[str, TimeNetworkSettings] = {
    "S 7": TimeNetworkSettings(quarter_blocks=1),
    "S+ 7": TimeNetworkSettings(),
    "S+ 15": TimeNetworkSettings(window_frames=15),
}
"""Sizes by name and number of frames; S 7 costs about as much as the flagship of size S+."""


class TimeNetwork(FlagshipNetwork):
    """Stabilized frames and a condition to the maps of the flagship."""

    def __init__(self, settings: TimeNetworkSettings) -> None:
        super().__init__(settings)
        self.time = settings
        self.frames = FrameFeatures()
        self.attention = TimeAttention(settings.quarter_channels, settings.window_frames)

    def in_time(self, frames: Tensor, noise: Tensor, context: Tensor, condition: Tensor) -> Tensor:
        """Return raw maps of the target frames, without activation.

        Parameters
        ----------
        frames
            Stabilized frames, the window of each target in successive ones,
            (n + 2 neighbours, 1, height, width).
        noise
            Noise level of the targets, (n, 1, height, width).
        context
            1 where the frames around each target are there, (n, 2 neighbours).
        condition
            PSF input, (n or 1, condition size).
        """
        keys, values = self.frames(frames)
        windows = [
            (_shifted(keys, k, self.time.neighbours), _shifted(values, k, self.time.neighbours))
            for k in range(self.time.window_frames)
        ]
        middle = self.time.neighbours
        near = [_shifted(frames, k, middle) for k in (middle - 1, middle, middle + 1)]
        return self._maps(near, noise, windows, context, condition)

    def of_windows(
        self, frames: Tensor, noise: Tensor, context: Tensor, condition: Tensor
    ) -> Tensor:
        """Return raw maps of training windows; as `in_time`, but each has frames of its own.

        Parameters
        ----------
        frames
            Stabilized, (n, window_frames, height, width).
        noise, context, condition
            As `in_time` takes them.
        """
        n, window = frames.shape[:2]
        keys, values = self.frames(frames.flatten(0, 1)[:, None])
        keys, values = (part.unflatten(0, (n, window)) for part in (keys, values))
        windows = [(keys[:, k], values[:, k]) for k in range(window)]
        middle = self.time.neighbours
        near = [frames[:, k : k + 1] for k in (middle - 1, middle, middle + 1)]
        return self._maps(near, noise, windows, context, condition)

    def _maps(
        self,
        near: list[Tensor],
        noise: Tensor,
        windows: list[tuple[Tensor, Tensor]],
        context: Tensor,
        condition: Tensor,
    ) -> Tensor:
        middle = self.time.neighbours
        there = context[:, :, None, None]
        before, after = there[:, middle - 1 : middle], there[:, middle : middle + 1]
        planes = torch.cat([near[0] * before, near[1], near[2] * after, noise], dim=1)
        films = self._films(condition)
        fine = modulate(self.stem(functional.pixel_unshuffle(planes, 2)), next(films))
        for block in self.half_blocks:
            fine = block(fine, next(films))
        coarse = modulate(self.down(fine), next(films))
        first, *others = self.quarter_blocks
        coarse = first(coarse, next(films))
        seen = torch.cat(
            [context[:, :middle], 0.0 * context[:, :1] + 1.0, context[:, middle:]], dim=1
        )
        coarse = rectify(coarse + self.attention(coarse, windows, seen))
        for block in others:
            coarse = block(coarse, next(films))
        up = functional.interpolate(self.up(coarse), scale_factor=2, mode="nearest")
        merged = rectify(fine + up)
        for block in self.last_blocks:
            merged = block(merged, next(films))
        features = modulate(self.head(merged), next(films))
        return cast(Tensor, self.out(features.to(self.out.weight.dtype)))


def check_windows(settings: TimeNetworkSettings, recipe: Recipe) -> None:
    """Raise `ConfigError` if a recipe draws windows of another number of frames."""
    drawn = recipe.simulation.window_frames
    if drawn != settings.window_frames:
        raise ConfigError(
            f"simulation.window_frames is {drawn}; a network of size {recipe.network.size} looks "
            f"at {settings.window_frames}"
        )


def _shifted(frames: Tensor, k: int, neighbours: int) -> Tensor:
    """Return the k-th frame of each window of successive frames."""
    last = k - 2 * neighbours
    return frames[k : last or None]


def stabilized(photons: Tensor, read_variance: Tensor) -> tuple[Tensor, Tensor]:
    """Return frames of noise of equal strength, and the level of that noise.

    Parameters
    ----------
    photons
        (n, frames, height, width).
    read_variance
        In photons², (n or 1, 1, height, width).

    Returns
    -------
    :
        Both (n, frames, height, width); see `rtsmlm.models.flagship.network.stabilize`.
    """
    level = light_level(photons)
    shifted = read_variance + 0.375
    roots = (photons + shifted).clamp(min=0.0).sqrt() - (level + shifted).sqrt()
    return 0.5 * roots, noise_plane(level, read_variance)
