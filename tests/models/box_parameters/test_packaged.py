"""The packaged networks of boxes against the Cramér-Rao bound, on boxes that they never saw."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="boxes are simulated by torch")
pytest.importorskip("openvino", reason="the networks run on OpenVINO")

from rtsmlm.engines.graph_runner import open_graph  # noqa: E402
from rtsmlm.models.box_parameters.accuracy import lone_boxes  # noqa: E402
from rtsmlm.models.box_parameters.quantities import (  # noqa: E402
    quantities_of,
    raw_to_units,
    truths_of,
)
from rtsmlm.models.catalog import find_model  # noqa: E402
from rtsmlm.models.manifest import load_manifest  # noqa: E402
from rtsmlm.models.simulation.box_bounds import box_bounds  # noqa: E402
from rtsmlm.models.simulation.boxes import Boxes, BoxSampler  # noqa: E402
from rtsmlm.models.training.recipe import Recipe  # noqa: E402

N = 128
LIMITS = {
    "zelger": (1.3, 1.3), "smnet": (1.2, 1.3), "smnet-dipole": (2.0, 1.6),
    "smnet-double-helix": (1.45, 1.8),
}  # fmt: skip
"""Root mean square error over the bound at 2000 photons: of x and y, and of z."""
HAS_LEARNED_MODES = ("zelger", "smnet", "smnet-dipole")


def answer_of(name: str, boxes: Boxes) -> np.ndarray:
    _, run = open_graph(find_model(name), "openvino")
    return run({"photons": boxes.photons.numpy(), "variance": boxes.read_variance.numpy()})


def recipe_of(name: str) -> Recipe:
    return Recipe.model_validate(load_manifest(find_model(name)).training.recipe)


@pytest.mark.parametrize("name", LIMITS)
def test_lone_emitters_are_found_as_well_as_their_light_allows(name: str) -> None:
    recipe = recipe_of(name)
    boxes, ranges = lone_boxes(recipe.boxes, recipe.optics, 2000.0, 20.0, N, seed=42)
    wanted = quantities_of(ranges)
    truth = raw_to_units(truths_of(boxes, wanted), wanted).numpy()
    bound = box_bounds(boxes, ranges, recipe.optics).numpy()

    answer = answer_of(name, boxes)

    error = np.sqrt(np.mean((answer[:, : len(wanted)] - truth) ** 2, axis=0))
    ratio = error / np.sqrt(np.mean(bound**2, axis=0))
    lateral, axial = LIMITS[name]
    assert (ratio[:2] < lateral).all(), ratio[:2]
    assert ratio[2] < axial
    if name in HAS_LEARNED_MODES:
        assert (error[5:] < truth[:, 5:].std(axis=0)).all(), "modes are better known than before"


@pytest.mark.parametrize("name", LIMITS)
def test_stated_errors_are_honest_over_all_that_was_trained_on(name: str) -> None:
    recipe = recipe_of(name)
    sampler = BoxSampler(recipe.boxes, recipe.optics, torch.device("cpu"))
    boxes = sampler(3 * N, torch.Generator().manual_seed(43))
    wanted = quantities_of(recipe.boxes)
    truth = raw_to_units(truths_of(boxes, wanted), wanted).numpy()

    answer = answer_of(name, boxes)

    n = len(wanted)
    z = (answer[:, :n] - truth) / answer[:, n : 2 * n]
    z = np.where(np.abs(z) < 6.0, z, 0.0)  # of a neighbour
    assert np.sqrt(np.mean(z**2, axis=0)) == pytest.approx(np.ones(n), abs=0.18)
