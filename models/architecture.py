"""What an engine may ask of a network, and all that it knows of it.

An architecture is a kind of network: how it is fed and what its output means. A model is a folder
with weights of one. Engines run the ONNX graph of a model; where an architecture has something
faster to offer (compiled pre-processing, a decoder on the GPU, a torch module), it says so by a
method that returns None elsewhere. What the trainer asks stands in
`rtsmlm.models.training.trainable`. Packages of a lab offer theirs by entry point::

    [project.entry-points."rtsmlm.network"]
    my-network = "my_lab.my_network:ARCHITECTURE"
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32
from rtsmlm.models.manifest import Manifest
from rtsmlm.models.psf_condition import PsfInput
from rtsmlm.models.rows import DecodeSettings

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Maps: TypeAlias = tuple[F32, F32, F32]
"""Offset in ADU, photons per ADU, read variance in photons², each of a padded frame."""
Decoder: TypeAlias = Callable[[F32], list[F32]]
"""Output of the network to rows of `rtsmlm.models.rows`, one table for each frame."""


@dataclass(frozen=True, slots=True)
class NetworkModel:
    """A model, conditioned on the PSF in force."""

    folder: Path
    manifest: Manifest
    architecture: Architecture
    psf: PsfInput
    decode: DecodeSettings

    @property
    def axial(self) -> bool:
        """Whether it finds z."""
        return self.psf.depth is not None

    @property
    def neighbours(self) -> int:
        """Frames before and after a frame that the network looks at."""
        return self.manifest.neighbours


class FrontEnd(Protocol):
    """Compiled pre-processing of raw frames, so that a CPU computes convolutions alone."""

    def __call__(self, frames: Pixels, context: F32) -> F32:
        """Return what the first convolution takes, (n, rows, columns, planes).

        It is overwritten by the next call.
        """
        ...


class DeviceDecoder(Protocol):
    """Finds rows where the output is, in steps of fixed sizes, so that a CUDA graph holds it."""

    def __call__(self, maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return rows (n, capacity, columns), their number (n,), and the candidates' (n,)."""
        ...


class TorchNetwork(Protocol):
    """A network on torch, fed with raw frames."""

    def set_camera(self, maps: Maps) -> None:
        """Take the maps of a camera to the device."""
        ...

    def __call__(self, frames: Tensor, context: Tensor) -> Tensor:
        """Return the output in float32.

        Parameters
        ----------
        frames
            int16 whose bits are those of the uint16 pixels, (n + 2 neighbours, height, width).
        context
            1 where the frames around each are there, see `rtsmlm.models.inputs.context_of`.
        """
        ...


class Architecture(Protocol):
    """A kind of network that turns frames into rows."""

    @property
    def name(self) -> str:
        """Name as in manifests."""
        ...

    @property
    def cell_px(self) -> int:
        """Side of a cell of the output, in pixels of the frame."""
        ...

    @property
    def planes(self) -> int:
        """Channels of the front end's output; 0 where it has none."""
        ...

    def decoder(self, model: NetworkModel, shape: tuple[int, int]) -> Decoder:
        """Return the decoder of the CPU for frames of this shape without padding."""
        ...

    def front_end(self, n_frames: int, maps: Maps) -> FrontEnd | None:
        """Return the compiled pre-processing; None where the graph does it."""
        ...

    def device_decoder(
        self, model: NetworkModel, shape: tuple[int, int], capacity: int
    ) -> DeviceDecoder | None:
        """Return the decoder of a GPU; None where the output is decoded by the CPU."""
        ...

    def torch_network(
        self, model: NetworkModel, device: torch.device, dtype: torch.dtype
    ) -> TorchNetwork | None:
        """Return the network as torch code; None where the graph is to be run node by node."""
        ...


class GraphAlone:
    """Where there is nothing faster than the ONNX graph: what an architecture inherits then."""

    cell_px = 1
    planes = 0

    def front_end(self, n_frames: int, maps: Maps) -> None:
        """Return None: the graph takes raw frames."""

    def device_decoder(self, model: NetworkModel, shape: tuple[int, int], capacity: int) -> None:
        """Return None: the output is decoded by the CPU."""

    def torch_network(self, model: NetworkModel, device: torch.device, dtype: torch.dtype) -> None:
        """Return None: the graph is run node by node."""
