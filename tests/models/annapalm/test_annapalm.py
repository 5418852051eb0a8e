"""ANNA-PALM: its published size, who learns from whom, and what the packaged weights complete."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the network is of torch")

from torch import nn  # noqa: E402

from rtsmlm.models.annapalm.architecture import ARCHITECTURE  # noqa: E402
from rtsmlm.models.annapalm.losses import inputs_of  # noqa: E402
from rtsmlm.models.annapalm.network import SIZES, AnnaPalmNetwork, InstanceNorm  # noqa: E402
from rtsmlm.models.simulation.localization_lists import ListPairs  # noqa: E402
from rtsmlm.models.training.recipe import Recipe, load_recipe  # noqa: E402

RECIPE = Path(__file__).parents[3] / "models" / "recipes" / "annapalm.toml"
BLOCK_PX = 64


def size_of(module: nn.Module, without: str) -> int:
    names = [name for name, _ in module.named_modules() if isinstance(module.get_submodule(name),
             InstanceNorm)]  # fmt: skip
    return sum(
        value.numel()
        for name, value in module.named_parameters()
        if without not in name and not name.startswith(tuple(f"{norm}." for norm in names))
    )


@pytest.fixture(scope="module")
def small() -> tuple[Recipe, ListPairs]:
    recipe = load_recipe(RECIPE)
    lists = recipe.lists.model_copy(update={"side_px": BLOCK_PX, "widefield_fraction": 1.0})
    recipe = recipe.model_copy(update={"lists": lists})
    sample = ARCHITECTURE.sampler(recipe, torch.device("cpu"))
    return recipe, sample(2, torch.Generator().manual_seed(3), 1.0)


def test_the_published_size_has_the_parameters_that_were_reported() -> None:
    with torch.device("meta"):
        network = AnnaPalmNetwork(SIZES["paper"], 3)

    assert SIZES["paper"].block_px == 256
    assert size_of(network.generator, "structure") == 39_150_081
    assert size_of(network.critic, "structure") == 2_764_737
    with torch.device("meta"):
        packaged = AnnaPalmNetwork(SIZES["S"], 3).generator
    assert sum(value.numel() for value in packaged.parameters()) < 1_250_000


def test_each_of_both_networks_learns_from_its_own_terms_alone(
    small: tuple[Recipe, ListPairs],
) -> None:
    recipe, pairs = small
    network = ARCHITECTURE.build(recipe)

    def slopes(term: str) -> dict[str, bool]:
        network.zero_grad(set_to_none=True)
        ARCHITECTURE.loss(ARCHITECTURE.forward(network, pairs), pairs, recipe)[term].backward()
        return {
            part: any(
                value.grad is not None and bool(value.grad.any())
                for value in network.get_submodule(part).parameters()
            )
            for part in ("generator", "critic")
        }

    assert slopes("critic") == {"generator": False, "critic": True}
    assert slopes("fooled") == {"generator": True, "critic": False}
    assert slopes("unlike") == {"generator": True, "critic": False}


def test_the_recipe_trains_a_network_that_packages_its_generator(
    small: tuple[Recipe, ListPairs], tmp_path: Path
) -> None:
    recipe, pairs = small
    network = ARCHITECTURE.build(recipe)

    loss = ARCHITECTURE.loss(ARCHITECTURE.forward(network, pairs), pairs, recipe)
    loss["total"].backward()

    assert all(p.grad is not None for p in network.parameters())
    manifest = ARCHITECTURE.package(network.eval(), tmp_path, recipe, tuning_windows=0)
    assert (manifest.task, manifest.image_pixel_nm, manifest.block_px) == ("image", 20.0, BLOCK_PX)
    assert manifest.structures == ("filaments", "mitochondria", "nuclear-pores")
    assert [entry.name for entry in manifest.inputs] == [
        "localizations", "level", "structure", "widefield",
    ]  # fmt: skip
    written = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert written < 5_000_000


def test_a_norm_answers_the_same_while_it_learns_and_afterwards() -> None:
    norm = InstanceNorm(6)
    features = torch.rand(2, 6, 9, 7, generator=torch.Generator().manual_seed(1)) * 5 + 2

    learning = norm(features)
    after = norm.eval()(features.bfloat16())

    assert after.dtype == torch.float32
    assert torch.allclose(learning, norm(features), atol=1e-5)
    assert float((after - learning).detach().abs().max()) < 0.05, "of inputs with eight digits"


def test_without_a_widefield_image_its_channel_is_empty_and_its_unit_does_not_matter() -> None:
    sparse = torch.rand(1, 1, 8, 8)
    light = torch.rand(1, 1, 8, 8)

    assert not inputs_of(sparse, torch.zeros_like(light))[:, 1].any()
    assert not inputs_of(sparse, torch.full_like(light, 7.0))[:, 1].any()
    one, thousand = (inputs_of(sparse, k * light)[:, 1] for k in (1.0, 1000.0))
    np.testing.assert_allclose(one, thousand, rtol=1e-3, atol=1e-3)
