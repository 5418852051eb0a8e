"""Graphs of boxes and images on the CPU by OpenVINO."""

from __future__ import annotations

import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import openvino

from rtsmlm.engines.graph_chunks import Inputs, Lane, is_box, run_in_chunks
from rtsmlm.errors import ConfigError, LocalizerError
from rtsmlm.localizations import F32
from rtsmlm.realtime.cores import usable_cores

PRECISIONS = ("f32", "bf16")
_BOXES, _IMAGES = (64, 8), (1,)
"""Items at once. Of boxes each core computes some alone; an image is shared by all cores."""


class OpenVinoGraph:
    """A graph on the CPU, called with any number of items, by several threads at once.

    Parameters
    ----------
    path
        ONNX model; the first axis of inputs and output counts items.
    precision
        f32, or bf16, which changes what is stated by up to a twentieth of its error.
    threads
        Cores that it may take; None takes all.

    Raises
    ------
    ConfigError
        If the precision is none of these.
    """

    def __init__(self, path: Path, *, precision: str = "f32", threads: int | None = None) -> None:
        if precision not in PRECISIONS:
            raise ConfigError(
                f"localizer.precision {precision!r}: {path.parent.name} runs on OpenVINO in "
                f"{' or '.join(PRECISIONS)}"
            )
        self._path, self._precision = path, precision
        self._threads = threads or usable_cores()
        self._core = openvino.Core()
        graph = self._core.read_model(path)
        self.inputs = tuple(value.get_any_name() for value in graph.inputs)
        self._lanes: dict[tuple[int, ...], SimpleQueue[Lane]] = {}
        self._lock = threading.Lock()

    def __call__(self, inputs: Inputs) -> F32:
        """Return the answer for all items, (n, ...).

        Raises
        ------
        LocalizerError
            If OpenVINO fails.
        """
        given = {name: inputs[name] for name in self.inputs}
        shape = given[self.inputs[0]].shape[1:]
        boxes = is_box(given)

        def lanes(size: int) -> SimpleQueue[Lane]:
            with self._lock:
                key = (size, *shape)
                if key not in self._lanes:
                    sides = {name: [size, *values.shape[1:]] for name, values in given.items()}
                    self._lanes[key] = self._compile(sides, self._threads if boxes else 1)
                return self._lanes[key]

        try:
            return run_in_chunks(given, _BOXES if boxes else _IMAGES, lanes)
        except RuntimeError as error:
            raise LocalizerError(
                f"OpenVINO cannot run {self._path.parent.name}: {error}"
            ) from error

    def _compile(self, shapes: dict[str, list[int]], streams: int) -> SimpleQueue[Lane]:
        model = self._core.read_model(self._path)
        model.reshape(shapes)
        options = {
            "INFERENCE_PRECISION_HINT": self._precision,
            "INFERENCE_NUM_THREADS": self._threads,
            "NUM_STREAMS": streams,
            # The camera thread needs a core too: let the system move the threads.
            "ENABLE_CPU_PINNING": False,
        }
        compiled = self._core.compile_model(model, "CPU", options)
        free: SimpleQueue[Lane] = SimpleQueue()
        for _ in range(streams):
            free.put(_Request(compiled.create_infer_request()))
        return free


class _Request:
    """One request of a compiled graph."""

    def __init__(self, request: Any) -> None:
        self._request = request
        self._inputs: Inputs = {}

    def start(self, inputs: Inputs) -> None:
        self._inputs = inputs  # shared with OpenVINO: they must live until it is done
        self._request.start_async(dict(inputs), share_inputs=True)

    def finish(self) -> F32:
        self._request.wait()
        answer: F32 = np.asarray(self._request.get_output_tensor(0).data, dtype=np.float32)
        return answer
