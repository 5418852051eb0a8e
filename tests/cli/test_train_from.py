"""`rtsmlm train --from`: from a calibration to a model folder that localizes, in one command."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

pytest.importorskip("torch", reason="training needs torch")
pytest.importorskip("onnx", reason="the export needs onnx")

import rtsmlm.cli.train_from as command
from rtsmlm.calibration import CameraCalibration
from rtsmlm.cli import app
from rtsmlm.cli.train_from import with_typical_pixels
from rtsmlm.engines.runtimes import localizer_of
from rtsmlm.errors import ConfigError
from rtsmlm.frames import FrameBatch
from rtsmlm.models.manifest import load_manifest
from rtsmlm.settings.camera import CameraSettings, EachCameraSettings
from rtsmlm.settings.load import load
from rtsmlm.settings.run import RunSettings

QUICK = [
    "training.steps=2", "training.batch_windows=2", "training.held_out_windows=32",
    "simulation.crop_px=32", "simulation.density=[0.1, 1.0]",
]  # fmt: skip


def run(*arguments: str) -> None:
    """Run the command line, with its errors as they are raised."""
    CliRunner().invoke(app, ["train", *arguments], catch_exceptions=False)


@pytest.fixture
def calibration(tmp_path: Path) -> Path:
    path = tmp_path / "camera.toml"
    path.write_text(
        "[camera]\npixel_nm = 100\noffset_adu = 100\ne_per_adu = 0.5\nread_noise_e = 1.4\n"
        "[psf]\nsigma_nm = 150\n"
    )
    return path


def test_a_calibration_makes_a_model_folder_that_localizes_and_says_how_well(
    calibration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = io.StringIO()
    monkeypatch.setattr(command, "console", Console(file=printed, width=1000))
    monkeypatch.setattr(command, "TUNING_WINDOWS", 0)
    out = tmp_path / "My_Scope"
    changes = [part for change in QUICK for part in ("--change", change)]

    run("--from", "flagship-2d-fast", "-c", str(calibration), "--out", str(out), *changes)

    manifest = load_manifest(out)
    assert manifest.name == "my-scope"
    assert "adapted to one microscope from flagship-2d-fast" in manifest.origin
    assert {row["figure"] for row in manifest.accuracy} == {"Jaccard index", "lateral RMSE, nm"}
    assert any("flagship-2d-fast there" in str(row["condition"]) for row in manifest.accuracy)
    assert f"localizer.name={out.as_posix()}" in printed.getvalue()
    camera = CameraCalibration(pixel_nm=100.0, offset_adu=100.0, e_per_adu=0.5, read_noise_e=1.4)
    localizer = localizer_of(out, calibration=camera, sigma_nm=150.0)
    dark = FrameBatch.from_pixels(np.full((2, 32, 32), 140, np.uint16))
    assert len(localizer(dark)) == 0
    with pytest.raises(ConfigError, match="holds a model that was not adapted here"):
        command.out_folder(_elsewhere(out, tmp_path), manifest)


def _elsewhere(model: Path, tmp_path: Path) -> Path:
    other = tmp_path / "other"
    other.mkdir()
    (other / "manifest.toml").write_bytes((model / "manifest.toml").read_bytes())
    return other


def test_maps_of_a_camera_count_with_their_typical_pixel(tmp_path: Path) -> None:
    values = {"offset": 101.0, "gain": 2.0, "variance": 9.0}
    for name, value in values.items():
        pixels = np.full((8, 8), value, np.float32)
        pixels[0, 0] *= 3.0
        np.save(tmp_path / f"{name}.npy", pixels)
    path = tmp_path / "camera.toml"
    path.write_text("[camera.maps]\n" + "".join(f'{name} = "{name}.npy"\n' for name in values))

    camera = with_typical_pixels(load(path)).camera

    assert camera.offset_adu == 101.0
    assert camera.e_per_adu == 0.5
    assert camera.read_noise_e == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("recipe.toml", "--from", "decode"), "give a recipe, or a model with --from, not both"),
        (("recipe.toml", "--out", "x", "--psf", "psf.npz"), "--psf need --from"),
        ((), "give a recipe and --out FOLDER, or a model to adapt"),
        (("--from", "no-such-model"), "no model named 'no-such-model'"),
        (("--from", "flagship-2d"), "states neither camera nor PSF"),
    ],
)
def test_what_does_not_fit_together_is_one_sentence(
    arguments: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        run(*arguments)


def test_a_network_is_trained_for_one_camera() -> None:
    camera = CameraSettings(each=(EachCameraSettings(), EachCameraSettings()))

    with pytest.raises(ConfigError, match="has 2 cameras, and a network is trained for one"):
        with_typical_pixels(RunSettings(camera=camera))
