"""Recipe, optimizer and checkpoint of the trainer, each by itself, on a network of four weights."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402

from rtsmlm.errors import ConfigError, FileFormatError  # noqa: E402
from rtsmlm.models.training.checkpoint import (  # noqa: E402
    FILE_NAME,
    Progress,
    load_checkpoint,
    mean_weights,
    read_progress,
    save_checkpoint,
)
from rtsmlm.models.training.optimizer import Muon, orthogonalize  # noqa: E402
from rtsmlm.models.training.recipe import Recipe, load_recipe  # noqa: E402


def network(seed: int = 0, width: int = 3) -> torch.nn.Module:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Conv2d(2, width, 3), torch.nn.Conv2d(width, 1, 1))


def optimizers_of(net: torch.nn.Module) -> dict[str, torch.optim.Optimizer]:
    weights = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim == 1]
    return {"matrix": Muon(weights, lr=0.02), "vector": torch.optim.AdamW(others, lr=2e-3)}


def steps(net: torch.nn.Module, optimizers: dict[str, torch.optim.Optimizer], n: int) -> float:
    """Train on one batch; return the loss before the last step."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(4, 2, 8, 8, generator=generator)
    y = torch.randn(4, 1, 6, 6, generator=generator)
    loss = torch.zeros(())
    for _ in range(n):
        loss = (net(x) - y).square().mean()
        for optimizer in optimizers.values():
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers.values():
            optimizer.step()
    return float(loss.detach())


def mean_of(net: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in net.state_dict().items()}


@settings(deadline=None, max_examples=30)
@given(rows=st.integers(1, 12), columns=st.integers(1, 12), seed=st.integers(0, 99))
def test_an_orthogonalized_matrix_has_all_singular_values_near_one(
    rows: int, columns: int, seed: int
) -> None:
    matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    least = float(torch.linalg.svdvals(matrix).min() / matrix.norm())

    result = orthogonalize(matrix)

    values = torch.linalg.svdvals(result)
    assert result.shape == matrix.shape
    assert float(values.max()) < 1.3
    if least > 0.02:  # five rounds lift no smaller one all the way
        assert float(values.min()) > 0.6


@settings(deadline=None, max_examples=20)
@given(scale=st.floats(1e-3, 1e3))
def test_the_size_of_the_gradient_does_not_change_the_step(scale: float) -> None:
    matrix = torch.randn(4, 6, generator=torch.Generator().manual_seed(2))

    torch.testing.assert_close(
        orthogonalize(scale * matrix), orthogonalize(matrix), rtol=1e-3, atol=1e-3
    )


def test_a_step_goes_down_and_without_gradient_nothing_moves() -> None:
    net = network()
    optimizers = optimizers_of(net)

    first, later = steps(net, optimizers, 1), steps(net, optimizers, 30)

    assert later < first
    for parameter in net.parameters():
        parameter.grad = None
    before = mean_of(net)
    optimizers["matrix"].step()
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_a_weight_without_slope_only_decays() -> None:
    weight = torch.nn.Parameter(torch.ones(3, 3))
    optimizer = Muon([weight], lr=0.1, weight_decay=0.5)
    weight.grad = torch.zeros(3, 3)

    optimizer.step()

    torch.testing.assert_close(weight.detach(), torch.full((3, 3), 1 - 0.1 * 0.5))


def test_a_resumed_training_takes_the_steps_that_it_would_have_taken(tmp_path: Path) -> None:
    net = network()
    optimizers = optimizers_of(net)
    steps(net, optimizers, 5)
    save_checkpoint(tmp_path, net, mean_of(net), optimizers, Progress(5, 1.5, 80), "{}")
    steps(net, optimizers, 5)

    other = network(seed=9)
    resumed = optimizers_of(other)
    mean = {name: torch.zeros_like(value) for name, value in other.state_dict().items()}
    progress = load_checkpoint(tmp_path / FILE_NAME, other, mean, resumed)
    steps(other, resumed, 5)

    assert progress == Progress(5, 1.5, 80)
    for name, value in net.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value)


def test_mean_weights_recipe_and_progress_come_back_unchanged(tmp_path: Path) -> None:
    net = network()
    mean = {name: value + 1 for name, value in mean_of(net).items()}
    recipe = Recipe(name="mine").model_dump_json()
    save_checkpoint(tmp_path, net, mean, optimizers_of(net), Progress(7, 2.0, 9), recipe)

    found, text = mean_weights(tmp_path / FILE_NAME)

    assert set(found) == set(mean)
    assert all(torch.equal(found[name], mean[name]) for name in mean)
    assert Recipe.model_validate_json(text).name == "mine"
    assert read_progress(tmp_path / FILE_NAME) == Progress(7, 2.0, 9)
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME], "no partial file stays"


def test_a_checkpoint_of_a_wider_network_is_refused(tmp_path: Path) -> None:
    wide, narrow = network(width=5), network(width=3)
    save_checkpoint(tmp_path, wide, mean_of(wide), {}, Progress(), "{}")

    with pytest.raises(ConfigError, match="network of another size"):
        load_checkpoint(tmp_path / FILE_NAME, narrow, mean_of(narrow), {})


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_safetensors_that_are_no_checkpoint_are_refused(
    tmp_path: Path, metadata: dict[str, str] | None
) -> None:
    net = network()
    path = tmp_path / FILE_NAME
    save_file({f"weights.{k}": v for k, v in mean_of(net).items()}, path, metadata)

    for read in (
        read_progress, mean_weights, lambda p: load_checkpoint(p, net, mean_of(net), {}),
    ):  # fmt: skip
        with pytest.raises(FileFormatError, match="is not a checkpoint"):
            read(path)


def test_a_checkpoint_that_is_not_there_is_a_file_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"none\.safetensors"):
        read_progress(tmp_path / "none.safetensors")


def recipe(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[training]\nsteps = 0", r"training\.steps"),
        ("[training]\ndecay = 1.5", r"training\.decay"),
        ("[training]\nwarm_up = 1.0", r"training\.warm_up"),
        ('[network]\nsise = "S"', r"network\.sise"),
        ('name = "My Model"', "name"),
        ("[simulation]\ndensity = [2.0, 1.0]", r"simulation\.density"),
        ("steps = ", "cannot read"),
    ],
)
def test_a_wrong_recipe_is_refused_with_file_and_key(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=rf"recipe\.toml.*{named}|{named}.*recipe\.toml"):
        load_recipe(recipe(tmp_path, text))


def test_a_recipe_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    path = recipe(tmp_path, "")
    path.write_bytes(b"\xff\xfe\x00")

    for bad in (path, tmp_path / "none.toml"):
        with pytest.raises(ConfigError, match="cannot read the recipe"):
            load_recipe(bad)


def test_an_empty_recipe_is_that_of_the_defaults_and_survives_json(tmp_path: Path) -> None:
    read = load_recipe(recipe(tmp_path, ""))

    assert read == Recipe()
    assert Recipe.model_validate_json(read.model_dump_json()) == read
