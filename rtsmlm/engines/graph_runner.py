"""Runs the ONNX graph of a model that is no localizer: boxes or images in, one array out.

Whatever the engine, the graph is the same and the first axis is open: as many boxes as there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

import numpy as np

from rtsmlm.errors import ConfigError, LocalizerError
from rtsmlm.localizations import F32
from rtsmlm.models.manifest import ONNX_NAME, Manifest, load_manifest

GraphRunner: TypeAlias = Callable[[Mapping[str, F32]], F32]
"""Inputs by name to the only output."""


def open_graph(folder: Path, engine: str) -> tuple[Manifest, GraphRunner]:
    """Return the manifest of a model and what runs its graph.

    Parameters
    ----------
    folder
        The model folder.
    engine
        openvino or torch.

    Raises
    ------
    ConfigError
        If the engine cannot run such a graph.
    FileFormatError
        If the model is damaged.
    """
    manifest = load_manifest(folder)
    path = folder / ONNX_NAME
    if engine == "openvino":
        return manifest, _on_openvino(path)
    if engine == "torch":
        return manifest, _on_torch(path)
    raise ConfigError(
        f"{manifest.name} does {manifest.task}, which runs on openvino or torch, not on {engine} "
        "(localizer.engine)"
    )


def graph_engine(engine: str) -> str:
    """Return the engine that runs such graphs where `localizer.engine` is this.

    auto takes OpenVINO, and torch where OpenVINO is not installed.
    """
    if engine != "auto":
        return engine
    return "openvino" if find_spec("openvino") is not None else "torch"


def _on_openvino(path: Path) -> GraphRunner:
    import openvino

    core = openvino.Core()
    compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    names = [value.get_any_name() for value in compiled.inputs]

    def run(inputs: Mapping[str, F32]) -> F32:
        # A request each: threads may ask at the same time.
        request = compiled.create_infer_request()
        try:
            request.infer({name: np.ascontiguousarray(inputs[name]) for name in names})
        except RuntimeError as error:
            raise LocalizerError(f"OpenVINO cannot run {path.parent.name}: {error}") from error
        return np.array(request.get_output_tensor(0).data, dtype=np.float32)

    return run


def _on_torch(path: Path) -> GraphRunner:
    import torch

    from rtsmlm.engines.onnx_graph import OnnxGraph

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    graph = OnnxGraph(path, device)

    def run(inputs: Mapping[str, F32]) -> F32:
        with torch.inference_mode():
            given = {
                name: torch.from_numpy(np.ascontiguousarray(inputs[name])).to(device)
                for name in graph.inputs
            }
            try:
                answer = graph(given)[graph.outputs[0]]
            except RuntimeError as error:
                raise LocalizerError(f"torch cannot run {path.parent.name}: {error}") from error
            return np.asarray(answer.float().cpu().numpy())

    return run
