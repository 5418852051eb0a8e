"""What Deep-STORM is fed with: the light of a frame in units of its noise, above its background.

The original scales every frame from its darkest to its brightest pixel, so that one hot pixel dims
all emitters, and the next frame is scaled in another way. Here the rule is fixed: the square root
that makes the noise of every pixel one (Anscombe, Biometrika 35, 246 (1948)), and the level of the
background from the surroundings of each pixel. No pixel changes what is far from it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

LEVEL_PX = 17
"""Side of the surroundings in which the background is looked for: wider than a crowd of PSFs."""
NOISES = 10.0
"""Standard deviations of the noise that are one unit."""


def scaled(photons: Tensor) -> Tensor:
    """Return what the network takes, of frames in photons, both (n, 1, height, width)."""
    light = 2.0 * torch.sqrt(torch.clamp(photons, min=0.0) + 0.375)
    return (light - _level(light)) / NOISES


def _level(light: Tensor) -> Tensor:
    """Return the lowest mean of 3x3 pixels around each pixel, without the steps of a minimum."""
    means = functional.avg_pool2d(light, 3, stride=1, padding=1, count_include_pad=False)
    reach = LEVEL_PX // 2
    lowest = -functional.max_pool2d(-means, LEVEL_PX, stride=1, padding=reach)
    return functional.avg_pool2d(lowest, LEVEL_PX, stride=1, padding=reach, count_include_pad=False)
