"""`rtsmlm train --from` for every kind of model: adapted in few steps, exported, used once."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

pytest.importorskip("torch", reason="training needs torch")
pytest.importorskip("onnx", reason="the export needs onnx")
pytest.importorskip("openvino", reason="the networks run on it")

import rtsmlm.cli.train_from as command
from rtsmlm.calibration import CameraCalibration
from rtsmlm.cli import app
from rtsmlm.engines.box_networks import NetworkBackground
from rtsmlm.engines.class_networks import NetworkClasses
from rtsmlm.engines.graph_runner import open_graph
from rtsmlm.engines.image_network import NetworkImage
from rtsmlm.engines.localization_image import LocalizationImage
from rtsmlm.engines.runtimes import localizer_of
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.models.manifest import Manifest, load_manifest
from rtsmlm.physics.astigmatism import WidthCurve, WidthCurves

CAMERA = CameraCalibration(pixel_nm=110.0, offset_adu=102.0, e_per_adu=0.46, read_noise_e=1.4)
CAMERA_TOML = "pixel_nm = 110\noffset_adu = 102\ne_per_adu = 0.46\nread_noise_e = 1.4\n"
CURVES = WidthCurves(
    x=WidthCurve(sigma0_nm=140.0, focus_nm=200.0, depth_nm=400.0),
    y=WidthCurve(sigma0_nm=135.0, focus_nm=-210.0, depth_nm=420.0),
    z_min_nm=-600.0, z_max_nm=600.0,
)  # fmt: skip
CURVES_TOML = """[psf.astigmatism]
z_min_nm = -600
z_max_nm = 600
x = { sigma0_nm = 140, focus_nm = 200, depth_nm = 400 }
y = { sigma0_nm = 135, focus_nm = -210, depth_nm = 420 }
"""
TINY = {
    "training.steps": 2, "training.batch_windows": 2, "training.held_out_windows": 4,
    "simulation.crop_px": 32, "lists.side_px": 64,
}  # fmt: skip
SIDES = {"deeploco": None, "decode": 32, "deepstorm3d": 64, "hershko": 64}
"""Frames in training, where they are not 32 pixels; a tile of DeepLOCO is what it is."""
WIDTH, READ_NOISE = "the PSF width (145 nm)", "the read noise (1.4 e)"
CURVES_TAKEN = "the widths of the PSF by depth"
TAKEN = {
    "deepstorm": (WIDTH, READ_NOISE),
    "bgnet": (WIDTH, READ_NOISE),
    "zhang": (WIDTH, READ_NOISE),
    "zhang-spenet": (WIDTH, READ_NOISE),
    "annapalm": (WIDTH,),
    "gaire-pores": (WIDTH,),
    "kim": ("the pixel (110 nm)", READ_NOISE),
    "hershko-boxes": ("the pixel (110 nm)", READ_NOISE),
    "hershko": ("the pixel (110 nm)",),
    "decode": (CURVES_TAKEN, READ_NOISE),
    "deeploco": (CURVES_TAKEN, READ_NOISE),
    "deepstorm3d": (READ_NOISE,),
    "zelger": ("the pixel (110 nm)", READ_NOISE),
    "smnet": ("the pixel (110 nm)", READ_NOISE),
    "flagship-astig": (CURVES_TAKEN, READ_NOISE),
}
"""What each takes at least of a calibration of the camera and of a round PSF, or of curves."""


def use(folder: Path, manifest: Manifest) -> None:
    """Use a model once, as a run does."""
    rng = np.random.default_rng(3)
    if manifest.task == "localize":
        localizer = localizer_of(folder, calibration=CAMERA, sigma_nm=145.0, curves=CURVES)
        frames = rng.poisson(20.0 / 0.46, (2, 64, 64)) + 102
        localizer(FrameBatch.from_pixels(frames.astype(np.uint16)))
    elif manifest.task == "box-background":
        network = NetworkBackground(folder, "openvino")
        boxes = rng.poisson(20.0, (3, network.box_px, network.box_px)).astype(np.float32)
        assert np.isfinite(network(boxes, np.full_like(boxes, 2.0))).all()
    elif manifest.task == "box-classes":
        classes = NetworkClasses(folder, "openvino")
        light = rng.poisson(20.0, (5, *classes.shape)).astype(np.float32)
        assert classes.probabilities(light).sum(axis=1) == pytest.approx(np.ones(5), abs=1e-3)
    elif manifest.task == "box-parameters":
        _, run = open_graph(folder, "openvino")
        shapes = {k.name: tuple(int(side) for side in k.shape[1:]) for k in manifest.inputs}
        given = {k: rng.poisson(20.0, (3, *s)).astype(np.float32) for k, s in shapes.items()}
        assert np.isfinite(run(given)).all()
    elif manifest.inputs[0].name == "frames":
        image = NetworkImage(folder, "openvino", CAMERA, (32, 32))
        image.add_frames(FrameBatch.from_pixels(np.full((1, 32, 32), 140, np.uint16)))
        assert np.isfinite(image.layer().image).all()
    else:
        structure = manifest.structures[0] if manifest.structures else None
        made = LocalizationImage(folder, "openvino", CAMERA, (32, 32), structure=structure)
        columns = {
            "frame": np.arange(50),
            **{k: rng.uniform(0, 3400, 50) for k in ("x_nm", "y_nm")},
        }
        made.add_localizations(Localizations.from_columns(columns))
        assert np.isfinite(made.layer().image).all()


@pytest.mark.parametrize("name", sorted(TAKEN))
def test_a_model_is_adapted_exported_and_used(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = io.StringIO()
    monkeypatch.setattr(command, "console", Console(file=printed, width=10_000))
    monkeypatch.setattr(command, "TUNING_WINDOWS", 0)
    # The comparison on frames takes longer than all else, and has its own tests.
    monkeypatch.setattr(command, "ProcessPoolExecutor", lambda n, mp_context: ThreadPoolExecutor(n))
    monkeypatch.setattr(command, "compare", lambda *_: [])
    calibration = tmp_path / "calibration.toml"
    psf = CURVES_TOML if CURVES_TAKEN in TAKEN[name] else "[psf]\nsigma_nm = 145\n"
    calibration.write_text(f"[camera]\n{CAMERA_TOML}{psf}")
    out = tmp_path / "mine"
    tiny = TINY | {"simulation.crop_px": SIDES.get(name, 32)}
    changes = [part for key, value in tiny.items() if value is not None
               for part in ("--change", f"{key}={value}")]  # fmt: skip

    arguments = ["train", "--from", name, "-c", str(calibration), "--out", str(out), *changes]
    CliRunner().invoke(app, arguments, catch_exceptions=False)

    taken, _, unused = printed.getvalue().partition("\n")[0].partition("; ")
    assert taken.startswith(f"{name} takes ")
    for value in TAKEN[name]:
        assert value in taken
        assert value not in unused
    assert not unused or unused.endswith("no part in its training")
    use(out, load_manifest(out))
