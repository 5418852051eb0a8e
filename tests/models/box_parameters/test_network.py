"""What networks of boxes share: likelihood, units, first guess, and the model folder."""

from __future__ import annotations

import math
from pathlib import Path
from threading import Event

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the networks are written in torch")

from safetensors.torch import load_file  # noqa: E402

from rtsmlm.engines.graph_runner import open_graph  # noqa: E402
from rtsmlm.models.box_parameters.accuracy import lone_boxes  # noqa: E402
from rtsmlm.models.box_parameters.network import BoxNetwork  # noqa: E402
from rtsmlm.models.box_parameters.quantities import (  # noqa: E402
    loss_of,
    quantities_of,
    raw_to_units,
    stated,
    truths_of,
)
from rtsmlm.models.box_parameters.scaling import edge_level, stabilized  # noqa: E402
from rtsmlm.models.simulation.box_ranges import BoxRanges  # noqa: E402
from rtsmlm.models.simulation.boxes import BoxSampler  # noqa: E402
from rtsmlm.models.simulation.optics import OpticsSection  # noqa: E402
from rtsmlm.models.training.packaging import export_model  # noqa: E402
from rtsmlm.models.training.recipe import NetworkSection, Recipe, TrainingSection  # noqa: E402
from rtsmlm.models.training.trainable import trainable_of  # noqa: E402
from rtsmlm.models.training.trainer import Trainer  # noqa: E402

RANGES = BoxRanges(modes=((2, 2), (3, 1)), fixed_dipoles=True)


class Silent(torch.nn.Module):
    """Layers that have nothing to add."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, photons: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(photons), self.outputs)


def test_the_loss_is_the_negative_log_likelihood_of_each_quantity() -> None:
    generator = torch.Generator().manual_seed(0)
    raw = 0.7 * torch.randn(40, 6, generator=generator)
    truth = torch.randn(40, 3, generator=generator)

    found = loss_of(raw, truth)

    for k in range(3):
        total = 0.0
        for i in range(40):
            mean, log_std = float(raw[i, k]), float(raw[i, 3 + k])
            z = abs(float(truth[i, k]) - mean) / math.exp(log_std)
            total += (0.5 * z * z if z < 3.0 else 3.0 * (z - 1.5)) + log_std
        assert float(found[k]) == pytest.approx(total / 40, rel=1e-5)


def test_truths_go_to_raw_outputs_and_back() -> None:
    boxes = BoxSampler(RANGES, OpticsSection(), torch.device("cpu"))(
        32, torch.Generator().manual_seed(1)
    )
    wanted = quantities_of(RANGES)
    names = [quantity.name for quantity in wanted]

    values = raw_to_units(truths_of(boxes, wanted), wanted)

    torch.testing.assert_close(values[:, names.index("x")], boxes.x_px)
    torch.testing.assert_close(values[:, names.index("z_nm")], boxes.z_nm)
    torch.testing.assert_close(values[:, names.index("photons")], boxes.light, rtol=1e-4, atol=0)
    torch.testing.assert_close(values[:, names.index("zernike_3_1_nm")], boxes.amplitudes_nm[:, 1])
    assert boxes.dipole is not None
    xx_yy = values[:, names.index("dipole_xx")] + values[:, names.index("dipole_yy")]
    torch.testing.assert_close(1.0 - xx_yy, boxes.dipole[:, 2] ** 2, rtol=1e-3, atol=1e-5)


def test_stated_errors_of_light_are_in_photons() -> None:
    wanted = quantities_of(BoxRanges())
    raw = torch.zeros(1, 2 * len(wanted))
    raw[0, 3] = math.log(2000.0) - wanted[3].middle
    raw[0, len(wanted) + 3] = math.log(0.05)

    answer = stated(raw, wanted)[0]

    assert float(answer[3]) == pytest.approx(2000.0, rel=1e-4)
    assert float(answer[len(wanted) + 3]) == pytest.approx(100.0, rel=1e-4)


def test_light_and_background_are_about_right_before_anything_is_learned() -> None:
    ranges = BoxRanges(z_nm=(-100, 100))
    wanted = quantities_of(ranges)
    boxes, _ = lone_boxes(ranges, OpticsSection(), 5000.0, 20.0, 32, seed=2)
    network = BoxNetwork(Silent(2 * len(wanted)), wanted)

    with torch.no_grad():
        answer = stated(network(boxes.photons, boxes.read_variance), wanted)

    assert float(answer[:, 3].mean()) == pytest.approx(5000.0, rel=0.25)
    assert float(answer[:, 4].mean()) == pytest.approx(20.0, rel=0.15)
    assert bool((answer[:, 0] == 0.0).all())


def test_background_is_taken_from_the_darkest_side() -> None:
    box = torch.full((1, 1, 16, 16), 7.0)
    box[..., -1] = 500.0  # a neighbour
    assert float(edge_level(box)) == pytest.approx(7.0)


def test_the_noise_of_what_the_layers_see_is_the_same_in_the_dark_and_in_light() -> None:
    generator = torch.Generator().manual_seed(3)
    for level in (5.0, 50.0, 500.0):
        noisy = torch.poisson(torch.full((200, 1, 16, 16), level), generator=generator)
        seen = stabilized(noisy, torch.zeros_like(noisy))
        spread = (seen - seen.mean(dim=(1, 2, 3), keepdim=True)).std()
        assert float(spread) == pytest.approx(0.25, rel=0.05)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model folder of a network that was trained for two steps."""
    base = tmp_path_factory.mktemp("boxes")
    recipe = Recipe(
        name="few-steps",
        network=NetworkSection(architecture="zelger", size="S"),
        boxes=BoxRanges(modes=((2, 2),)),
        training=TrainingSection(steps=2, batch_windows=8, held_out_windows=32),
    )
    trainer = Trainer(recipe, base)
    trainer.run(Event())
    export_model(base / "checkpoint.safetensors", base / "model", version="1", tuning_windows=16)
    return base / "model"


@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_the_graph_answers_what_the_network_does(folder: Path, engine: str) -> None:
    pytest.importorskip(engine)
    manifest, run = open_graph(folder, engine)
    recipe = Recipe.model_validate(manifest.training.recipe)
    wanted = quantities_of(recipe.boxes)
    network = trainable_of(recipe).build(recipe).eval()
    weights = load_file(folder / "model.safetensors")
    network.load_state_dict({name: value.float() for name, value in weights.items()})
    boxes, _ = lone_boxes(recipe.boxes, recipe.optics, 3000.0, 10.0, 12, seed=8)

    answer = run({"photons": boxes.photons.numpy(), "variance": boxes.read_variance.numpy()})
    with torch.no_grad():
        expected = stated(network(boxes.photons, boxes.read_variance), wanted).numpy()

    n = len(wanted)
    np.testing.assert_allclose(answer[:, :2], expected[:, :2], atol=0.005)  # 0.5 nm
    np.testing.assert_allclose(answer[:, 2], expected[:, 2], atol=0.5)
    np.testing.assert_allclose(answer[:, 3:5], expected[:, 3:5], rtol=5e-3)
    np.testing.assert_allclose(answer[:, 5:n], expected[:, 5:n], atol=0.5)


def test_the_manifest_states_what_each_channel_is_and_what_was_reached(folder: Path) -> None:
    manifest, _ = open_graph(folder, "torch")
    names = [channel.name for channel in manifest.channels]
    assert names[:6] == ["x", "y", "z_nm", "photons", "background", "zernike_2_2_nm"]
    assert names[6:] == [
        "std_x", "std_y", "std_z_nm", "std_photons", "std_background", "std_zernike_2_2_nm"
    ]  # fmt: skip
    assert manifest.z_range_nm == (-600.0, 600.0)
    assert "Zelger" in manifest.origin
    figures = {str(row["figure"]) for row in manifest.accuracy}
    assert "RMSE of x / CRLB" in figures
    assert "RMSE of zernike_2_2_nm / its spread" in figures
