"""A background that is stated: what a fit and the refining step make of it, and what refuses it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the models are written by torch")

from torch import Tensor, nn  # noqa: E402

from rtsmlm.calibration import CameraCalibration  # noqa: E402
from rtsmlm.engines.box_networks import NetworkBackground  # noqa: E402
from rtsmlm.engines.refine import Refiner  # noqa: E402
from rtsmlm.engines.selection import factory_of, stated_background  # noqa: E402
from rtsmlm.errors import CalibrationError, ConfigError  # noqa: E402
from rtsmlm.fitting import boxes  # noqa: E402
from rtsmlm.fitting.box_fit import GaussianMle, WithBackground  # noqa: E402
from rtsmlm.frames import FrameBatch  # noqa: E402
from rtsmlm.localizations import F32, Localizations  # noqa: E402
from rtsmlm.models.manifest import read_manifest, save_manifest  # noqa: E402
from rtsmlm.physics.gaussian import render_spots  # noqa: E402
from rtsmlm.settings.load import load  # noqa: E402

MakeModel = Callable[..., Path]
SIDE, SIGMA_PX, SLOPE = 11, 1.3, 8.0
CALIBRATION = CameraCalibration(pixel_nm=100.0, offset_adu=100.0, e_per_adu=1.0, read_noise_e=1.0)
GENTLE = 2.5
"""Photons per pixel: a flat background does not fail the test of its chi² then."""
RISE = SLOPE * np.arange(SIDE, dtype=np.float32)


class Sloped:
    """The background that was put in."""

    method = "slope"

    def __call__(self, photons: F32, variance: F32) -> F32:
        return np.broadcast_to(20.0 + RISE, photons.shape).astype(np.float32)


@pytest.mark.parametrize("excess_noise", [1.0, 2.0])
def test_a_fit_on_the_true_background_has_no_bias_and_states_its_errors(
    excess_noise: float, rng: np.random.Generator
) -> None:
    n = 1500
    level = np.tile(20.0 + RISE.astype(np.float64), (SIDE, 1))
    mean = render_spots((SIDE, SIDE), [5.0], [5.0], 1500.0, SIGMA_PX, level)
    # A gain register doubles the variance of light.
    photons = rng.normal(mean, np.sqrt(excess_noise * mean + 1.0), (n, SIDE, SIDE))
    fit = GaussianMle(SIGMA_PX, fit_sigma=False, excess_noise=excess_noise, max_iterations=30)
    middle = np.full(n, 5.0, np.float32)

    def fitted(some: GaussianMle | WithBackground) -> np.ndarray:
        rows = boxes.fit_table(n)
        some(photons.astype(np.float32), np.ones(photons.shape, np.float32), middle, middle, rows)
        return rows

    flat = fitted(fit)
    known = fitted(WithBackground(fit, Sloped(), excess_noise=excess_noise))

    error = known[:, boxes.X] - 5.0
    assert flat[:, boxes.X].mean() - 5.0 > 0.04, "a flat background pulls the fit up the slope"
    assert abs(error.mean()) < 4.0 * error.std() / np.sqrt(n)
    assert error.std() / known[:, boxes.STD_X].mean() == pytest.approx(1.0, rel=0.08)
    assert known[:, boxes.PHOTONS].mean() == pytest.approx(1500.0, rel=0.01)
    assert known[:, boxes.BACKGROUND].mean() == pytest.approx(level.mean(), rel=0.02)
    assert known[:, boxes.CHI2].mean() == pytest.approx(1.0, abs=0.06)


class Level(nn.Module):
    """The slope that frames have here, on the level of the first row."""

    def forward(self, photons: Tensor) -> Tensor:
        first = photons[:, :, :1, :].mean(dim=3, keepdim=True)
        rise = GENTLE * (torch.arange(SIDE, dtype=torch.float32) - (SIDE - 1) / 2)
        return (first + rise).expand(-1, -1, SIDE, -1) * 1.0


@pytest.fixture
def level(make_model: MakeModel) -> Path:
    """Return a model that states this slope."""
    return make_model(
        Level(), {"photons": (2, 1, SIDE, SIDE)}, task="box-background", name="level",
        axes={"photons": {0: "n"}, "answer": {0: "n"}},
    )  # fmt: skip


def test_lone_emitters_are_refined_on_the_stated_background(
    level: Path, rng: np.random.Generator
) -> None:
    n, side = 150, 32
    places = rng.uniform(12, 20, (n, 2))
    ramp = np.tile(100.0 + GENTLE * np.arange(side), (side, 1))
    frames = np.stack([
        rng.poisson(render_spots((side, side), [x], [y], 1500.0, SIGMA_PX, ramp)) + 100
        for x, y in places
    ]).astype(np.uint16)  # fmt: skip
    nm = {"x_nm": 100.0 * places[:, 0], "y_nm": 100.0 * places[:, 1]}
    vague = {name: np.full(n, 15.0) for name in ("std_x_nm", "std_y_nm")}
    rough = Localizations.from_columns({"frame": np.arange(n), **nm, **vague})
    batch = FrameBatch.from_pixels(frames)

    flat = Refiner(CALIBRATION, 130.0)(rough, batch)
    told = Refiner(CALIBRATION, 130.0, background=NetworkBackground(level, "torch"))(rough, batch)

    def bias_nm(found: Localizations) -> float:
        changed = found.x_nm != rough.x_nm
        assert np.count_nonzero(changed) > 0.8 * n
        return float(np.mean((found.x_nm - rough.x_nm)[changed]))

    assert bias_nm(flat) > 3.0
    assert abs(bias_nm(told)) < 0.4 * bias_nm(flat)
    under = 100.0 + GENTLE * places[:, 0].mean()
    assert told.background.mean() == pytest.approx(under, rel=0.08)


def test_a_background_without_a_fit_that_takes_it_is_refused(level: Path) -> None:
    stated = f"localizer.background={level}"
    rough = load(None, ["localizer.name=flagship-2d", "localizer.refine=false", stated])
    with pytest.raises(ConfigError, match="none follows flagship-2d"):
        factory_of("flagship-2d")(rough, CALIBRATION, 130.0)
    other = load(None, ["localizer.name=zelger", stated])
    with pytest.raises(ConfigError, match=r"zelger is none: set localizer\.name"):
        factory_of("zelger")(other, CALIBRATION, 130.0)


def test_a_network_for_round_spots_is_refused_where_the_psf_is_another(
    level: Path,
) -> None:
    save_manifest(read_manifest(level).model_copy(update={"psf": "round"}), level)
    stated = f"localizer.background={level}"

    with pytest.raises(CalibrationError, match=r"4\.50 px of 100 nm; level takes 0\.5 to 3\.0 px"):
        stated_background(load(None, [stated]), CALIBRATION, 450.0)
    lens = ["psf.astigmatism.z_min_nm=-500", "psf.astigmatism.z_max_nm=500"]
    for axis, focus in (("x", 200), ("y", -200)):
        for name, value in (("sigma0_nm", 130), ("focus_nm", focus), ("depth_nm", 400)):
            lens.append(f"psf.astigmatism.{axis}.{name}={value}")
    with pytest.raises(CalibrationError, match="level was trained for round PSFs"):
        stated_background(load(None, [stated, *lens]), CALIBRATION, 130.0)
