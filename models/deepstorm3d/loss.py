"""The loss of volumes: their difference as a blur leaves it, and how they overlap.

Both terms after Nehme et al., Nat. Methods 17, 734 (2020): a volume near the right one is better
than one far from it, as both are blurred by a Gaussian of one voxel.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from rtsmlm.models.deepstorm3d.network import NetworkSettings
from rtsmlm.models.deepstorm3d.volume import shares_of
from rtsmlm.models.simulation.training_windows import Windows

REACH = 3
"""Half of the blur's side, in voxels; its standard deviation is one voxel, and its peak is 1."""
ENERGY = math.pi**1.5
"""Sum over a blurred voxel squared."""


def loss_of_windows(
    output: Tensor, windows: Windows, settings: NetworkSettings
) -> dict[str, Tensor]:
    """Return the loss of the volumes of training windows; see `volume_loss`."""
    n, planes, height, width = output.shape
    voxels, shares = shares_of(windows.targets, (n, planes, height, width), settings.upsampling)
    ignored = windows.targets.ignored[:, None].float()
    ignored = functional.interpolate(ignored, scale_factor=settings.upsampling)[:, 0] > 0.0
    volume = output if settings.scale == 1.0 else output / settings.scale
    return volume_loss(volume, voxels, shares, ignored)


def volume_loss(
    volume: Tensor, voxels: Tensor, shares: Tensor, ignored: Tensor
) -> dict[str, Tensor]:
    """Return the loss as `total`, and its terms.

    Parameters
    ----------
    volume
        Answer of the network over its scale, (n, planes, height, width), in any precision.
    voxels, shares
        Where it is to be other than empty, and what it is to be there: see `shares_of`.
    ignored
        Columns that are not looked at, bool, (n, height, width).

    Notes
    -----
    The blurred difference is counted per emitter instead of per voxel: one when nothing is found.
    In the overlap, the program of the paper has the product with the target where the square of
    the answer is meant; the square is taken here, whose best answer is the target itself.
    """
    volume = volume.permute(0, 2, 3, 1).masked_fill(ignored[..., None], 0.0)
    shares = shares.masked_fill(ignored.reshape(-1)[voxels // volume.shape[3]], 0.0)
    flat = volume.reshape(-1)
    # Eight shares of one emitter may meet in a voxel with those of another.
    difference = flat.index_add(0, voxels, -shares.to(flat.dtype)).view_as(volume)
    near = _square(blurred(difference)) / (ENERGY * (shares.sum() + 1.0))
    shared = (flat[voxels].float() * shares).sum()
    overlap = 1.0 - (2.0 * shared + 1.0) / (_square(flat) + _square_of_sums(voxels, shares) + 1.0)
    return {"total": near + overlap, "blurred": near, "overlap": overlap}


def _square(values: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(values.reshape(-1), dtype=torch.float32)
    return norm.square()


def _square_of_sums(voxels: Tensor, shares: Tensor) -> Tensor:
    """Return the sum over the target squared."""
    unique, place = torch.unique(voxels, return_inverse=True)
    return shares.new_zeros(len(unique)).index_add_(0, place, shares).square().sum()


def blurred(volume: Tensor) -> Tensor:
    """Return volumes (n, height, width, planes) after a Gaussian of one voxel, one at its peak."""
    planes = volume.shape[3]
    distance = torch.arange(-REACH, REACH + 1, device=volume.device, dtype=torch.float32)
    kernel = torch.exp(-0.5 * distance.square()).to(volume.dtype)
    depth = torch.arange(planes, device=volume.device)
    apart = (depth[:, None] - depth).abs()
    along_z = (torch.exp(-0.5 * apart.float().square()) * (apart <= REACH)).to(volume.dtype)
    # Channels last for the convolutions: a view, not a copy.
    volume = (volume @ along_z).permute(0, 3, 1, 2)
    rows = kernel[:, None].expand(planes, 1, -1, 1).contiguous()
    columns = kernel[None].expand(planes, 1, 1, -1).contiguous()
    volume = functional.conv2d(volume, rows, padding=(REACH, 0), groups=planes)
    return functional.conv2d(volume, columns, padding=(0, REACH), groups=planes)
