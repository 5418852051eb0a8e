"""The network of Gaire et al.: its size, its start, and what it learns to leave out."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the network is of torch")

from rtsmlm.models.gaire.architecture import ARCHITECTURE  # noqa: E402
from rtsmlm.models.gaire.network import SIZES, GaireNetwork  # noqa: E402
from rtsmlm.models.training.recipe import load_recipe  # noqa: E402

RECIPES = Path(__file__).parents[3] / "models" / "recipes"
COLOURS = ("filaments", "mitochondria", "pores")


def test_the_size_of_the_paper_has_sixteen_blocks_of_64_channels() -> None:
    with torch.device("meta"):
        network = GaireNetwork(SIZES["paper"])

    assert sum(value.numel() for value in network.parameters()) == 1_182_913
    with torch.device("meta"):
        packaged = GaireNetwork(SIZES["S"])
    assert sum(value.numel() for value in packaged.parameters()) < 150_000


def test_an_answer_depends_on_its_surroundings_alone() -> None:
    network = GaireNetwork(SIZES["S"]).eval()
    sparse = torch.rand(1, 1, 96, 96, generator=torch.Generator().manual_seed(1))
    other = sparse.clone()
    other[..., :20] = 0.0
    reach = SIZES["S"].reach_px

    with torch.no_grad():
        answer, changed = network(sparse), network(other)

    far = 20 + reach
    assert torch.allclose(answer[..., far:], changed[..., far:], atol=1e-6)
    assert not torch.allclose(answer[..., :far], changed[..., :far], atol=1e-3)


@pytest.mark.parametrize("colour", COLOURS)
def test_each_colour_has_a_recipe_whose_input_holds_the_other_two(colour: str) -> None:
    lists = load_recipe(RECIPES / f"gaire-{colour}.toml").lists

    assert len(lists.structures) == 1
    assert len({*lists.structures, *lists.others}) == 3
    assert lists.crosstalk[1] >= 0.1


def test_the_recipe_trains_a_network_that_packages_itself(tmp_path: Path) -> None:
    recipe = load_recipe(RECIPES / "gaire-filaments.toml")
    lists = recipe.lists.model_copy(update={"side_px": 64})
    recipe = recipe.model_copy(update={"lists": lists})
    network = ARCHITECTURE.build(recipe)
    pairs = ARCHITECTURE.sampler(recipe, torch.device("cpu"))(
        2, torch.Generator().manual_seed(3), 1.0
    )

    loss = ARCHITECTURE.loss(ARCHITECTURE.forward(network, pairs), pairs, recipe)
    loss["total"].backward()

    assert all(p.grad is not None and bool(p.grad.any()) for p in network.parameters())
    manifest = ARCHITECTURE.package(network.eval(), tmp_path, recipe, tuning_windows=0)
    assert manifest.structures == ("filaments",)
    assert [entry.name for entry in manifest.inputs] == ["localizations", "level"]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 700_000
