"""The packaged BGnet: how far off the background is, and what a fit on it gains."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.bench.models import background_scenes as scenes
from rtsmlm.bench.models.background_sets import OF_MEDIAN, judge
from rtsmlm.bench.models.entrants import Entrant
from rtsmlm.models.catalog import find_model
from rtsmlm.models.manifest import load_manifest

FIT = Entrant(name="gaussian-mle")


@pytest.fixture
def bgnet() -> Entrant:
    folder = find_model("bgnet")
    return Entrant(name="bgnet", folder=folder, manifest=load_manifest(folder))


def test_the_model_is_small_and_says_how_it_was_trained(bgnet: Entrant) -> None:
    manifest, folder = bgnet.manifest, bgnet.folder

    assert manifest is not None
    assert folder is not None
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1_200_000
    assert manifest.training.steps == manifest.training.recipe["training"]["steps"]


def test_backgrounds_of_perlin_noise_are_found_within_a_tenth(
    bgnet: Entrant, rng: np.random.Generator
) -> None:
    fields = scenes.draw_fields(scenes.perlin, rng, 40, 2)

    assert judge(bgnet, fields)[scenes.LEVEL_RMSE] < 10.0


@pytest.mark.parametrize("kind", ["Perlin noise", "slope", "haze", "neighbour"])
def test_a_fit_on_the_stated_background_has_less_bias_than_on_a_flat_one(
    kind: str, bgnet: Entrant, rng: np.random.Generator
) -> None:
    fields = scenes.draw_fields(scenes.KINDS[kind], rng, 40, 20)

    stated, flat = judge(bgnet, fields), judge(FIT, fields)

    assert stated[scenes.BIAS] < 0.7 * flat[scenes.BIAS]
    assert stated[scenes.RMSE_BOUND] < flat[scenes.RMSE_BOUND]


def test_on_perlin_noise_a_median_of_the_surroundings_is_no_match(
    bgnet: Entrant, rng: np.random.Generator
) -> None:
    fields = scenes.draw_fields(scenes.perlin, rng, 40, 20)

    stated, others = judge(bgnet, fields), judge(FIT, fields)

    assert stated[scenes.RMSE_BOUND] < others[scenes.RMSE_BOUND + OF_MEDIAN]


def test_a_flat_background_costs_little(bgnet: Entrant, rng: np.random.Generator) -> None:
    fields = scenes.draw_fields(scenes.flat, rng, 40, 20)

    assert judge(bgnet, fields)[scenes.RMSE_BOUND] < 1.2
