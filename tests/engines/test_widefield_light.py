"""The widefield image that a network of localizations is given: where it lies, and when."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

torch = pytest.importorskip("torch", reason="the models are written by torch")

from torch import Tensor, nn  # noqa: E402

from rtsmlm.bench.models.image_figures import histogram  # noqa: E402
from rtsmlm.bench.models.list_scenes import CAMERA_NM, ListScene, list_scene  # noqa: E402
from rtsmlm.bench.models.list_scenes import SHAPE as SCENE  # noqa: E402
from rtsmlm.calibration import CameraCalibration  # noqa: E402
from rtsmlm.engines.image_field import RowBounds, frames_field  # noqa: E402
from rtsmlm.engines.image_models import check_image_models  # noqa: E402
from rtsmlm.engines.localization_image import LocalizationImage  # noqa: E402
from rtsmlm.engines.widefield_light import ENOUGH, WidefieldLight, structures  # noqa: E402
from rtsmlm.errors import CalibrationError, ConfigError  # noqa: E402
from rtsmlm.files.map_files import load_widefield  # noqa: E402
from rtsmlm.localizations import F32, Localizations  # noqa: E402
from rtsmlm.settings.load import load  # noqa: E402

MakeModel = Callable[..., Path]
CALIBRATION = CameraCalibration(pixel_nm=100.0, offset_adu=100.0, e_per_adu=1.0)
SHAPE = (24, 32)
IMAGE_AXES = {0: "n", 2: "height", 3: "width"}


class Lit(nn.Module):
    """The widefield image that it is given."""

    def forward(self, localizations: Tensor, widefield: Tensor) -> Tensor:
        return widefield + 0.0 * localizations


@pytest.fixture
def lit(make_model: MakeModel) -> Path:
    return make_model(
        Lit(), {"localizations": (2, 1, 8, 8), "widefield": (2, 1, 8, 8)}, name="lit",
        task="image", image_pixel_nm=25.0, block_px=8,
        axes={"localizations": IMAGE_AXES, "widefield": IMAGE_AXES, "answer": IMAGE_AXES},
    )  # fmt: skip


def light_at(row: int, column: int) -> F32:
    """Return the image of a bright spot behind a PSF of 1.3 px, on background."""
    light = np.zeros(SHAPE, dtype=np.float32)
    light[row, column] = 500.0
    return ndimage.gaussian_filter(light, 1.3) + np.float32(7.0)


def spot(n: int) -> Localizations:
    """Return localizations at the centre of camera pixel (12, 16)."""
    return Localizations.from_columns(
        {"frame": np.arange(n), "x_nm": np.full(n, 1600.0), "y_nm": np.full(n, 1200.0)}
    )


def test_it_lies_where_the_localizations_do(lit: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "light.npy", light_at(12, 16))
    light = load_widefield(tmp_path / "light.npy", SHAPE)
    network = LocalizationImage(lit, "torch", CALIBRATION, SHAPE, widefield=light)
    network.add_localizations(spot(1))

    layer = network.layer()

    assert layer.widefield
    assert not network.remarks
    above = layer.image - layer.image.min()
    rows, columns = np.indices(above.shape)
    # The centre of camera pixel 12 is in the middle of fine pixels 49 and 50.
    assert (rows * above).sum() / above.sum() == pytest.approx(49.5, abs=0.05)
    assert (columns * above).sum() / above.sum() == pytest.approx(65.5, abs=0.05)


def test_an_image_of_another_place_is_not_given_and_said_so_once_there_are_enough(
    lit: Path,
) -> None:
    network = LocalizationImage(lit, "torch", CALIBRATION, SHAPE, widefield=light_at(6, 6))
    network.add_localizations(spot(5))

    layer = network.layer()

    assert not layer.widefield
    assert not layer.image.any()
    assert not network.remarks, "few localizations may look like anything"
    network.add_localizations(spot(ENOUGH))
    assert not network.layer().widefield
    assert "does not look like the localizations" in network.remarks["widefield"]


def test_an_image_of_another_size_or_none_at_all_is_refused_before_anything_begins(
    tmp_path: Path,
) -> None:
    np.save(tmp_path / "light.npy", light_at(12, 16))

    with pytest.raises(ConfigError, match=r"results.widefield .*none.tif does not exist"):
        check_image_models(load(None, ["results.widefield=none.tif"]).results)
    with pytest.raises(CalibrationError, match=r"24 x 32 pixels .*, the frames 24 x 20"):
        load_widefield(tmp_path / "light.npy", (24, 20))


def uneven(light: F32, kind: str) -> F32:
    """Return an image with much light that no structure sends."""
    down, right = (np.indices(SCENE, dtype=np.float32) + 0.5) / SCENE[0]
    top = float(np.percentile(light, 99) - np.percentile(light, 1))
    if kind == "slope":
        return np.asarray(light + 4.0 * top * right)
    if kind == "haze":
        return np.asarray(light + ndimage.gaussian_filter(light, 10.0) * 3.0 + 2 * top * down)
    from_middle = (down - 0.5) ** 2 + (right - 0.5) ** 2
    return np.asarray((light + top) * np.exp(-from_middle / 0.25))


@pytest.fixture(scope="module")
def scenes() -> list[ListScene]:
    return [list_scene("filaments", np.random.default_rng(k)) for k in (31, 32)]


@pytest.mark.parametrize("kind", ["slope", "haze", "vignetting"])
@pytest.mark.parametrize("fewer", [30, 100])
def test_the_place_is_known_by_its_structures_whatever_light_lies_over_them(
    scenes: list[ListScene], kind: str, fewer: float
) -> None:
    rng = np.random.default_rng(7)
    here, elsewhere = (uneven(scene.widefield(rng), kind) for scene in scenes)
    field = frames_field(SCENE, CAMERA_NM, 20.0)
    counts = histogram(scenes[0].first(fewer), SCENE, 5, CAMERA_NM)

    def is_given(light: F32) -> bool:
        compared = WidefieldLight(light, CAMERA_NM, field, field)
        compared.compare(counts)
        return compared.is_given

    assert is_given(here)
    assert not is_given(elsewhere)
    assert not is_given(np.roll(here, 8, axis=1)), "0.8 µm off"
    assert not is_given(here[::-1])


def test_structures_are_what_remains_of_a_spot_on_a_slope() -> None:
    spot = light_at(12, 16)
    slope = np.linspace(0.0, 400.0, SHAPE[1], dtype=np.float32)[None]

    alone, uneven_spot = structures(spot, 100.0), structures(spot + slope, 100.0)

    np.testing.assert_allclose(uneven_spot, alone, atol=0.02 * alone.max())
    assert alone.max() > 0.7 * np.ptp(spot), "less the blur against noise"


def test_beside_the_frames_there_is_no_light(lit: Path) -> None:
    rows = Localizations.concatenate(
        [spot(50), Localizations.from_columns({"frame": [0], "x_nm": [-700.0], "y_nm": [-300.0]})]
    )
    bounds = RowBounds((2400.0, 3200.0), 100.0)
    bounds.add(rows)
    light = light_at(12, 16)
    network = LocalizationImage(lit, "torch", CALIBRATION, SHAPE, widefield=light, bounds=bounds)
    network.add_localizations(rows)

    layer = network.layer()

    assert layer.widefield
    assert layer.corner_nm == (-700.0, -300.0)
    assert layer.image.shape == (106, 154)
    row, column = np.unravel_index(layer.image.argmax(), layer.image.shape)
    x_nm, y_nm = -700.0 + (column + 0.5) * 25.0, -300.0 + (row + 0.5) * 25.0
    assert (x_nm, y_nm) == pytest.approx((1600.0, 1200.0), abs=25.0)
    assert not layer.image[:10].any()
    assert not layer.image[:, :26].any()
