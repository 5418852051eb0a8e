"""Weights stored in half precision: half as large, and the same answers on every engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the models are written by torch")
onnx = pytest.importorskip("onnx", reason="the models are ONNX")

from torch import Tensor, nn  # noqa: E402

from rtsmlm.engines.graph_runner import open_graph  # noqa: E402
from rtsmlm.errors import LocalizerError  # noqa: E402
from rtsmlm.models.box_parameters.packaging import Graph  # noqa: E402
from rtsmlm.models.box_parameters.quantities import quantities_of  # noqa: E402
from rtsmlm.models.half_precision import load_weights, stored_as  # noqa: E402
from rtsmlm.models.manifest import ONNX_NAME, load_manifest  # noqa: E402
from rtsmlm.models.onnx_weights import widened  # noqa: E402
from rtsmlm.models.training.checkpoint import FILE_NAME, Progress, save_checkpoint  # noqa: E402
from rtsmlm.models.training.onnx_export import export_onnx  # noqa: E402
from rtsmlm.models.training.packaging import export_model, save_weights  # noqa: E402
from rtsmlm.models.training.recipe import NetworkSection, Recipe  # noqa: E402
from rtsmlm.models.training.trainable import trainable_of  # noqa: E402

SIDE = 16


class Full(nn.Module):
    """Boxes to numbers: convolutions with a normalization, full layers, a table of places."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.PReLU(), nn.Flatten(),
            nn.Linear(32 * SIDE * SIDE, 64), nn.LeakyReLU(),
        )  # fmt: skip
        self.last = nn.Linear(64, SIDE * SIDE, bias=False)

    def forward(self, photons: Tensor) -> Tensor:
        share = torch.softmax(self.last(self.features(photons)[:, None]), dim=-1)
        places = torch.linspace(-1600.3, 1600.3, SIDE * SIDE)
        return (share * places).sum(dim=-1)


class Finer(nn.Module):
    """Frames to a finer image."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1), nn.ELU(), nn.ConvTranspose2d(32, 16, 2, stride=2),
            nn.Hardtanh(0.0, 6.0), nn.MaxPool2d(3, 1, 1), nn.Conv2d(16, 16, 5, padding=2),
        )  # fmt: skip

    def forward(self, photons: Tensor) -> Tensor:
        up = nn.functional.interpolate(self.layers(photons), scale_factor=2, mode="nearest")
        return up.sum(dim=1, keepdim=True)


@pytest.mark.parametrize("engine", ["openvino", "torch"])
@pytest.mark.parametrize("kind", [Full, Finer])
def test_every_engine_answers_as_with_weights_in_float32(
    kind: type[nn.Module], engine: str, make_model: object, rng: np.random.Generator
) -> None:
    torch.manual_seed(3)
    module = kind()
    given = {"photons": rng.normal(1.0, 1.0, (5, 1, SIDE, SIDE)).astype(np.float32)}
    answers, sizes = [], []
    for name, half in (("full", False), ("half", True)):
        folder = make_model(  # type: ignore[operator]
            module, {"photons": (2, 1, SIDE, SIDE)}, name=name, task="image", half=half,
            axes={"photons": {0: "n"}, "answer": {0: "n"}},
        )  # fmt: skip
        answers.append(open_graph(folder, engine)[1](given))
        sizes.append((folder / ONNX_NAME).stat().st_size)

    assert sizes[1] < 0.6 * sizes[0]
    scale = np.abs(answers[0]).max()
    assert np.abs(answers[1] - answers[0]).max() < 1e-3 * scale
    assert np.abs(answers[1] - answers[0]).max() > 0.0, "the weights are rounded"


def test_emitters_of_a_network_of_boxes_move_by_less_than_half_a_nanometre(
    make_model: object, rng: np.random.Generator
) -> None:
    torch.manual_seed(1)
    recipe = Recipe(name="boxes", network=NetworkSection(architecture="zelger", size="S"))
    wanted = quantities_of(recipe.boxes)
    network = Graph(trainable_of(recipe).build(recipe), wanted, torch.ones(2 * len(wanted)))
    box = (2, 1, SIDE, SIDE)
    light = rng.poisson(30.0 + 200.0 * rng.random((20, 1, SIDE, SIDE))).astype(np.float32)
    answers = []
    for name, half in (("full", False), ("half", True)):
        folder = make_model(  # type: ignore[operator]
            network, {"photons": box, "variance": box}, name=name, task="box-parameters",
            half=half, axes={k: {0: "n"} for k in ("photons", "variance", "answer")},
        )  # fmt: skip
        given = {"photons": light, "variance": np.ones_like(light)}
        answers.append(open_graph(folder, "torch")[1](given))

    moved = np.abs(answers[1] - answers[0])
    assert 100.0 * moved[:, :2].max() < 0.5, "x and y, pixels of 100 nm"
    assert moved[:, 2].max() < 0.5, "z in nm"
    assert (moved / answers[0])[:, 3:5].max() < 0.005, "photons and background"


def test_what_is_no_weight_stays_in_float32(tmp_path: Path) -> None:
    torch.manual_seed(3)
    path = tmp_path / ONNX_NAME
    export_onnx(Full().eval(), {"photons": torch.ones(1, 1, SIDE, SIDE)}, "answer", path, axes={})

    stored = {t.name: t for t in onnx.load(path).graph.initializer}
    halves = [t for t in stored.values() if t.data_type == onnx.TensorProto.FLOAT16]

    assert len(halves) == 3, "one convolution and two full layers"
    assert all(len(t.dims) >= 2 for t in halves)
    wide = widened(onnx.load(path)).graph
    assert not [t for t in wide.initializer if t.data_type == onnx.TensorProto.FLOAT16]
    assert not [node for node in wide.node if node.op_type == "Cast"]


def test_a_weight_beyond_the_range_of_float16_is_refused_by_name(tmp_path: Path) -> None:
    network = nn.Conv2d(1, 32, 3)
    with torch.no_grad():
        network.weight[5, 0, 1, 1] = 7e4

    with pytest.raises(LocalizerError, match=r"weight weight reaches 7e\+04; float16 holds 65504"):
        save_weights(network.state_dict(), tmp_path)
    with pytest.raises(LocalizerError, match="float16 holds 65504"):
        export_onnx(network, {"x": torch.ones(1, 1, 9, 9)}, "y", tmp_path / "a.onnx", axes={})


def test_a_tensor_too_small_for_the_digits_of_float16_stays_in_float32(tmp_path: Path) -> None:
    values = torch.randn(32, 32) * 1e-5
    save_weights({"small": values}, tmp_path)

    assert stored_as(tmp_path) == "float32"
    np.testing.assert_array_equal(load_weights(tmp_path)["small"], values.numpy())


def test_a_model_of_a_checkpoint_is_stored_in_half_and_read_in_full(tmp_path: Path) -> None:
    recipe = Recipe(
        name="boxes",
        network=NetworkSection(architecture="zelger", size="S"),
    )
    network = trainable_of(recipe).build(recipe)
    mean = {name: value.clone() for name, value in network.state_dict().items()}
    save_checkpoint(tmp_path, network, mean, {}, Progress(), recipe.model_dump_json())
    manifest = export_model(tmp_path / FILE_NAME, tmp_path / "model", version="1", tuning_windows=0)

    assert load_manifest(tmp_path / "model").weights == manifest.weights == "float16"
    weights = load_weights(tmp_path / "model")
    assert {values.dtype for values in weights.values()} == {np.dtype(np.float32)}
    assert sum(values.size for values in weights.values()) == manifest.parameters
    size = (tmp_path / "model" / "model.safetensors").stat().st_size
    assert size < 2.2 * manifest.parameters
