"""The packaged BGnet: how far off the background is, and what a fit on it gains."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.bench.models import background_scenes as scenes
from rtsmlm.bench.models.background_sets import OF_MEDIAN, judge
from rtsmlm.bench.models.entrants import Entrant
from rtsmlm.models.catalog import find_model
from rtsmlm.models.manifest import load_manifest
from rtsmlm.physics.gaussian import render_spots

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


def test_perlin_noise_of_a_fifth_of_the_level_is_found_within_a_tenth(
    bgnet: Entrant, rng: np.random.Generator
) -> None:
    def half_as_strong(rng: np.random.Generator) -> scenes.F64:
        return 1.0 + 0.5 * (scenes.perlin(rng) - 1.0)

    fields = scenes.draw_fields(half_as_strong, rng, 60, 2)

    assert judge(bgnet, fields)[scenes.LEVEL_RMSE] < 10.0


def test_strong_perlin_noise_is_found_nearly_as_well_as_a_linear_estimate_can(
    bgnet: Entrant, rng: np.random.Generator
) -> None:
    fields = scenes.draw_fields(scenes.perlin, rng, 60, 2)

    assert judge(bgnet, fields)[scenes.LEVEL_RMSE] < 1.4 * least_linear_error(fields, rng)


def least_linear_error(fields: scenes.Fields, rng: np.random.Generator) -> float:
    """Return the error in % of the best linear estimate, which knows place and noise."""
    side = 11
    drawn = [np.maximum(scenes.perlin(rng), scenes.LEAST) for _ in range(1500)]
    samples = scenes.LEVEL * scenes.inner(np.stack(drawn), side).reshape(len(drawn), -1)
    spread, mean = np.cov(samples.T), samples.mean(axis=0)
    true = scenes.inner(fields.background, side).reshape(len(fields.x_px), -1)
    light = scenes.inner(fields.photons[:, 0], side).reshape(true.shape)
    squares = []
    for x, y, expected, seen in zip(fields.x_px, fields.y_px, true, light, strict=True):
        spot = render_spots(
            (side, side), [5.0 + x], [5.0 + y], 1.0, scenes.SIGMA_PX, np.zeros((side, side))
        ).ravel()
        noise = expected + scenes.PHOTONS * spot + scenes.READ_VARIANCE
        # Nothing is known of the light of the emitter.
        seen_spread = spread + np.diag(noise) + 1e7 * np.outer(spot, spot)
        found = mean + spread @ np.linalg.solve(seen_spread, seen - mean)
        squares.append(np.mean((found - expected) ** 2))
    return 100.0 * float(np.sqrt(np.mean(squares))) / float(true.mean())


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
