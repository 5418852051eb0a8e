"""Images of localizations: whose, of what structure, how sure, and without a seam."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the models are written by torch")

from torch import Tensor, nn  # noqa: E402

from rtsmlm.calibration import CameraCalibration  # noqa: E402
from rtsmlm.engines import localization_image  # noqa: E402
from rtsmlm.engines.blended_parts import in_parts  # noqa: E402
from rtsmlm.engines.image_models import check_image_models, open_images  # noqa: E402
from rtsmlm.engines.localization_image import BLOCK_FRAMES, LocalizationImage  # noqa: E402
from rtsmlm.errors import ConfigError, FileFormatError  # noqa: E402
from rtsmlm.localizations import F32, Localizations  # noqa: E402
from rtsmlm.models.dense_images.level import level_of  # noqa: E402
from rtsmlm.settings.load import load  # noqa: E402

MakeModel = Callable[..., Path]
CALIBRATION = CameraCalibration(pixel_nm=100.0, offset_adu=100.0, e_per_adu=1.0)
SHAPE = (12, 16)
IMAGE_AXES = {0: "n", 2: "height", 3: "width"}


class Densities(nn.Module):
    """The density in units of its level, three times as much of the second structure."""

    def forward(self, localizations: Tensor, level: Tensor, structure: Tensor) -> Tensor:
        return localizations / level[:, :, None, None] * (1.0 + 2.0 * structure[:, 1:, None, None])


@pytest.fixture
def densities(make_model: MakeModel) -> Path:
    return make_model(
        Densities(), {"localizations": (2, 1, 8, 8), "level": (2, 1), "structure": (2, 2)},
        name="densities", task="image", image_pixel_nm=25.0, block_px=8, overlap_px=16,
        structures=("filaments", "nuclear-pores"),
        axes={"localizations": IMAGE_AXES, "level": {0: "n"}, "structure": {0: "n"},
              "answer": IMAGE_AXES},
    )  # fmt: skip


def rows_at(
    places: Sequence[tuple[float, float]], frame: int = 0, channel: int = 0
) -> Localizations:
    x, y = np.array(places, dtype=np.float64).T
    return Localizations.from_columns(
        {"frame": np.full(len(x), frame), "x_nm": x, "y_nm": y, "channel": np.full(len(x), channel)}
    )


def test_pixels_are_those_of_the_network_whatever_the_camera_has(densities: Path) -> None:
    coarse = CameraCalibration(pixel_nm=160.0, offset_adu=100.0, e_per_adu=1.0)
    network = LocalizationImage(densities, "torch", coarse, (10, 11), structure="filaments")
    network.add_localizations(rows_at([(0.0, 0.0), (1670.0, 0.0), (9000.0, 0.0)]))

    layer = network.layer()

    assert layer.pixel_nm == 25.0
    assert layer.image.shape == (64, 71), "1600 nm high, 1760 nm wide: 70.4 pixels"
    row, columns = np.nonzero(layer.image)
    assert row.tolist() == [3, 3]
    assert columns.tolist() == [3, 70], "80 nm from the corner of the field to its first centre"
    assert (layer.n_localizations, layer.n_frames) == (2, 0)


def test_a_structure_that_was_not_learned_is_refused_before_anything_begins(
    densities: Path,
) -> None:
    models = [f'results.image_models=["{densities.as_posix()}"]', "localizer.engine=torch"]

    with pytest.raises(ConfigError, match=r"is not given, and densities completes only what it"):
        check_image_models(load(None, models).results)
    actin = load(None, [*models, "results.structures=actin"])
    with pytest.raises(ConfigError, match=r"names actin, .*\(filaments, nuclear-pores\)"):
        check_image_models(actin.results)
    with pytest.raises(ConfigError, match="names actin"):
        open_images(str(densities), actin, CALIBRATION, SHAPE)


def test_each_channel_has_the_image_of_its_own_rows_and_structure(densities: Path) -> None:
    settings = load(
        None,
        [f'results.image_models=["{densities.as_posix()}"]', "localizer.engine=torch",
         'results.structures=["nuclear-pores", "lipids", "filaments"]'],
    )  # fmt: skip
    check_image_models(settings.results)
    networks = open_images(str(densities), settings, CALIBRATION, SHAPE)
    for network in networks:
        for channel, x_nm in ((0, 100.0), (1, 500.0), (2, 900.0), (255, 300.0)):
            network.add_localizations(rows_at([(x_nm, 200.0)], channel=channel))

    layers = [network.layer() for network in networks]

    assert [layer.name for layer in layers] == ["densities-0", "densities-2"]
    assert [layer.structure for layer in layers] == ["nuclear-pores", "filaments"]
    assert [np.nonzero(layer.image)[1].tolist() for layer in layers] == [[6], [38]]
    assert layers[0].image.max() == pytest.approx(3 * layers[1].image.max())


def test_an_answer_is_unsure_where_one_half_of_the_frames_shows_what_the_other_does_not(
    densities: Path,
) -> None:
    network = LocalizationImage(densities, "torch", CALIBRATION, SHAPE, structure="filaments")
    for block in range(8):  # one place in every block of frames, another in the first ones alone
        places = [(300.0, 300.0)] + [(900.0, 900.0)] * 4 * (block < 1)
        network.add_localizations(rows_at(places, frame=block * BLOCK_FRAMES))

    uncertainty = network.uncertainty()

    assert uncertainty.key == "densities: uncertainty"
    sure, unsure = uncertainty.image[14, 14], uncertainty.image[38, 38]
    assert unsure > 2 * sure
    network.clear()
    assert not network.layer().image.any()
    assert network.n_localizations == 0


def test_the_level_does_not_fall_with_the_empty_part_of_the_field(rng: np.random.Generator) -> None:
    counts = rng.poisson(0.8, (64, 64)).astype(np.float32)
    wide = np.zeros((256, 512), dtype=np.float32)
    wide[100:164, 200:264] = counts

    assert level_of(wide) == pytest.approx(level_of(counts), rel=0.02)
    assert level_of(2 * counts) == pytest.approx(2 * level_of(counts))
    assert level_of(np.zeros_like(wide)) > 0.0


def test_parts_that_disagree_fade_into_each_other_without_a_seam() -> None:
    image = np.ones((40, 300), dtype=np.float32)
    numbers = iter(range(100))

    def predict(part: tuple[slice, slice]) -> F32:
        level = 1.0 + 0.2 * (next(numbers) % 2)
        return np.full(image[part].shape, level, dtype=np.float32)

    answer = in_parts(image, predict, 96, 32)

    assert np.abs(np.diff(answer, axis=1)).max() < 0.2 / 24
    assert answer.min() >= 1.0 - 1e-6
    assert answer.max() <= 1.2 + 1e-6
    assert np.ptp(answer[:, 0]) < 1e-6
    whole = in_parts(image, lambda part: image[part], 96, 32)
    np.testing.assert_allclose(whole, 1.0, rtol=1e-6)


def test_a_field_in_parts_is_the_whole_field_where_an_answer_is_local(
    densities: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [tuple(p) for p in rng.uniform(0, 3900, (400, 2))]
    layers = []
    for side in (1024, 64):
        monkeypatch.setattr(localization_image, "PART_PX", side)
        network = LocalizationImage(
            densities, "torch", CALIBRATION, (40, 40), structure="filaments"
        )
        network.add_localizations(rows_at(places))
        layers.append(network.layer().image)

    np.testing.assert_allclose(layers[1], layers[0], atol=1e-5)


def test_an_image_tells_how_far_it_is_and_ends_where_it_is_not_wanted(
    densities: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(localization_image, "PART_PX", 64)
    network = LocalizationImage(densities, "torch", CALIBRATION, (40, 40), structure="filaments")
    network.add_localizations(rows_at([(300.0, 300.0)]))
    whole: list[tuple[int, int]] = []
    halves: list[tuple[int, int]] = []

    network.layer(lambda done, total: whole.append((done, total)))
    network.uncertainty(lambda done, total: halves.append((done, total)))

    n = len(whole)
    assert n > 4
    assert whole == [(k, n) for k in range(n)]
    assert halves == [(k, 4 * n) for k in range(4 * n)]

    def end(done: int, _total: int) -> None:
        if done == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        network.uncertainty(end)


def test_a_graph_that_asks_for_something_else_is_refused_by_its_name(make_model: MakeModel) -> None:
    class Odd(nn.Module):
        def forward(self, localizations: Tensor, weather: Tensor) -> Tensor:
            return localizations * weather

    folder = make_model(
        Odd(), {"localizations": (1, 1, 8, 8), "weather": (1, 1, 8, 8)}, name="odd", task="image"
    )
    with pytest.raises(FileFormatError, match="odd asks for weather"):
        LocalizationImage(folder, "torch", CALIBRATION, SHAPE)
