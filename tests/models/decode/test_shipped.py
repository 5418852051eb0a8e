"""The packaged DECODE: small, the same on two engines, as good on frames of others as it says."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from rtsmlm.bench.accuracy.figures import EFFICIENCY, JACCARD, RMSE, challenge
from rtsmlm.bench.accuracy.reference_data import challenge_scene
from rtsmlm.bench.accuracy.scenes import Scene, astigmatic_scene
from rtsmlm.engines.network import NetworkLocalizer
from rtsmlm.engines.runtimes import localizer_of
from rtsmlm.models.catalog import find_model
from rtsmlm.models.manifest import load_manifest


def localizer(scene: Scene, engine: str) -> NetworkLocalizer:
    return localizer_of(
        find_model("decode"),
        calibration=scene.calibration,
        sigma_nm=scene.sigma_nm,
        curves=scene.curves,
        engine=engine,
        precision="f32",
    )


def test_it_says_for_which_psf_and_which_depths_it_was_trained() -> None:
    folder = find_model("decode")
    manifest = load_manifest(folder)

    assert manifest.architecture == "decode"
    assert manifest.z_range_nm == (-750.0, 750.0)
    assert manifest.parameters <= 250_000
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1_200_000
    assert "beads" in manifest.origin
    assert not Path(manifest.training.recipe["psf"]["file"]).is_absolute()
    assert manifest.accuracy


def test_openvino_finds_the_rows_of_torch(rng: np.random.Generator) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("torch")
    scene = astigmatic_scene(rng, 1, 5000.0, 20.0, 300.0)

    first, second = (localizer(scene, engine)(scene.batch) for engine in ("torch", "openvino"))

    assert len(first) > 10
    assert len(first) == len(second)
    distance, of_first = cKDTree(np.column_stack([first.x_nm, first.y_nm])).query(
        np.column_stack([second.x_nm, second.y_nm])
    )
    same = first.take(of_first)
    assert distance.max() < 0.5
    assert np.abs(same.z_nm - second.z_nm).max() < 0.5
    np.testing.assert_allclose(second.photons, same.photons, rtol=5e-3)


def test_frames_of_the_challenge_are_localized_better_than_by_a_fit() -> None:
    pytest.importorskip("openvino")
    data = os.environ.get("RTSMLM_DATA")
    if not data or not (Path(data) / "challenge2016_mt0_n1_ld_as").is_dir():
        pytest.skip("needs the reference data (RTSMLM_DATA)")
    scene = challenge_scene(Path(data))

    found = challenge(scene, localizer(scene, "openvino")(scene.batch))

    # Of the fit: 0.66, 19 nm and 61 (docs/models.md).
    assert found[JACCARD] > 0.76
    assert found[RMSE] < 18.5
    assert found[EFFICIENCY] > 71.0
