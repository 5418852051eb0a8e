"""Graphs of boxes and images on an NVIDIA GPU by TensorRT, in engines of a fixed size."""

from __future__ import annotations

import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import torch
from torch import Tensor

from rtsmlm.engines.graph_chunks import Inputs, Lane, is_box, run_in_chunks
from rtsmlm.engines.tensorrt import load_or_build_open, missing, title
from rtsmlm.engines.tensorrt_parts import check_precision, tensors_of
from rtsmlm.errors import LocalizerError
from rtsmlm.localizations import F32
from rtsmlm.models.manifest import Manifest, load_manifest

BOXES_AT_ONCE, IMAGES_AT_ONCE = 256, 1
_LANES = 2
"""The boxes of one are copied while the graph runs in the other."""


class TensorRtGraph:
    """A graph on a GPU, called with any number of items, by several threads at once.

    Parameters
    ----------
    folder
        The model folder.
    precision
        f32, or f16.

    Raises
    ------
    ConfigError
        If the precision is unknown.
    LocalizerError
        If a package or a GPU is missing.
    """

    def __init__(self, folder: Path, *, precision: str = "f32") -> None:
        check_precision(precision)
        if reason := missing():
            raise LocalizerError(reason)
        self._folder, self._precision = folder, precision
        self._name = f"{title()} {precision}"
        self._manifest = load_manifest(folder)
        self.inputs = tuple(entry.name for entry in self._manifest.inputs)
        self._lanes: dict[tuple[int, int, int], SimpleQueue[Lane]] = {}
        self._lock = threading.Lock()

    def __call__(self, inputs: Inputs) -> F32:
        """Return the answer for all items, (n, ...).

        Raises
        ------
        LocalizerError
            If the GPU or TensorRT refuses.
        """
        given = {name: inputs[name] for name in self.inputs}
        height, width = given[self.inputs[0]].shape[-2:]

        def lanes(size: int) -> SimpleQueue[Lane]:
            with self._lock:
                key = (size, height, width)
                if key not in self._lanes:
                    self._lanes[key] = self._open(key)
                return self._lanes[key]

        size = BOXES_AT_ONCE if is_box(given) else IMAGES_AT_ONCE
        try:
            return run_in_chunks(given, (size,), lanes)
        # torch says so of a full or a lost GPU.
        except RuntimeError as error:
            raise LocalizerError(f"{self._name} failed: {error}") from error

    def _open(self, shape: tuple[int, int, int]) -> SimpleQueue[Lane]:
        engine = load_or_build_open(self._folder, shape, self._precision)
        free: SimpleQueue[Lane] = SimpleQueue()
        for _ in range(_LANES):
            free.put(_GraphLane(self._name, engine, self._manifest, shape))
        return free


class _GraphLane:
    """An execution context with its stream and its buffers, whose addresses never change."""

    def __init__(
        self, name: str, engine: Any, manifest: Manifest, shape: tuple[int, int, int]
    ) -> None:
        self._name = name
        self._stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._output = manifest.outputs[0].name
        self._here: dict[str, Tensor] = {}
        self._there: dict[str, Tensor] = {}
        self._execution = engine.create_execution_context()
        if self._execution is None:
            raise LocalizerError(f"the GPU has no room for {shape[0]} items of {manifest.name}")
        for tensor in tensors_of(manifest, shape):
            sides = tuple(engine.get_tensor_shape(tensor))
            self._here[tensor] = torch.empty(sides, dtype=torch.float32, pin_memory=True)
            self._there[tensor] = torch.zeros(sides, dtype=torch.float32, device="cuda")
            self._execution.set_tensor_address(tensor, self._there[tensor].data_ptr())
        # The buffers were filled on another stream.
        torch.cuda.synchronize()

    def start(self, inputs: Inputs) -> None:
        """Copy a chunk to the GPU, and queue the graph and the way back."""
        for tensor, values in inputs.items():
            self._here[tensor].numpy()[:] = values
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            for tensor in inputs:
                self._there[tensor].copy_(self._here[tensor], non_blocking=True)
            if not self._execution.execute_async_v3(self._stream.cuda_stream):
                raise LocalizerError(f"{self._name} refused to run the network")
            self._here[self._output].copy_(self._there[self._output], non_blocking=True)

    def finish(self) -> F32:
        """Wait for the answer."""
        self._stream.synchronize()
        answer: F32 = self._here[self._output].numpy()
        return answer
