"""The models that ship: whole, small, and as accurate as their manifest says."""

import numpy as np
import pytest

from rtsmlm.bench.accuracy import figures as figures
from rtsmlm.bench.accuracy.scenes import (
    Scene,
    astigmatic_scene,
    crowded_scene,
    empty_scene,
    isolated_scene,
)
from rtsmlm.engines.runtimes import localizer_of
from rtsmlm.localizations import Localizations
from rtsmlm.models.catalog import find_model
from rtsmlm.models.manifest import load_manifest


def localized(name: str, scene: Scene, *, refine: bool = False) -> Localizations:
    localizer = localizer_of(
        find_model(name),
        calibration=scene.calibration,
        sigma_nm=scene.sigma_nm,
        curves=scene.curves,
        refine=refine,
    )
    return localizer(scene.batch)


@pytest.mark.parametrize(
    ("name", "psf"),
    [("flagship-2d", "round"), ("flagship-2d-fast", "round"), ("flagship-astig", "astigmatic")],
)
def test_a_model_is_whole_small_and_says_how_it_was_trained(name: str, psf: str) -> None:
    folder = find_model(name)
    manifest = load_manifest(folder)

    assert manifest.name == name
    assert manifest.psf == psf
    assert sum(path.stat().st_size for path in folder.iterdir()) < 4_000_000
    assert manifest.training.recipe["name"] == name
    assert manifest.training.steps == manifest.training.recipe["training"]["steps"]
    assert manifest.accuracy


@pytest.mark.parametrize(
    ("photons", "background", "sigma_px", "most"),
    [(1000, 10, 1.3, 1.2), (2000, 30, 1.0, 1.25), (5000, 50, 1.3, 1.3), (2000, 30, 2.2, 1.35)],
)
def test_isolated_emitters_are_found_near_the_bound_by_the_network_alone(
    photons: float, background: float, sigma_px: float, most: float, rng: np.random.Generator
) -> None:
    scene = isolated_scene(rng, 8, (sigma_px, photons, background), "sCMOS")

    found = localized("flagship-2d", scene)

    measured = figures.isolated(scene, found) | figures.honesty(scene, found)
    assert measured[figures.LATERAL] < most
    assert 0.8 < measured[figures.STD_Z] < 1.25
    assert measured[figures.JACCARD] > 0.97
    assert np.median(found.photons) == pytest.approx(photons, rel=0.06)


def test_overlapping_emitters_are_told_apart(rng: np.random.Generator) -> None:
    scene = crowded_scene(rng, 3, 2.0, (1.1, 2000.0, 20.0))

    measured = figures.tight(scene, localized("flagship-2d", scene))

    assert measured[figures.JACCARD] > 0.86
    assert measured[figures.JACCARD + figures.NEAR] > 0.84


def test_dark_frames_have_next_to_no_emitters(rng: np.random.Generator) -> None:
    scene = empty_scene(rng, 40, 20.0, "sCMOS")

    assert len(localized("flagship-2d", scene)) <= 3, "in 640 fields of 64 x 64 pixels"


@pytest.mark.parametrize(("refine", "lateral", "axial"), [(True, 1.12, 1.2), (False, 1.4, 1.75)])
def test_heights_are_found_near_the_bound(
    refine: bool, lateral: float, axial: float, rng: np.random.Generator
) -> None:
    scene = astigmatic_scene(rng, 10, 2000.0, 20.0, 500.0)

    measured = figures.isolated(scene, localized("flagship-astig", scene, refine=refine))

    assert measured[figures.LATERAL] < lateral
    assert measured[figures.AXIAL] < axial
    assert measured[figures.JACCARD] > 0.97


def test_dark_frames_have_next_to_no_heights(rng: np.random.Generator) -> None:
    scene = astigmatic_scene(rng, 1, 2000.0, 20.0, 500.0)
    dark = empty_scene(rng, 40, 20.0, "ideal")
    told = Scene(
        batch=dark.batch,
        truth=dark.truth,
        calibration=dark.calibration,
        sigma_nm=scene.sigma_nm,
        curves=scene.curves,
    )

    assert len(localized("flagship-astig", told)) <= 3, "in 640 fields of 64 x 64 pixels"
