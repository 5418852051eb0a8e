"""Graphs of boxes: any number, in any order, by several threads, on whatever engine there is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import pytest

from rtsmlm.engines import graph_runner
from rtsmlm.engines.graph_chunks import Lane, run_in_chunks
from rtsmlm.engines.graph_runner import open_graph
from rtsmlm.engines.tensorrt import build_engine, missing, missing_to_build, onnx_of
from rtsmlm.engines.tensorrt_parts import tensors_of
from rtsmlm.errors import ConfigError, LocalizerError
from rtsmlm.localizations import F32
from rtsmlm.models.manifest import load_manifest

MakeModel = Callable[..., Path]
BOX = 16
_cannot_build = missing_to_build()


@pytest.fixture
def folder(make_model: MakeModel) -> Path:
    """A network of boxes: the mean of each box, its largest pixel, and a learned sum."""
    torch = pytest.importorskip("torch", reason="the models are written by torch")
    nn = torch.nn
    torch.manual_seed(0)

    class Sums(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Flatten(),
                                        nn.Linear(8 * BOX * BOX, 1))  # fmt: skip

        def forward(self, photons: object) -> object:
            mean, top = photons.mean(dim=(2, 3)), photons.amax(dim=(2, 3))  # type: ignore[attr-defined]
            return torch.cat([mean, top, torch.exp(self.layers(photons) + 11.0)], dim=1)

    return make_model(
        Sums(), {"photons": (2, 1, BOX, BOX)}, task="box-parameters",
        shapes={"photons": ("n", "1", str(BOX), str(BOX))}, channels=("mean", "top", "sum"),
        outputs_shape=("n", "3"), axes={"photons": {0: "n"}, "answer": {0: "n"}},
    )  # fmt: skip


def boxes(n: int, seed: int = 0) -> dict[str, F32]:
    light = np.random.default_rng(seed).random((n, 1, BOX, BOX))
    return {"photons": light.astype(np.float32)}


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_a_box_has_the_same_answer_alone_and_among_others(engine: str, folder: Path) -> None:
    run = open_graph(folder, engine)[1]
    light = boxes(201)["photons"]
    alone = np.concatenate([run({"photons": light[k : k + 1]}) for k in range(201)])

    np.testing.assert_allclose(alone[:, 0], light.mean(axis=(1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(alone[:, 1], light.max(axis=(1, 2, 3)), rtol=1e-6)
    for n in (1, 8, 9, 63, 64, 65, 201):
        np.testing.assert_allclose(run({"photons": light[:n]}), alone[:n], rtol=1e-5)


def test_threads_that_ask_at_once_get_their_own_answers(folder: Path) -> None:
    run = open_graph(folder, "openvino")[1]
    given = [boxes(150 + k, seed=k) for k in range(8)]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(run, given))

    for one, answer in zip(given, answers, strict=True):
        np.testing.assert_allclose(answer[:, 1], one["photons"].max(axis=(1, 2, 3)), rtol=1e-6)


class FailingLane:
    """A lane that computes the first chunk and fails at the second."""

    def __init__(self) -> None:
        self.is_running, self.n = False, 0

    def start(self, inputs: Mapping[str, F32]) -> None:
        self.is_running, self.n = True, self.n + 1

    def finish(self) -> F32:
        self.is_running = False
        if self.n > 1:
            raise LocalizerError("the card fell off the bus")
        return np.ones((4, 1), np.float32)


def test_a_failure_in_one_chunk_leaves_no_lane_taken() -> None:
    lane = FailingLane()
    free: SimpleQueue[Lane] = SimpleQueue()
    free.put(lane)

    with pytest.raises(LocalizerError, match="fell off"):
        run_in_chunks(boxes(20), (4,), lambda size: free)

    assert free.get_nowait() is lane
    assert not lane.is_running


def test_where_a_gpu_refuses_openvino_takes_over_with_a_warning(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(inputs: Mapping[str, F32]) -> F32:
        raise LocalizerError("the GPU is full")

    opened = graph_runner._opened
    monkeypatch.setattr(graph_runner, "graph_engine", lambda engine: "tensorrt")
    monkeypatch.setattr(
        graph_runner, "_opened", lambda *a: refuse if a[2] == "tensorrt" else opened(*a)
    )
    run = open_graph(folder, "auto")[1]

    with caplog.at_level(logging.WARNING):
        answer = run(boxes(3))

    assert answer.shape == (3, 3)
    assert "the GPU is full; OpenVINO runs instead" in caplog.text
    with pytest.raises(LocalizerError, match="the GPU is full"):
        open_graph(folder, "tensorrt")[1](boxes(3))


def test_a_precision_or_an_engine_that_there_is_not_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="runs on OpenVINO in f32 or bf16"):
        open_graph(folder, "openvino", precision="int8")
    with pytest.raises(ConfigError, match="runs on torch in f32"):
        open_graph(folder, "torch", precision="f16")
    with pytest.raises(ConfigError, match="none of: auto, tensorrt, torch, openvino"):
        open_graph(folder, "abacus")


@pytest.mark.skipif(not missing(), reason="there is a GPU")
def test_without_a_gpu_tensorrt_says_what_is_missing(folder: Path) -> None:
    with pytest.raises(LocalizerError, match=r"TensorRT|CUDA|GPU"):
        open_graph(folder, "tensorrt")


@pytest.mark.skipif(bool(_cannot_build), reason=_cannot_build or "it is all there")
@pytest.mark.parametrize("precision", ["f16", "f32"])
def test_an_engine_of_boxes_keeps_photons_in_float32(folder: Path, precision: str) -> None:
    import onnx

    onnx_bytes = onnx_of(folder, (256, BOX, BOX), precision)
    graph = onnx.load_from_string(onnx_bytes).graph
    half = {t.name for t in graph.initializer if t.data_type == onnx.TensorProto.FLOAT16}
    casts = [
        k for k, node in enumerate(graph.node)
        if node.op_type == "Cast" and node.attribute[0].i == onnx.TensorProto.FLOAT
    ]  # fmt: skip
    exp = next(k for k, node in enumerate(graph.node) if node.op_type == "Exp")

    assert bool(half) == (precision == "f16")
    assert not casts or max(casts) < exp, "60 000 photons do not fit into float16"
    expected = tensors_of(load_manifest(folder), (256, BOX, BOX))
    assert build_engine(onnx_bytes, expected=expected, sm=89)


@pytest.mark.gpu
@pytest.mark.skipif(bool(missing()), reason=missing() or "it is all there")
@pytest.mark.parametrize(("precision", "tolerance"), [("f16", 5e-3), ("f32", 1e-4)])
def test_the_answers_of_a_gpu_are_those_of_openvino(
    folder: Path, precision: str, tolerance: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RTSMLM_CACHE", str(tmp_path))
    gpu, cpu = (
        open_graph(folder, "tensorrt", precision=precision)[1],
        open_graph(folder, "openvino")[1],
    )

    for n in (1, 255, 256, 700):
        np.testing.assert_allclose(gpu(boxes(n)), cpu(boxes(n)), rtol=tolerance)
