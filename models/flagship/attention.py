"""Attention along time: every place of the target frame looks at the same place of other frames.

A query of the target frame is compared with a key of every frame of the window, in several heads;
what the frames hold is added up with the weights that follow (Vaswani et al., NIPS 30 (2017)). It
is done at a quarter of the resolution, where an emitter that moves by a fraction of a pixel is
still in the same place. Frames that are not there have no weight.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

HEADS, HEAD_CHANNELS = 4, 16
FRAME_CHANNELS = 32
NOT_THERE = -30.0
"""Added to the score of a frame that is missing."""


class FrameFeatures(nn.Module):
    """One stabilized frame to keys and values at a quarter of its resolution.

    Each frame of a batch is done once, whichever frames it helps to localize.
    """

    def __init__(self) -> None:
        super().__init__()
        wide = HEADS * HEAD_CHANNELS
        self.stem = nn.Conv2d(4, FRAME_CHANNELS, 3, padding=1)
        self.down = nn.Conv2d(FRAME_CHANNELS, FRAME_CHANNELS, 3, stride=2, padding=1)
        self.key = nn.Conv2d(FRAME_CHANNELS, wide, 1)
        self.value = nn.Conv2d(FRAME_CHANNELS, wide, 1)
        for layer in (self.stem, self.down):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(cast(Tensor, layer.bias))

    def forward(self, roots: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values of frames (n, 1, height, width), (n, 64, height / 4, ...) each."""
        fine = functional.relu(self.stem(functional.pixel_unshuffle(roots, 2)))
        coarse = functional.relu(self.down(fine))
        return self.key(coarse), self.value(coarse)


class TimeAttention(nn.Module):
    """What a target frame takes from the frames of its window.

    Parameters
    ----------
    channels
        Of the target's features.
    window_frames
        Frames of the window, an odd number.
    """

    def __init__(self, channels: int, window_frames: int) -> None:
        super().__init__()
        wide = HEADS * HEAD_CHANNELS
        self.neighbours = window_frames // 2
        self.query = nn.Conv2d(channels, wide, 1)
        self.out = nn.Conv2d(wide, channels, 1)
        self.age = nn.Parameter(torch.zeros(window_frames, HEADS))
        """Score that a frame has by its place in the window."""
        # Zero: the network starts as the one without attention.
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(cast(Tensor, self.out.bias))

    def forward(self, target: Tensor, frames: list[tuple[Tensor, Tensor]], there: Tensor) -> Tensor:
        """Return what is added to the features of the target frames, of the same shape.

        Parameters
        ----------
        target
            Features of the target frames, (n, channels, height, width).
        frames
            Keys and values of each frame of the window, earliest first, (n, 64, height, width).
        there
            1 where that frame is there, else 0, (n, window_frames).
        """
        query = self.query(target) / math.sqrt(HEAD_CHANNELS)
        absent = (1.0 - there) * NOT_THERE
        scores = []
        for k, (key, _) in enumerate(frames):
            score = _per_head(query * key)
            bias = self.age[k] + absent[:, k : k + 1]
            scores.append(score + bias[:, :, None, None].to(score.dtype))
        highest = scores[0]
        for score in scores[1:]:
            highest = torch.maximum(highest, score)
        weights = [torch.exp(score - highest) for score in scores]
        total = weights[0]
        for weight in weights[1:]:
            total = total + weight
        mixed = _of_heads(weights[0] / total) * frames[0][1]
        for weight, (_, value) in zip(weights[1:], frames[1:], strict=True):
            mixed = mixed + _of_heads(weight / total) * value
        added: Tensor = self.out(mixed)
        return added


def _per_head(products: Tensor) -> Tensor:
    """Return the sums of the channels of each head, (n, heads, height, width)."""
    parts = torch.split(products, HEAD_CHANNELS, dim=1)
    return torch.cat([part.sum(dim=1, keepdim=True) for part in parts], dim=1)


def _of_heads(weights: Tensor) -> Tensor:
    """Return the weight of each channel's head, (n, 64, height, width)."""
    # By taking slices together: engines know that, whatever the size of the frame.
    parts = [weights[:, head : head + 1] for head in range(HEADS)]
    return torch.cat([part for part in parts for _ in range(HEAD_CHANNELS)], dim=1)
