"""Images of colours to rows with a channel, and their model folder on every engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtsmlm.models.hershko.decode import ColourDecoder, find_colour_peaks, sharpened
from rtsmlm.models.rows import (
    CHANNEL,
    CHANNEL_PROBABILITY,
    PROBABILITY_OF_CHANNEL,
    DecodeSettings,
    Row,
    localizations_of,
)
from rtsmlm.physics.psf import TablePsf, table_from_planes
from rtsmlm.settings.channels import UNDECIDED
from rtsmlm.settings.run import LocalizerSettings

FINE = 4


def psf() -> TablePsf:
    """Two Gaussians of 1.1 and 1.6 pixels, each the plane of a colour."""
    at = (np.arange(15 * FINE) - (15 * FINE - 1) / 2) / FINE
    profiles = [np.exp(-0.5 * (at / sigma) ** 2) for sigma in (1.1, 1.6)]
    planes = np.stack([np.outer(p, p) for p in profiles])
    return table_from_planes(planes, fine_per_px=FINE, z_first_nm=0.0, z_step_nm=1.0)


def images_of(peaks: list[tuple[int, float, float, float]]) -> np.ndarray:
    """Images of two colours with peaks of (colour, x, y in fine pixels, height), between pixels."""
    images = np.zeros((2, 64, 64), dtype=np.float32)
    for colour, x, y, height in peaks:
        for dy in (0, 1):
            for dx in (0, 1):
                column, row = int(x) + dx, int(y) + dy
                images[colour, row, column] += height * (1 - abs(x - column)) * (1 - abs(y - row))
    return images


def found_in(images: np.ndarray) -> np.ndarray:
    table = np.empty((100, 5))
    return table[: find_colour_peaks(images, table)]


def test_a_peak_between_fine_pixels_has_place_colour_and_sum() -> None:
    found = found_in(images_of([(1, 20.3, 40.6, 0.9)]))

    assert found[0] == pytest.approx([20.3, 40.6, 1.0, 0.9, 1.0], abs=1e-5)


def test_of_two_colours_at_one_place_the_brighter_one_stays_with_its_share() -> None:
    found = found_in(images_of([(0, 30.0, 30.0, 0.2), (1, 31.0, 30.0, 0.6), (0, 50.0, 9.0, 0.5)]))

    assert len(found) == 2
    place = found[np.argmin(found[:, 0])]
    assert place[2] == 1.0
    assert place[4] == pytest.approx(0.75, abs=0.01)


def test_odds_are_sharpened_about_one_half() -> None:
    share = np.array([0.5, 0.8, 0.2, 1.0])

    np.testing.assert_allclose(sharpened(share, 1.0), [0.5, 0.8, 0.2, 0.999], atol=1e-6)
    twice = sharpened(share, 2.0)
    assert twice[:3].tolist() == pytest.approx([0.5, 16 / 17, 1 / 17])
    assert twice[3] < 1.0


def test_rows_have_photons_by_the_psf_of_their_colour(rng: np.random.Generator) -> None:
    light = np.full((16, 16), 10.0, dtype=np.float32)
    x, y = np.array([5.0, 10.5]), np.array([6.0, 9.0])
    psf().render(light, x, y, np.array([0.0, 1.0]), np.array([4000.0, 6000.0]))
    peaks = [(c, 4 * a + 1.5, 4 * b + 1.5, 0.95) for c, (a, b) in enumerate(zip(x, y, strict=True))]
    fine = np.kron(rng.poisson(light), np.ones((FINE, FINE)))
    maps = np.concatenate([images_of(peaks), fine[None]]).astype(np.float32)
    decoder = ColourDecoder(
        shape=(16, 16), upsampling=FINE, psf=psf(), settings=DecodeSettings(min_probability=0.3)
    )

    (rows,) = decoder(maps[None])
    table = localizations_of([rows], np.array([7]), pixel_nm=100.0)
    doubted = localizations_of(
        [rows], np.array([7]), pixel_nm=100.0,
        settings=DecodeSettings(min_channel_probability=0.9999),
    )  # fmt: skip

    order = np.argsort(rows[:, Row.X])
    np.testing.assert_allclose(rows[order, Row.X], x, atol=0.02)
    np.testing.assert_allclose(rows[order, Row.PHOTONS], [4000.0, 6000.0], rtol=0.06)
    assert rows[order, CHANNEL].tolist() == [0.0, 1.0]
    assert (rows[:, CHANNEL_PROBABILITY] > 0.9).all()
    assert table.channel[order].tolist() == [0, 1]
    np.testing.assert_allclose(table.extras[PROBABILITY_OF_CHANNEL], rows[:, CHANNEL_PROBABILITY])
    assert doubted.channel.tolist() == [UNDECIDED, UNDECIDED]


def test_a_model_folder_runs_on_every_engine_with_a_channel_in_its_rows(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="the network is written in torch")
    pytest.importorskip("onnx", reason="the models are ONNX")
    from rtsmlm.calibration import CameraCalibration
    from rtsmlm.engines.runtimes import localizer_of
    from rtsmlm.engines.selection import extra_columns
    from rtsmlm.frames import FrameBatch
    from rtsmlm.models.hershko.architecture import ARCHITECTURE
    from rtsmlm.models.manifest import TrainingEntry, save_manifest
    from rtsmlm.models.model_files import file_entry
    from rtsmlm.models.training.recipe import NetworkSection, Recipe

    torch.manual_seed(2)
    recipe = Recipe(name="hershko", network=NetworkSection(architecture="hershko", size="S"))
    recipe = recipe.model_copy(
        update={"optics": recipe.optics.model_copy(update={"vectorial": False, "zernikes": ()})}
    )
    learned = ARCHITECTURE.build(recipe)
    with torch.no_grad():
        learned.network.last.weight.mul_(400.0)
    manifest = ARCHITECTURE.package(learned.eval(), tmp_path, recipe, tuning_windows=0)
    training = TrainingEntry(
        steps=0,
        windows=0,
        seconds=0.0,
        hardware="",
        recipe=recipe.model_dump(mode="json", exclude_none=True),
    )
    update = {"training": training, "files": (*manifest.files, file_entry(tmp_path / "model.onnx"))}
    save_manifest(manifest.model_copy(update=update), tmp_path)
    pixels = np.random.default_rng(0).poisson(30.0, (2, 30, 26)).astype(np.uint16) + 100
    pixels[:, 14:17, 12:15] += 300
    calibration = CameraCalibration(pixel_nm=100.0, offset_adu=100.0, e_per_adu=1.0)

    tables = [
        localizer_of(
            tmp_path, calibration=calibration, sigma_nm=130.0, engine=engine, min_probability=0.01,
            precision="f32",
        )(FrameBatch.from_pixels(pixels))
        for engine in ("torch", "openvino")
    ]  # fmt: skip

    assert len(tables[0]) > 0
    for table in tables:
        assert set(table.extras) == {PROBABILITY_OF_CHANNEL}
        assert set(table.channel.tolist()) <= {0, 1}
    np.testing.assert_allclose(tables[0].x_nm, tables[1].x_nm, atol=0.5)
    assert tables[0].channel.tolist() == tables[1].channel.tolist()
    assert manifest.colours == ("mEos3.2", "AF647")
    assert (manifest.pixel_nm, manifest.spot_px) == (100.0, recipe.psf.box_px)
    assert extra_columns(LocalizerSettings(name=f"{tmp_path}/"), "flagship-2d")[
        "extra_columns"
    ] == {PROBABILITY_OF_CHANNEL: "1"}
