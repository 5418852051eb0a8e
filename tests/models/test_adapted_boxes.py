"""Backgrounds, dyes and spectra are drawn for the microscope that a calibration states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from rtsmlm.errors import ConfigError  # noqa: E402
from rtsmlm.models.catalog import architecture_of  # noqa: E402
from rtsmlm.models.simulation.dye_spectra import SpectrumSampler  # noqa: E402
from rtsmlm.models.training.adaptation import Adaptable  # noqa: E402
from rtsmlm.models.training.adapted_lists import USUAL_SIGMA_NM  # noqa: E402
from rtsmlm.models.training.microscope import Microscope, microscope_of  # noqa: E402
from rtsmlm.models.training.recipe import Recipe, load_recipe  # noqa: E402
from rtsmlm.models.training.trainable import trainable_of  # noqa: E402
from rtsmlm.physics.psf_file import save_psf  # noqa: E402
from rtsmlm.physics.pupil import Optics, pupil_psf  # noqa: E402
from rtsmlm.settings.load import load  # noqa: E402

RECIPES = Path(__file__).parents[2] / "models" / "recipes"
SCMOS = {"offset_adu": 100.0, "e_per_adu": 0.46, "read_noise_e": 1.4}


def adapted(name: str, microscope: Microscope, folder: Path = Path()) -> Recipe:
    recipe = load_recipe(RECIPES / f"{name}.toml")
    architecture = architecture_of(recipe.network.architecture)
    assert isinstance(architecture, Adaptable)
    return architecture.adapted(recipe, microscope, folder)


def test_backgrounds_are_learned_under_spots_of_the_width_that_is_stated() -> None:
    recipe = adapted("bgnet", Microscope(pixel_nm=100.0, sigma_nm=150.0, **SCMOS))
    sampler = trainable_of(recipe).sampler(recipe, torch.device("cpu"))

    boxes = sampler(256, torch.Generator().manual_seed(1), 1.0)
    assert recipe.boxes.read_noise_e[0] < 1.4 < recipe.boxes.read_noise_e[1] < 2.0
    spots = (boxes.mean - boxes.background)[:, 0]
    # A Gaussian holds 2 pi sigma² times its highest pixel, which its place in it lowers a little.
    sigmas_px = (spots.sum(dim=(1, 2)) / spots.amax(dim=(1, 2)) / (2.0 * torch.pi)).sqrt()
    assert float(sigmas_px.median()) == pytest.approx(1.5, rel=0.06)


def test_a_pupil_takes_the_place_of_round_spots_where_a_table_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtsmlm.models.training import pupil_of_psf

    monkeypatch.setattr(pupil_of_psf, "FACTORS", (1.0,))
    monkeypatch.setattr(pupil_of_psf, "STARTS_NM", (40.0,))
    table = pupil_psf(
        Optics(zernike_nm={(2, 2): 60.0}), pixel_nm=110.0, vectorial=True, z_range_nm=400.0,
        z_step_nm=100.0, box_px=21, fine_per_px=3, pupil_points=48,
    )  # fmt: skip
    path = tmp_path / "psf_table.npz"
    save_psf(path, table, pixel_nm=110.0, origin="test")

    recipe = adapted("bgnet", Microscope(psf_file=path), tmp_path)

    found = {(z.n, z.m): z.rms_nm for z in recipe.optics.zernikes}
    assert recipe.backgrounds.sigma_px is None
    assert recipe.optics.pixel_nm == 110.0
    assert found[2, 2] == pytest.approx(60.0, abs=8.0)


def test_dyes_are_seen_on_the_pixels_and_with_the_noise_of_the_camera() -> None:
    recipe = adapted("kim", Microscope(pixel_nm=117.0, sigma_nm=150.0, **SCMOS))

    assert recipe.optics.pixel_nm == 117.0
    assert recipe.dyes.read_noise_e[0] < 1.4 < recipe.dyes.read_noise_e[1] < 2.0


def test_a_learned_mask_is_learned_on_the_pixels_of_the_camera() -> None:
    recipe = adapted("hershko", Microscope(pixel_nm=130.0, sigma_nm=150.0))

    assert recipe.optics.pixel_nm == 130.0


def test_spectra_are_as_long_as_the_disperser_makes_them(tmp_path: Path) -> None:
    path = tmp_path / "rig.toml"
    path.write_text(
        "[camera]\npixel_nm = 100\nread_noise_e = 1.4\n[psf]\nsigma_nm = 150\n"
        '[spectrum]\ndisperser = "prism"\nnm_per_px = 8.0\nreference_nm = 680\n'
    )

    recipe = adapted("zhang", microscope_of(load([path])))
    sampler = trainable_of(recipe).sampler(recipe, torch.device("cpu"))

    assert isinstance(sampler, SpectrumSampler)
    spectra = sampler(64, torch.Generator().manual_seed(1))
    assert bool((spectra.nm_per_px / 8.0 - 1.0).abs().max() < 0.03)
    assert recipe.spectra.disperser == "prism"
    assert np.mean(recipe.spectra.sigma_px) == pytest.approx(1.5)


def test_a_disperser_that_no_setting_states_is_not_taken_from_defaults() -> None:
    assert microscope_of(load(None, ["psf.sigma_nm=130"])).spectrum is None


@pytest.mark.parametrize(
    ("name", "microscope", "sentence"),
    [
        ("bgnet", {"pixel_nm": 100.0}, "cannot be adapted without camera and PSF"),
        ("bgnet", {"sigma_nm": 130.0}, "without the side of a pixel"),
        ("kim", {"sigma_nm": 130.0}, "the width of a PSF, which tells it the dye"),
        ("hershko", {"read_noise_e": 1.4}, "without the side of a pixel"),
        ("hershko", {"psf_file": Path("psf.npz")}, "the PSF of the mask that it learns"),
        ("zhang", {"pixel_nm": 100.0}, "the width of the PSF, the read noise or the disperser"),
    ],
)
def test_what_is_missing_is_named(name: str, microscope: dict[str, float], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        adapted(name, Microscope(**microscope))


@pytest.mark.parametrize("name", ["annapalm", "gaire-pores"])
def test_localizations_scatter_in_proportion_to_the_psf(name: str) -> None:
    usual = load_recipe(RECIPES / f"{name}.toml").lists
    recipe = adapted(name, Microscope(pixel_nm=110.0, sigma_nm=2.0 * USUAL_SIGMA_NM, **SCMOS))

    assert recipe.lists.precision_nm == pytest.approx([2.0 * e for e in usual.precision_nm])
    if usual.widefield_fraction:
        low, high = recipe.lists.widefield_nm
        assert low < 2.0 * USUAL_SIGMA_NM < high < 1.1 * low * 1.1
    with pytest.raises(ConfigError, match="nothing depends on the camera"):
        adapted(name, Microscope(pixel_nm=110.0, **SCMOS))
