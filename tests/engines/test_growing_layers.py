"""Image layers grow beside a run, in a process of their own, and are completed after it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the models are written by torch")

from torch import Tensor, nn  # noqa: E402

from rtsmlm.calibration import CameraCalibration  # noqa: E402
from rtsmlm.engines import image_network  # noqa: E402
from rtsmlm.engines.image_models import check_image_models  # noqa: E402
from rtsmlm.engines.image_network import NetworkImage  # noqa: E402
from rtsmlm.errors import ConfigError  # noqa: E402
from rtsmlm.frames import CameraFrame, FrameBatch  # noqa: E402
from rtsmlm.offline.layers import write_layers  # noqa: E402
from rtsmlm.pipeline.events import (  # noqa: E402
    ImageEvent,
    LayerGrown,
    LayersOpened,
    Warned,
    to_line,
)
from rtsmlm.pipeline.growing_layers import GrowingLayers, smaller  # noqa: E402
from rtsmlm.pipeline.image_feed import ImageFeed  # noqa: E402
from rtsmlm.pipeline.job import PipelineJob  # noqa: E402
from rtsmlm.realtime.frame_ranges import FrameRanges  # noqa: E402
from rtsmlm.realtime.ring import FrameRing  # noqa: E402
from rtsmlm.render.layer_file import read_layer, write_layer  # noqa: E402
from rtsmlm.settings.load import load  # noqa: E402
from rtsmlm.settings.run import ResultsSettings, RunSettings  # noqa: E402
from rtsmlm.stream.messages import LayerMessage  # noqa: E402

MakeModel = Callable[..., Path]
CALIBRATION = CameraCalibration(pixel_nm=100.0, offset_adu=100.0, e_per_adu=1.0)
SHAPE = (18, 13)
AXES = {"frames": {0: "n", 2: "h", 3: "w"}, "answer": {0: "n", 2: "h", 3: "w"}}


class Finer(nn.Module):
    """Each pixel as four."""

    def forward(self, frames: Tensor) -> Tensor:
        return nn.functional.interpolate(frames, scale_factor=2, mode="nearest") / 4.0


@pytest.fixture
def finer(make_model: MakeModel) -> Path:
    return make_model(
        Finer(), {"frames": (2, 1, 8, 8)}, name="finer", task="image", axes=AXES, upsampling=2,
        block_px=4,
    )  # fmt: skip


def frames_of(numbers: list[int]) -> FrameBatch:
    """Return frames with one pixel of as many photons as the number of the frame, plus one."""
    pixels = np.full((len(numbers), *SHAPE), 100, dtype=np.uint16)
    pixels[:, 3, 4] += np.array(numbers, dtype=np.uint16) + 1
    return FrameBatch.from_pixels(pixels, index=np.array(numbers))


class Recording:
    """What a run has on disk: some frames, by camera frame number."""

    def __init__(self, numbers: list[int]) -> None:
        self.n_frames, self.frame_index = len(numbers), np.array(numbers)
        self.was_read: list[int] = []

    def read(self, indices: np.ndarray) -> np.ndarray:
        numbers = self.frame_index[indices].tolist()
        self.was_read += numbers
        return frames_of(numbers).pixels


class Subscriber:
    """Keeps the layers that are published."""

    def __init__(self) -> None:
        self.layers: list[tuple[LayerMessage, bytes]] = []

    def layer(self, layer: LayerMessage, pixels: bytes) -> None:
        self.layers.append((layer, pixels))


def complete(folder: Path, movie: Recording | None, *models: Path | str) -> list[str]:
    settings = load(None, [f"results.image_models={[str(m) for m in models]}".replace("'", '"')])
    return write_layers(
        folder / "localizations.arrows", SHAPE, CALIBRATION, settings, movie, on_step=lambda _: None
    )


def settings_of(*models: Path) -> RunSettings:
    names = ", ".join(f'"{model.as_posix()}"' for model in models)
    return load(None, [f"results.image_models=[{names}]", "localizer.engine=openvino",
                       "camera.pixel_nm=100", "camera.offset_adu=100"])  # fmt: skip


def push(ring: FrameRing, numbers: list[int]) -> None:
    batch = frames_of(numbers)
    for k, number in enumerate(numbers):
        assert ring.push(CameraFrame(pixels=batch.pixels[k], index=number, t_exposure_end_ns=0))


def test_a_layer_grows_while_the_run_goes_on_and_lacks_no_frame_at_its_end(
    finer: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    events: list[ImageEvent] = []
    ring = FrameRing.create(SHAPE, 8, shared=False)
    push(ring, [2, 3, 4])
    stop = threading.Event()

    def handle(event: ImageEvent) -> None:
        events.append(event)
        if isinstance(event, LayerGrown):
            stop.set()  # what is still in the ring is fed afterwards

    job = PipelineJob("", folder, settings_of(tmp_path / "gone", finer))
    GrowingLayers(job, ring, handle).run(stop)

    assert isinstance(events[0], Warned)
    assert "gone" in events[0].text
    assert events[1] == LayersOpened(["finer"])
    seen = Subscriber()
    feed = ImageFeed(PipelineJob("", folder, settings_of()), SHAPE, lambda _: None)
    for event in events:
        feed._take(to_line(event))
    feed.publish(seen)  # type: ignore[arg-type]
    layer, pixels = seen.layers[0]
    assert (layer.name, layer.shape, layer.pixel_nm) == ("finer", (36, 26), 50.0)
    assert layer.n_frames == 3
    image = np.frombuffer(pixels, "<u2").reshape(layer.shape) * layer.step
    assert image[6:8, 8:10].sum() == pytest.approx(3 + 4 + 5, rel=1e-3)
    assert image.sum() == pytest.approx(3 + 4 + 5, rel=1e-3)
    stored = read_layer(folder / "predicted_finer.tif")
    assert stored.frames.as_list() == [[2, 4]]

    movie = Recording([0, 1, 2, 3, 4, 5, 9])
    assert complete(folder, movie, finer) == []
    stored = read_layer(folder / "predicted_finer.tif")
    assert movie.was_read == [0, 1, 5, 9], "what was seen live is not fed again"
    assert stored.frames.as_list() == [[0, 5], [9, 9]]
    assert stored.layer.n_frames == 7
    assert stored.layer.image.sum() == pytest.approx(sum((1, 2, 3, 4, 5, 6, 10)))
    push(ring, [2])
    stop.clear()
    GrowingLayers(job, ring, handle).run(stop)
    assert read_layer(folder / "predicted_finer.tif").layer.n_frames == 7, "the fuller one stays"


def test_networks_that_have_no_time_cost_the_run_nothing(finer: Path, tmp_path: Path) -> None:
    warnings: list[str] = []
    feed = ImageFeed(PipelineJob("", tmp_path, settings_of(finer)), SHAPE, warnings.append)

    for first in range(0, 40, 4):
        feed.put(frames_of(list(range(first, first + 4))), behind=False)
    feed.put(frames_of([40]), behind=True)
    feed.close(lambda: None)
    feed.put(frames_of([41]), behind=False)

    assert 0 < feed.seen < 40, "its ring is full, and nothing waits for room"
    assert feed.seen + feed.missed == 41
    assert not warnings


def test_a_layer_without_a_recording_states_that_it_is_partial(finer: Path, tmp_path: Path) -> None:
    network = NetworkImage(finer, "openvino", CALIBRATION, SHAPE)
    network.add_frames(frames_of([0, 1]))
    assert "not recorded" in complete(tmp_path, None, finer)[0]
    write_layer(tmp_path, network.layer(), FrameRanges([(0, 2)]))

    note = complete(tmp_path, None, finer)[0]

    assert "partial" in note
    assert "2 frames" in note
    stored = read_layer(tmp_path / "predicted_finer.tif")
    assert (stored.layer.n_frames, stored.layer.version) == (2, "1")
    assert len(stored.layer.sha256) == 64


def test_a_layer_of_other_weights_is_made_anew(finer: Path, tmp_path: Path) -> None:
    network = NetworkImage(finer, "openvino", CALIBRATION, SHAPE)
    network.add_frames(frames_of([0, 1]))
    layer = network.layer()
    other = type(layer)(layer.name, layer.pixel_nm, layer.image, n_frames=2, sha256="0" * 64)
    write_layer(tmp_path, other, FrameRanges([(0, 2)]))
    movie = Recording([0, 1, 2])

    assert complete(tmp_path, movie, finer) == []
    assert movie.was_read == [0, 1, 2]


def test_a_model_that_fails_costs_its_own_layer_alone(
    finer: Path, make_model: MakeModel, tmp_path: Path
) -> None:
    spoiled = make_model(
        Finer(), {"frames": (2, 1, 8, 8)}, name="spoiled", task="image", axes=AXES, upsampling=2
    )
    (spoiled / "model.onnx").write_bytes(b"no graph")

    notes = complete(tmp_path, Recording([0, 1]), spoiled, finer)

    assert len(notes) == 1
    assert "spoiled" in notes[0]
    assert (tmp_path / "predicted_finer.tif").is_file()
    assert not (tmp_path / "predicted_spoiled.tif").exists()


def test_two_models_of_one_name_are_refused_before_anything_begins(
    finer: Path, make_model: MakeModel
) -> None:
    check_image_models(ResultsSettings(image_models=(str(finer),)))
    assert load(None, ["results.image_models=deepstorm"]).results.image_models == ("deepstorm",)
    with pytest.raises(ConfigError, match="two models finer"):
        check_image_models(ResultsSettings(image_models=(str(finer), str(finer))))


def test_parts_of_a_large_frame_are_the_whole_frame(
    finer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    pixels = (rng.poisson(20.0, (2, 170, 301)) + 100).astype(np.uint16)
    layers = []
    for side in (2048, 256):
        monkeypatch.setattr(image_network, "_TILE_FINE_PX", side)
        network = NetworkImage(finer, "openvino", CALIBRATION, (170, 301))
        network.add_frames(FrameBatch.from_pixels(pixels))
        layers.append(network.layer())

    np.testing.assert_allclose(layers[1].image, layers[0].image, rtol=1e-5)
    small = smaller(network.layer(), 100)
    assert max(small.image.shape) <= 100
    assert small.pixel_nm == pytest.approx(50.0 * 7)
    assert small.image.sum() == pytest.approx(layers[0].image[: 48 * 7, : 86 * 7].sum(), rel=1e-4)


def test_a_layer_that_is_broken_off_is_written_with_the_frames_that_it_has(
    finer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_network, "_PX_AT_ONCE", 1)
    movie = Recording(list(range(9)))

    write_layers(
        tmp_path / "localizations.arrows", SHAPE, CALIBRATION, settings_of(finer, finer), movie,
        on_step=lambda _: None, is_broken_off=lambda: len(movie.was_read) >= 3,
    )  # fmt: skip

    stored = read_layer(tmp_path / "predicted_finer.tif")
    assert movie.was_read == [0, 1, 2]
    assert (stored.frames.as_list(), stored.layer.n_frames) == ([[0, 2]], 3)
    assert stored.layer.image.sum() == pytest.approx(1 + 2 + 3)
