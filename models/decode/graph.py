"""DECODE from raw frames, for the ONNX graph, and from windows, for training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rtsmlm.models.decode.maps import quantities
from rtsmlm.models.decode.network import DecodeNetwork
from rtsmlm.models.decode.scaling import Scaling
from rtsmlm.models.simulation.training_windows import TARGET, Windows


def scaled(photons: Tensor, scaling: Scaling) -> Tensor:
    """Return frames in the units of the network."""
    return (photons - scaling.offset) / scaling.unit


def maps_of_windows(network: DecodeNetwork, windows: Windows) -> Tensor:
    """Return the raw maps of training windows, under autocast where that is on.

    The target frame stands in for a neighbour that is missing, as at the ends of a movie.
    """
    photons = windows.photons
    target = photons[:, TARGET]
    before, after = (windows.context[:, i, None, None] > 0.0 for i in range(2))
    frames = [
        torch.where(before, photons[:, TARGET - 1], target),
        target,
        torch.where(after, photons[:, TARGET + 1], target),
    ]
    # In float32 even under autocast: the level is subtracted here.
    planes = scaled(torch.stack(frames, 1), network.scaling)
    maps: Tensor = network(planes)
    return maps


class Graph(nn.Module):
    """What the ONNX model holds: raw frames and camera maps to quantities in physical units.

    The features of a frame are the same whichever frame they help to localize: they are computed
    once for each frame of a batch, a third of the work.

    Parameters
    ----------
    network
        The trained network.
    """

    def __init__(self, network: DecodeNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, frames: Tensor, offset_adu: Tensor, photons_per_adu: Tensor, context: Tensor
    ) -> Tensor:
        """Return the maps of frames in ADU, (n, 10, height, width).

        Parameters
        ----------
        frames
            Integers, one frame more before and after, (n + 2, height, width).
        offset_adu, photons_per_adu
            Maps of the camera, (height, width).
        context
            1 where the previous, the next frame is there, (n, 2).
        """
        scaling = self.network.scaling
        photons = (frames.to(torch.float32) - offset_adu) * photons_per_adu
        features = self.network.shared(scaled(photons, scaling)[:, None])
        target = features[1:-1]
        before, after = (context[:, i, None, None, None] > 0.0 for i in range(2))
        near = (
            torch.where(before, features[:-2], target),
            target,
            torch.where(after, features[2:], target),
        )
        return quantities(self.network.answer(torch.cat(near, 1)), scaling)
