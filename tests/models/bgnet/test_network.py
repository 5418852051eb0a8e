"""BGnet: its published sizes, what it learns on, and its model folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the network is written in torch")
onnx = pytest.importorskip("onnx", reason="the models are ONNX")

from rtsmlm.models.bgnet.architecture import ARCHITECTURE  # noqa: E402
from rtsmlm.models.bgnet.losses import background_loss  # noqa: E402
from rtsmlm.models.bgnet.network import SIZES, BgNetwork  # noqa: E402
from rtsmlm.models.bgnet.samples import BackgroundBoxes, BackgroundSampler, gaussian_spots  # noqa: E402
from rtsmlm.models.simulation.background_fields import perlin_noise  # noqa: E402
from rtsmlm.models.simulation.background_ranges import BackgroundRanges  # noqa: E402
from rtsmlm.models.simulation.box_ranges import BoxRanges  # noqa: E402
from rtsmlm.models.simulation.draw import Draw  # noqa: E402
from rtsmlm.models.training.recipe import NetworkSection, Recipe  # noqa: E402
from rtsmlm.physics import perlin as fields  # noqa: E402
from rtsmlm.physics.gaussian import render_spots  # noqa: E402

RECIPE = Recipe(
    name="bgnet",
    network=NetworkSection(architecture="bgnet", size="S"),
    boxes=BoxRanges(
        box_px=11, offset_px=1.0, far_fraction=0.0, photons=(500, 5000), background=(20, 60),
        neighbour_fraction=0.2, edge_fraction=0.0, emccd_fraction=0.0,
    ),
)  # fmt: skip


def drawn(n: int) -> BackgroundBoxes:
    sampler = BackgroundSampler(RECIPE, torch.device("cpu"))
    return sampler(n, torch.Generator().manual_seed(4))


def test_the_sizes_of_the_paper_have_their_parameters() -> None:
    counts = {
        name: sum(p.numel() for p in BgNetwork(SIZES[name]).parameters())
        for name in ("paper", "paper-40")
    }

    assert counts == {"paper": 266_017, "paper-40": 1_742_113}


@pytest.mark.parametrize(("size", "side"), [("paper", 12), ("paper-40", 40), ("S", 11)])
def test_a_background_has_the_shape_of_its_box(size: str, side: int) -> None:
    network = BgNetwork(SIZES[size]).eval()
    box = torch.full((2, 1, side, side), 30.0)

    background = network(box, torch.ones_like(box))

    assert background.shape == box.shape
    # Fresh weights say that the background is that of the darkest side.
    torch.testing.assert_close(background.detach(), box, rtol=1e-3, atol=1e-3)


def test_noise_of_any_scale_has_a_root_mean_square_of_one() -> None:
    draw = Draw(3000, torch.Generator().manual_seed(0))
    scale = torch.full((3000,), 3.0)

    noise = perlin_noise(draw, 11, scale)

    assert float(noise.square().mean().sqrt()) == pytest.approx(1.0, rel=0.05)
    rng = np.random.default_rng(0)
    other = torch.from_numpy(
        np.stack([fields.perlin_noise((11, 11), 3.0, rng) for _ in range(3000)])
    )
    for apart in (1, 2, 6):
        alike, expected = (
            float((each[:, :, apart:] * each[:, :, :-apart]).mean()) for each in (noise, other)
        )
        assert alike == pytest.approx(expected, abs=0.04), "as the noise that is drawn one by one"
    assert abs(alike) < 0.04, "cells far apart have nothing in common"


def test_a_round_spot_is_the_integrated_gaussian_of_the_fits() -> None:
    x, y, sigma = torch.tensor([[0.3]]), torch.tensor([[-0.4]]), torch.tensor([[1.2]])
    expected = render_spots((11, 11), [5.3], [4.6], 1.0, 1.2, np.zeros((11, 11)))

    np.testing.assert_allclose(gaussian_spots(x, y, sigma, 11)[0], expected, atol=1e-5)


def test_light_is_that_of_background_and_emitter_with_its_noise() -> None:
    boxes = drawn(3000)

    light = boxes.mean - boxes.background
    middle = light[:, 0, 3:8, 3:8].sum(dim=(1, 2)) / light.sum(dim=(1, 2, 3))
    assert float(middle.median()) > 0.8, "the emitter is in the middle"
    z = (boxes.photons - boxes.mean) / (boxes.mean + boxes.read_variance).sqrt()
    assert float(z.mean()) == pytest.approx(0.0, abs=0.02)
    assert float(z.std()) == pytest.approx(1.0, rel=0.02)
    assert float(boxes.background.min()) > 0.0
    relative = boxes.background / boxes.background.mean(dim=(1, 2, 3), keepdim=True)
    assert float(relative.std(dim=(1, 2, 3)).median()) > 0.1, "it has structure"


def test_the_loss_is_nothing_for_the_truth_and_one_for_an_error_as_large_as_noise() -> None:
    boxes = drawn(16)

    right = background_loss(boxes.background, boxes)
    noise = (boxes.mean + boxes.read_variance).sqrt()
    wrong = background_loss(boxes.background + noise, boxes)

    assert float(right["total"]) == 0.0
    assert float(wrong["total"]) == pytest.approx(1.0, rel=1e-4)


def test_a_network_learns_what_shines_beside_the_emitter() -> None:
    torch.manual_seed(0)
    network = BgNetwork(SIZES["S"])
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    boxes = drawn(64)
    losses = []
    for _ in range(12):
        loss = ARCHITECTURE.loss(ARCHITECTURE.forward(network, boxes), boxes, RECIPE)["total"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))

    assert losses[-1] < 0.8 * losses[0]


def test_a_model_folder_has_its_batch_norms_folded_and_answers_as_the_network(
    tmp_path: Path,
) -> None:
    from rtsmlm.engines.onnx_graph import OnnxGraph

    torch.manual_seed(0)
    network = ARCHITECTURE.build(RECIPE)
    boxes = drawn(32)
    with torch.no_grad():
        network.last.weight.normal_(std=0.3)
        network(boxes.photons, boxes.read_variance)  # sets the means of the norms
    manifest = ARCHITECTURE.package(network.eval(), tmp_path, RECIPE, tuning_windows=64)

    nodes = {node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node}
    assert "BatchNormalization" not in nodes
    graph = OnnxGraph(tmp_path / "model.onnx", torch.device("cpu"))
    given = {"photons": boxes.photons, "variance": boxes.read_variance}
    with torch.no_grad():
        expected = network(boxes.photons, boxes.read_variance).clamp(min=0.0)
    answer = graph(given)["background"]
    # Weights are stored in half precision.
    assert float(((answer - expected) / (1.0 + expected)).abs().max()) < 0.02
    assert (manifest.task, manifest.psf) == ("box-background", "round")
    assert manifest.valid.sigma_px == (0.8, 1.9)
    assert {row["condition"] for row in manifest.accuracy} == {
        "background 10", "background 50", "background 150"
    }  # fmt: skip


def test_a_recipe_without_widths_takes_the_psf_of_its_optics() -> None:
    recipe = RECIPE.model_copy(update={"backgrounds": BackgroundRanges(sigma_px=None)})
    sampler = ARCHITECTURE.sampler(recipe, torch.device("cpu"))

    boxes = sampler(4, torch.Generator().manual_seed(1), 1.0)

    assert boxes.photons.shape == (4, 1, 11, 11)
    assert bool((boxes.mean > boxes.background).all())
