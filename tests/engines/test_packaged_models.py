"""Every packaged model on every engine: places within 0.5 nm, light within 0.5 %."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.box_networks import box_px_of
from rtsmlm.engines.class_networks import input_of
from rtsmlm.engines.engine_cache import VARIABLE
from rtsmlm.engines.example_frames import OFFSET_ADU, example_frames
from rtsmlm.engines.graph_runner import open_graph
from rtsmlm.engines.network import NetworkLocalizer
from rtsmlm.engines.runtime import Runtime, open_model
from rtsmlm.engines.runtimes import open_runtime
from rtsmlm.engines.tensorrt import build_engine, missing, missing_to_build, onnx_of
from rtsmlm.engines.tensorrt_parts import tensors_of
from rtsmlm.localizations import F32
from rtsmlm.models.architecture import NetworkModel
from rtsmlm.models.catalog import model_folders
from rtsmlm.models.manifest import Manifest, load_manifest, read_manifest
from rtsmlm.physics.gaussian import render_spots

FOLDERS = {
    name: folder
    for name, folder in model_folders().items()
    if read_manifest(folder).architecture != "flagship"  # test_parity.py and test_tensorrt.py
}
PIXEL_NM = 100.0
CALIBRATION = CameraCalibration(pixel_nm=PIXEL_NM, offset_adu=float(OFFSET_ADU), e_per_adu=1.0)
SIDE = 64
_reason = missing_to_build()


@pytest.mark.parametrize("name", FOLDERS)
def test_openvino_answers_as_torch_node_by_node(name: str, rng: np.random.Generator) -> None:
    pytest.importorskip("torch", reason="the reference is torch")
    manifest = load_manifest(FOLDERS[name])
    compare(FOLDERS[name], manifest, rng, "torch")


@pytest.mark.gpu
@pytest.mark.skipif(bool(missing()), reason=missing() or "it is all there")
@pytest.mark.parametrize("name", FOLDERS)
def test_tensorrt_answers_as_openvino(
    name: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    compare(FOLDERS[name], load_manifest(FOLDERS[name]), rng, "tensorrt")


def compare(folder: Path, manifest: Manifest, rng: np.random.Generator, engine: str) -> None:
    if manifest.task == "localize":
        compare_rows(folder, manifest, engine)
    elif manifest.task == "image":
        compare_images(folder, manifest, rng, engine)
    else:
        compare_boxes(folder, manifest, rng, engine)


def runtime_of(model: NetworkModel, engine: str) -> Runtime:
    """Return an engine in float32; torch runs the graph node by node."""
    if engine != "torch":
        return open_runtime(model, engine, "f32")
    import torch

    from rtsmlm.engines.graph_on_torch import GraphOnTorch
    from rtsmlm.engines.torch import TorchRuntime

    by_torch = TorchRuntime(model, precision="f32", device="cpu")
    by_torch._network = GraphOnTorch(model, torch.device("cpu"))
    return by_torch


def compare_rows(folder: Path, manifest: Manifest, engine: str) -> None:
    sigma_nm = PIXEL_NM * max(min(1.3, manifest.valid.sigma_px[1]), manifest.valid.sigma_px[0])
    model = open_model(folder, calibration=CALIBRATION, sigma_nm=sigma_nm)
    frames = example_frames(model, 3, SIDE)

    first, second = (
        NetworkLocalizer(model, runtime_of(model, e), calibration=CALIBRATION)(frames)
        for e in ("openvino", engine)
    )

    assert first.frame.tolist() == second.frame.tolist()
    assert len(first) > 5
    for name in ("x_nm", "y_nm", "z_nm"):
        assert np.abs(getattr(first, name) - getattr(second, name)).max() < 0.5, name
    assert np.abs(second.photons / first.photons - 1.0).max() < 0.005


def compare_boxes(folder: Path, manifest: Manifest, rng: np.random.Generator, engine: str) -> None:
    if manifest.task == "box-classes":
        name, shape = input_of(manifest)
    else:
        name, shape = "photons", (box_px_of(manifest), box_px_of(manifest))
    middle, n = (np.array(shape[::-1]) - 1) / 2, 40
    low, high = manifest.valid.photons
    light = np.exp(rng.uniform(math.log(low), math.log(high), n))
    photons = np.empty((n, 1, *shape), np.float32)
    for box, total, (x, y) in zip(
        photons[:, 0], light, rng.uniform(-1, 1, (n, 2)) + middle, strict=True
    ):
        level = manifest.valid.background[0] + 20.0
        box[:] = rng.poisson(render_spots(shape, x, y, total, rng.uniform(1, 2), level))
    given = {name: photons, "variance": np.ones_like(photons)}

    first, second = (open_graph(folder, e)[1](given) for e in ("openvino", engine))

    for channel in manifest.channels:
        a, b = first[:, channel.first], second[:, channel.first]
        if channel.unit in {"nm", "px"}:
            nm = PIXEL_NM if channel.unit == "px" else 1.0
            assert nm * np.abs(a - b).max() < 0.5, channel.name
        else:
            assert np.abs(a - b).max() < 0.005 * np.abs(a).max(), channel.name


def compare_images(folder: Path, manifest: Manifest, rng: np.random.Generator, engine: str) -> None:
    name = manifest.inputs[0].name
    given = light(rng) if name == "frames" else localizations(manifest, rng)

    first, second = (open_graph(folder, e)[1](given) for e in ("openvino", engine))

    assert first.shape[-1] == manifest.upsampling * given[name].shape[-1]
    assert np.abs(first - second).max() < 0.005 * first.max()


def light(rng: np.random.Generator) -> dict[str, F32]:
    """Return a frame with some emitters, in photons."""
    side = SIDE // 2
    level = rng.poisson(20.0, (1, 1, side, side)).astype(np.float32)
    places = rng.uniform(4, side - 4, (12, 2)).T
    spots = render_spots((side, side), *places, np.full(12, 1000.0), 1.3, 0.0)
    return {"frames": level + spots.astype(np.float32)}


def localizations(manifest: Manifest, rng: np.random.Generator) -> dict[str, F32]:
    """Return what a network of localizations is given: a line of them, and some anywhere."""
    side = max(SIDE, manifest.block_px)
    rate = np.full((1, 1, side, side), 0.002)
    rate[..., side // 3, :] = 0.5
    known = max(len(manifest.structures), 1)
    everything: dict[str, F32] = {
        "localizations": rng.poisson(rate).astype(np.float32),
        "level": np.full((1, 1), 0.2, np.float32),
        "structure": np.eye(known, dtype=np.float32)[:1],
        "widefield": rng.poisson(20.0, rate.shape).astype(np.float32),
    }
    return {entry.name: everything[entry.name] for entry in manifest.inputs}


@pytest.mark.skipif(bool(_reason), reason=_reason or "it is all there")
@pytest.mark.parametrize("name", FOLDERS)
def test_a_tensorrt_engine_is_built_without_a_gpu(name: str) -> None:
    manifest = load_manifest(FOLDERS[name])
    boxes = manifest.task.startswith("box")
    if manifest.task == "box-classes":
        sides = input_of(manifest)[1]
    else:
        sides = 2 * (box_px_of(manifest) if boxes else SIDE,)
    shape = (256 if boxes else 1, *sides)
    precision = "f16" if manifest.task == "localize" else "f32"

    onnx_bytes = onnx_of(FOLDERS[name], shape, precision)

    assert build_engine(onnx_bytes, expected=tensors_of(manifest, shape), sm=89)
