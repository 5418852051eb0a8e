"""TensorRT engines: built for real on any computer, run where there is a GPU."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.engine_cache import VARIABLE, EngineCache
from rtsmlm.engines.runtime import open_model
from rtsmlm.engines.tensorrt import (
    build_engine,
    load_or_build,
    missing,
    missing_to_build,
    onnx_of,
    open_engine,
    package,
)
from rtsmlm.engines.tensorrt_parts import (
    check_tensors,
    gpu_here,
    messages_of,
    network_tensors,
    tensors_of,
)
from rtsmlm.errors import ConfigError, LocalizerError
from rtsmlm.models.architecture import NetworkModel
from rtsmlm.models.catalog import find_model, model_folders
from rtsmlm.models.inputs import padded_maps
from rtsmlm.models.manifest import load_manifest
from rtsmlm.models.rows import Row
from rtsmlm.physics.astigmatism import WidthCurve, WidthCurves
from rtsmlm.physics.gaussian import render_spots

SHAPE = (1, 64, 64)
SM = 89
SHIPPED = sorted(n for n in model_folders() if n.startswith("flagship"))
IDEAL = CameraCalibration(pixel_nm=100.0, offset_adu=100.0, e_per_adu=1.0)
PIXEL_NM = IDEAL.pixel_nm
CURVES = WidthCurves(
    x=WidthCurve(sigma0_nm=130.0, focus_nm=200.0, depth_nm=400.0),
    y=WidthCurve(sigma0_nm=130.0, focus_nm=-200.0, depth_nm=400.0),
    z_min_nm=-500.0,
    z_max_nm=500.0,
)

_reason = missing_to_build()
builds = pytest.mark.skipif(bool(_reason), reason=_reason or "it is all there")


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "engines")


def shipped(name: str) -> NetworkModel:
    return open_model(find_model(name), calibration=IDEAL, sigma_nm=130.0, curves=CURVES)


@builds
@pytest.mark.parametrize("precision", ["f16", "f32"])
@pytest.mark.parametrize("name", SHIPPED)
def test_an_engine_of_a_shipped_model_is_built_without_a_gpu(
    name: str, precision: str, cache: EngineCache
) -> None:
    steps: list[float] = []

    built = load_or_build(
        find_model(name),
        SHAPE,
        precision,
        sm=SM,
        cache=cache,
        on_step=lambda _, done: steps.append(done),
    )

    assert not built.cached
    assert built.target.endswith(f"sm_{SM}")
    assert 100_000 < len(built.engine) < 50_000_000
    assert steps == sorted(steps)
    assert steps[-1] == 1.0
    assert len(steps) > 10


@builds
@pytest.mark.parametrize("n", [1, 8])
@pytest.mark.parametrize("name", SHIPPED)
def test_the_network_has_the_inputs_and_outputs_of_the_manifest(name: str, n: int) -> None:
    trt, folder = package(), find_model(name)
    sink = messages_of(trt).sink
    builder = trt.Builder(sink)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))

    assert trt.OnnxParser(network, sink).parse(onnx_of(folder, (n, 64, 48), "f16"))

    manifest = load_manifest(folder)
    found = network_tensors(trt, network)
    assert found == tensors_of(manifest, (n, 64, 48))
    named = {entry.name: entry for entry in (*manifest.inputs, *manifest.outputs)}
    assert set(found) == set(named)
    for tensor, (kind, shape) in found.items():
        assert len(shape) == len(named[tensor].shape)
        # TensorRT knows no uint16.
        assert kind == ("int32" if tensor == "frames" else named[tensor].dtype)


@builds
def test_the_convolutions_have_the_precision_asked_for() -> None:
    trt, folder = package(), find_model("flagship-2d")
    sink = messages_of(trt).sink
    for precision, kind in (("f16", trt.float16), ("f32", trt.float32)):
        builder = trt.Builder(sink)
        network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        assert trt.OnnxParser(network, sink).parse(onnx_of(folder, SHAPE, precision))
        layers = [network.get_layer(i) for i in range(network.num_layers)]
        kinds = {x.get_output(0).dtype for x in layers if x.type == trt.LayerType.CONVOLUTION}
        assert kinds == {kind}


@builds
def test_the_second_time_it_comes_from_the_cache(cache: EngineCache) -> None:
    folder = find_model("flagship-2d-fast")
    first = load_or_build(folder, SHAPE, "f16", sm=SM, cache=cache)

    second = load_or_build(folder, SHAPE, "f16", sm=SM, cache=cache)

    assert second.cached
    assert second.engine == first.engine
    assert not load_or_build(folder, SHAPE, "f32", sm=SM, cache=cache).cached
    assert not load_or_build(folder, (1, 64, 72), "f16", sm=SM, cache=cache).cached
    assert len(list(cache.entries())) == 3


@builds
def test_a_damaged_entry_is_refused_with_a_message_and_built_again(
    cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    folder = find_model("flagship-2d-fast")
    load_or_build(folder, SHAPE, "f16", sm=SM, cache=cache)
    path = next(cache.folder.glob("*.engine"))
    path.write_bytes(path.read_bytes()[:-100])

    with caplog.at_level(logging.WARNING):
        again = load_or_build(folder, SHAPE, "f16", sm=SM, cache=cache)

    assert not again.cached
    assert "flagship-2d-fast is built anew" in caplog.text
    assert "sha256 differs" in caplog.text
    assert load_or_build(folder, SHAPE, "f16", sm=SM, cache=cache).cached


@builds
def test_a_foreign_entry_is_refused_with_a_message_and_built_again(
    cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    folder = find_model("flagship-2d-fast")
    load_or_build(folder, SHAPE, "f16", sm=SM, cache=cache)
    record = next(cache.folder.glob("*.toml"))
    record.write_text(record.read_text(encoding="utf-8").replace(package().__version__, "0.9"))

    with caplog.at_level(logging.WARNING):
        again = load_or_build(folder, SHAPE, "f16", sm=SM, cache=cache)

    assert not again.cached
    assert "built for something else" in caplog.text
    assert package().__version__ in record.read_text(encoding="utf-8")


@builds
def test_a_cache_that_cannot_be_written_costs_time_and_not_the_engine(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    cache = EngineCache(tmp_path / "file" / "engines")

    built = load_or_build(find_model("flagship-2d-fast"), SHAPE, "f16", sm=SM, cache=cache)

    assert built.engine
    assert "built at each start" in caplog.text


@builds
def test_a_network_of_another_shape_is_refused() -> None:
    folder = find_model("flagship-2d-fast")
    expected = tensors_of(load_manifest(folder), (1, 64, 72))

    with pytest.raises(LocalizerError, match="maps of the engine is float32"):
        check_tensors({**expected, "maps": ("float32", (1, 4, 4, 4))}, expected)
    with pytest.raises(LocalizerError, match="of the engine is"):
        build_engine(onnx_of(folder, SHAPE, "f16"), expected=expected, sm=SM)


@builds
def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(LocalizerError, match="does not understand the model"):
        build_engine(b"nonsense", expected={}, sm=SM)


@builds
def test_an_unknown_gpu_is_refused_with_those_there_are(cache: EngineCache) -> None:
    with pytest.raises(LocalizerError, match=r"sm_12; it builds for .*89"):
        load_or_build(find_model("flagship-2d-fast"), SHAPE, "f16", sm=12, cache=cache)


@builds
def test_an_unknown_precision_is_refused(cache: EngineCache) -> None:
    with pytest.raises(ConfigError, match="f16 or f32"):
        load_or_build(find_model("flagship-2d-fast"), SHAPE, "bf16", sm=SM, cache=cache)


@builds
@pytest.mark.skipif(gpu_here() is not None, reason="there is a GPU")
def test_without_a_gpu_it_says_so() -> None:
    pytest.importorskip("torch", reason="the runtime moves frames by torch")
    from rtsmlm.engines.tensorrt_runtime import TensorRtRuntime

    assert missing()
    with pytest.raises(LocalizerError, match=r"CUDA|GPU"):
        TensorRtRuntime(shipped("flagship-2d-fast"))
    folder = find_model("flagship-2d-fast")
    expected = tensors_of(load_manifest(folder), SHAPE)
    with pytest.raises(LocalizerError, match="--sm"):
        load_or_build(folder, SHAPE, "f16")
    engine = build_engine(onnx_of(folder, SHAPE, "f16"), expected=expected, sm=SM)
    with pytest.raises(LocalizerError, match="cannot open the engine"):
        open_engine(engine, expected)


@pytest.mark.gpu
@pytest.mark.skipif(bool(missing()), reason=missing() or "it is all there")
@pytest.mark.parametrize("precision", ["f16", "f32"])
@pytest.mark.parametrize("name", SHIPPED)
def test_the_rows_are_those_of_openvino(
    name: str,
    precision: str,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    from rtsmlm.engines.openvino import OpenVinoRuntime
    from rtsmlm.engines.tensorrt_runtime import TensorRtRuntime

    monkeypatch.setenv(VARIABLE, str(tmp_path))
    shape, model = (96, 128), shipped(name)
    frames, context = spots(rng, shape), np.ones((8, 2), np.float32)
    gpu, cpu = TensorRtRuntime(model, precision=precision), OpenVinoRuntime(model, precision="f32")
    for runtime in (gpu, cpu):
        runtime.prepare(shape, padded_maps(IDEAL, shape))

    expected = [
        cpu.rows(frames[k : k + 3], context[k : k + 1], alone=True)[0] for k in range(len(context))
    ]
    together = gpu.rows(frames, context, alone=False)
    single = [
        gpu.rows(frames[k : k + 3], context[k : k + 1], alone=True)[0] for k in range(len(context))
    ]

    for found in (together, single):
        assert [len(rows) for rows in found] == [len(rows) for rows in expected]
        difference = np.concatenate(found) - np.concatenate(expected)
        assert np.abs(difference[:, [Row.X, Row.Y]]).max() * PIXEL_NM < 0.5
        light = np.concatenate(expected)[:, Row.PHOTONS]
        assert np.abs(difference[:, Row.PHOTONS] / light).max() < 0.005


def spots(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.uint16]:
    """Ten frames of bright emitters, none near another."""
    y, x = (axis.ravel() for axis in np.mgrid[12 : shape[0] - 8 : 16, 12 : shape[1] - 8 : 16])
    frames = []
    for _ in range(10):
        at_x, at_y = x + rng.uniform(-1, 1, x.shape), y + rng.uniform(-1, 1, y.shape)
        mean = render_spots(shape, at_x, at_y, np.full(len(x), 4000.0), 1.3, 20.0)
        frames.append((rng.poisson(mean) + 100).astype(np.uint16))
    return np.stack(frames)
