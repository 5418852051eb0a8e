"""Dim lone emitters: the fit and the network together find what the fit alone finds, and more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtsmlm.analysis.metrics import Field, evaluate
from rtsmlm.bench.accuracy.scenes import Scene, crowded_scene, empty_scene, isolated_scene
from rtsmlm.engines.evidence import NEEDED, evidence
from rtsmlm.engines.runtimes import localizer_of
from rtsmlm.fitting.localizer import open_gaussian_mle
from rtsmlm.localizations import Localizations
from rtsmlm.models.catalog import find_model
from rtsmlm.settings.load import load

DIM = [(100.0, 5.0), (200.0, 20.0), (200.0, 50.0), (500.0, 100.0)]


def found_in(scene: Scene, name: str, min_probability: float | None = None) -> Localizations:
    localize = localizer_of(
        find_model(name),
        calibration=scene.calibration,
        sigma_nm=scene.sigma_nm,
        engine="openvino",
        min_probability=min_probability,
        fit_first=True,
    )
    return localize(scene.batch)


def recall(scene: Scene, found: Localizations) -> float:
    return evaluate(found, scene.truth, Field.of_image(scene.batch.shape, 100.0)).recall


@pytest.mark.parametrize(("photons", "background"), DIM)
@pytest.mark.parametrize("name", ["flagship-2d", "flagship-2d-fast"])
def test_dim_emitters_are_found_as_a_fit_finds_them(
    rng: np.random.Generator, name: str, photons: float, background: float
) -> None:
    scene = isolated_scene(rng, 10, (1.3, photons, background))
    fit = open_gaussian_mle(load(None), scene.calibration, scene.sigma_nm)

    found = found_in(scene, name)

    # Three standard deviations of the difference of two recalls of 490 emitters.
    assert recall(scene, found) > recall(scene, fit(scene.batch)) - 0.04
    false = len(found) - recall(scene, found) * len(scene.truth)
    assert false / (10 * 16) < 0.03, "of a rate of 0.002 more than four are one chance in 10000"


@pytest.mark.parametrize("name", ["flagship-2d", "flagship-2d-fast"])
@pytest.mark.parametrize("background", [20.0, 100.0])
def test_dark_frames_have_few_false_ones(
    rng: np.random.Generator, name: str, background: float
) -> None:
    scene = empty_scene(rng, 100, background, "ideal")

    # Of one in a thousand frames of 64 x 64 pixels 1.6 are expected, and 8 one time in 5000.
    assert len(found_in(scene, name)) < 8


def test_a_lower_probability_finds_more_and_a_higher_one_less(rng: np.random.Generator) -> None:
    scene = isolated_scene(rng, 10, (1.3, 200.0, 50.0))

    few, usual, many = (recall(scene, found_in(scene, "flagship-2d", p)) for p in (0.95, 0.5, 0.1))

    assert few < usual - 0.05
    assert many > usual + 0.02


def test_places_and_light_of_dim_emitters_are_those_of_the_fit(rng: np.random.Generator) -> None:
    scene = isolated_scene(rng, 10, (1.3, 200.0, 20.0))

    found = found_in(scene, "flagship-2d-fast")

    field = Field.of_image(scene.batch.shape, 100.0)
    assert scene.bound is not None
    rmse = evaluate(found, scene.truth, field).rmse_lateral_nm / np.sqrt(2.0)
    assert rmse < 1.1 * scene.bound.lateral_nm
    assert np.mean(found.photons) == pytest.approx(200.0, rel=0.05)
    # What a row states is known of it: of 490 that state 0.97 on average few are false.
    assert found.probability.min() > 0.9
    assert np.mean(found.probability) > 0.97


def test_none_is_reported_twice(rng: np.random.Generator) -> None:
    scene = crowded_scene(rng, 24, 0.05, (1.3, 250.0, 20.0))

    found = found_in(scene, "flagship-2d")

    for frame in np.unique(found.frame):
        here = found.take(np.flatnonzero(found.frame == frame))
        away = np.hypot(here.x_nm[:, None] - here.x_nm, here.y_nm[:, None] - here.y_nm)
        np.fill_diagonal(away, np.inf)
        assert away.min() > 100.0


def test_both_add_up() -> None:
    strength = np.array([5.0, 5.0, 9.0, 6.0, 7.0], dtype=np.float32)
    probability = np.array([0.4, 0.95, 0.0, 0.4, 0.4], dtype=np.float32)

    found = evidence(strength, probability)

    assert found[1] > NEEDED > found[0], "one that the network knows, and one that it doubts"
    assert found[2] == -np.inf, "what the network denies is none, however high"
    assert found[4] - found[3] == pytest.approx(found[3] - found[0], rel=1e-4)
    assert found[4] > NEEDED, "what it doubts is one where it is high"


def test_spots_far_out_of_focus_are_left_to_the_network(rng: np.random.Generator) -> None:
    scene = isolated_scene(rng, 10, (2.6, 700.0, 40.0))
    told = replace(scene, sigma_nm=130.0)

    field = Field.of_image(scene.batch.shape, 100.0)
    found = evaluate(found_in(told, "flagship-2d"), scene.truth, field)

    assert scene.bound is not None
    assert found.rmse_lateral_nm < 2.0 * np.sqrt(2.0) * scene.bound.lateral_nm
