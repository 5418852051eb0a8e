"""Four kinds of network enter by one door: each with a toy whose right answer is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the models are written by torch")

from torch import Tensor, nn  # noqa: E402

from rtsmlm.calibration import CameraCalibration  # noqa: E402
from rtsmlm.engines.box_networks import NetworkBackground, NetworkBoxFit  # noqa: E402
from rtsmlm.engines.image_network import NetworkImage  # noqa: E402
from rtsmlm.engines.localization_image import LocalizationImage  # noqa: E402
from rtsmlm.engines.selection import factory_of  # noqa: E402
from rtsmlm.errors import CalibrationError, ConfigError, FileFormatError, LocalizerError  # noqa: E402
from rtsmlm.fitting.spot_localizer import SpotLocalizer  # noqa: E402
from rtsmlm.frames import FrameBatch  # noqa: E402
from rtsmlm.localizations import Localizations  # noqa: E402
from rtsmlm.physics.gaussian import render_spots  # noqa: E402
from rtsmlm.settings.load import load  # noqa: E402

MakeModel = Callable[..., Path]
BOX = 11
CALIBRATION = CameraCalibration(pixel_nm=100.0, offset_adu=100.0, e_per_adu=1.0, read_noise_e=1.0)
SIGMA_NM = 130.0
ENGINES = ("openvino", "torch")
OPEN_BOXES = {"photons": {0: "n"}, "answer": {0: "n"}}


class Moments(nn.Module):
    """Parameters of a box by its moments: a network without anything to learn."""

    def forward(self, photons: Tensor) -> Tensor:
        edge = photons[:, :, :1].mean(dim=(1, 2, 3), keepdim=True)
        light = (photons - edge).clamp(min=0.0)
        total = light.sum(dim=(1, 2, 3))
        side = torch.arange(BOX, dtype=torch.float32) - (BOX - 1) / 2
        x = (light * side).sum(dim=(1, 2, 3)) / total
        y = (light * side[:, None]).sum(dim=(1, 2, 3)) / total
        return torch.stack([x, y, total, edge[:, 0, 0, 0], x - y], dim=1)


class Shifted(nn.Module):
    """Probability of one where a frame is brightest, an emitter a quarter of a pixel beside."""

    def forward(self, frames: Tensor, offset_adu: Tensor) -> Tensor:
        light = frames.float() - offset_adu
        p = torch.sigmoid(light - 500.0)
        quarter = 0.25 * torch.ones_like(light)
        return torch.stack([p, quarter, -quarter, light, 0 * light], dim=1)


SLOPE = 6.0
"""Photons per pixel by which the background rises along x."""


class Level(nn.Module):
    """The background that was put in: the mean of the first row, and the slope along x."""

    def forward(self, photons: Tensor) -> Tensor:
        level = photons[:, :, :1, :].mean(dim=3, keepdim=True)
        rise = SLOPE * (torch.arange(BOX, dtype=torch.float32) - (BOX - 1) / 2)
        return (level + rise).expand(-1, -1, BOX, -1) * 1.0


class Finer(nn.Module):
    """Each pixel as four."""

    def forward(self, frames: Tensor) -> Tensor:
        return nn.functional.interpolate(frames, scale_factor=2, mode="nearest") / 4.0


def spots(
    rng: np.random.Generator, n_frames: int, photons: float = 3000.0, slope: float = 0.0
) -> tuple[FrameBatch, np.ndarray]:
    """Return frames with one emitter each on a background of 20 photons, and its place in px."""
    side = 32
    places = rng.uniform(12, 20, (n_frames, 2))
    frames = np.empty((n_frames, side, side), dtype=np.uint16)
    for frame, (x, y) in zip(frames, places, strict=True):
        level = np.tile(20.0 + slope * np.arange(side), (side, 1))
        mean = render_spots((side, side), x, y, photons, SIGMA_NM / 100.0, level)
        frame[:] = rng.poisson(mean) + 100
    return FrameBatch.from_pixels(frames), places


@pytest.mark.parametrize("engine", ENGINES)
def test_frames_to_rows_from_the_manifest_alone(engine: str, make_model: MakeModel) -> None:
    folder = make_model(
        Shifted(), {"frames": (2, 16, 16), "offset_adu": (16, 16)},
        channels=("probability", "dx", "dy", "photons", "background"),
        axes={"frames": {0: "n", 1: "h", 2: "w"}, "offset_adu": {0: "h", 1: "w"},
              "answer": {0: "n", 2: "h", 3: "w"}},
    )  # fmt: skip
    pixels = np.full((3, 20, 24), 100, dtype=np.uint16)
    pixels[0, 5, 7] = pixels[2, 12, 3] = 1100
    settings = load(None, [f"localizer.name={folder}", f"localizer.engine={engine}"])

    localizer = factory_of(settings.localizer.name)(settings, CALIBRATION, SIGMA_NM)
    found = localizer(FrameBatch.from_pixels(pixels, index=np.array([4, 5, 9])))

    assert found.frame.tolist() == [4, 9]
    np.testing.assert_allclose(found.x_nm, [725.0, 325.0], atol=1e-3)
    np.testing.assert_allclose(found.y_nm, [475.0, 1175.0], atol=1e-3)
    np.testing.assert_allclose(found.photons, 1000.0, rtol=1e-5)
    assert np.isnan(found.std_x_nm).all(), "what the network does not state is not made up"
    assert localizer.neighbours == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_box_to_parameters_is_a_localizer_with_extra_columns(
    engine: str, make_model: MakeModel, rng: np.random.Generator
) -> None:
    folder = make_model(
        Moments(), {"photons": (2, 1, BOX, BOX)}, task="box-parameters",
        channels=("x", "y", "photons", "background", "skew"), axes=OPEN_BOXES,
    )  # fmt: skip
    batch, places = spots(rng, 40)
    settings = load(None, [f"localizer.name={folder}", f"localizer.engine={engine}"])

    localizer = factory_of(settings.localizer.name)(settings, CALIBRATION, SIGMA_NM)
    assert isinstance(localizer, SpotLocalizer)
    rows = localizer(batch)
    extras = rows.extras

    assert rows.frame.tolist() == list(range(40))
    assert np.abs(rows.x_nm / 100.0 - places[:, 0]).mean() < 0.3
    assert np.abs(rows.y_nm / 100.0 - places[:, 1]).mean() < 0.3
    assert rows.photons.mean() == pytest.approx(3000.0, rel=0.15)
    # Mortensen's bound for these photons, which the network does not state itself.
    assert np.median(rows.std_x_nm) == pytest.approx(3.6, rel=0.2)
    shift = (rows.x_nm - np.round(rows.x_nm / 100) * 100) / 100.0
    assert set(extras) == {"skew"}
    assert len(extras["skew"]) == len(shift)


def test_a_stated_background_takes_the_slope_out_of_the_fit(
    make_model: MakeModel, rng: np.random.Generator
) -> None:
    folder = make_model(
        Level(), {"photons": (2, 1, BOX, BOX)}, task="box-background", axes=OPEN_BOXES
    )
    batch, places = spots(rng, 150, photons=1500.0, slope=SLOPE)
    flat = factory_of("gaussian-mle")(load(None), CALIBRATION, SIGMA_NM)(batch)
    settings = load(None, [f"localizer.background={folder}"])

    told = factory_of("gaussian-mle")(settings, CALIBRATION, SIGMA_NM)
    sloped = told(batch)

    def bias_px(rows: Localizations) -> float:
        errors = rows.x_nm / 100.0 - places[rows.frame, 0]
        near = np.abs(errors) < 1.0  # noise further up the slope is no emitter of ours
        assert np.count_nonzero(near) >= 148
        return float(np.mean(errors[near]))

    assert "on the background of toy" in told.name
    assert bias_px(flat) > 0.04, "a flat background pulls the fit up the slope"
    assert abs(bias_px(sloped)) < 0.4 * bias_px(flat)


@pytest.mark.parametrize("engine", ENGINES)
def test_frames_to_an_image_keep_the_light(engine: str, make_model: MakeModel) -> None:
    axes = {"frames": {0: "n", 2: "h", 3: "w"}, "answer": {0: "n", 2: "h", 3: "w"}}
    folder = make_model(
        Finer(), {"frames": (2, 1, 8, 8)}, task="image", axes=axes, upsampling=2, block_px=4
    )
    pixels = np.full((5, 18, 13), 100, dtype=np.uint16)
    pixels[:, 3, 4] = 150
    image = NetworkImage(folder, engine, CALIBRATION, (18, 13))

    image.add_frames(FrameBatch.from_pixels(pixels))
    image.add_localizations(Localizations.empty())
    layer = image.layer()

    assert layer.pixel_nm == 50.0
    assert layer.image.shape == (36, 26)
    assert layer.image.sum() == pytest.approx(5 * 50.0)
    assert layer.image[6:8, 8:10].sum() == pytest.approx(5 * 50.0)


def test_localizations_to_an_image_lie_where_they_were_found(make_model: MakeModel) -> None:
    axes = {"localizations": {2: "h", 3: "w"}, "answer": {2: "h", 3: "w"}}
    folder = make_model(
        nn.Identity(), {"localizations": (1, 1, 8, 8)}, task="image", axes=axes,
        upsampling=4, block_px=8,
    )  # fmt: skip
    image = LocalizationImage(folder, "torch", CALIBRATION, (10, 12))
    rows = Localizations.from_columns(
        {"frame": np.zeros(3, np.int64), "x_nm": np.array([0.0, 1100.0, 5000.0]),
         "y_nm": np.array([0.0, 900.0, 0.0]), "photons": np.ones(3)}
    )  # fmt: skip

    image.add_localizations(rows)
    layer = image.layer()

    assert layer.image.shape == (40, 48)
    assert layer.image.sum() == 2.0, "the third lies outside the field"
    assert layer.image[2, 2] == 1.0
    assert layer.image[38, 46] == 1.0


def test_a_network_of_boxes_is_refused_where_pixel_or_psf_are_others(make_model: MakeModel) -> None:
    box = {"photons": (2, 1, BOX, BOX)}
    channels = ("x", "y", "photons", "background")
    folder = make_model(
        Moments(), box, task="box-parameters", channels=channels, axes=OPEN_BOXES, pixel_nm=100.0
    )
    settings = load(None, [f"localizer.name={folder}", "localizer.engine=openvino"])
    open_it = factory_of(settings.localizer.name)
    coarse = CameraCalibration(pixel_nm=160.0, offset_adu=100.0, e_per_adu=1.0)

    assert open_it(settings, CALIBRATION, SIGMA_NM)
    with pytest.raises(CalibrationError, match=r"trained for pixels of 100 nm; .* have 160 nm"):
        open_it(settings, coarse, SIGMA_NM)
    with pytest.raises(CalibrationError, match=r"4.50 px of 100 nm; toy takes 0.5 to 3.0 px"):
        open_it(settings, CALIBRATION, 450.0)
    small = FrameBatch.from_pixels(np.full((1, 32, 8), 100, np.uint16))
    with pytest.raises(LocalizerError, match="32 x 8 pixels are smaller than the box of 11 of toy"):
        open_it(settings, CALIBRATION, SIGMA_NM)(small)


def test_a_model_of_another_kind_is_refused_with_the_setting_it_is_for(
    make_model: MakeModel,
) -> None:
    box = {"photons": (2, 1, BOX, BOX)}
    background = make_model(Level(), box, name="level", task="box-background", axes=OPEN_BOXES)
    poor = make_model(
        Moments(), box, name="poor", task="box-parameters", channels=("x", "y"), axes=OPEN_BOXES
    )

    with pytest.raises(ConfigError, match=r"localizer\.background"):
        factory_of(str(background))
    with pytest.raises(ConfigError, match="does box-background, not box-parameters"):
        NetworkBoxFit(background, "torch", 1.3)
    with pytest.raises(ConfigError, match="does box-parameters, not box-background"):
        NetworkBackground(poor, "torch")
    with pytest.raises(FileFormatError, match="no photons, background"):
        NetworkBoxFit(poor, "torch", 1.3)
    settings = load(None, [f"localizer.background={background}", "localizer.refine=false"])
    with pytest.raises(ConfigError, match="is for fits, and none follows flagship-2d"):
        factory_of("auto")(settings, CALIBRATION, SIGMA_NM)
