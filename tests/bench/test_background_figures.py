"""Figures of structured backgrounds on answers that are known."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.bench.models import background_scenes as scenes
from rtsmlm.fitting import boxes
from rtsmlm.fitting.box_fit import GaussianMle, WithBackground
from rtsmlm.localizations import F32

SIDE, REPEATS = 11, 40


class Known:
    """A background that is known beforehand."""

    method = "known"

    def __init__(self, background: F32) -> None:
        self.background = background

    def __call__(self, photons: F32, variance: F32) -> F32:
        return self.background


def figures_of(fields: scenes.Fields, background: F32 | None) -> dict[str, float]:
    photons = scenes.inner(fields.photons, SIDE).reshape(-1, SIDE, SIDE).astype(np.float32)
    fit = GaussianMle(scenes.SIGMA_PX, fit_sigma=False, excess_noise=1.0, max_iterations=30)
    chosen = fit if background is None else WithBackground(fit, Known(background))
    rows = boxes.fit_table(len(photons))
    middle = np.full(len(photons), SIDE // 2, np.float32)
    chosen(photons, np.ones_like(photons), middle, middle, rows)
    return scenes.background_figures(rows, background, fields, SIDE)


def true_background(fields: scenes.Fields) -> F32:
    return np.repeat(scenes.inner(fields.background, SIDE), REPEATS, axis=0).astype(np.float32)


@pytest.mark.parametrize("kind", ["Perlin noise", "slope"])
def test_the_fit_on_the_true_background_reaches_the_bound_and_a_flat_one_does_not(
    kind: str, rng: np.random.Generator
) -> None:
    fields = scenes.draw_fields(scenes.KINDS[kind], rng, 40, REPEATS)

    known, flat = figures_of(fields, true_background(fields)), figures_of(fields, None)

    assert known[scenes.LEVEL_RMSE] < 0.01
    assert known[scenes.PRECISION_BOUND] == pytest.approx(1.0, abs=0.08)
    assert known[scenes.BIAS] < 0.2 * known[scenes.PRECISION]
    assert flat[scenes.BIAS] > 1.5 + known[scenes.BIAS]
    assert flat[scenes.RMSE_BOUND] > known[scenes.RMSE_BOUND]
    assert flat[scenes.LEVEL_RMSE] > 10.0


def test_on_a_flat_background_all_are_as_good(rng: np.random.Generator) -> None:
    fields = scenes.draw_fields(scenes.flat, rng, 20, REPEATS)

    flat = figures_of(fields, None)
    median = figures_of(fields, scenes.median_background(fields, SIDE))

    assert flat[scenes.RMSE_BOUND] == pytest.approx(1.0, abs=0.08)
    assert median[scenes.RMSE_BOUND] < 1.15
    assert flat[scenes.CONVERGED] > 99.0
