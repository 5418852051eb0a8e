"""The volume that DeepSTORM3D answers with: where its voxels lie, and what they are to hold.

A voxel is the pixel of a camera divided by the upsampling, and a plane of depth: the first plane
lies at the lower end of the range of z, the last one at its upper end.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rtsmlm.models.simulation.training_windows import Targets


def voxel_of(x_px: Tensor, upsampling: int) -> Tensor:
    """Return the place in voxels of a place in pixels; the centre of the first of each is 0."""
    return (x_px + 0.5) * upsampling - 0.5


def plane_of(z: Tensor, slices: int) -> Tensor:
    """Return the place between planes of a depth in halves of the range of z."""
    return (z + 1.0) * 0.5 * (slices - 1)


def shares_of(
    targets: Targets, shape: tuple[int, int, int, int], upsampling: int
) -> tuple[Tensor, Tensor]:
    """Return the voxels that hold emitters and the share of each; an emitter has eight of them.

    The published network learns on voxels that are one or zero. Ours are larger, and the shares
    hold where in a voxel an emitter lies.

    Parameters
    ----------
    targets
        Emitters of the windows.
    shape
        Windows, planes, height and width in voxels.
    upsampling
        Voxels along the side of a pixel.

    Returns
    -------
    :
        Number of the voxel, counted in the order windows, height, width, planes, int64, (m,); and
        its share, (m,).
    """
    _, slices, height, width = shape
    if targets.z is None:
        raise ValueError("targets without z: the sampler must be one of a PSF in depth")
    x, y = voxel_of(targets.x_px, upsampling), voxel_of(targets.y_px, upsampling)
    z = plane_of(targets.z, slices)
    indices, weights = [], []
    for corner in range(8):
        index, weight = targets.window, torch.ones_like(x)
        for value, size, bit in ((y, height, 0), (x, width, 1), (z, slices, 2)):
            low = value.floor().clamp(0, size - 1)
            part = (value - low).clamp(0.0, 1.0)
            upper = bool(corner >> bit & 1)
            place = (low.long() + upper).clamp(max=size - 1)
            index = index * size + place
            weight = weight * (part if upper else 1.0 - part)
        indices.append(index)
        weights.append(weight)
    return torch.cat(indices), torch.cat(weights)
