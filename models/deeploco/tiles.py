"""Tiles of a frame: how they are cut in the graph, and how light enters the network."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from rtsmlm.models.deeploco.geometry import OVERLAP_PX, STEP_PX, TILE_PX

LEVEL_PX = 8
"""Side of the blocks of which the darkest gives the level of a tile."""
SOFT = 6.0
"""Light that is so many times the noise above the level enters as log 2."""


def stabilized(photons: Tensor, read_variance: Tensor) -> Tensor:
    """Return light on a scale on which its noise is 1 everywhere, of any shape.

    Anscombe, Biometrika 35, 246 (1948), with the read variance added: dim and bright emitters,
    and all cameras, come in one scale.
    """
    return 2.0 * torch.sqrt((photons + read_variance).clamp(min=0.0) + 0.375)


def scaled(tiles: Tensor) -> Tensor:
    """Return what the network takes: stabilized tiles, (n, 1, 64, 64), above their level."""
    above = (tiles - level_of(tiles)).clamp(min=-0.5 * SOFT)
    return torch.log(1.0 + above / SOFT)


def level_of(tiles: Tensor) -> Tensor:
    """Return the mean of the darkest block of each tile, (n, 1, 1, 1)."""
    return functional.avg_pool2d(tiles, LEVEL_PX).amin(dim=(1, 2, 3), keepdim=True)


def cut(frames: Tensor) -> Tensor:
    """Return overlapping tiles, (n, tiles down, tiles across, 64, 64).

    Parameters
    ----------
    frames
        (n, height, width), both `STEP_PX` times a whole number, plus the overlap.

    Notes
    -----
    Slices, reshapes and joins alone, which every engine knows: a tile is a whole step, and the
    last pixels of the same step begun one overlap later.
    """
    n, _, width = frames.shape

    def rows(part: Tensor) -> Tensor:
        return part.reshape(n, -1, STEP_PX, width)

    last = STEP_PX - OVERLAP_PX
    bands = torch.cat(
        [rows(frames[:, :-OVERLAP_PX]), rows(frames[:, OVERLAP_PX:])[:, :, last:]], dim=2
    )
    n_down = bands.shape[1]

    def columns(part: Tensor) -> Tensor:
        return part.reshape(n, n_down, TILE_PX, -1, STEP_PX)

    tiles = torch.cat(
        [columns(bands[..., :-OVERLAP_PX]), columns(bands[..., OVERLAP_PX:])[..., last:]], dim=4
    )
    return tiles.permute(0, 1, 3, 2, 4)
