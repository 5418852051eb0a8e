"""Networks of classes: rows of any localizer get their dye, from a box or from a spectrum."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the models are written by torch")

from torch import Tensor, nn  # noqa: E402

from rtsmlm.calibration import CameraCalibration  # noqa: E402
from rtsmlm.engines.class_networks import NetworkClasses  # noqa: E402
from rtsmlm.engines.selection import factory_of  # noqa: E402
from rtsmlm.errors import ConfigError, FileFormatError  # noqa: E402
from rtsmlm.frames import FrameBatch  # noqa: E402
from rtsmlm.physics.gaussian import render_spots  # noqa: E402
from rtsmlm.pipeline.localizer import extra_columns_stated, open_localizer  # noqa: E402
from rtsmlm.settings.load import load  # noqa: E402

MakeModel = Callable[..., Path]
BOX, ROWS, SAMPLES = 9, 5, 21
CALIBRATION = CameraCalibration(pixel_nm=100.0, offset_adu=100.0, e_per_adu=1.0, read_noise_e=1.0)
SIGMA_NM = 130.0
OPEN = {"answer": {0: "n"}}
ENGINES = ("openvino", "torch")


class Brightness(nn.Module):
    """Red where a box is bright, and as deep as the light in its middle."""

    def forward(self, photons: Tensor) -> Tensor:
        middle = photons[:, 0, BOX // 2, BOX // 2]
        red = torch.sigmoid(0.05 * (middle - 200.0))
        return torch.stack([1.0 - red, red, middle, 0.1 * middle], dim=1)


class Longer(nn.Module):
    """Red where there is more light in the second half of a spectrum."""

    def forward(self, spectrum: Tensor) -> Tensor:
        half = SAMPLES // 2
        first = spectrum[:, :, :, :half].sum(dim=(1, 2, 3))
        second = spectrum[:, :, :, half + 1 :].sum(dim=(1, 2, 3))
        red = torch.sigmoid(0.02 * (second - first))
        return torch.stack([1.0 - red, red], dim=1)


def boxes_model(make_model: MakeModel, **more: object) -> Path:
    return make_model(
        Brightness(), {"photons": (2, 1, BOX, BOX)}, task="box-classes",
        channels=("green", "red", "z_nm", "std_z_nm"), axes={"photons": {0: "n"}, **OPEN}, **more,
    )  # fmt: skip


def spots(places: np.ndarray, photons: list[float], shape: tuple[int, int]) -> FrameBatch:
    """Return a frame for each emitter, on a background of 5 photons."""
    rng = np.random.default_rng(0)
    frames = np.empty((len(photons), *shape), dtype=np.uint16)
    for frame, (x, y), light in zip(frames, places, photons, strict=True):
        frame[:] = rng.poisson(render_spots(shape, x, y, light, 1.3, np.full(shape, 5.0))) + 100
    return FrameBatch.from_pixels(frames, index=np.arange(len(frames)) + 7)


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_of_a_fit_get_dye_probability_and_depth(engine: str, make_model: MakeModel) -> None:
    folder = boxes_model(make_model)
    settings = load(None, [
        "localizer.name=gaussian-mle", f"localizer.colour={folder}", f"localizer.engine={engine}",
        "channels.min_probability=0.9",
    ])  # fmt: skip
    batch = spots(np.full((3, 2), 16.2), [1000.0, 2170.0, 6000.0], (32, 32))

    localizer = open_localizer(settings, CALIBRATION, SIGMA_NM)
    localizer.warm_up((32, 32))
    rows = localizer(batch)

    assert rows.frame.tolist() == [7, 8, 9]
    assert rows.channel.tolist() == [0, 255, 1], "the one in between is not decided"
    assert np.all(rows.extras["channel_probability"][[0, 2]] > 0.9)
    assert np.all(rows.z_nm > 50.0)
    np.testing.assert_allclose(rows.std_z_nm, 0.1 * rows.z_nm, rtol=1e-3)
    assert "toy" in localizer.name
    assert extra_columns_stated(settings)["channels"] == ["green", "red"]


def test_depths_of_a_localizer_that_finds_them_stay(make_model: MakeModel) -> None:
    from rtsmlm.engines.colour_boxes import BoxCutter
    from rtsmlm.engines.colour_localizer import ColourLocalizer

    settings = load(None, ["localizer.name=gaussian-mle"])
    inner = factory_of("gaussian-mle")(settings, CALIBRATION, SIGMA_NM)
    batch = spots(np.full((2, 2), 16.0), [3000.0, 3000.0], (32, 32))
    found = inner(batch)
    deep = {**found.columns(), "z_nm": found.z_nm + 40.0, "std_z_nm": np.full_like(found.z_nm, 9.0)}

    class InDepth:
        name, neighbours, uses_all_cores = "deep", 0, False
        max_local_per_um2, recall = 1.0, inner.recall

        def warm_up(self, shape: tuple[int, int]) -> None: ...

        def __call__(self, batch: object, targets: object = None) -> object:
            return type(found).from_columns(deep)

    classes = NetworkClasses(boxes_model(make_model), "torch")
    rows = ColourLocalizer(InDepth(), classes, BoxCutter(CALIBRATION, BOX))(batch)  # type: ignore[arg-type]
    np.testing.assert_allclose(rows.z_nm, 40.0)


def test_a_row_at_the_edge_of_the_frame_has_no_dye(make_model: MakeModel) -> None:
    folder = boxes_model(make_model)
    settings = load(None, ["localizer.name=gaussian-mle", f"localizer.colour={folder}"])
    batch = spots(np.array([[1.4, 16.0], [16.0, 16.0]]), [6000.0, 6000.0], (32, 32))
    rows = open_localizer(settings, CALIBRATION, SIGMA_NM)(batch)
    at_edge = rows.x_nm < 250.0
    assert at_edge.any()
    assert np.all(rows.channel[at_edge] == 255)
    assert np.all(rows.channel[~at_edge] == 1)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_spectrum_beside_a_spot_tells_its_dye(engine: str, make_model: MakeModel) -> None:
    folder = make_model(
        Longer(), {"spectrum": (2, 1, ROWS, SAMPLES)}, task="box-classes",
        channels=("short", "long"), axes={"spectrum": {0: "n"}, **OPEN},
        wavelengths_nm=(640.0, 740.0),
    )  # fmt: skip
    # Spots on the left, 40 columns; light of 690 nm falls 41.5 px right of them and 2 px lower.
    views = (
        '[{name="spots",region=[0,0,40,32]},'
        '{name="spectra",region=[40,0,60,32],x=[-1.5,1.0,0.0],y=[-2.0,0.0,1.0]}]'
    )
    settings = load(None, [
        "localizer.name=gaussian-mle", f"localizer.colour={folder}", f"localizer.engine={engine}",
        f"channels.views={views}", "spectrum.nm_per_px=5", "spectrum.reference_nm=690",
    ])  # fmt: skip
    shape, places = (32, 100), [(20.0, 15.0), (20.0, 15.0)]
    frames = np.empty((2, *shape), dtype=np.uint16)
    rng = np.random.default_rng(1)
    for frame, (x, y), side in zip(frames, places, (-1.0, 1.0), strict=True):
        mean = np.asarray(render_spots(shape, x, y, 3000.0, 1.3, np.full(shape, 5.0)))
        at = (x + 41.5 + 4.0 * side, y + 2.0)
        mean = mean + render_spots(shape, *at, 3000.0, 1.3, np.zeros(shape))
        frame[:] = rng.poisson(mean) + 100

    localizer = open_localizer(settings, CALIBRATION, SIGMA_NM)
    localizer.warm_up(shape)
    rows = localizer(FrameBatch.from_pixels(frames))

    assert len(rows) == 2, "spectra are no spots of their own"
    np.testing.assert_allclose(rows.x_nm, 2000.0, atol=20.0)
    assert rows.channel.tolist() == [0, 1]
    assert extra_columns_stated(settings)["channels"] == ["short", "long"]


def test_what_cannot_tell_dyes_is_refused_with_what_to_do(make_model: MakeModel) -> None:
    folder = boxes_model(make_model)
    with pytest.raises(ConfigError, match=r"no localizer\.colour"):
        open_localizer(load(None, ["localizer.colour=deepstorm"]), CALIBRATION, SIGMA_NM)
    with pytest.raises(ConfigError, match=r"localizer\.colour"):
        factory_of(str(folder))
    lone = make_model(
        Brightness(), {"photons": (2, 1, BOX, BOX)}, task="box-classes", name="lone",
        channels=("green", "z_nm"), axes={"photons": {0: "n"}, **OPEN},
    )  # fmt: skip
    with pytest.raises(FileFormatError, match="names 1 classes"):
        NetworkClasses(lone, "torch")
