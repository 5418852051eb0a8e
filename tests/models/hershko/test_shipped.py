"""The packaged network of colours: each dye is found in frames of both, and called by its name."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.bench.accuracy.figures import RMSE
from rtsmlm.bench.models.colour_sets import (
    BRIGHT,
    LEAST_JACCARD,
    RIGHT_COLOUR,
    colour_scene,
    judge,
)
from rtsmlm.bench.models.entrants import Entrant
from rtsmlm.models.catalog import find_model
from rtsmlm.models.manifest import load_manifest
from rtsmlm.physics.phase_masks import load_mask


@pytest.fixture
def hershko() -> Entrant:
    folder = find_model("hershko")
    return Entrant(name="hershko", folder=folder, manifest=load_manifest(folder))


def test_the_model_is_small_and_has_its_mask_beside_it(hershko: Entrant) -> None:
    manifest, folder = hershko.manifest, hershko.folder

    assert manifest is not None
    assert folder is not None
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1_500_000
    assert manifest.colours == ("mEos3.2", "AF647")
    mask = load_mask(folder / "mask.npy")
    assert np.ptp(mask) > 1.0, "a mask was learned"


def test_each_colour_is_found_among_both(hershko: Entrant, rng: np.random.Generator) -> None:
    scene = colour_scene(hershko, BRIGHT, 20, rng)

    figures = judge(hershko, scene)

    assert figures[LEAST_JACCARD] > 0.8
    assert figures[RIGHT_COLOUR] > 95.0
    assert figures[RMSE] < 30.0
