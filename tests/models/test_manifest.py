"""The manifest: refuses what does not fit, and weights that are not its own. Needs no torch."""

from pathlib import Path

import pytest

from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import CalibrationError, ConfigError, FileFormatError
from rtsmlm.models.inputs import condition_vector
from rtsmlm.models.manifest import (
    ChannelEntry,
    Manifest,
    TensorEntry,
    TrainingEntry,
    ValidRanges,
    file_entry,
    load_manifest,
    save_manifest,
    weights_folder,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes(b"weights")
    save_manifest(
        Manifest(
            name="tiny",
            version="1",
            size="S",
            parameters=7,
            kmac_per_px=1.0,
            inputs=(
                TensorEntry(name="frames", dtype="uint16", shape=("n",), unit="ADU", meaning="raw"),
            ),
            outputs=(),
            channels=(ChannelEntry(name="dx", first=4, count=4, unit="px", activation="tanh"),),
            valid=ValidRanges(
                sigma_px=(0.8, 2.4), photons=(100, 2e4), background=(1, 600), density_um2=(0, 6)
            ),
            training=TrainingEntry(steps=1, windows=2, seconds=3.0, hardware="", recipe={"a": 1}),
            files=(file_entry(tmp_path / "model.onnx"),),
            accuracy=({"test": "isolated", "ratio": 1.05},),
        ),
        tmp_path,
    )
    return tmp_path


def test_a_manifest_is_read_as_it_was_written(folder: Path) -> None:
    manifest = load_manifest(folder)

    assert manifest.channels[0].activation == "tanh"
    assert manifest.accuracy == ({"test": "isolated", "ratio": 1.05},)
    assert manifest.training.held_out_loss is None


def test_weights_that_were_changed_or_lost_are_refused(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"weightz")
    with pytest.raises(FileFormatError, match="sha256 differs"):
        load_manifest(folder)

    (folder / "model.onnx").unlink()
    with pytest.raises(FileFormatError, match="is missing"):
        load_manifest(folder)


def test_a_file_outside_the_folder_cannot_be_named(folder: Path) -> None:
    path = folder / "manifest.toml"
    path.write_text(path.read_text().replace('"model.onnx"', '"../model.onnx"'))

    with pytest.raises(FileFormatError, match="cannot read the manifest"):
        load_manifest(folder)


def test_a_psf_that_the_model_never_saw_is_refused_with_its_width_in_pixels(folder: Path) -> None:
    manifest = load_manifest(folder)

    manifest.check_psf(130.0, CameraCalibration(pixel_nm=100.0))
    with pytest.raises(CalibrationError, match=r"3\.25 px"):
        manifest.check_psf(130.0, CameraCalibration(pixel_nm=40.0))


@pytest.mark.parametrize("name", ["no-such-model", "../weights", ""])
def test_a_model_that_does_not_ship_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="no model named"):
        weights_folder(name)


def test_an_unknown_psf_is_told_apart_from_one_of_the_reference_width() -> None:
    assert condition_vector(None).tolist() == [[0.0, 0.0]]
    assert condition_vector(1.3).tolist() == [[0.0, 1.0]]
