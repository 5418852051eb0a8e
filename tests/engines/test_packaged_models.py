"""Every packaged model on every engine: places within 0.5 nm, light within 0.5 %."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.box_networks import box_px_of
from rtsmlm.engines.example_frames import OFFSET_ADU, example_frames
from rtsmlm.engines.graph_runner import open_graph
from rtsmlm.engines.runtime import open_model
from rtsmlm.engines.tensorrt import build_engine, missing_to_build, onnx_of
from rtsmlm.engines.tensorrt_parts import tensors_of
from rtsmlm.localizations import F32
from rtsmlm.models.catalog import model_folders
from rtsmlm.models.inputs import padded_maps
from rtsmlm.models.manifest import Manifest, load_manifest, read_manifest
from rtsmlm.models.rows import Row
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
    if manifest.task == "localize":
        compare_rows(FOLDERS[name], manifest)
    elif manifest.task == "image":
        compare_images(FOLDERS[name], manifest, rng)
    else:
        compare_boxes(FOLDERS[name], manifest, rng)


def compare_rows(folder: Path, manifest: Manifest) -> None:
    import torch

    from rtsmlm.engines.graph_on_torch import GraphOnTorch
    from rtsmlm.engines.openvino import OpenVinoRuntime
    from rtsmlm.engines.torch import TorchRuntime

    sigma_nm = PIXEL_NM * max(min(1.3, manifest.valid.sigma_px[1]), manifest.valid.sigma_px[0])
    model = open_model(folder, calibration=CALIBRATION, sigma_nm=sigma_nm)
    n, blocks = 3, (manifest.block_px, manifest.overlap_px)
    pixels = example_frames(model, n + 2 * manifest.neighbours, SIDE).pixels
    by_torch = TorchRuntime(model, precision="f32", device="cpu")
    by_torch._network = GraphOnTorch(model, torch.device("cpu"))
    tables = []
    for runtime in (OpenVinoRuntime(model, precision="f32"), by_torch):
        runtime.prepare((SIDE, SIDE), padded_maps(CALIBRATION, (SIDE, SIDE), *blocks))
        context = np.ones((1, 2), np.float32)
        window = manifest.window_frames
        tables.append([
            runtime.rows(pixels[k : k + window], context, alone=True)[0] for k in range(n)
        ])  # fmt: skip

    assert [len(rows) for rows in tables[0]] == [len(rows) for rows in tables[1]]
    first, second = (np.concatenate(rows) for rows in tables)
    assert len(first) > 10
    moved = np.abs(second - first)
    low, high = manifest.z_range_nm or (0.0, 0.0)
    assert PIXEL_NM * moved[:, [Row.X, Row.Y]].max() < 0.5
    assert (high - low) / 2 * moved[:, Row.Z].max() < 0.5
    assert (moved[:, Row.PHOTONS] / first[:, Row.PHOTONS]).max() < 0.005


def compare_boxes(folder: Path, manifest: Manifest, rng: np.random.Generator) -> None:
    side, n = box_px_of(manifest), 40
    low, high = manifest.valid.photons
    light = np.exp(rng.uniform(math.log(low), math.log(high), n))
    photons = np.empty((n, 1, side, side), np.float32)
    for box, total, (x, y) in zip(
        photons[:, 0], light, rng.uniform(-1, 1, (n, 2)) + (side - 1) / 2, strict=True
    ):
        level = manifest.valid.background[0] + 20.0
        box[:] = rng.poisson(render_spots((side, side), x, y, total, rng.uniform(1, 2), level))
    given = {"photons": photons, "variance": np.ones_like(photons)}

    first, second = (open_graph(folder, engine)[1](given) for engine in ("openvino", "torch"))

    for channel in manifest.channels:
        a, b = first[:, channel.first], second[:, channel.first]
        if channel.unit in {"nm", "px"}:
            nm = PIXEL_NM if channel.unit == "px" else 1.0
            assert nm * np.abs(a - b).max() < 0.5, channel.name
        else:
            assert np.abs(a - b).max() < 0.005 * np.abs(a).max(), channel.name


def compare_images(folder: Path, manifest: Manifest, rng: np.random.Generator) -> None:
    level = rng.poisson(20.0, (2, 1, SIDE, SIDE)).astype(np.float32)
    places = rng.uniform(4, SIDE - 4, (30, 2)).T
    light = render_spots((SIDE, SIDE), *places, np.full(30, 1000.0), 1.3, 0.0)
    given: dict[str, F32] = {manifest.inputs[0].name: level + light.astype(np.float32)}

    first, second = (open_graph(folder, engine)[1](given) for engine in ("openvino", "torch"))

    assert first.shape[-1] == manifest.upsampling * SIDE
    assert np.abs(first - second).max() < 0.005 * first.max()


@pytest.mark.skipif(bool(_reason), reason=_reason or "it is all there")
@pytest.mark.parametrize("name", FOLDERS)
def test_a_tensorrt_engine_is_built_without_a_gpu(name: str) -> None:
    manifest = load_manifest(FOLDERS[name])
    boxes = manifest.task.startswith("box")
    side = box_px_of(manifest) if boxes else SIDE
    shape = (256 if boxes else 1, side, side)
    precision = "f16" if manifest.task == "localize" else "f32"

    onnx_bytes = onnx_of(FOLDERS[name], shape, precision)

    assert build_engine(onnx_bytes, expected=tensors_of(manifest, shape), sm=89)
