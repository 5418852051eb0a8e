"""The model folder of DeepLOCO: one graph for frames of any size, on every engine alike."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="export needs onnx")
torch = pytest.importorskip("torch", reason="export needs torch")

from rtsmlm.calibration import CameraCalibration  # noqa: E402
from rtsmlm.engines.runtimes import localizer_of  # noqa: E402
from rtsmlm.frames import FrameBatch  # noqa: E402
from rtsmlm.models.deeploco.network import DeepLocoNetwork, NetworkSettings  # noqa: E402
from rtsmlm.models.deeploco.packaging import package  # noqa: E402
from rtsmlm.models.manifest import WEIGHTS_NAME, save_manifest  # noqa: E402
from rtsmlm.models.model_files import file_entry  # noqa: E402
from rtsmlm.models.training.recipe import NetworkSection, Recipe  # noqa: E402

TINY = NetworkSettings(widths=(2, 3, 4), hidden=8, local=True, light=True)
CAMERA = CameraCalibration(pixel_nm=100.0, offset_adu=100.0, e_per_adu=0.5, read_noise_e=1.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the model folder of a network whose weights are random."""
    path = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(7)
    network = DeepLocoNetwork(TINY).eval()
    with torch.no_grad():
        network.weights.get_parameter("bias").fill_(0.5)
    recipe = Recipe(name="tiny", network=NetworkSection(architecture="deeploco", size="S"))
    manifest = package(network, path, recipe, tuning_windows=0)
    entries = tuple(file_entry(path / name) for name in ("model.onnx", WEIGHTS_NAME))
    save_manifest(manifest.model_copy(update={"files": entries}), path)
    return path


def frames(height: int, width: int) -> FrameBatch:
    rng = np.random.default_rng(4)
    spots = rng.poisson(40.0, (2, height, width)) + 100
    for _ in range(12):
        y, x = rng.integers(0, height - 2), rng.integers(0, width - 2)
        spots[:, y : y + 2, x : x + 2] += 400
    return FrameBatch.from_pixels(spots.astype(np.uint16))


@pytest.mark.parametrize("shape", [(64, 64), (70, 150), (40, 30)])
def test_openvino_and_torch_find_the_same_in_frames_of_any_size(
    folder: Path, shape: tuple[int, int]
) -> None:
    batch = frames(*shape)

    first, second = (
        localizer_of(folder, calibration=CAMERA, sigma_nm=130.0, engine=engine)(batch)
        for engine in ("openvino", "torch")
    )

    assert len(first) == len(second)
    assert len(first) > 20
    assert np.abs(first.x_nm - second.x_nm).max() < 0.5
    assert np.abs(first.z_nm - second.z_nm).max() < 0.5
    assert np.abs(first.photons / second.photons - 1.0).max() < 0.005
    assert first.x_nm.min() >= -50.0
    assert first.x_nm.max() <= 100.0 * shape[1] - 50.0
    assert np.abs(first.z_nm).max() <= 750.0


def test_it_runs_in_float32_unless_asked_otherwise(folder: Path) -> None:
    localizer = localizer_of(folder, calibration=CAMERA, sigma_nm=130.0, engine="openvino")

    assert localizer.name == "tiny, OpenVINO f32"


def test_background_is_that_of_the_tile(folder: Path) -> None:
    localizer = localizer_of(folder, calibration=CAMERA, sigma_nm=130.0, engine="openvino")

    found = localizer(frames(64, 64))

    # 40 ADU above the offset at half an electron each; the darkest block lies a little lower.
    assert 17.0 < float(np.median(found.background)) < 20.5
