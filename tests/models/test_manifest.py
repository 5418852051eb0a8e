"""The manifest: refuses what does not fit, and weights that are not its own. Needs no torch."""

from dataclasses import replace
from pathlib import Path

import pytest

from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import CalibrationError, ConfigError, FileFormatError
from rtsmlm.models.catalog import find_model
from rtsmlm.models.manifest import (
    ChannelEntry,
    Manifest,
    TensorEntry,
    TrainingEntry,
    ValidRanges,
    load_manifest,
    save_manifest,
)
from rtsmlm.models.model_files import file_entry
from rtsmlm.models.psf_condition import round_psf
from rtsmlm.physics.astigmatism import WidthCurve, WidthCurves


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

    with pytest.raises(FileFormatError, match=r"the manifest .* is not one"):
        load_manifest(folder)


def test_a_psf_that_the_model_never_saw_is_refused_with_its_width_in_pixels(folder: Path) -> None:
    manifest = load_manifest(folder)

    manifest.psf_input(130.0, None, CameraCalibration(pixel_nm=100.0))
    with pytest.raises(CalibrationError, match=r"3\.25 px"):
        manifest.psf_input(130.0, None, CameraCalibration(pixel_nm=40.0))


def test_a_model_for_astigmatic_psfs_asks_for_the_curves_and_checks_them(folder: Path) -> None:
    manifest = load_manifest(folder)
    valid = manifest.valid.model_copy(update={"widest_px": 4.0})
    manifest = manifest.model_copy(update={"psf": "astigmatic", "valid": valid})
    calibration = CameraCalibration(pixel_nm=100.0)
    curve = WidthCurve(sigma0_nm=130.0, focus_nm=200.0, depth_nm=400.0)

    def curves(reach_nm: float, sigma0_nm: float = 130.0) -> WidthCurves:
        x = replace(curve, sigma0_nm=sigma0_nm)
        return WidthCurves(
            x=x, y=replace(x, focus_nm=-200.0), z_min_nm=-reach_nm, z_max_nm=reach_nm
        )

    told = manifest.psf_input(130.0, curves(600.0), calibration)
    assert told.depth is not None
    assert told.depth.half_nm == 600.0
    with pytest.raises(CalibrationError, match="--astigmatic"):
        manifest.psf_input(130.0, None, calibration)
    with pytest.raises(CalibrationError, match=r"0\.60 px"):
        manifest.psf_input(130.0, curves(600.0, 60.0), calibration)
    with pytest.raises(CalibrationError, match="z_max_nm"):
        manifest.psf_input(130.0, curves(1200.0), calibration)


@pytest.mark.parametrize("name", ["no-such-model", "../weights", ""])
def test_a_model_that_does_not_ship_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="no model"):
        find_model(name)


def test_an_unknown_psf_is_told_apart_from_one_of_the_reference_width() -> None:
    assert round_psf(None).condition.tolist() == [[0.0, 0.0]]
    assert round_psf(1.3).condition.tolist() == [[0.0, 1.0]]
