"""torch: half precision and CUDA graphs on a GPU, bf16 or float32 on a CPU. The reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from rtsmlm.engines.graph_on_torch import GraphOnTorch
from rtsmlm.errors import ConfigError, LocalizerError
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32
from rtsmlm.models.architecture import Decoder, DeviceDecoder, Maps, NetworkModel
from rtsmlm.models.inputs import context_columns

TYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
CPU_PRECISIONS, GPU_PRECISIONS = ("f32", "bf16"), ("f16", "f32")
_GPU_FRAMES = 8
_GRAPH_RUNS = 3
"""Runs before a graph is taken up, in which libraries choose what they will do."""


class TorchRuntime:
    """A network on torch, as a `rtsmlm.engines.runtime.Runtime`.

    Parameters
    ----------
    model
        The network, conditioned on the PSF.
    precision
        f16 or f32 on a GPU, f32 or bf16 on a CPU, the first being the default.
    device
        cuda or cpu; by default the GPU where there is one.

    Raises
    ------
    ConfigError
        If the precision is none of these.
    """

    def __init__(
        self, model: NetworkModel, *, precision: str | None = None, device: str | None = None
    ) -> None:
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.on_gpu = device == "cuda"
        precisions = GPU_PRECISIONS if self.on_gpu else CPU_PRECISIONS
        self.precision = precision or precisions[0]
        if self.precision not in precisions:
            raise ConfigError(
                f"localizer.precision {precision!r} is none of torch's on {device}: "
                f"{', '.join(precisions)}"
            )
        self._device = torch.device(device)
        self._model = model
        dtype = TYPES[self.precision]
        self._network = model.architecture.torch_network(model, self._device, dtype) or (
            GraphOnTorch(model, self._device)
        )
        self.lanes = 1
        self.batch_frames = _GPU_FRAMES if self.on_gpu else 1
        self.uses_all_cores = not self.on_gpu
        self._decode: Decoder | None = None
        self._decoder: DeviceDecoder | None = None
        self._graphs: dict[int, _Graph] = {}

    @property
    def neighbours(self) -> int:
        """Frames before and after those to be localized."""
        return self._model.neighbours

    @property
    def name(self) -> str:
        """Runtime, device and precision."""
        return f"torch {self._device.type} {self.precision}"

    def prepare(self, shape: tuple[int, int], maps: Maps) -> None:
        """Take the camera maps to the device; on a GPU, take up the graphs."""
        architecture = self._model.architecture
        self._decode = architecture.decoder(self._model, shape)
        self._network.set_camera(maps)
        self._graphs.clear()
        if not self.on_gpu:
            return
        capacity = rows_capacity(shape)
        self._decoder = architecture.device_decoder(self._model, shape, capacity)
        if self._decoder is None:
            return  # the output comes back, and the CPU decodes it
        try:
            for n in (self.batch_frames, 1):
                self._graphs[n] = _Graph(self, n, maps[0].shape)
        except RuntimeError as error:
            raise LocalizerError(f"{self.name} failed: {error}") from error

    def rows(self, frames: Pixels, context: F32, *, alone: bool) -> list[F32]:
        """Return the emitters of each frame; see `Runtime`."""
        del alone
        if self._decode is None:
            raise LocalizerError(f"{self.name} is not prepared")
        try:
            if self._graphs:
                return self._graphs[len(context)](frames, context)
            with torch.inference_mode():
                here = _as_tensor(frames).to(self._device)
                maps = self.maps(here, torch.from_numpy(context).to(self._device)).cpu().numpy()
        except RuntimeError as error:
            raise LocalizerError(f"{self.name} failed: {error}") from error
        return self._decode(maps)

    def maps(self, frames: Tensor, context: Tensor) -> Tensor:
        """Return the output of the network in float32; see `TorchNetwork`."""
        return self._network(frames, context)

    def decoded(self, frames: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return rows, their numbers and those of the candidates, all on the device."""
        if self._decoder is None:
            raise LocalizerError(f"{self.name} is not prepared")
        return self._decoder(self.maps(frames, context))


class _Graph:
    """Frames of one shape and number on a GPU, from the copy to the rows, as one CUDA graph."""

    def __init__(self, runtime: TorchRuntime, n: int, field: tuple[int, ...]) -> None:
        self._name = runtime.name
        self._frames_here = torch.empty(
            (n + 2 * runtime.neighbours, *field), dtype=torch.int16, pin_memory=True
        )
        columns = context_columns(runtime.neighbours)
        self._context_here = torch.empty((n, columns), dtype=torch.float32, pin_memory=True)
        self._frames = torch.zeros_like(self._frames_here, device="cuda")
        self._context = torch.ones_like(self._context_here, device="cuda")
        self._stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._graph: Any = torch.cuda.CUDAGraph()
        with torch.inference_mode():
            with torch.cuda.stream(self._stream):
                for _ in range(_GRAPH_RUNS):
                    runtime.decoded(self._frames, self._context)
            self._stream.synchronize()
            with torch.cuda.graph(self._graph, stream=self._stream):
                self._answer = runtime.decoded(self._frames, self._context)

    def __call__(self, frames: Pixels, context: F32) -> list[F32]:
        self._frames_here.copy_(_as_tensor(frames))
        self._context_here.copy_(torch.from_numpy(context))
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            self._frames.copy_(self._frames_here, non_blocking=True)
            self._context.copy_(self._context_here, non_blocking=True)
            self._graph.replay()
            return rows_to_host(*self._answer, who=self._name)


def rows_to_host(rows: Tensor, counts: Tensor, found: Tensor, *, who: str) -> list[F32]:
    """Return the rows of each frame, having copied no more than there are.

    Raises
    ------
    LocalizerError
        If there were more candidates than rows.
    """
    numbers = torch.stack([counts, found]).cpu().numpy()
    capacity = rows.shape[1]
    if numbers[1].max() > capacity:
        raise LocalizerError(
            f"{who} found {numbers[1].max()} emitters in a frame and holds {capacity}; lower the "
            "density, raise localizer.min_probability, or set localizer.engine=openvino"
        )
    most = int(numbers[0].max())
    here: F32 = rows[:, :most].cpu().numpy()
    return [here[k, :count] for k, count in enumerate(numbers[0].tolist())]


def rows_capacity(shape: tuple[int, int]) -> int:
    """Return how many emitters a frame may have: one for every eight pixels."""
    return max(shape[0] * shape[1] // 8, 1024)


def _as_tensor(frames: Pixels) -> Tensor:
    pixels = np.ascontiguousarray(frames).view(np.int16)
    if not pixels.flags.writeable:
        pixels = pixels.copy()
    return torch.from_numpy(pixels)
