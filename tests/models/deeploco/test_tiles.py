"""Tiles: how frames are cut, what light becomes, and what they are trained on."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from rtsmlm.errors import ConfigError  # noqa: E402
from rtsmlm.models.deeploco.samples import Tiles, TileSampler  # noqa: E402
from rtsmlm.models.deeploco.tiles import cut, scaled, stabilized  # noqa: E402
from rtsmlm.models.simulation.draw import Draw  # noqa: E402
from rtsmlm.models.simulation.emitters import Emitters  # noqa: E402
from rtsmlm.models.training.recipe import Recipe, load_recipe  # noqa: E402

RECIPE = Path(__file__).parents[3] / "models" / "recipes" / "deeploco.toml"
CPU = torch.device("cpu")


def test_tiles_overlap_by_eight_pixels_and_hold_every_pixel() -> None:
    frames = torch.arange(2 * 120 * 176, dtype=torch.float32).reshape(2, 120, 176)

    tiles = cut(frames)

    assert tiles.shape == (2, 2, 3, 64, 64)
    for i in range(2):
        for j in range(3):
            part = frames[:, 56 * i : 56 * i + 64, 56 * j : 56 * j + 64]
            assert torch.equal(tiles[:, i, j], part)


def test_a_frame_of_64_pixels_is_one_tile() -> None:
    frames = torch.rand(3, 64, 64)

    assert torch.equal(cut(frames)[:, 0, 0], frames)


@pytest.mark.parametrize(("level", "read_e"), [(3.0, 0.5), (40.0, 2.0), (400.0, 0.0)])
def test_noise_is_alike_whatever_the_background_and_the_camera(level: float, read_e: float) -> None:
    rng = np.random.default_rng(3)
    light = rng.poisson(level, (16, 64, 64)) + rng.normal(0.0, read_e, (16, 64, 64))
    variance = torch.full((16, 64, 64), read_e**2)

    tiles = scaled(stabilized(torch.from_numpy(light).float(), variance)[:, None])

    assert float(tiles.std()) == pytest.approx(1.0 / 6.0, rel=0.1)
    assert 0.0 < float(tiles.mean()) < 0.1


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    """Return the packaged recipe with a small PSF: it need not be as wide as the real one."""
    read = load_recipe(RECIPE)
    return read.model_copy(
        update={"psf": read.psf.model_copy(update={"box_px": 15, "z_step_nm": 250.0})}
    )


@pytest.fixture(scope="module")
def sampler(recipe: Recipe) -> TileSampler:
    return TileSampler(recipe, CPU)


def exposed(sampler: TileSampler, x: list[float], y: list[float], photons: float) -> Tiles:
    n = 12
    draw = Draw(n, torch.Generator().manual_seed(2))
    shape = (n, len(x))
    ones = torch.ones(shape)
    emitters = Emitters(
        x_px=torch.tensor([x]).expand(shape),
        y_px=torch.tensor([y]).expand(shape),
        sigma_x_px=ones,
        sigma_y_px=ones,
        photons=torch.full((n, 1, len(x)), photons),
        depth=0.0 * ones,
    )
    return sampler.expose(draw, emitters)


def test_emitters_of_a_tile_are_asked_for_where_they_are_with_their_light(
    sampler: TileSampler,
) -> None:
    tiles = exposed(sampler, [3.0], [4.25], 5000.0)

    assert tiles.weight.tolist() == [[1.0]] * 12
    assert tiles.at_nm[0, 0].tolist() == pytest.approx([350.0, 475.0, 750.0])
    # The calibration may be off by a tenth, and the light of an EMCCD is halved.
    light = tiles.light.square()
    assert bool(((light > 4.4) | ((light > 2.2) & (light < 2.8))).all())


def test_emitters_beyond_the_tile_shine_and_are_not_asked_for(sampler: TileSampler) -> None:
    tiles = exposed(sampler, [-2.0], [30.0], 50000.0)

    assert float(tiles.weight.sum()) == 0.0
    bright = tiles.photons[:, 28:33, 0].mean(1) > 3.0 * tiles.photons[:, 5, 40:].mean(1)
    assert int(bright.sum()) >= 9


def test_a_tile_that_ends_beyond_its_frame_repeats_the_last_pixels_and_asks_for_nothing_there(
    sampler: TileSampler,
) -> None:
    generator = torch.Generator().manual_seed(8)
    tiles = sampler(48, generator, 1.0)

    ends = [int((tile[:, 1:] != tile[:, :-1]).any(0).nonzero().max()) + 2 for tile in tiles.photons]
    padded = [k for k, end in enumerate(ends) if end < 64]
    assert 4 <= len(padded) <= 24
    for k in padded:
        there = tiles.weight[k] > 0
        assert bool((tiles.at_nm[k, there, 0] <= 100.0 * ends[k]).all())


def test_tiles_hold_as_many_emitters_as_the_recipe_says(
    sampler: TileSampler, recipe: Recipe
) -> None:
    tiles = sampler(128, torch.Generator().manual_seed(9), 1.0)

    per_um2 = tiles.weight.sum(1) / 6.4**2
    low, high = recipe.simulation.density
    assert low < float(per_um2.mean()) < high
    assert float(per_um2.max()) > 0.3
    assert int((per_um2 == 0.0).sum()) >= 5


def test_a_recipe_whose_windows_are_no_tiles_is_refused(recipe: Recipe) -> None:
    wide = recipe.simulation.model_copy(update={"crop_px": 96})

    with pytest.raises(ConfigError, match=r"simulation\.crop_px is 96; a tile of deeploco has 64"):
        TileSampler(recipe.model_copy(update={"simulation": wide}), CPU)
