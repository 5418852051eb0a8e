"""Dyes that were named: figures, and the sets that the benchmark draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtsmlm.bench.models.class_figures import (
    ALLOWED,
    KNOWN,
    RIGHT,
    USE,
    WRONG_SURE,
    class_figures,
    honesty,
)
from rtsmlm.bench.models.class_scenes import dye_boxes, dye_spectra
from rtsmlm.bench.models.entrants import Entrant
from rtsmlm.fitting.spectral_centroid import fit_rule
from rtsmlm.models.manifest import UNTRAINED, Manifest, ValidRanges

WAVELENGTHS_NM = np.linspace(600.0, 800.0, 201)


def entrant(**recipe: object) -> Entrant:
    """Return a network whose manifest states a recipe."""
    manifest = Manifest(
        name="toy", version="1", task="box-classes", size="toy", parameters=1, kmac_per_px=0.0,
        inputs=(), outputs=(), channels=(), files=(),
        valid=ValidRanges(
            sigma_px=(1, 2), photons=(1, 2), background=(1, 2), density_um2=(0, 1)
        ),
        training=UNTRAINED.model_copy(update={"recipe": recipe}),
    )  # fmt: skip
    return Entrant(name="toy", folder=Path("toy"), manifest=manifest)


def test_molecules_are_used_from_the_surest_on_until_one_in_a_hundred_is_wrong() -> None:
    truth, dye = np.zeros(1000, dtype=np.int64), np.zeros(1000, dtype=np.int64)
    surety = np.linspace(1.0, 0.0, 1000)
    dye[500:520] = 1
    figures = class_figures(dye, surety, truth)
    assert figures[RIGHT] == pytest.approx(98.0)
    assert figures[USE] == pytest.approx(50.5, abs=0.2)
    assert figures[WRONG_SURE] == pytest.approx(100 * 20 / 900)


def test_a_probability_is_honest_where_so_many_answers_are_right(rng: np.random.Generator) -> None:
    probability = rng.uniform(0.5, 1.0, 20000)
    truth = np.zeros(len(probability), dtype=np.int64)
    dye = (rng.random(len(probability)) > probability).astype(np.int64)
    assert honesty(dye, probability, truth) < 0.02
    assert honesty(dye, np.ones(len(probability)), truth) == pytest.approx(0.25, abs=0.02)


def test_spectra_of_the_benchmark_show_their_dyes(rng: np.random.Generator) -> None:
    drawn = dye_spectra(entrant(spectra={}), rng, 60, 20000.0, 2)
    assert set(drawn.dye) == {0, 1}
    rule = fit_rule(drawn.given, drawn.dye, WAVELENGTHS_NM)
    assert rule.centers_nm[1] - rule.centers_nm[0] > 5.0
    assert np.mean(rule(drawn.given)[0] == drawn.dye) > 0.8


def test_boxes_of_the_benchmark_allow_more_with_more_light(rng: np.random.Generator) -> None:
    one = entrant(dyes={"z_nm": [0.0, 100.0], "wavelengths": 1}, optics={"zernikes": []})
    few, many = (dye_boxes(one, rng, 6, photons).bounds for photons in (500.0, 5000.0))
    assert few[ALLOWED] < many[ALLOWED]
    assert few[ALLOWED] < few[KNOWN]
