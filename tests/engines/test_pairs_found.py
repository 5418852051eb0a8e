"""What crowds that are fitted give a network: rows that are two become two, all lie better."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.analysis import metrics
from rtsmlm.bench.accuracy import figures
from rtsmlm.bench.accuracy.hard_scenes import corner_scene, pair_scene
from rtsmlm.bench.accuracy.scenes import (
    FRAME_STEP,
    PIXEL_NM,
    SIDE_PX,
    Emitters,
    Scene,
    crowded_scene,
    curves_of,
    expose,
    isolated_scene,
)
from rtsmlm.engines import refine
from rtsmlm.engines.runtimes import localizer_of
from rtsmlm.localizations import Localizations
from rtsmlm.models.catalog import find_model
from rtsmlm.physics.camera import SensorType
from rtsmlm.physics.psf import AstigmaticPsf, GaussianPsf, Psf

SPOT = (1.3, 2000.0, 20.0)


def localized(scene: Scene, *, fit_first: bool = True) -> Localizations:
    localize = localizer_of(
        find_model("flagship-2d"),
        calibration=scene.calibration,
        sigma_nm=scene.sigma_nm,
        engine="openvino",
        fit_first=fit_first,
    )
    return localize(scene.batch)


@pytest.mark.parametrize("fit_first", [False, True])
def test_pairs_nearer_than_two_widths_are_two_rows_at_the_bound_of_both(fit_first: bool) -> None:
    """One row between both, 90 nm from either, is what a network alone makes of most of them."""
    scene = pair_scene(np.random.default_rng(4), 12, 1.4, SPOT)

    found = figures.pairs(scene, localized(scene, fit_first=fit_first))

    assert found[figures.RECALL] > 0.97
    assert found[figures.FALSE] < 0.01
    assert found[figures.LATERAL] < 1.15
    assert found[figures.STD_Z] == pytest.approx(1.0, abs=0.15)


def test_the_nearest_pairs_that_a_camera_tells_apart_are_found() -> None:
    scene = pair_scene(np.random.default_rng(5), 12, 1.0, SPOT)

    assert figures.pairs(scene, localized(scene))[figures.RECALL] > 0.9


def test_with_too_few_photons_for_two_the_row_states_how_far_they_may_be() -> None:
    """At 500 photons each, 1.4 widths apart: what stays one row lies 90 nm from either."""
    scene = pair_scene(np.random.default_rng(6), 12, 1.4, (1.3, 500.0, 20.0))

    found = figures.pairs(scene, localized(scene))

    assert found[figures.RECALL] > 0.6
    assert found[figures.MAD_Z] < 3.5, "8.4 if such rows stated the error of one emitter"


@pytest.mark.parametrize("photons", [500.0, 2000.0, 20_000.0])
def test_lone_emitters_stay_one_row(photons: float) -> None:
    scene = isolated_scene(np.random.default_rng(7), 30, (1.3, photons, 20.0))

    assert len(localized(scene)) == len(scene.truth)


def lone_of(psf: Psf, stated_nm: float, z_nm: float = 0.0) -> Scene:
    scene = isolated_scene(np.random.default_rng(8), 20, SPOT)
    places = scene.truth
    emitters = Emitters(
        frame=places.frame,
        x_px=places.x_nm.astype(float) / PIXEL_NM,
        y_px=places.y_nm.astype(float) / PIXEL_NM,
        z_nm=np.full(len(places), z_nm),
        photons=places.photons.astype(float),
    )
    index, rng = FRAME_STEP * np.arange(20), np.random.default_rng(9)
    batch, calibration = expose(emitters, psf, 20.0, index, (SIDE_PX, SIDE_PX), rng)
    return Scene(batch=batch, truth=places, calibration=calibration, sigma_nm=stated_nm)


def test_a_psf_that_is_wider_than_stated_is_no_pair() -> None:
    scene = lone_of(GaussianPsf(1.5), 130.0)

    assert len(localized(scene)) == pytest.approx(len(scene.truth), rel=0.006)


def test_a_psf_that_is_a_little_longer_than_wide_is_no_pair() -> None:
    long = AstigmaticPsf(pixel_nm=PIXEL_NM)
    curves, z_nm = curves_of(long), 40.0
    x_nm, y_nm = float(curves.x.sigma_nm(z_nm)), float(curves.y.sigma_nm(z_nm))
    assert 1.05 < max(x_nm, y_nm) / min(x_nm, y_nm) < 1.2
    scene = lone_of(long, float(np.sqrt(x_nm * y_nm)), z_nm)

    assert len(localized(scene)) == pytest.approx(len(scene.truth), rel=0.006)


def test_a_crowd_gains_rows_that_are_true() -> None:
    scene = crowded_scene(np.random.default_rng(10), 12, 0.5, SPOT)

    found = figures.crowd(scene, localized(scene, fit_first=False))

    assert found[figures.JACCARD] > 0.968, "0.964 with what the network finds alone"


@pytest.mark.parametrize("name", ["flagship-2d", "flagship-2d-fast"])
def test_lone_bright_emitters_are_found_at_any_corner_of_pixels(name: str) -> None:
    """A network alone misses most of those at corners between its cells, in every frame."""
    scene = corner_scene(np.random.default_rng(11), 60, (1.3, 5000.0, 20.0))
    localize = localizer_of(
        find_model(name),
        calibration=scene.calibration,
        sigma_nm=scene.sigma_nm,
        engine="openvino",
        fit_first=True,
    )

    found = figures.dim(scene, localize(scene.batch))

    assert found[figures.RECALL] >= 0.999
    assert found[figures.FALSE] < 0.002


def rmse_nm(scene: Scene, found: Localizations) -> float:
    field = metrics.Field.of_image(scene.batch.shape, scene.calibration.pixel_nm)
    return metrics.evaluate(found, scene.truth, field).rmse_lateral_nm


@pytest.mark.parametrize(
    ("density_um2", "camera", "better"),
    [(0.15, "ideal", 0.985), (0.5, "ideal", 0.95), (0.3, "EMCCD", 0.98)],
)
def test_crowds_are_localized_better_and_none_is_lost(
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
    density_um2: float,
    camera: SensorType,
    better: float,
) -> None:
    scene = crowded_scene(rng, 24, density_um2, SPOT, camera)
    fitted = localized(scene, fit_first=False)
    monkeypatch.setattr(refine, "refine_crowds", lambda locs, *_, **__: locs)
    network = localized(scene, fit_first=False)

    fewer = np.bincount(network.frame, minlength=48) - np.bincount(fitted.frame, minlength=48)
    assert fewer.max() <= 0
    assert rmse_nm(scene, fitted) < better * rmse_nm(scene, network)
