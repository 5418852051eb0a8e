"""The exported model says in nm and photons what torch says."""

from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the reference is torch")
onnx = pytest.importorskip("onnx", reason="the export needs onnx")

from rtsmlm.calibration import CameraCalibration  # noqa: E402
from rtsmlm.engines.graph_types import typed_graph  # noqa: E402
from rtsmlm.engines.onnx_graph import OnnxGraph  # noqa: E402
from rtsmlm.errors import FileFormatError  # noqa: E402
from rtsmlm.frames import FrameBatch  # noqa: E402
from rtsmlm.localizations import F32  # noqa: E402
from rtsmlm.models.flagship.network import SIZES, FlagshipNetwork, stabilize  # noqa: E402
from rtsmlm.models.flagship.packaging import write_onnx  # noqa: E402
from rtsmlm.models.inputs import context_of, pad_frames, padded_maps  # noqa: E402
from rtsmlm.models.manifest import ONNX_NAME, load_manifest  # noqa: E402
from rtsmlm.models.psf_condition import PsfInput, astigmatic_psf, round_psf  # noqa: E402
from rtsmlm.models.simulation.ranges import SimulationRanges  # noqa: E402
from rtsmlm.models.training.packaging import export_model  # noqa: E402
from rtsmlm.models.training.recipe import Recipe, TrainingSection  # noqa: E402
from rtsmlm.models.training.trainer import Trainer  # noqa: E402
from rtsmlm.physics.astigmatism import WidthCurve, WidthCurves  # noqa: E402

SIGMA_NM = 120.0


CURVES = WidthCurves(
    x=WidthCurve(sigma0_nm=130.0, focus_nm=200.0, depth_nm=400.0),
    y=WidthCurve(sigma0_nm=125.0, focus_nm=-220.0, depth_nm=420.0, quartic=0.1),
    z_min_nm=-600.0,
    z_max_nm=600.0,
)
PSFS = {"S+": round_psf(SIGMA_NM / 100.0), "S+ z": astigmatic_psf(CURVES, 100.0)}


@pytest.fixture(params=["S+", "S+ z"])
def network(request: pytest.FixtureRequest) -> FlagshipNetwork:
    torch.manual_seed(0)
    network = FlagshipNetwork(SIZES[request.param])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.03 * torch.randn_like(parameter))
    return network


@pytest.fixture
def batch(rng: np.random.Generator) -> FrameBatch:
    pixels = rng.poisson(300.0, (5, 60, 44)).astype(np.uint16)
    return FrameBatch.from_pixels(pixels, index=np.array([4, 5, 6, 9, 10]))


@pytest.fixture
def calibration(rng: np.random.Generator) -> CameraCalibration:
    return CameraCalibration(
        pixel_nm=100.0,
        offset_adu=rng.normal(100, 3, (60, 44)).astype(np.float32),
        e_per_adu=0.46,
        read_noise_e=1.6,
    )


def psf_of(network: FlagshipNetwork) -> PsfInput:
    return PSFS["S+ z" if network.settings.axial else "S+"]


def feed_of(batch: FrameBatch, calibration: CameraCalibration, psf: PsfInput) -> dict[str, Any]:
    offset, gain, variance = padded_maps(calibration, batch.shape)
    frames = pad_frames(batch.pixels)
    return {
        "frames": np.concatenate([frames[:1], frames, frames[-1:]]),
        "offset_adu": offset,
        "photons_per_adu": gain,
        "read_variance": variance,
        "context": context_of(batch.index),
        "condition": psf.condition,
    }


def run_onnxruntime(model: Any, feed: dict[str, Any]) -> F32:
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(None, feed)[0])


def run_openvino(model: Any, feed: dict[str, Any]) -> F32:
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()
    read = core.read_model(model.SerializeToString())
    read.reshape({name: list(value.shape) for name, value in feed.items()})
    compiled = core.compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.asarray(compiled(feed)["maps"])


def run_torch(
    network: FlagshipNetwork, batch: FrameBatch, calibration: CameraCalibration, psf: PsfInput
) -> F32:
    offset, gain, variance = padded_maps(calibration, batch.shape)
    photons = (pad_frames(batch.pixels).astype(np.float32) - offset) * gain
    photons = np.concatenate([photons[:1], photons, photons[-1:]])
    triples = np.stack([photons[i : i + len(batch)] for i in range(3)], axis=1)
    with torch.no_grad():
        planes = stabilize(
            torch.from_numpy(triples),
            torch.from_numpy(variance)[None, None],
            torch.from_numpy(context_of(batch.index)),
        )
        return np.asarray(network(planes, torch.from_numpy(psf.condition)).numpy())


def run_nodes(model: Any, feed: dict[str, Any], tmp_path: Path) -> F32:
    path = tmp_path / "nodes.onnx"
    onnx.save(model, path)
    feed = feed | {"frames": feed["frames"].astype(np.int32)}
    graph = OnnxGraph(path, torch.device("cpu"))
    return graph({k: torch.from_numpy(np.array(v)) for k, v in feed.items()})["maps"].numpy()


@pytest.fixture
def model(network: FlagshipNetwork, tmp_path: Path) -> Any:
    write_onnx(network.eval(), tmp_path / "model.onnx")
    return onnx.load(tmp_path / "model.onnx")


def shapes_of(network: FlagshipNetwork, feed: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    n, (height, width) = len(feed["context"]), feed["offset_adu"].shape
    maps = (n, network.settings.channels, height // 2, width // 2)
    return {name: value.shape for name, value in feed.items()} | {"maps": maps}


@pytest.mark.parametrize("run", ["onnxruntime", "openvino", "node by node"])
def test_engines_agree_with_torch(
    run: str,
    model: Any,
    network: FlagshipNetwork,
    batch: FrameBatch,
    calibration: CameraCalibration,
    tmp_path: Path,
) -> None:
    psf = psf_of(network)
    reference = run_torch(network, batch, calibration, psf)
    feed = feed_of(batch, calibration, psf)

    if run == "node by node":
        maps = run_nodes(model, feed, tmp_path)
    else:
        feed = feed | {"frames": feed["frames"].astype(np.int32)}
        maps = (run_openvino if run == "openvino" else run_onnxruntime)(model, feed)

    assert np.abs(reference).max() > 0.5
    # 1e-4 of an offset is 0.01 nm at a pixel of 100 nm, 1e-4 of log(photons) is 0.01 %.
    assert np.abs(maps - reference).max() < 1e-4 * max(1.0, np.abs(reference).max())


def test_float16_convolutions_give_the_same_maps_within_their_precision(
    model: Any, network: FlagshipNetwork, batch: FrameBatch, calibration: CameraCalibration
) -> None:
    feed = feed_of(batch, calibration, psf_of(network))
    feed = feed | {"frames": feed["frames"].astype(np.int32)}
    half = typed_graph(model, shapes_of(network, feed), half=True)

    reference, maps = (run_openvino(graph, feed) for graph in (model, half))

    assert maps.dtype == np.float32
    # float16 has 11 bits, of which two are lost over some fifteen layers.
    assert np.abs(maps - reference).max() < 2**-9 * np.abs(reference).max()


def test_float16_begins_behind_the_raw_frames(
    model: Any, network: FlagshipNetwork, batch: FrameBatch, calibration: CameraCalibration
) -> None:
    feed = feed_of(batch, calibration, psf_of(network))
    half = typed_graph(model, shapes_of(network, feed), half=True)

    inferred = onnx.shape_inference.infer_shapes(half, check_type=True, strict_mode=True).graph
    types = {value.name: value.type.tensor_type.elem_type for value in inferred.value_info}
    types |= {tensor.name: tensor.data_type for tensor in inferred.initializer}

    convolutions = [node for node in inferred.node if node.op_type == "Conv"]
    for node in convolutions:
        assert {types[name] for name in (*node.input, *node.output)} == {onnx.TensorProto.FLOAT16}
    first = list(inferred.node).index(convolutions[0])
    before = {types[o] for n in inferred.node[:first] for o in n.output if not o.endswith("_half")}
    assert onnx.TensorProto.FLOAT16 not in before
    assert inferred.output[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def test_the_model_of_a_fixed_shape_states_it(
    model: Any, network: FlagshipNetwork, batch: FrameBatch, calibration: CameraCalibration
) -> None:
    shapes = shapes_of(network, feed_of(batch, calibration, psf_of(network)))

    typed = typed_graph(model, shapes, half=False)

    frames = typed.graph.input[0].type.tensor_type
    assert [axis.dim_value for axis in frames.shape.dim] == [7, 64, 48]
    assert frames.elem_type == onnx.TensorProto.INT32
    maps = typed.graph.output[0].type.tensor_type.shape
    assert [axis.dim_value for axis in maps.dim] == [5, network.settings.channels, 32, 24]


def test_frames_beside_a_gap_have_no_neighbour_there() -> None:
    context = context_of(np.array([4, 5, 6, 9, 10]))

    assert context.tolist() == [[0, 1], [1, 1], [1, 0], [0, 1], [1, 0]]


def test_the_light_of_an_emccd_is_halved_for_the_network() -> None:
    emccd = CameraCalibration(pixel_nm=100.0, e_per_adu=45.0, em_gain=300.0, read_noise_e=74.4)

    _, gain, variance = padded_maps(emccd, (60, 44))

    assert gain.shape == (64, 48)
    assert gain[0, 0] == pytest.approx(45.0 / 300.0 / 2.0)
    assert variance[0, 0] == pytest.approx((74.4 / 300.0) ** 2 / 4.0)


def test_a_packaged_model_is_checked_against_its_manifest(tmp_path: Path) -> None:
    recipe = Recipe(
        simulation=SimulationRanges(computed_fraction=0.0),
        training=TrainingSection(steps=1, batch_windows=1),
    )
    trainer = Trainer(recipe, tmp_path / "train")
    trainer.run(Event())
    export_model(
        tmp_path / "train" / "checkpoint.safetensors", tmp_path / "m", version="1", tuning_windows=0
    )

    manifest = load_manifest(tmp_path / "m")
    assert manifest.name == "flagship-2d"
    assert manifest.training.recipe["network"]["size"] == manifest.size
    assert 20.0 < manifest.kmac_per_px < 30.0
    assert sum(file.stat().st_size for file in (tmp_path / "m").iterdir()) < 4_000_000
    damaged = bytearray((tmp_path / "m" / ONNX_NAME).read_bytes())
    damaged[1000] ^= 1
    (tmp_path / "m" / ONNX_NAME).write_bytes(damaged)
    with pytest.raises(FileFormatError, match="sha256"):
        load_manifest(tmp_path / "m")
