"""A model folder of DeepSTORM3D: made from a recipe, and run by the engines."""

from pathlib import Path
from threading import Event

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rtsmlm.calibration import CameraCalibration  # noqa: E402
from rtsmlm.engines.runtimes import localizer_of  # noqa: E402
from rtsmlm.frames import FrameBatch  # noqa: E402
from rtsmlm.models.deepstorm3d.network import SIZES, DeepStorm3dNetwork  # noqa: E402
from rtsmlm.models.deepstorm3d.on_torch import Graph, signal  # noqa: E402
from rtsmlm.models.deepstorm3d.packaging import package  # noqa: E402
from rtsmlm.models.deepstorm3d.psf_of_model import psf_beside  # noqa: E402
from rtsmlm.models.manifest import load_manifest  # noqa: E402
from rtsmlm.models.training.packaging import export_model  # noqa: E402
from rtsmlm.models.training.recipe import Recipe  # noqa: E402
from rtsmlm.models.training.trainer import Trainer  # noqa: E402
from rtsmlm.physics.psf_file import save_psf  # noqa: E402

RECIPE = Recipe.model_validate(
    {
        "name": "tiny",
        "network": {"architecture": "deepstorm3d", "size": "S"},
        "optics": {"pixel_nm": 110, "mask": "tetrapod", "zernikes": [], "vectorial": False},
        "psf": {"z_nm": [-400, 400], "z_step_nm": 400, "box_px": 9},
        "simulation": {"crop_px": 16, "density": [0.02, 0.1]},
        "training": {"steps": 2, "batch_windows": 2, "held_out_windows": 1},
    }
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("training")
    Trainer(RECIPE, path).run(Event())
    export_model(path / "checkpoint.safetensors", path / "tiny", version="1", tuning_windows=1)
    return path / "tiny"


def test_a_recipe_becomes_a_model_that_the_engines_run(folder: Path) -> None:
    manifest = load_manifest(folder)
    frames = np.random.default_rng(0).poisson(130, (3, 22, 30)).astype(np.uint16)
    batch = FrameBatch.from_pixels(frames)
    calibration = CameraCalibration(pixel_nm=110.0, offset_adu=100.0)

    assert manifest.z_range_nm == (-400.0, 400.0)
    assert manifest.window_frames == 1
    assert manifest.upsampling == 2
    for engine in ("openvino", "torch"):
        localizer = localizer_of(folder, calibration=calibration, sigma_nm=130.0, engine=engine)
        found = localizer(batch)
        assert localizer.neighbours == 0
        assert set(found.frame) <= {0, 1, 2}


def test_a_gaussian_is_not_fitted_where_the_psf_is_another_one(folder: Path) -> None:
    calibration = CameraCalibration(pixel_nm=110.0, offset_adu=100.0)

    localizer = localizer_of(folder, calibration=calibration, sigma_nm=130.0, refine=True)

    assert localizer._refiner is None


def test_a_psf_of_a_file_travels_with_the_model(tmp_path: Path) -> None:
    stored = RECIPE.psf.load(RECIPE.optics)
    save_psf(tmp_path / "beads.npz", stored.table, pixel_nm=110.0, origin="a test")
    psf = RECIPE.psf.model_copy(update={"file": tmp_path / "beads.npz"})
    recipe = RECIPE.model_copy(update={"psf": psf})
    model = tmp_path / "model"
    model.mkdir()

    package(DeepStorm3dNetwork(SIZES["S"]), model, recipe, tuning_windows=0)
    (tmp_path / "beads.npz").unlink()

    np.testing.assert_array_equal(psf_beside(model, recipe.published()).sums, stored.table.sums)
    again = recipe.model_copy(update={"psf": psf.model_copy(update={"file": model / "beads.npz"})})
    package(DeepStorm3dNetwork(SIZES["S"]), model, again, tuning_windows=0)  # into the same folder
    assert (model / "beads.npz").is_file()


def test_the_psf_of_a_mask_file_travels_with_the_model(tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", np.add.outer(np.linspace(-2, 2, 16) ** 2, np.zeros(16)))
    optics = RECIPE.optics.model_copy(update={"mask": "mask.npy"}).beside(tmp_path)
    recipe = RECIPE.model_copy(update={"optics": optics})
    model = tmp_path / "model"
    model.mkdir()
    expected = recipe.psf.load(recipe.optics).table

    manifest = package(DeepStorm3dNetwork(SIZES["S"]), model, recipe, tuning_windows=0)
    (tmp_path / "mask.npy").unlink()

    assert [file.name for file in manifest.files] == ["psf.npz"]

    assert recipe.published().optics.mask == "mask.npy"
    np.testing.assert_array_equal(psf_beside(model, recipe.published()).sums, expected.sums)


def test_the_graph_hands_on_the_light_of_each_pixel() -> None:
    network = DeepStorm3dNetwork(SIZES["S"]).eval()
    adu = torch.arange(256, dtype=torch.int32).reshape(1, 16, 16) + 100
    ones = torch.ones(16, 16)

    with torch.no_grad():
        maps = Graph(network)(adu, 100.0 * ones, 0.5 * ones, ones)

    assert maps.shape == (1, SIZES["S"].slices + 1, 32, 32)
    torch.testing.assert_close(maps[0, -1, ::2, 1::2], 0.5 * (adu[0].float() - 100.0))


def test_the_level_of_a_frame_does_not_reach_the_network() -> None:
    flat = torch.full((1, 1, 64, 64), 50.0)

    assert float(signal(flat, torch.ones(1, 1, 1, 1)).abs().max()) < 1e-4
