"""The export leaves a network as it is used: what is measured after it is what was written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks are torch modules")
pytest.importorskip("onnx", reason="the export writes ONNX")
ov = pytest.importorskip("openvino", reason="it runs what was written")

from torch import Tensor, nn  # noqa: E402

from rtsmlm.models.training.onnx_export import export_onnx  # noqa: E402


class Graph(nn.Module):
    """Around a network, and by itself in training mode, as every new module is."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, light: Tensor) -> Tensor:
        answer: Tensor = self.network(light)
        return answer


def test_a_network_that_normalizes_answers_after_the_export_as_its_graph_does(
    tmp_path: Path,
) -> None:
    torch.manual_seed(4)
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Dropout(0.5))
    network(5.0 + torch.rand(8, 1, 9, 9))  # mean and variance of other light
    graph = Graph(network.eval())
    light = torch.rand(2, 1, 9, 9)
    path = tmp_path / "model.onnx"

    export_onnx(graph, {"light": light}, "answer", path, axes={}, half=False)

    assert not any(part.training for part in graph.modules())
    with torch.no_grad():
        answer = graph(light).numpy()
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    written = ov.Core().compile_model(path, "CPU", exact)({"light": light.numpy()})[0]
    np.testing.assert_allclose(answer, written, rtol=1e-3, atol=1e-4)
