"""A network on an NVIDIA GPU by TensorRT: frames go there, rows come back.

Two lanes have buffers, a stream and an execution context each, so that the frames of one are
copied while the network runs in the other.
"""

from __future__ import annotations

import logging
from queue import SimpleQueue
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rtsmlm.engines.tensorrt import load_or_build_open, missing, title
from rtsmlm.engines.tensorrt_parts import Shape, check_precision
from rtsmlm.engines.torch import rows_capacity, rows_to_host
from rtsmlm.errors import LocalizerError
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32
from rtsmlm.models.architecture import Decoder, Maps, NetworkModel
from rtsmlm.models.inputs import context_columns

_log = logging.getLogger(__name__)
# TensorRT chooses and compiles kernels as it runs first: a graph must not hold that.
_WARM_UP_RUNS = 3


class TensorRtRuntime:
    """A network on an NVIDIA GPU.

    Parameters
    ----------
    model
        The network, conditioned on the PSF.
    precision
        f16 or f32; by default f16.

    Raises
    ------
    ConfigError
        If the precision is unknown.
    LocalizerError
        If a package or a GPU is missing.
    """

    uses_all_cores = False
    lanes = 2
    batch_frames = 8

    def __init__(self, model: NetworkModel, *, precision: str | None = None) -> None:
        self._precision = precision or "f16"
        check_precision(self._precision)
        if reason := missing():
            raise LocalizerError(reason)
        self.name = f"{title()} {self._precision}"
        self.model = model
        self._free: dict[int, SimpleQueue[_Lane]] = {}

    def prepare(self, shape: tuple[int, int], maps: Maps) -> None:
        """Load or build the engines, and get the lanes ready.

        Parameters
        ----------
        shape
            Height and width of the frames in pixels, without padding.
        maps
            Offset in ADU, photons per ADU and read variance in photons², of a padded frame.

        Raises
        ------
        LocalizerError
            If the GPU or TensorRT refuses.
        """
        self._free = {}
        height, width = maps[0].shape
        fixed = {
            "offset_adu": maps[0],
            "photons_per_adu": maps[1],
            "read_variance": maps[2],
            "condition": self.model.psf.condition,
        }
        try:
            constants = {
                name: torch.from_numpy(value.copy()).cuda() for name, value in fixed.items()
            }
            for n in (self.batch_frames, 1):
                padded = (n, height, width)
                engine = load_or_build_open(self.model.folder, padded, self._precision)
                lanes: SimpleQueue[_Lane] = SimpleQueue()
                for _ in range(self.lanes):
                    lanes.put(_Lane(self, engine, padded, shape, constants))
                self._free[n] = lanes
        # torch says so of a full or a lost GPU.
        except RuntimeError as error:
            raise LocalizerError(f"{self.name} cannot be set up on the GPU: {error}") from error

    def rows(self, frames: Pixels, context: F32, *, alone: bool) -> list[F32]:
        """Return the emitters of each frame; see `rtsmlm.engines.runtime.Runtime`."""
        del alone
        lanes = self._free[len(context)]
        lane = lanes.get()
        try:
            return lane(frames, context)
        except RuntimeError as error:
            raise LocalizerError(f"{self.name} failed: {error}") from error
        finally:
            lanes.put(lane)


class _Lane:
    """An execution context with its stream and its buffers, whose addresses never change."""

    def __init__(
        self,
        runtime: TensorRtRuntime,
        engine: Any,
        padded: Shape,
        shape: tuple[int, int],
        constants: dict[str, Tensor],
    ) -> None:
        n, height, width = padded
        self._name = runtime.name
        self._stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        # int16 holds the bits of uint16, for which torch has few operations.
        self._frames_here = torch.empty(
            (n + 2 * runtime.model.neighbours, height, width), dtype=torch.int16, pin_memory=True
        )
        columns = context_columns(runtime.model.neighbours)
        self._context_here = torch.empty((n, columns), dtype=torch.float32, pin_memory=True)
        self._raw = torch.zeros_like(self._frames_here, device="cuda")
        manifest, architecture = runtime.model.manifest, runtime.model.architecture
        self._output = manifest.outputs[0].name
        self._tensors = constants | {
            "frames": torch.zeros_like(self._raw, dtype=torch.int32),
            "context": torch.zeros_like(self._context_here, device="cuda"),
            self._output: torch.zeros(tuple(engine.get_tensor_shape(self._output)), device="cuda"),
        }
        asked = {entry.name for entry in manifest.inputs}
        self._decode: Decoder = architecture.decoder(runtime.model, shape)
        self._decoder = architecture.device_decoder(runtime.model, shape, rows_capacity(shape))
        self._execution = engine.create_execution_context()
        if self._execution is None:
            raise LocalizerError(f"the GPU has no room for {n} frames of {height} x {width}")
        for name, tensor in self._tensors.items():
            if name not in asked and name != self._output:
                continue
            self._execution.set_tensor_address(name, tensor.data_ptr())
        # The buffers were filled on another stream.
        torch.cuda.synchronize()
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            for _ in range(_WARM_UP_RUNS):
                self._answer = self._compute()
        self._stream.synchronize()
        self._graph = self._capture()

    def __call__(self, frames: Pixels, context: F32) -> list[F32]:
        """Return the emitters of each frame."""
        self._frames_here.numpy()[:] = frames.view(np.int16)
        self._context_here.numpy()[:] = context
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            self._raw.copy_(self._frames_here, non_blocking=True)
            self._tensors["context"].copy_(self._context_here, non_blocking=True)
            if self._graph is None:
                self._answer = self._compute()
            else:
                self._graph.replay()
            if len(self._answer) == 1:  # there is no decoder for the device
                return self._decode(self._answer[0].cpu().numpy())
            return rows_to_host(*self._answer, who=self._name)

    def _compute(self) -> tuple[Tensor, ...]:
        """Queue network and decoding on the current stream."""
        self._tensors["frames"].copy_(self._raw).bitwise_and_(0xFFFF)
        if not self._execution.execute_async_v3(torch.cuda.current_stream().cuda_stream):
            raise LocalizerError(f"{self._name} refused to run the network")
        output = self._tensors[self._output]
        return (output,) if self._decoder is None else self._decoder(output)

    def _capture(self) -> Any:
        """Return network and decoding as one CUDA graph; None where that is not possible."""
        graph = torch.cuda.CUDAGraph()
        try:
            # Other threads may use the GPU meanwhile, which a global capture would not allow.
            mode = "thread_local"
            with (
                torch.inference_mode(),
                torch.cuda.graph(graph, stream=self._stream, capture_error_mode=mode),
            ):
                self._answer = self._compute()
        except (RuntimeError, LocalizerError) as error:
            _log.warning("%s runs without a CUDA graph, a little slower: %s", self._name, error)
            return None
        return graph
