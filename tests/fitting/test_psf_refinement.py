"""What is changed in a PSF that is stated, what is only said, and what is left as it is."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.calibration import CameraCalibration
from rtsmlm.fitting import psf_refinement
from rtsmlm.fitting.curves_of_run import CurveFactors
from rtsmlm.fitting.psf_meter import PsfMeter, is_measured
from rtsmlm.fitting.psf_refinement import UNCHANGED, Refined, refine_curves, refine_round
from rtsmlm.fitting.round_psf import RoundShape
from rtsmlm.settings.load import from_mapping
from rtsmlm.settings.psf import PsfSettings

CALIBRATION = CameraCalibration(pixel_nm=100.0, offset_adu=100.0, e_per_adu=1.0, read_noise_e=1.0)
PHOTONS = np.zeros((32, 40, 40), np.float32)
CURVES = PsfSettings.model_validate(
    {
        "astigmatism": {
            "z_min_nm": -500.0,
            "z_max_nm": 500.0,
            "x": {"sigma0_nm": 130.0, "focus_nm": 220.0, "depth_nm": 400.0},
            "y": {"sigma0_nm": 120.0, "focus_nm": -220.0, "depth_nm": 400.0},
        }
    }
)


def refined(monkeypatch: pytest.MonkeyPatch, shape: RoundShape, **stated: object) -> Refined:
    monkeypatch.setattr(psf_refinement, "measure_round_shape", lambda *_, **__: shape)
    psf = PsfSettings.model_validate(stated)
    found = refine_round(PHOTONS, CALIBRATION, psf, shape.sigma_px)
    assert found is not None
    return found


def with_curves(
    monkeypatch: pytest.MonkeyPatch, *values: float, std: float = 0.005, psf: PsfSettings = CURVES
) -> Refined:
    factors = CurveFactors(values[0], values[1], values[2], (std, std, std), 300)
    monkeypatch.setattr(psf_refinement, "measure_curves", lambda *_, **__: factors)
    found = refine_curves(PHOTONS, CALIBRATION, psf)
    assert found is not None
    return found


def test_a_width_that_is_off_for_sure_takes_the_place_of_the_stated_one_and_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = refined(monkeypatch, RoundShape(1.5, 0.004, 1.0, 0.004, 0.0, 0.004), sigma_nm=130.0)

    assert found.sigma_nm == pytest.approx(150.0)
    assert found.values == {}
    assert "150 ± 0.4 nm wide, where psf.sigma_nm states 130 nm" in found.told
    assert "first 32 frames" in found.told


@pytest.mark.parametrize(
    "shape",
    [
        RoundShape(1.35, 0.003, 1.04, 0.002, 0.025, 0.002),  # sure, and not worth it
        RoundShape(1.45, 0.04, 1.12, 0.04, 0.1, 0.03),  # much, and not sure
        RoundShape(1.3, 0.01, 1.0, 0.01, -0.06, 0.004),  # of light taken away by neighbours
    ],
)
def test_little_or_unsure_differences_change_nothing(
    monkeypatch: pytest.MonkeyPatch, shape: RoundShape
) -> None:
    assert refined(monkeypatch, shape, sigma_nm=130.0) == UNCHANGED


def test_ellipticity_and_halo_are_found_beside_a_width_that_is_measured_anyway(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = refined(monkeypatch, RoundShape(1.5, 0.004, 1.15, 0.004, 0.1, 0.004))

    assert found.sigma_nm is None
    assert found.values == {"ellipticity": 1.15, "halo": 0.1}
    assert "1.15 ± 0.004 times as wide along x as along y (1 before)" in found.told
    assert "10 ± 0.4 % of the light in a halo" in found.told
    stated = PsfSettings().with_measured(found.values)
    assert (stated.ellipticity, stated.halo) == (1.15, 0.1)


def test_a_halo_that_is_stated_and_not_there_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    found = refined(monkeypatch, RoundShape(1.3, 0.004, 1.0, 0.004, -0.01, 0.004), halo=0.1)

    assert found.values == {"halo": 0.0}


def test_curves_are_multiplied_and_the_typical_width_with_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = with_curves(monkeypatch, 1.1, 1.1, 1.0)

    assert found.sigma_nm == pytest.approx(1.1 * (CURVES.known_sigma_nm or 0.0))
    after = CURVES.with_measured(found.values).astigmatism
    assert after is not None
    assert (after.x.sigma0_nm, after.y.sigma0_nm) == pytest.approx((143.0, 132.0))
    assert (after.x.focus_nm, after.y.focus_nm) == pytest.approx((220.0, -220.0))
    assert CURVES.with_measured({}).astigmatism == CURVES.astigmatism
    assert "110 ± 0.5 and 110 ± 0.5 % of the curves" in found.told

    apart = CURVES.with_measured(with_curves(monkeypatch, 1.0, 1.0, 0.9).values).astigmatism
    assert apart is not None
    assert apart.x.focus_nm - apart.y.focus_nm == pytest.approx(0.9 * 440.0)


def test_curves_that_are_right_or_not_surely_wrong_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_curves(monkeypatch, 1.03, 0.97, 1.05) == UNCHANGED
    assert with_curves(monkeypatch, 1.1, 1.1, 1.2, std=0.06) == UNCHANGED


def test_with_a_measured_image_and_of_another_psf_it_is_said_and_nothing_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    table = CURVES.model_copy(update={"table": f"{tmp_path}/psf_table.npz"})
    said = with_curves(monkeypatch, 1.1, 1.1, 1.0, psf=table)
    assert (said.values, said.sigma_nm) == ({}, None)
    assert "psf.table was measured on another PSF" in said.told

    other = with_curves(monkeypatch, 1.49, 1.0, 1.0)
    assert (other.values, other.sigma_nm) == ({}, None)
    assert "another PSF, and the curves stay as they are" in other.told


def test_what_is_stated_stays_where_few_lone_emitters_are_to_be_seen(
    rng: np.random.Generator,
) -> None:
    dark = rng.poisson(110, (32, 60, 60)).astype(np.uint16)
    for psf in (PsfSettings(sigma_nm=140.0), CURVES):
        meter = PsfMeter(CALIBRATION, most_frames=500, psf=psf)
        assert meter.measure(dark) is None
        assert meter.n_wanted == 64

        width = meter.measure(dark, are_all=True)

        assert width is not None
        assert (width.sigma_nm, width.note, width.told) == (psf.known_sigma_nm, "", "")
        assert not width.values


def test_frames_of_several_views_and_settings_that_say_so_are_left_alone() -> None:
    two_views = {
        "views": [
            {"name": "a", "region": [0, 0, 64, 64]},
            {"name": "b", "region": [64, 0, 64, 64], "x": [-64.0, 1.0, 0.0]},
        ]
    }

    assert is_measured(from_mapping({"psf": {"sigma_nm": 130.0}}))
    assert not is_measured(from_mapping({"psf": {"sigma_nm": 130.0, "refine": False}}))
    assert is_measured(from_mapping({"psf": {"refine": False}}))
    assert not is_measured(from_mapping({"psf": {"sigma_nm": 130.0}, "channels": two_views}))
