"""A calibration takes the place of what a recipe draws; what is missing is named in a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from rtsmlm.errors import ConfigError  # noqa: E402
from rtsmlm.models.catalog import find_model  # noqa: E402
from rtsmlm.models.manifest import UNTRAINED, load_manifest  # noqa: E402
from rtsmlm.models.simulation.optics import OpticsSection, ZernikeEntry  # noqa: E402
from rtsmlm.models.simulation.window_sampler import WindowSampler, focused_width_px  # noqa: E402
from rtsmlm.models.training import pupil_of_psf  # noqa: E402
from rtsmlm.models.training.adaptation import adapted_recipe, recipe_of  # noqa: E402
from rtsmlm.models.training.microscope import Microscope, microscope_of  # noqa: E402
from rtsmlm.models.training.recipe import Recipe  # noqa: E402
from rtsmlm.models.training.trainable import trainable_of  # noqa: E402
from rtsmlm.physics.astigmatism import WidthCurve, WidthCurves  # noqa: E402
from rtsmlm.physics.psf_file import load_psf, save_psf  # noqa: E402
from rtsmlm.physics.psf_of_curves import psf_of_curves  # noqa: E402
from rtsmlm.physics.pupil import pupil_psf  # noqa: E402
from rtsmlm.settings.load import load  # noqa: E402

CURVES = WidthCurves(
    x=WidthCurve(sigma0_nm=140.0, focus_nm=200.0, depth_nm=400.0),
    y=WidthCurve(sigma0_nm=135.0, focus_nm=-210.0, depth_nm=420.0, quartic=0.1),
    z_min_nm=-600.0,
    z_max_nm=600.0,
)
SCMOS = {"offset_adu": 100.0, "e_per_adu": 0.46, "read_noise_e": 1.4}


def adapted(name: str, microscope: Microscope, folder: Path, *changes: str) -> Recipe:
    source = find_model(name)
    manifest = load_manifest(source)
    return adapted_recipe(manifest, source, microscope, folder, name="mine", overrides=changes)


def test_a_width_and_a_camera_take_the_place_of_what_was_drawn(tmp_path: Path) -> None:
    recipe = adapted("flagship-2d", Microscope(pixel_nm=100.0, sigma_nm=150.0, **SCMOS), tmp_path)

    drawn = recipe.simulation
    assert drawn.sigma_px[0] < 1.5 < drawn.sigma_px[1]
    assert drawn.sigma_px[1] - drawn.sigma_px[0] < 0.2
    assert (drawn.emccd_fraction, drawn.ideal_fraction) == (0.0, 0.0)
    assert drawn.read_noise_e[0] < 1.4 < drawn.read_noise_e[1] < 2.0
    assert drawn.density == recipe_of_model("flagship-2d").simulation.density
    assert recipe.name == "mine"
    assert recipe.training.start == str(find_model("flagship-2d"))
    assert recipe.training.steps == 4000


def recipe_of_model(name: str) -> Recipe:
    return recipe_of(load_manifest(find_model(name)), find_model(name))


def test_an_emccd_is_the_only_camera_that_is_drawn_then(tmp_path: Path) -> None:
    recipe = adapted("zelger", Microscope(pixel_nm=107.0, em_gain=300.0), tmp_path)

    assert recipe.boxes.emccd_fraction == 1.0
    assert recipe.optics.pixel_nm == 107.0


def test_a_psf_table_is_what_windows_are_drawn_with(tmp_path: Path) -> None:
    table = psf_of_curves(CURVES, 100.0, 25)
    path = tmp_path / "psf_table.npz"
    save_psf(path, table, pixel_nm=100.0, origin="test")

    recipe = adapted("flagship-2d-fast", Microscope(psf_file=path), tmp_path)
    sampler = trainable_of(recipe).sampler(recipe, torch.device("cpu"))

    assert isinstance(sampler, WindowSampler)
    assert recipe.simulation.computed_fraction == 1.0
    assert sum(recipe.simulation.sigma_px) / 2 == pytest.approx(focused_width_px(table), rel=1e-3)
    windows = sampler(2, torch.Generator().manual_seed(1), 1.0)
    assert bool(torch.isfinite(windows.photons).all())


def test_curves_are_drawn_near_those_that_were_measured(tmp_path: Path) -> None:
    recipe = adapted("flagship-astig", Microscope(pixel_nm=100.0, curves=CURVES), tmp_path)

    drawn = recipe.simulation.astigmatism
    assert drawn is not None
    for span, true in (
        (drawn.sigma0_px, np.sqrt(1.40 * 1.35)),
        (drawn.separation, 205.0 / np.sqrt(400.0 * 420.0)),
        (drawn.depth_ratio, 400.0 / 420.0),
        (drawn.half_range, 600.0 / np.sqrt(400.0 * 420.0)),
    ):
        assert span[0] < true < span[1]
        assert span[1] - span[0] < 0.2 * true


def test_curves_become_the_psf_file_of_a_network_that_knows_one(tmp_path: Path) -> None:
    recipe = adapted("decode", Microscope(pixel_nm=108.0, curves=CURVES), tmp_path)

    assert recipe.psf.file == tmp_path / "psf_table.npz"
    assert recipe.psf.z_nm == (-600.0, 600.0)
    stored = load_psf(tmp_path / "psf_table.npz")
    assert stored.pixel_nm == 108.0
    focus = stored.table.z_first_nm + stored.table.z_step_nm * np.arange(len(stored.table.sums))
    wide_x = [stored.table.sums[k, -1, :] for k in range(len(focus))]
    steepest = int(np.argmax([np.diff(row).max() for row in wide_x]))
    assert focus[steepest] == pytest.approx(200.0, abs=30.0), "sharpest along x in its focus"


def test_a_change_of_the_recipe_wins_over_all(tmp_path: Path) -> None:
    recipe = adapted(
        "deepstorm", Microscope(sigma_nm=130.0, pixel_nm=100.0), tmp_path,
        "training.steps=7", "simulation.background=[50, 60]",
    )  # fmt: skip

    assert recipe.training.steps == 7
    assert recipe.simulation.background == (50.0, 60.0)


@pytest.mark.parametrize(
    ("name", "microscope", "sentence"),
    [
        ("flagship-2d", {"pixel_nm": 100.0}, r"psf\.sigma_nm"),
        ("flagship-2d", {"sigma_nm": 130.0}, r"without the side of a pixel.*camera\.pixel_nm"),
        ("flagship-astig", {"pixel_nm": 100.0, "sigma_nm": 130.0}, r"psf_astigmatic\.toml with -c"),
        ("decode", {"pixel_nm": 100.0, "sigma_nm": 130.0}, "does not lie beside its manifest"),
        ("deeploco", {"sigma_nm": 130.0}, "a width alone says nothing"),
        ("zelger", {"sigma_nm": 130.0}, "a width alone says nothing"),
    ],
)
def test_what_is_missing_is_named(
    name: str, microscope: dict[str, float], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        adapted(name, Microscope(**microscope), tmp_path)


def test_a_table_of_other_pixels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "psf_table.npz"
    save_psf(path, psf_of_curves(CURVES, 100.0, 25), pixel_nm=100.0, origin="test")

    with pytest.raises(ConfigError, match=r"for pixels of 100 nm, but camera\.pixel_nm is 160"):
        adapted("deeploco", Microscope(pixel_nm=160.0, psf_file=path), tmp_path)


def test_a_model_without_a_recipe_is_refused(tmp_path: Path) -> None:
    manifest = load_manifest(find_model("decode")).model_copy(update={"training": UNTRAINED})

    with pytest.raises(ConfigError, match="states no recipe"):
        adapted_recipe(manifest, tmp_path, Microscope(sigma_nm=1.0), tmp_path, name="mine")


def test_a_network_that_no_microscope_has_a_part_in_is_refused(tmp_path: Path) -> None:
    manifest = load_manifest(find_model("deeploco"))
    stated = manifest.training.recipe | {
        "network": {"architecture": "deepstorm3d-mask", "size": "S"}
    }
    training = manifest.training.model_copy(update={"recipe": stated})

    with pytest.raises(ConfigError, match="nothing that deepstorm3d-mask is trained on depends"):
        adapted_recipe(
            manifest.model_copy(update={"training": training}), tmp_path,
            Microscope(sigma_nm=1.0), tmp_path, name="mine",
        )  # fmt: skip


def test_settings_that_state_nothing_are_nothing_to_adapt_to() -> None:
    with pytest.raises(ConfigError, match="neither camera nor PSF"):
        microscope_of(load(None))


def test_the_aberrations_of_a_psf_are_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pupil_of_psf, "FACTORS", (1.0,))
    monkeypatch.setattr(pupil_of_psf, "STARTS_NM", (40.0,))
    zernikes = (ZernikeEntry(n=2, m=2, rms_nm=65.0), ZernikeEntry(n=3, m=1, rms_nm=-25.0))
    true = OpticsSection(zernikes=zernikes)
    table = pupil_psf(
        true.optics(), pixel_nm=100.0, vectorial=True, z_range_nm=500.0, z_step_nm=100.0,
        box_px=21, fine_per_px=3, pupil_points=48,
    )  # fmt: skip

    found, explained = pupil_of_psf.optics_of_psf(table, OpticsSection(), (-500.0, 500.0))

    amplitudes = {(z.n, z.m): z.rms_nm for z in found.zernikes}
    assert explained > 0.98
    assert amplitudes[2, 2] == pytest.approx(65.0, abs=6.0)
    assert amplitudes[3, 1] == pytest.approx(-25.0, abs=6.0)
    assert abs(amplitudes[3, -1]) < 5.0
