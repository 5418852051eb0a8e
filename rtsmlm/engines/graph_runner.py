"""Runs the ONNX graph of a model that is no localizer: boxes or images in, one array out.

Whatever the engine, the graph is the same and the first axis counts boxes or images: as many as
there are. All is computed in float32 unless a precision is named: these networks answer in
nanometres and photons, of which the eight digits of bf16 leave too few.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import numpy as np

from rtsmlm.engines.runtimes import AUTO, ORDER, engine_of
from rtsmlm.errors import ConfigError, LocalizerError
from rtsmlm.localizations import F32
from rtsmlm.models.manifest import ONNX_NAME, Manifest, load_manifest
from rtsmlm.settings.installation import install_line

_log = logging.getLogger(__name__)
_TORCH_ITEMS = 256
"""Boxes at once on torch, so that what lies between the layers is some 30 MB."""
_SHARED = 4
"""Compiled graphs that are kept: threads and parts of a run ask for the same one."""

GraphRunner: TypeAlias = Callable[[Mapping[str, F32]], F32]
"""Inputs by name to the only output; may be called by several threads at once."""


def open_graph(
    folder: Path, engine: str, *, precision: str | None = None, threads: int | None = None
) -> tuple[Manifest, GraphRunner]:
    """Return the manifest of a model and what runs its graph.

    Parameters
    ----------
    folder
        The model folder.
    engine
        auto, tensorrt, torch or openvino. With auto, OpenVINO takes over where a GPU refuses.
    precision
        As the engine takes it; None is f32.
    threads
        Cores that OpenVINO may take; None takes all.

    Raises
    ------
    ConfigError
        If the engine or the precision is unknown, or a package is missing.
    FileFormatError
        If the model is damaged.
    LocalizerError
        If the engine cannot run such a graph, or its hardware is not there.
    """
    manifest = load_manifest(folder)
    sha256 = next(file.sha256 for file in manifest.files if file.name == ONNX_NAME)
    chosen = graph_engine(engine)
    if chosen not in ORDER:
        raise ConfigError(f"localizer.engine {engine!r} is none of: {AUTO}, {', '.join(ORDER)}")
    run = _opened(folder, sha256, chosen, precision or "f32", threads)
    if engine == AUTO and chosen != "openvino":
        return manifest, _WithSpare(
            run, lambda: _opened(folder, sha256, "openvino", "f32", threads)
        )
    return manifest, run


def graph_engine(engine: str) -> str:
    """Return the engine that runs such graphs where `localizer.engine` is this.

    auto takes TensorRT, else torch, where there is an NVIDIA GPU for it, and OpenVINO elsewhere.
    """
    return engine_of(engine)


class _WithSpare:
    """Runs on a GPU; if that fails at the first call, another engine takes over with a warning."""

    def __init__(self, run: GraphRunner, spare: Callable[[], GraphRunner]) -> None:
        self._run, self._spare = run, spare
        self._has_run = False

    def __call__(self, inputs: Mapping[str, F32]) -> F32:
        try:
            answer = self._run(inputs)
        except LocalizerError as error:
            if self._has_run:
                raise
            _log.warning("%s; OpenVINO runs instead", error)
            self._run = self._spare()
            answer = self._run(inputs)
        self._has_run = True
        return answer


@lru_cache(maxsize=_SHARED)
def _opened(
    folder: Path, sha256: str, engine: str, precision: str, threads: int | None
) -> GraphRunner:
    """Return a graph on an engine, the same one for the same model."""
    del sha256  # of the ONNX model: another one in the same folder is opened anew
    try:
        if engine == "openvino":
            from rtsmlm.engines.graph_on_openvino import OpenVinoGraph

            return OpenVinoGraph(folder / ONNX_NAME, precision=precision, threads=threads)
        if engine == "torch":
            return _on_torch(folder / ONNX_NAME, precision)
        from rtsmlm.engines.graph_on_tensorrt import TensorRtGraph

        return TensorRtGraph(folder, precision=precision)
    except ImportError as error:
        line = "pip install openvino" if engine == "openvino" else install_line("gpu")
        raise ConfigError(
            f"localizer.engine={engine} needs the package {error.name}: {line}, or set "
            "localizer.engine to another engine"
        ) from error


def _on_torch(path: Path, precision: str) -> GraphRunner:
    import torch

    from rtsmlm.engines.onnx_graph import OnnxGraph

    if precision != "f32":
        raise ConfigError(
            f"localizer.precision {precision!r}: {path.parent.name} runs on torch in f32"
        )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    graph = OnnxGraph(path, device)

    def run_some(inputs: Mapping[str, F32]) -> F32:
        given = {
            name: torch.from_numpy(np.ascontiguousarray(inputs[name])).to(device)
            for name in graph.inputs
        }
        return np.asarray(graph(given)[graph.outputs[0]].float().cpu().numpy())

    def run(inputs: Mapping[str, F32]) -> F32:
        n = len(inputs[graph.inputs[0]])
        try:
            with torch.inference_mode():
                parts = [
                    run_some({k: v[start : start + _TORCH_ITEMS] for k, v in inputs.items()})
                    for start in range(0, n, _TORCH_ITEMS)
                ]
        except RuntimeError as error:
            raise LocalizerError(f"torch cannot run {path.parent.name}: {error}") from error
        return np.concatenate(parts)

    return run
