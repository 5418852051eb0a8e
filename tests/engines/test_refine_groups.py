"""Emitters that overlap are fitted together where the network has found them."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.analysis import metrics
from rtsmlm.bench.accuracy.scenes import Scene, crowded_scene
from rtsmlm.engines import refine
from rtsmlm.engines.refine_pairs import NO_EXCESS
from rtsmlm.engines.runtimes import localizer_of
from rtsmlm.localizations import Localizations
from rtsmlm.models.catalog import find_model


def localized(scene: Scene) -> Localizations:
    localize = localizer_of(
        find_model("flagship-2d"),
        calibration=scene.calibration,
        sigma_nm=scene.sigma_nm,
        engine="openvino",
    )
    return localize(scene.batch)


def rmse_nm(scene: Scene, found: Localizations) -> float:
    field = metrics.Field.of_image(scene.batch.shape, scene.calibration.pixel_nm)
    return metrics.evaluate(found, scene.truth, field).rmse_lateral_nm


def without_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refine, "refine_groups", lambda locs, *_, **__: (locs, NO_EXCESS))


@pytest.fixture(autouse=True)
def _no_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows stay as many as the network has found; test_refine_pairs splits them."""
    monkeypatch.setattr(refine, "split_pairs", lambda locs, *_, **__: locs)


@pytest.mark.parametrize(("density_um2", "better"), [(0.15, 0.985), (0.5, 0.95)])
def test_crowds_are_localized_better_and_none_is_lost(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, density_um2: float, better: float
) -> None:
    scene = crowded_scene(rng, 32, density_um2, (1.3, 2000.0, 20.0))
    fitted = localized(scene)
    without_groups(monkeypatch)
    network = localized(scene)

    np.testing.assert_array_equal(fitted.frame, network.frame)
    moved_nm = np.hypot(fitted.x_nm - network.x_nm, fitted.y_nm - network.y_nm)
    assert 0.02 < np.mean(moved_nm > 0) < 0.9
    assert moved_nm.max() < 150.0
    assert rmse_nm(scene, fitted) < better * rmse_nm(scene, network)


def test_what_is_too_crowded_for_a_fit_stays_as_the_network_says(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = crowded_scene(rng, 4, 5.0, (1.3, 2000.0, 20.0))
    fitted = localized(scene)
    without_groups(monkeypatch)
    network = localized(scene)

    assert np.mean(fitted.x_nm == network.x_nm) > 0.5


def test_on_a_camera_with_a_gain_register_too(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = crowded_scene(rng, 24, 0.3, (1.3, 3000.0, 20.0), "emccd")
    fitted = localized(scene)
    without_groups(monkeypatch)

    assert rmse_nm(scene, fitted) < 0.98 * rmse_nm(scene, localized(scene))
