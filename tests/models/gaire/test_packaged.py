"""The packaged networks of Gaire et al.: an eighth of the frames, alone and with other colours."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

pytest.importorskip("openvino", reason="the networks run on it")

from rtsmlm.bench.accuracy.figures import Figures
from rtsmlm.bench.models.entrants import Entrant
from rtsmlm.bench.models.list_figures import GAIN, MS_SSIM, OF_INPUT, list_figures
from rtsmlm.bench.models.list_scenes import list_scene
from rtsmlm.bench.models.list_sets import CROSSED_AT, STRUCTURES, drawn, open_network
from rtsmlm.models.catalog import find_model
from rtsmlm.models.manifest import load_manifest
from rtsmlm.physics.structures import StructureName

MODELS: dict[StructureName, str] = {
    "filaments": "gaire-filaments",
    "mitochondria": "gaire-mitochondria",
    "nuclear-pores": "gaire-pores",
}
PLAIN_DB: dict[StructureName, float] = {
    "filaments": 1.2, "mitochondria": 0.8, "nuclear-pores": 1.6,
}  # fmt: skip
"""Least gain of the answer to an eighth of the frames: measured, less a fifth."""


@cache
def figures(structure: StructureName, crosstalk: float) -> Figures:
    """Return the figures at an eighth of the frames."""
    others = tuple(name for name in STRUCTURES if name != structure) if crosstalk else ()
    rng = np.random.default_rng(31)
    scene = list_scene(structure, rng, strays=others, crosstalk=crosstalk)
    folder = find_model(MODELS[structure])
    entrant = Entrant(name=folder.name, folder=folder, manifest=load_manifest(folder))
    network = open_network(entrant, structure, "openvino")
    first = scene.first(CROSSED_AT)
    network.add_localizations(first)
    image = network.layer().image
    few, whole = (drawn(rows, 20.0) for rows in (first, scene.clean))
    return list_figures(image, np.zeros_like(image), few, whole)


@pytest.mark.parametrize("structure", MODELS)
def test_an_eighth_of_the_frames_comes_nearer_to_the_image_of_all(structure: StructureName) -> None:
    found = figures(structure, 0.0)

    assert found[GAIN] > PLAIN_DB[structure]
    assert found[MS_SSIM] > found[MS_SSIM + OF_INPUT] > 0.9


@pytest.mark.parametrize("structure", MODELS)
def test_a_tenth_of_two_other_colours_is_left_out(structure: StructureName) -> None:
    alone, crossed = figures(structure, 0.0), figures(structure, 0.1)

    assert crossed[GAIN] > alone[GAIN], "there is more to gain"
    lost = alone[MS_SSIM + OF_INPUT] - crossed[MS_SSIM + OF_INPUT]
    assert alone[MS_SSIM] - crossed[MS_SSIM] < 0.5 * lost
