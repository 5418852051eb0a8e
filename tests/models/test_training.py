"""Training lowers the loss, stops, and goes on where it stopped."""

import json
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from scipy.spatial import cKDTree

torch = pytest.importorskip("torch", reason="training needs torch")

from rtsmlm.errors import ConfigError, FileFormatError  # noqa: E402
from rtsmlm.models.simulation.ranges import SimulationRanges  # noqa: E402
from rtsmlm.models.training.checkpoint import FILE_NAME, mean_weights, read_progress  # noqa: E402
from rtsmlm.models.training.recipe import NetworkSection, Recipe, TrainingSection, load_recipe  # noqa: E402
from rtsmlm.models.training.trainable import trainable_of  # noqa: E402
from rtsmlm.models.training.trainer import LOG_NAME, Report, Trainer, rate_factor  # noqa: E402


def small_recipe(steps: int, batch: int = 4) -> Recipe:
    return Recipe(
        name="small",
        network=NetworkSection(size="S"),
        simulation=SimulationRanges(
            crop_px=32, density=(0.5, 1.0), sigma_px=(1.1, 1.2), computed_fraction=0.0
        ),
        training=TrainingSection(
            steps=steps, batch_windows=batch, held_out_windows=32, ema_decay=0.9
        ),
    )


def test_a_minute_of_training_is_worth_it(tmp_path: Path) -> None:
    trainer = Trainer(small_recipe(60), tmp_path)
    before = trainer.held_out_loss()

    trainer.run(Event())

    after = trainer.held_out_loss()
    assert after["total"] < 0.6 * before["total"]
    assert after["mixture"] < before["mixture"] - 1.0


def test_after_a_training_the_smallest_numbers_are_there_again(tmp_path: Path) -> None:
    during = []

    def look(report: Report) -> None:
        during.append(float(np.float64(5e-324) * np.float64(1.0)))

    Trainer(small_recipe(2), tmp_path).run(Event(), look)

    assert during == [0.0, 0.0]
    assert float(np.float64(5e-324) * np.float64(1.0)) > 0.0
    # A tree of points of which many have the same coordinate, 0: without them it has no end.
    points = np.zeros((1000, 2))
    points[:, 0] = np.arange(1000) // 40
    assert len(cKDTree(points[::-1]).query_pairs(0.1)) == 25 * 40 * 39 // 2


def test_a_stopped_training_goes_on_where_it_stopped(tmp_path: Path) -> None:
    stop = Event()

    def stop_at_five(report: Report) -> None:
        if report.step == 5:
            stop.set()

    first = Trainer(small_recipe(12), tmp_path)
    first.run(stop, stop_at_five)
    second = Trainer(small_recipe(12), tmp_path)
    second.resume()

    assert second.progress.step == 5
    for name, value in first.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[name])
    weight = first.network.head.weight
    momentum = first.optimizers["muon"].state[weight]["momentum"]
    resumed = second.optimizers["muon"].state[second.network.head.weight]["momentum"]
    assert torch.equal(momentum, resumed)

    second.run(Event())
    assert read_progress(tmp_path / FILE_NAME).step == 12


def test_every_checkpoint_leaves_a_line_with_held_out_losses(tmp_path: Path) -> None:
    Trainer(small_recipe(3), tmp_path).run(Event())

    line = json.loads((tmp_path / LOG_NAME).read_text().splitlines()[-1])
    weights, recipe = mean_weights(tmp_path / FILE_NAME)
    assert line["step"] == 3
    assert line["held_out"]["total"] > 0
    assert Recipe.model_validate_json(recipe).name == "small"
    assert all(torch.isfinite(value).all() for value in weights.values())


def test_a_checkpoint_of_another_size_is_refused(tmp_path: Path) -> None:
    Trainer(small_recipe(1), tmp_path).run(Event())
    other = small_recipe(1).model_copy(update={"network": NetworkSection(size="S+")})

    with pytest.raises(ConfigError, match="another size"):
        Trainer(other, tmp_path).resume()


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"no checkpoint")

    with pytest.raises(FileFormatError, match="cannot read the checkpoint"):
        Trainer(small_recipe(1), tmp_path).resume()


def test_the_rate_rises_stays_and_falls_to_zero() -> None:
    settings = TrainingSection(warm_up=0.1, decay=0.5)

    assert rate_factor(0.0, settings) < 0.01
    assert rate_factor(0.3, settings) == pytest.approx(1.0)
    assert rate_factor(0.75, settings) == pytest.approx(0.5)
    assert rate_factor(1.0, settings) == pytest.approx(0.0)


def test_shipped_recipes_can_be_read_and_name_a_size() -> None:
    folder = Path(str(__import__("rtsmlm.models").models.__path__[0])) / "recipes"

    recipes = [load_recipe(path) for path in sorted(folder.glob("*.toml"))]

    assert recipes
    for recipe in recipes:
        assert recipe.network.size in trainable_of(recipe).sizes()


def test_an_unknown_key_of_a_recipe_is_named(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("[training]\nlearning_rate = 1\n")

    with pytest.raises(ConfigError, match=r"training\.learning_rate"):
        load_recipe(path)
