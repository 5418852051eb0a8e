"""The packaged network of colours: each dye is found in frames of both, and called by its name."""

from __future__ import annotations

import shutil
from pathlib import Path

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
from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.runtimes import localizer_of
from rtsmlm.errors import FileFormatError
from rtsmlm.models.architecture import NetworkModel
from rtsmlm.models.catalog import architecture_of, find_model
from rtsmlm.models.hershko.psf_of_colours import decoder_of
from rtsmlm.models.manifest import load_manifest, read_manifest, save_manifest
from rtsmlm.models.psf_condition import round_psf
from rtsmlm.models.rows import DecodeSettings
from rtsmlm.physics.phase_masks import load_mask

CALIBRATION = CameraCalibration(pixel_nm=110.0, offset_adu=100.0)


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


def test_a_mask_that_was_swapped_or_is_not_vouched_for_is_refused(
    hershko: Entrant, tmp_path: Path
) -> None:
    folder = tmp_path / "hershko"
    shutil.copytree(find_model("hershko"), folder)
    mask = load_mask(folder / "mask.npy")
    np.save(folder / "mask.npy", -mask.astype(np.float32))  # a mask, of the same size

    with pytest.raises(FileFormatError, match=r"mask\.npy is not the file .*sha256 differs"):
        localizer_of(folder, calibration=CALIBRATION, sigma_nm=130.0)

    manifest = read_manifest(folder)
    kept = tuple(file for file in manifest.files if file.name != "mask.npy")
    save_manifest(manifest.model_copy(update={"files": kept}), folder)
    model = NetworkModel(
        folder, load_manifest(folder), architecture_of("hershko"), round_psf(1.2), DecodeSettings()
    )
    with pytest.raises(FileFormatError, match=r"lists no mask\.npy"):
        decoder_of(model, (64, 64))


def test_each_colour_is_found_among_both(hershko: Entrant, rng: np.random.Generator) -> None:
    scene = colour_scene(hershko, BRIGHT, 20, rng)

    figures = judge(hershko, scene)

    assert figures[LEAST_JACCARD] > 0.8
    assert figures[RIGHT_COLOUR] > 95.0
    assert figures[RMSE] < 30.0
