"""The flagship on torch: from raw frames, for the engine, for the ONNX graph, and for training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rtsmlm.models.architecture import Maps, NetworkModel
from rtsmlm.models.flagship.layers import folded
from rtsmlm.models.flagship.network import SIZES, FlagshipNetwork, stabilize
from rtsmlm.models.flagship.time_network import TimeNetwork, stabilized
from rtsmlm.models.half_precision import load_weights
from rtsmlm.models.simulation.training_windows import Windows


class FlagshipOnTorch:
    """A `rtsmlm.models.architecture.TorchNetwork`, the PSF folded into its weights.

    Parameters
    ----------
    model
        The model, conditioned on the PSF.
    device
        Where it runs.
    dtype
        Type of the convolutions.
    """

    def __init__(self, model: NetworkModel, device: torch.device, dtype: torch.dtype) -> None:
        self._device, self._dtype = device, dtype
        network = FlagshipNetwork(SIZES[model.manifest.size])
        weights = folded(load_weights(model.folder), model.psf.condition)
        network.load_state_dict({name: torch.from_numpy(v) for name, v in weights.items()})
        network = network.eval().to(device, dtype)
        # The condition and the output are numbers, not features.
        for exact in (network.condition_first, network.condition_second, network.out):
            exact.float()
        self._network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._condition = torch.from_numpy(model.psf.condition).to(device)
        self._maps: tuple[Tensor, ...] = ()

    def set_camera(self, maps: Maps) -> None:
        """Take the maps of a camera to the device."""
        self._maps = tuple(torch.from_numpy(m).to(self._device) for m in maps)

    def __call__(self, frames: Tensor, context: Tensor) -> Tensor:
        """Return maps in float32; see `TorchNetwork`."""
        offset, gain, variance = self._maps
        adu = frames.to(torch.int32) & 0xFFFF
        planes = planes_of(adu, offset, gain, variance, context).to(self._dtype)
        planes = planes.contiguous(memory_format=torch.channels_last)
        return torch.as_tensor(self._network(planes, self._condition)).float()


class TimeGraph(nn.Module):
    """The same of a network with attention along time; context is (n, 2 neighbours).

    Parameters
    ----------
    network
        The trained network.
    """

    def __init__(self, network: TimeNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        frames: Tensor,
        offset_adu: Tensor,
        photons_per_adu: Tensor,
        read_variance: Tensor,
        context: Tensor,
        condition: Tensor,
    ) -> Tensor:
        """Return raw maps."""
        photons = (frames.to(torch.float32) - offset_adu) * photons_per_adu
        roots, noise = stabilized(photons[:, None], read_variance[None, None])
        reach = self.network.time.neighbours
        maps = self.network.in_time(roots, noise[reach:-reach], context, condition)
        return torch.as_tensor(maps)


def graph_of(network: FlagshipNetwork) -> nn.Module:
    """Return what the ONNX model of a network holds."""
    return TimeGraph(network) if isinstance(network, TimeNetwork) else FlagshipGraph(network)


def window_frames_of(network: FlagshipNetwork) -> int:
    """Return how many frames a network looks at."""
    return network.time.window_frames if isinstance(network, TimeNetwork) else 3


class FlagshipGraph(nn.Module):
    """Raw frames and camera maps to maps: what the ONNX model of the flagship holds.

    Parameters
    ----------
    network
        The trained network.
    """

    def __init__(self, network: FlagshipNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        frames: Tensor,
        offset_adu: Tensor,
        photons_per_adu: Tensor,
        read_variance: Tensor,
        context: Tensor,
        condition: Tensor,
    ) -> Tensor:
        """Return raw maps."""
        planes = planes_of(frames, offset_adu, photons_per_adu, read_variance, context)
        return torch.as_tensor(self.network(planes, condition))


def planes_of(
    frames: Tensor, offset_adu: Tensor, photons_per_adu: Tensor, variance: Tensor, context: Tensor
) -> Tensor:
    """Return what the network takes of raw frames, in float32, (n, 4, height, width).

    Parameters
    ----------
    frames
        ADU as integers, (n + 2, height, width).
    offset_adu, photons_per_adu, variance
        Maps of the camera, (height, width).
    context
        1 where the previous, the next frame is there, (n, 2).
    """
    photons = (frames.to(torch.float32) - offset_adu) * photons_per_adu
    triples = torch.stack([photons[:-2], photons[1:-1], photons[2:]], 1)
    return stabilize(triples, variance[None, None], context)


def maps_of_windows(network: FlagshipNetwork, windows: Windows) -> Tensor:
    """Return the maps of training windows, under autocast where that is on."""
    # In float32 even under autocast: the level is subtracted here.
    if isinstance(network, TimeNetwork):
        middle = network.time.neighbours
        with torch.autocast(windows.photons.device.type, enabled=False):
            roots, noise = stabilized(windows.photons, windows.read_variance)
        target = noise[:, middle : middle + 1]
        return network.of_windows(roots, target, windows.context, windows.condition)
    with torch.autocast(windows.photons.device.type, enabled=False):
        planes = stabilize(windows.photons, windows.read_variance, windows.context)
    planes = planes.contiguous(memory_format=torch.channels_last)
    maps: Tensor = network(planes, windows.condition)
    return maps
